"""Options and input of a benchmark run: people of a data set, or random arrays for parts that need no images."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from posekit.data import open_people
from posekit.data.crops import Batch
from posekit.errors import DataError
from posekit.images import read_headers
from posekit.models import ModelInfo
from posekit.people import People
from posekit.skeletons import MPII16

FEATURES = 256  # as in the published hourglasses
MEAN = (0.5, 0.5, 0.5)
STD = (0.25, 0.25, 0.25)


@dataclass(frozen=True)
class Setting:
    """Options of the command, and the people of the chosen data set; without `root`, there is no data set."""

    device: torch.device
    data: str
    split: str
    root: Path | None
    people: int
    size: int
    batch: int
    rounds: int
    backend: str
    predictions: Path | None

    @property
    def many(self) -> int:
        """Number of rounds for measurements that take milliseconds."""
        return 5 * self.rounds

    @property
    def few(self) -> int:
        """Number of rounds for measurements that take seconds on a CPU."""
        return max(2, self.rounds // 2) if self.device.type == "cpu" else self.rounds

    @cached_property
    def all_people(self) -> People:
        """People of the split, including people whose images are missing."""
        return self.open_people()

    def open_people(self) -> People:
        """Load the people of the split, without a cache."""
        assert self.root is not None  # the parts that need people require --root
        return open_people(self.data, self.root, self.split)

    @cached_property
    def people_with_images(self) -> People:
        """People whose images can be read; the first access prints how many people are skipped, and fails if none are left."""
        exists = np.isfinite(self._all_sizes[:, 0])
        if not exists.any():
            raise DataError(
                f"{self.root}: none of the images of the {len(exists):,} people can be read; add the images or correct --root"
            )
        if not exists.all():
            print(f"{(~exists).sum():,} of {len(exists):,} people are skipped: their images are missing or cannot be read")
        return self.all_people.select(exists)

    @cached_property
    def image_sizes(self) -> np.ndarray:
        """(N, 2) float64 width and height of the images of `people_with_images`, in pixels."""
        return self._all_sizes[np.isfinite(self._all_sizes[:, 0])]

    @cached_property
    def _all_sizes(self) -> np.ndarray:
        paths = self.all_people.image_paths
        return read_headers(paths, progress=True).sizes_of(paths)

    def repeated(self, count: int) -> People:
        """Return `count` people with images; the people are repeated as often as needed."""
        return self.people_with_images.select(np.arange(count) % len(self.people_with_images))

    def comparable(self) -> dict[str, str | int]:
        """Return the settings that must be equal for two runs to be comparable."""
        settings: dict[str, str | int] = {"device": self.device.type, "size": self.size, "batch": self.batch}
        if self.root:
            settings |= {"data": self.data, "split": self.split, "people": self.people}
        return settings


def random_joints(people: int, joints: int, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw (people, joints, 2) float32 joints inside crops, always with the same seed, and a mask that labels all joints."""
    generator = torch.Generator().manual_seed(0)
    return size * torch.rand(people, joints, 2, generator=generator) - 0.5, torch.ones(people, joints, dtype=torch.bool)


def random_batch(people: int, joints: int, size: int) -> Batch:
    """Create a batch of noise crops, since the network's speed does not depend on the pixel values."""
    points, labelled = random_joints(people, joints, size)
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (people, size, size, 3), np.uint8))
    return Batch(images, points, labelled, torch.ones(people, 3), torch.arange(people))


def random_people(count: int) -> People:
    """Create people without images, to build a training run."""
    joints = len(MPII16)
    return People(
        name="noise",
        split="all",
        skeleton=MPII16,
        image_paths=np.full(count, "none"),
        joints=np.zeros((count, joints, 2)),
        labelled=np.ones((count, joints), bool),
        visible=np.ones((count, joints), bool),
        centres=np.zeros((count, 2)),
        sides=np.ones(count),
        head_sizes=np.ones(count),
        box_source="noise",
    )


def network(setting: Setting) -> ModelInfo:
    """Describe the network used in the inference benchmarks."""
    return ModelInfo(MPII16, setting.size, stacks=2, features=FEATURES, depth=4, head="sigmoid", mean=MEAN, std=STD)
