"""Interface of a task for the training loop, with the running sums and the validation that all tasks share."""

from collections.abc import Callable, Iterable, Sequence, Sized
from typing import Any, Protocol, cast

import torch
from accelerate import PartialState
from accelerate.utils import gather_object
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from tqdm.auto import tqdm

from posekit.data.crops import Failure, require_few_failures


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
            By column of metrics.csv: a sum and its divisor, which are added over batches and processes. With several
            processes, the divisor of "loss" is the weight of this process's batch in the mean loss.
        """

    def evaluate(self, model: nn.Module, check_stop: Callable[[], None]) -> dict[str, float]:
        """Evaluate a model on the validation data. Calls `check_stop`, which may raise, before every batch.

        Raises
        ------
        DataError
            If more than 1 % of the samples cannot be read.
        """


def mean_sums(mean: Tensor, count: Tensor) -> Tensor:
    """Convert a mean over `count` items to a sum and its divisor, (2,) float64."""
    return torch.stack([mean.detach().double() * count, count.double()])


def share_sums(part: Tensor, whole: Tensor) -> Tensor:
    """Return the percentage of `part` in `whole`, counts or boolean masks, as a sum and its divisor, (2,) float64."""
    return torch.stack([100 * part.sum(), whole.sum()]).double()


def count_samples(dataset: Dataset) -> int:
    """Return the length of a data set, for which PyTorch's `Dataset` declares no ``__len__``."""
    return len(cast(Sized, dataset))


def gather_validated(loader: DataLoader, predict: Callable[[Any], Iterable[tuple]]) -> list[tuple]:
    """Predict this process's validation batches, and gather the results of all processes in every process.

    Parameters
    ----------
    loader : DataLoader
        This process's share of the validation batches.
    predict : callable
        Maps an iterable of batches to one tuple per batch; the last item of each tuple is the batch's failures.

    Raises
    ------
    DataError
        If more than 1 % of the samples could not be read.
    """
    bar = tqdm(loader, desc="validation", unit="batch", leave=False, disable=not PartialState().is_main_process)
    results = gather_object(list(predict(bar)))
    failures = []
    for *_, batch_failures in results:
        failures += batch_failures
    require_few_failures(failures, count_samples(loader.dataset), "validation")
    return results
