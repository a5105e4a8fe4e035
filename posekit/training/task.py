"""What the training loop, the comparisons and the benchmarks know of a task."""

from collections.abc import Callable, Sequence, Sized
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from posekit.data.sample import Failure


class TrainingBatch(Protocol):
    """What the training loop reads of a batch."""

    @property
    def failures(self) -> Sequence[Failure]:
        """Samples that could not be read; they count for nothing in the loss."""

    def __len__(self) -> int: ...

    def to(self, device: torch.device) -> "TrainingBatch":
        """Copy to a device."""


class Task(Protocol):
    """What is learned: batches, their loss, and the score of a model."""

    loader: DataLoader
    """Training batches (`TrainingBatch`), in the order of a `posekit.data.crops.EpochBatches`."""
    valid_loader: DataLoader
    """This process's share of the validation batches, each sample once."""
    metric: str
    """Key of `evaluate`'s result by which the best weights are chosen."""
    lower_is_better: bool
    """Whether the best value of `metric` is the lowest."""

    def loss(self, model: nn.Module, batch: Any, epoch: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute the loss of a batch.

        Parameters
        ----------
        model : nn.Module
        batch : TrainingBatch
            From `loader`, on the model's device.
        epoch : int
            Epochs done.

        Returns
        -------
        loss : Tensor
            Mean, to be minimised.
        sums : dict of str to (2,) Tensor
            Running sums (`posekit.training.running_sums`) of the columns of metrics.csv. The divisor of "loss" is the batch's
            weight among those of several processes.
        """

    def evaluate(self, model: nn.Module, check_stop: Callable[[], None]) -> dict[str, float]:
        """Score a model on the validation data; calls `check_stop`, which may raise, before every batch."""


def count_samples(dataset: Dataset) -> int:
    """Length of a data set, which PyTorch's base class does not declare."""
    return len(cast(Sized, dataset))
