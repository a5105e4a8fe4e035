"""Interface of a task for the training loop, the comparisons and the benchmarks."""

from collections.abc import Callable, Sequence, Sized
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from posekit.data.crops import Failure


class TrainingBatch(Protocol):
    """Interface of a batch for the training loop."""

    @property
    def failures(self) -> Sequence[Failure]:
        """Samples that could not be read; the loss ignores these samples."""

    def __len__(self) -> int: ...

    def to(self, device: torch.device) -> "TrainingBatch":
        """Copy the batch to a device."""


class Task(Protocol):
    """Training task: the batches, the loss of a batch, and the evaluation of a model."""

    loader: DataLoader
    """Training batches (`TrainingBatch`), in the order of a `posekit.data.crops.EpochBatches`."""
    valid_loader: DataLoader
    """This process's share of the validation batches, each sample once."""
    metric: str
    """Key in the result of `evaluate` that decides which weights are best."""
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
            Number of completed epochs.

        Returns
        -------
        loss : Tensor
            Mean loss of the batch, to minimise.
        sums : dict of str to (2,) Tensor
            Running sums (`posekit.training.running_sums`) by column of metrics.csv. With several processes, the divisor of
            "loss" is the weight of this process's batch in the mean loss.
        """

    def evaluate(self, model: nn.Module, check_stop: Callable[[], None]) -> dict[str, float]:
        """Evaluate a model on the validation data. Calls `check_stop`, which may raise, before every batch."""


def count_samples(dataset: Dataset) -> int:
    """Return the length of a data set, for which PyTorch's `Dataset` declares no ``__len__``."""
    return len(cast(Sized, dataset))
