"""Validation with several processes: each process predicts its share, and every process receives all results."""

from collections.abc import Callable, Iterable
from typing import Any

from accelerate import PartialState
from accelerate.utils import gather_object
from torch.utils.data import DataLoader
from tqdm.auto import tqdm

from posekit.data.crops import require_few_failures
from posekit.training.task import count_samples


def gather_validated(loader: DataLoader, predict: Callable[[Any], Iterable[tuple]]) -> list[tuple]:
    """Predict this process's validation batches and gather the results of all processes.

    The main process shows a progress bar.

    Parameters
    ----------
    loader : DataLoader
        This process's share of the validation batches.
    predict : callable
        Maps an iterable of batches to one tuple per batch; the last item of each tuple is the batch's failures.

    Returns
    -------
    list of tuple
        Tuples of all processes.

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
