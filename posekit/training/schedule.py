"""Learning rates as pure functions of how far the training is, so that there is no state to save."""

import math
from collections.abc import Callable, Sequence

_UP = 0.3  # share of a one-cycle run spent rising
_START = 1 / 25  # of the highest rate, where one-cycle starts
_STEP = 0.1  # what the rate is multiplied by at a milestone


def _constant(epoch: float, epochs: int, milestones: Sequence[int]) -> float:
    return 1.0


def _paper(epoch: float, epochs: int, milestones: Sequence[int]) -> float:
    drops = max(0, math.floor((epoch - 100) / 20) + 1)
    return 0.5 ** math.ceil(drops / 2) * 0.2 ** (drops // 2)


def _steps(epoch: float, epochs: int, milestones: Sequence[int]) -> float:
    return _STEP ** sum(epoch >= milestone for milestone in milestones)


def _cosine(epoch: float, epochs: int, milestones: Sequence[int]) -> float:
    return (1 + math.cos(math.pi * epoch / epochs)) / 2


def _onecycle(epoch: float, epochs: int, milestones: Sequence[int]) -> float:
    done = epoch / epochs
    if done < _UP:
        return _START + (1 - _START) * (1 - math.cos(math.pi * done / _UP)) / 2
    return (1 + math.cos(math.pi * (done - _UP) / (1 - _UP))) / 2


SCHEDULES: dict[str, Callable[[float, int, Sequence[int]], float]] = {
    "constant": _constant,
    "paper": _paper,
    "steps": _steps,
    "cosine": _cosine,
    "onecycle": _onecycle,
}


def learning_rate(
    schedule: str, lr: float, *, epoch: float, epochs: int, milestones: Sequence[int] = (), warmup_epochs: int = 0
) -> float:
    """Learning rate at a point of the training.

    Parameters
    ----------
    schedule : {"constant", "paper", "steps", "cosine", "onecycle"}
        ``paper``: `lr` for 100 epochs, then times 0.5 and times 0.2 in turn every 20 epochs (Ryou et
        al., ICCV 2019, section 4.2). ``steps`` multiplies it by 0.1 at each of the milestones (section 4.1).
        ``cosine`` falls to 0. ``onecycle`` rises over the first 30 %, from 1/25 of `lr`, and falls to 0.
    lr : float
        The highest rate.
    epoch : float
        Epochs done, fractions included.
    epochs : int
        Epochs in all.
    milestones : sequence of int
        Epochs done at the steps of ``steps``.
    warmup_epochs : int
        Epochs in which the rate rises evenly from 0 to what the schedule says.

    Raises
    ------
    ValueError
        If there is no such schedule.
    """
    if schedule not in SCHEDULES:
        raise ValueError(f"schedule {schedule!r}: choose from {', '.join(SCHEDULES)}")
    risen = min(1.0, epoch / warmup_epochs) if warmup_epochs else 1.0
    return lr * risen * SCHEDULES[schedule](min(epoch, epochs), epochs, milestones)
