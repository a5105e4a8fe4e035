"""Learning rates as pure functions of how far the training is, so that there is no state to save."""

import math
from collections.abc import Callable

_UP = 0.3  # share of a one-cycle run spent rising
_START = 1 / 25  # of the highest rate, where one-cycle starts


def _constant(epoch: float, epochs: int) -> float:
    return 1.0


def _paper(epoch: float, epochs: int) -> float:
    drops = max(0, math.floor((epoch - 100) / 20) + 1)
    return 0.5 ** math.ceil(drops / 2) * 0.2 ** (drops // 2)


def _cosine(epoch: float, epochs: int) -> float:
    return (1 + math.cos(math.pi * epoch / epochs)) / 2


def _onecycle(epoch: float, epochs: int) -> float:
    done = epoch / epochs
    if done < _UP:
        return _START + (1 - _START) * (1 - math.cos(math.pi * done / _UP)) / 2
    return (1 + math.cos(math.pi * (done - _UP) / (1 - _UP))) / 2


SCHEDULES: dict[str, Callable[[float, int], float]] = {
    "constant": _constant,
    "paper": _paper,
    "cosine": _cosine,
    "onecycle": _onecycle,
}


def learning_rate(schedule: str, lr: float, *, epoch: float, epochs: int) -> float:
    """Learning rate at a point of the training.

    Parameters
    ----------
    schedule : {"constant", "paper", "cosine", "onecycle"}
        ``paper``: `lr` for 100 epochs, then times 0.5 and times 0.2 in turn every 20 epochs (Ryou et
        al., ICCV 2019, section 4.2). ``cosine`` falls to 0. ``onecycle`` rises over the first 30 %, from
        1/25 of `lr`, and falls to 0.
    lr : float
        The highest rate.
    epoch : float
        Epochs done, fractions included.
    epochs : int
        Epochs in all.

    Raises
    ------
    ValueError
        If there is no such schedule.
    """
    if schedule not in SCHEDULES:
        raise ValueError(f"schedule {schedule!r}: choose from {', '.join(SCHEDULES)}")
    return lr * SCHEDULES[schedule](min(epoch, epochs), epochs)
