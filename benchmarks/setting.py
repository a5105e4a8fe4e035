"""What is measured on: options, photographs, or numbers drawn at random where photographs are not needed."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from posekit.data import open_people
from posekit.data.batch import Batch
from posekit.data.image_headers import read_headers
from posekit.errors import DataError
from posekit.models import ModelInfo
from posekit.people import People
from posekit.skeletons import MPII16

FEATURES = 256  # of the published hourglasses
MEAN, STD = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)


@dataclass(frozen=True)
class Setting:
    """Options of a run, and the people it is measured on.

    Parameters
    ----------
    device : torch.device
    data, split : str
        See `posekit.data.open_people`.
    root : Path or None
        None: no photographs.
    people : int
        How many people the input path is measured on.
    size : int
        Side of the crops in pixels.
    batch : int
        People per training step.
    rounds : int
        How often each pair is measured; see `many` and `few`.
    backend : str
        Which back ends inference is measured of; "auto": all.
    predictions : Path or None
    """

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
        """Rounds of what takes milliseconds."""
        return 5 * self.rounds

    @property
    def few(self) -> int:
        """Rounds of what takes seconds on a CPU."""
        return max(2, self.rounds // 2) if self.device.type == "cpu" else self.rounds

    @cached_property
    def everyone(self) -> People:
        """The split's people, whether their photographs are there or not."""
        return open_people(self.data, self.root, self.split)

    @cached_property
    def shown(self) -> People:
        """Those whose photographs are there; a line tells of the others.

        Raises
        ------
        DataError
            If none is.
        """
        is_there = np.isfinite(self._sizes[:, 0])
        if not is_there.any():
            raise DataError(f"{self.root}: none of the photographs of its {len(is_there):,} people can be read; put them there")
        if not is_there.all():
            print(f"{(~is_there).sum():,} of {len(is_there):,} people are left out: their photographs are not there")
        return self.everyone.select(is_there)

    @cached_property
    def shown_sizes(self) -> np.ndarray:
        """(N, 2) float64: width and height of the photograph of each of the people shown, in pixels."""
        return self._sizes[np.isfinite(self._sizes[:, 0])]

    @cached_property
    def _sizes(self) -> np.ndarray:
        return read_headers(self.everyone.image_paths, progress=True).sizes_of(self.everyone.image_paths)

    def repeated(self, count: int) -> People:
        """So many people: those shown, again and again."""
        return self.shown.select(np.arange(count) % len(self.shown))

    def settings(self) -> dict[str, str | int]:
        """What figures of two runs must share to be comparable, but for the machine."""
        data = {"data": self.data, "split": self.split, "people": self.people} if self.root else {}
        return {**data, "device": self.device.type, "size": self.size, "batch": self.batch}


def random_joints(people: int, joints: int, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Joints (people, joints, 2) float32 anywhere in crops of that size, all labelled; always the same."""
    generator = torch.Generator().manual_seed(0)
    return size * torch.rand(people, joints, 2, generator=generator) - 0.5, torch.ones(people, joints, dtype=torch.bool)


def random_batch(people: int, joints: int, size: int) -> Batch:
    """Crops of noise: what a network computes does not depend on what it sees."""
    points, labelled = random_joints(people, joints, size)
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (people, size, size, 3), np.uint8))
    return Batch(images, points, labelled, torch.ones(people, 3), torch.arange(people))


def random_people(count: int) -> People:
    """People without photographs, to build what trains."""
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
    """The network that inference is measured of."""
    return ModelInfo(MPII16, setting.size, stacks=2, features=FEATURES, depth=4, head="sigmoid", mean=MEAN, std=STD)
