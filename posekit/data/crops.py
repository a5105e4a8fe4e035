"""Load annotated people as batches of crops in DataLoader workers, and run a model on these batches."""

import math
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import Field, dataclass, fields, replace
from typing import Any, ClassVar, TypeVar

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from posekit.data import augment
from posekit.data.augment import Sample
from posekit.errors import BoxError, DataError, ImageError, require_array
from posekit.geometry import Crop
from posekit.people import People

Self = TypeVar("Self", bound="TensorBatch")


class CropDataset(Dataset):
    """Data set with one crop per person.

    A crop depends only on the seed, the epoch and the person, not on the worker or on earlier crops, so that training can be
    resumed at any batch.

    Parameters
    ----------
    people : People
    size : int
        Side of the crops in pixels.
    ranges : augment.AugmentConfig, optional
        Augmentation; none by default.
    seed : int
        Seed of the augmentation.

    Raises
    ------
    ConfigError
        If the people come from a pack whose margin is too small for the crops. `PyramidDataset` raises the same error.
    """

    def __init__(self, people: People, *, size: int, ranges: augment.AugmentConfig | None = None, seed: int = 0):
        people.require_margin(1.0 if ranges is None else ranges.reach)
        self.people = people
        self.size = size
        self.ranges = ranges
        self.seed = seed

    def __len__(self) -> int:
        return len(self.people)

    def __getitem__(self, key: int | tuple[int, int]) -> Sample:
        """Return the crop of one person (black if the crop cannot be made); `key` is the person's index, or (epoch, index)."""
        epoch, index = key if isinstance(key, tuple) else (0, key)
        params = augment.PLAIN
        if self.ranges is not None:
            params = augment.draw(np.random.default_rng([self.seed, epoch, index]), self.ranges)
        (sample,) = _make_samples(self.people, index, [params], self.size, is_training=self.ranges is not None)
        return sample


class PyramidDataset(Dataset):
    """Data set with several crops per person, one per scale, without augmentation; the image is read only once.

    Parameters
    ----------
    people : People
    size : int
        Side of the crops in pixels.
    scales : sequence of float
        Factors for the side of the person's box.
    """

    def __init__(self, people: People, *, size: int, scales: Sequence[float]):
        people.require_margin(max(scales))
        self.people = people
        self.size = size
        self.params = [augment.CropParams(scale=scale) for scale in scales]

    def __len__(self) -> int:
        return len(self.people)

    def __getitem__(self, key: int | tuple[int, int]) -> list[Sample]:
        """Return the crops of one person, one per scale, all black if they cannot be made; `key` as in `CropDataset`."""
        index = key[1] if isinstance(key, tuple) else key
        return _make_samples(self.people, index, self.params, self.size, is_training=False)


def _make_samples(
    people: People, index: int, params: Sequence[augment.CropParams], size: int, *, is_training: bool
) -> list[Sample]:
    person = people[index]
    resolution = math.inf  # evaluation reads the image at full resolution
    if is_training:
        resolution = size / (person.box.side * min(crop.scale for crop in params))
    flip_order = people.skeleton.flip_order
    try:
        image, shown = person.read(resolution)
        return [augment.apply(image, shown, crop, size=size, flip_order=flip_order, index=index) for crop in params]
    except ImageError as error:
        failure = f"person {index}: {error}"
    except BoxError:
        failure = f"person {index}: {person.image_path}: {person.box} lies completely outside the image"
    # A black crop replaces a failed crop, so that every batch has the same size and all processes take the same number of steps.
    blank = Sample(
        image=np.zeros((size, size, 3), np.uint8),
        joints=np.zeros((len(people.skeleton), 2), np.float32),
        labelled=np.zeros(len(people.skeleton), bool),
        index=index,
        failure=failure,
    )
    return [blank] * len(params)


@dataclass(frozen=True)
class Failure:
    """A sample that could not be made: the index of the person or image in the data set, and the reason."""

    index: int
    message: str


class TensorBatch:
    """Base class of batches: dataclasses with the fields ``images``, other tensors, ``index`` and ``failures``, in this order."""

    images: torch.Tensor
    index: torch.Tensor
    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    def __len__(self) -> int:
        return len(self.index)

    def __reduce__(self) -> tuple[Any, ...]:
        # A DataLoader worker sends each tensor in a separate block of shared memory, which takes a millisecond per tensor.
        # Therefore only the images are sent as a tensor, and the other fields as numpy arrays.
        values = [getattr(self, field.name) for field in fields(self)[1:]]
        arrays = [value.cpu().numpy() if isinstance(value, torch.Tensor) else value for value in values]
        return _rebuild, (type(self), self.images, *arrays)

    def to(self: Self, device: torch.device | str) -> Self:
        """Copy the batch to another device."""
        return self._map(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self: Self) -> Self:
        """Copy the batch to pinned memory; called by a DataLoader with ``pin_memory=True``."""
        return self._map(torch.Tensor.pin_memory)

    def _map(self: Self, function: Callable[[torch.Tensor], torch.Tensor]) -> Self:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        tensors = {name: function(value) for name, value in values.items() if isinstance(value, torch.Tensor)}
        return replace(self, **tensors)


def _rebuild(batch_class: Callable[..., TensorBatch], images: torch.Tensor, *values: Any) -> TensorBatch:
    return batch_class(images, *(torch.from_numpy(value) if isinstance(value, np.ndarray) else value for value in values))


@dataclass(frozen=True)
class Batch(TensorBatch):
    """Crops of several people, as tensors on one device.

    Parameters
    ----------
    images : (B, S, S, 3) uint8
        RGB.
    joints : (B, K, 2) float32
        Crop pixels.
    labelled : (B, K) bool
        True where the joint is labelled.
    channel_gains : (B, 3) float32
        Factors for the red, green and blue channel, applied by `posekit.models.normalise`.
    index : (B,) int64
        Index of each person in the data set.
    failures : tuple of Failure
        One for each crop that could not be made. A failed crop is black and has no labelled joint, so it does not affect the loss.
    """

    images: torch.Tensor
    joints: torch.Tensor
    labelled: torch.Tensor
    channel_gains: torch.Tensor
    index: torch.Tensor
    failures: tuple[Failure, ...] = ()

    def __post_init__(self):
        b, k = self.labelled.shape
        require_array("images", self.images, (b, "S", "S", 3), "uint8")
        require_array("joints", self.joints, (b, k, 2), "float32")
        require_array("labelled", self.labelled, (b, k), "bool")
        require_array("channel_gains", self.channel_gains, (b, 3), "float32")
        require_array("index", self.index, (b,), "int64")


def collate(items: Sequence[Sample | list[Sample]]) -> Batch:
    """Collate samples into a batch, which may be empty. Each item is one sample, or a list with all samples of one person."""
    samples: list[Sample] = []
    for item in items:
        samples += item if isinstance(item, list) else [item]
    if not samples:
        no_index = torch.zeros(0, dtype=torch.int64)
        no_labels = torch.zeros(0, 0, dtype=torch.bool)
        return Batch(torch.zeros(0, 1, 1, 3, dtype=torch.uint8), torch.zeros(0, 0, 2), no_labels, torch.zeros(0, 3), no_index)
    return Batch(
        images=torch.from_numpy(np.stack([sample.image for sample in samples])),
        joints=torch.from_numpy(np.stack([sample.joints for sample in samples])),
        labelled=torch.from_numpy(np.stack([sample.labelled for sample in samples])),
        channel_gains=torch.tensor([sample.channel_gains for sample in samples]),
        index=torch.tensor([sample.index for sample in samples], dtype=torch.int64),
        failures=tuple(Failure(sample.index, sample.failure) for sample in samples if sample.failure),
    )


def identity_collate(batch: Any) -> Any:
    """Return `batch` unchanged: the collate function for data sets that return whole batches."""
    return batch


class EpochBatches:
    """Batch sampler of (epoch, index) pairs that can start at any batch; the order depends only on the seed and the epoch.

    Parameters
    ----------
    people : int
        Number of people.
    batch_size : int
        Batch size per process. With `shuffle`, the last incomplete batch of an epoch is dropped, unless it is the only batch.
    seed : int
    shuffle : bool
        Whether to shuffle; otherwise each epoch yields all people in order.
    rank, world : int
        Rank of this process, and the number of processes; each process gets an equal share of the people of an epoch.

    Attributes
    ----------
    epoch, start : int
        Epoch of the next iteration, and the index of the batch at which the next iteration starts.
    """

    def __init__(self, people: int, batch_size: int, *, seed: int = 0, shuffle: bool = False, rank: int = 0, world: int = 1):
        self.people = people
        self.batch_size = batch_size
        self.seed = seed
        self.shuffle = shuffle
        self.rank = rank
        self.world = world
        self.epoch = 0
        self.start = 0

    def _count(self) -> int:
        global_batch = self.batch_size * self.world
        return max(self.people // global_batch, 1) if self.shuffle else math.ceil(self.people / global_batch)

    def __len__(self) -> int:
        return self._count() - self.start

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        order = np.arange(self.people)
        if self.shuffle:
            order = np.random.default_rng([self.seed, self.epoch]).permutation(order)
        own = order[self.rank :: self.world].tolist()
        for batch in range(self.start, self._count()):
            indices = own[batch * self.batch_size : (batch + 1) * self.batch_size]
            yield [(self.epoch, index) for index in indices]


def make_loader(
    dataset: Dataset, batches: EpochBatches, *, workers: int = 0, pin_memory: bool = False, collate: Callable = collate
) -> DataLoader:
    """Create a DataLoader whose workers ignore Ctrl-C and SIGTERM, unless the main process sends the SIGTERM."""
    return DataLoader(
        dataset,
        batch_sampler=batches,
        collate_fn=collate,
        num_workers=workers,
        worker_init_fn=_ignore_signals,
        persistent_workers=workers > 0,
        pin_memory=pin_memory,
    )


def _ignore_signals(worker: int) -> None:
    # The workers also receive Ctrl-C and a scheduler's SIGTERM, but must keep running until the main process has stopped cleanly.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "sigwaitinfo"):  # missing on macOS, where SIGTERM stops the workers immediately
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_exit_on_parent_signal, daemon=True).start()


def _exit_on_parent_signal() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        while signal.sigwaitinfo({signal.SIGTERM}).si_pid != parent.pid:
            pass
        os._exit(0)


def predict_batches(
    loader: DataLoader, people: People, predict: Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]]
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, tuple[Failure, ...]]]:
    """Run a model on crops without augmentation and map the predicted points to image pixels.

    Parameters
    ----------
    loader : DataLoader
        Yields batches of B people with V crops each, without augmentation.
    people : People
    predict : callable
        Takes crops (B V, S, S, 3) uint8; returns points (B, ..., 2), in pixels of the S × S crop of the person's box, and scores
        (B, ...).

    Yields
    ------
    index : (B,) int64
        Index of each person in `people`.
    points : (B, ..., 2) float64
        Image pixels. Points and scores are NaN for people whose crops could not be made.
    scores : (B, ...) float64
    failures : tuple of Failure
        One for each person whose crops could not be made.
    """
    for batch in loader:
        if not len(batch):
            continue
        crop_points, crop_scores = predict(batch.images)
        scores = crop_scores.cpu().double().numpy()
        size = batch.images.shape[1]
        crops_per_person = len(batch) // len(crop_points)
        index = batch.index.numpy()[::crops_per_person]
        failures = batch.failures[::crops_per_person]
        points = []
        for i, person_points in zip(index, crop_points.cpu().double().numpy(), strict=True):
            points.append(Crop(people[i].box, size).inverse(person_points))
        image_points = np.array(points)
        failed = np.isin(index, [failure.index for failure in failures])
        image_points[failed] = np.nan
        scores[failed] = np.nan
        yield index, image_points, scores, failures


def require_few_failures(failures: Sequence[Failure], people: int, purpose: str) -> None:
    """Raise `DataError` if more than 1 % of `people` samples failed; `purpose` is their name in the message, e.g. "validation"."""
    if len(failures) > 0.01 * people:
        raise DataError(
            f"{len(failures)} of {people} {purpose} samples cannot be read (limit: 1 %); last error: {failures[-1].message}; "
            "check the data set folder"
        )
