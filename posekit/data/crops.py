"""From annotated people to batches of crops: what the loader's workers do."""

import math
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from posekit.data import augment
from posekit.data.batch import Batch
from posekit.data.sample import Failure, Sample
from posekit.errors import BoxError, DataError, ImageError
from posekit.geometry import Crop
from posekit.people import People, Person

_LARGEST_BAD_SHARE = 0.01
_EMPTY = Batch(
    images=torch.zeros(0, 1, 1, 3, dtype=torch.uint8),
    joints=torch.zeros(0, 0, 2),
    labelled=torch.zeros(0, 0, dtype=torch.bool),
    channel_gains=torch.zeros(0, 3),
    index=torch.zeros(0, dtype=torch.int64),
)


class CropDataset(Dataset):
    """One crop per person.

    What a crop looks like depends on the seed, the epoch and the person alone, not on workers or on what
    was read before, so that a run can be resumed at any batch.

    Parameters
    ----------
    people : People
    size : int
        Side of the crops in pixels.
    ranges : augment.AugmentConfig, optional
        Plain crops without.
    seed : int

    Raises
    ------
    ConfigError
        If people are packed with a margin too small for the crops.
    """

    def __init__(self, people: People, *, size: int, ranges: augment.AugmentConfig | None = None, seed: int = 0):
        people.require_margin(1.0 if ranges is None else ranges.reach)
        self.people, self.size, self.ranges, self.seed = people, size, ranges, seed

    def __len__(self):
        return len(self.people)

    def __getitem__(self, key: int | tuple[int, int]) -> Sample:
        """Crop of one person: `key` is the person's index, or (epoch, index). A photograph that cannot be read makes it black."""
        epoch, index = key if isinstance(key, tuple) else (0, key)
        view = augment.PLAIN
        if self.ranges is not None:
            view = augment.draw(np.random.default_rng([self.seed, epoch, index]), self.ranges)
        return self._samples(index, [view])[0]

    def _samples(self, index: int, views: Sequence[augment.CropParams]) -> list[Sample]:
        person = self.people[index]
        try:
            image, shown = person.read(self._resolution(person, views))
            order = self.people.skeleton.flip_order
            return [augment.apply(image, shown, view, size=self.size, flip_order=order, index=index) for view in views]
        except ImageError as error:
            failure = f"person {index}: {error}"
        except BoxError:
            (x, y), side = person.box.centre, person.box.side
            failure = f"person {index}: {person.image_path}: box with centre ({x:g}, {y:g}) and side {side:g} lies wholly outside the picture"
        return [self._blank(index, failure)] * len(views)

    def _resolution(self, person: Person, views: Sequence[augment.CropParams]) -> float:
        """Pixels that training needs along each of the photograph's; what is evaluated is cut from the whole photograph."""
        return math.inf if self.ranges is None else self.size / (person.box.side * min(view.scale for view in views))

    def _blank(self, index: int, failure: str) -> Sample:
        # In its place in the batch, so that every batch has the same size and every process takes every step.
        joints = len(self.people.skeleton)
        return Sample(
            image=np.zeros((self.size, self.size, 3), np.uint8),
            joints=np.zeros((joints, 2), np.float32),
            labelled=np.zeros(joints, bool),
            index=index,
            failure=failure,
        )


class PyramidDataset(CropDataset):
    """Plain crops of each person at several scales, which share one reading of the photograph.

    Parameters
    ----------
    people : People
    size : int
        Side of the crops in pixels.
    scales : sequence of float
        Factors on the side of the person's box.
    """

    def __init__(self, people: People, *, size: int, scales: Sequence[float]):
        super().__init__(people, size=size)
        people.require_margin(max(scales))
        self.views = [augment.CropParams(scale=scale) for scale in scales]

    def __getitem__(self, key: int | tuple[int, int]) -> list[Sample]:
        """One person's crops, in the order of the scales; all are black if the photograph cannot be read."""
        return self._samples(key[1] if isinstance(key, tuple) else key, self.views)


def collate(samples: Sequence[Sample] | Sequence[list[Sample]]) -> Batch:
    """Stack samples into a batch, which may be empty; several of one person come one after the other."""
    samples = [sample for item in samples for sample in (item if isinstance(item, list) else [item])]
    if not samples:
        return _EMPTY
    return Batch(
        images=torch.from_numpy(np.stack([sample.image for sample in samples])),
        joints=torch.from_numpy(np.stack([sample.joints for sample in samples])),
        labelled=torch.from_numpy(np.stack([sample.labelled for sample in samples])),
        channel_gains=torch.tensor([sample.channel_gains for sample in samples]),
        index=torch.tensor([sample.index for sample in samples], dtype=torch.int64),
        failures=tuple(Failure(sample.index, sample.failure) for sample in samples if sample.failure),
    )


def identity_collate(batch):
    """Collate function of data sets that make whole batches themselves."""
    return batch


class EpochBatches:
    """Batches of (epoch, index) in an order that depends on seed and epoch alone; can start at any batch.

    Parameters
    ----------
    people : int
        How many there are.
    batch_size : int
        Per process. The last, incomplete batch of a shuffled epoch is left out, unless it is the only one.
    seed : int
    shuffle : bool
        Without it everyone comes once, in order.
    rank, world : int
        This process, and how many there are: they share each epoch's people.

    Attributes
    ----------
    epoch, start : int
        What the next iteration yields: batches `start` … of `epoch`.
    """

    def __init__(self, people: int, batch_size: int, *, seed: int = 0, shuffle: bool = False, rank: int = 0, world: int = 1):
        self.people, self.batch_size, self.seed, self.shuffle = people, batch_size, seed, shuffle
        self.rank, self.world = rank, world
        self.epoch = self.start = 0

    def _count(self) -> int:
        together = self.batch_size * self.world
        return max(self.people // together, 1) if self.shuffle else -(-self.people // together)

    def __len__(self):
        return self._count() - self.start

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        order = np.arange(self.people)
        if self.shuffle:
            order = np.random.default_rng([self.seed, self.epoch]).permutation(order)
        mine = order[self.rank :: self.world]
        for batch in range(self.start, self._count()):
            chosen = mine[batch * self.batch_size : (batch + 1) * self.batch_size]
            yield [(self.epoch, int(index)) for index in chosen]


def make_loader(
    dataset: Dataset, batches: EpochBatches, *, workers: int = 0, pin_memory: bool = False, collate: Callable = collate
) -> DataLoader:
    """A loader whose workers leave it to the process that they work for to stop them."""
    return DataLoader(
        dataset,
        batch_sampler=batches,
        collate_fn=collate,
        num_workers=workers,
        worker_init_fn=_outlive_signals,
        persistent_workers=workers > 0,
        pin_memory=pin_memory,
    )


def _outlive_signals(worker: int) -> None:
    # Ctrl-C and a scheduler's SIGTERM reach the workers too. They go on until the main process has stopped in good order.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "sigwaitinfo"):  # not on macOS, where SIGTERM ends them at once
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_heed_parent, daemon=True).start()


def _heed_parent() -> None:
    parent = multiprocessing.parent_process().pid
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != parent:
        pass
    os._exit(0)


def predict_batches(
    loader: DataLoader, people: People, predict: Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]]
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, tuple[Failure, ...]]]:
    """Run a model over plain crops and bring what it finds into the photographs.

    Parameters
    ----------
    loader : DataLoader
        Plain (not augmented) crops of `people`, the same number V for each.
    people : People
    predict : callable
        (B V, S, S, 3) uint8 crops -> points (B, ..., 2) in pixels of the crop of the person's box, and scores (B, ...).

    Yields
    ------
    index : (B,) int64
        Places in `people`.
    points : (B, ..., 2) float64
        Image pixels; NaN for crops that could not be made.
    scores : (B, ...) float64
        NaN likewise.
    failures : tuple of Failure
        One for each person.
    """
    for batch in loader:
        if not len(batch):
            continue
        points, scores = (found.cpu().double().numpy() for found in predict(batch.images))
        size, views = batch.images.shape[1], len(batch) // len(points)
        index, failures = batch.index.numpy()[::views], batch.failures[::views]
        points = np.array([Crop(people[i].box, size).inverse(found) for i, found in zip(index, points, strict=True)])
        failed = np.isin(index, [failure.index for failure in failures])
        points[failed] = scores[failed] = np.nan
        yield index, points, scores, failures


def require_few_failures(failures: Sequence[Failure], people: int, purpose: str) -> None:
    """Go on with what can be read, as long as it is nearly everyone.

    Raises
    ------
    DataError
        If more than 1 % of the `people` failed; the message names the last of them.
    """
    if len(failures) > _LARGEST_BAD_SHARE * people:
        raise DataError(
            f"{len(failures)} of {people} {purpose} samples cannot be read, more than 1 %; the last: {failures[-1].message}. "
            "Check the data set's folder."
        )
