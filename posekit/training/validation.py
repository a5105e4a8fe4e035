"""Validation batches: every process takes its share, and all of them get the whole."""

from collections.abc import Callable, Iterable

from accelerate import PartialState
from accelerate.utils import gather_object
from torch.utils.data import DataLoader
from tqdm.auto import tqdm

from posekit.data.crops import require_few_failures


def gather_validated(loader: DataLoader, predict: Callable[[Iterable], Iterable[tuple]]) -> list[tuple]:
    """What a model makes of validation batches, of all processes' shares together. The first process shows how far it is.

    Parameters
    ----------
    loader : DataLoader
        This process's share.
    predict : callable
        From batches to tuples, whose last entry is the batch's failures.

    Raises
    ------
    DataError
        If more than 1 % of the samples could not be read.
    """
    bar = tqdm(loader, desc="validation", unit="batch", leave=False, disable=not PartialState().is_main_process)
    found = gather_object(list(predict(bar)))
    require_few_failures([failure for *_, failures in found for failure in failures], len(loader.dataset), "validation")
    return found
