"""Learning rate schedules, as functions of the epoch: they have no state to save."""

import math
from collections.abc import Callable, Sequence

_RISE = 0.3  # share of a one-cycle run in which the rate rises
_START = 1 / 25  # first rate of a one-cycle run, as a share of the highest
_STEP = 0.1  # factor on the rate at a milestone


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
    if done < _RISE:
        return _START + (1 - _START) * (1 - math.cos(math.pi * done / _RISE)) / 2
    return (1 + math.cos(math.pi * (done - _RISE) / (1 - _RISE))) / 2


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
    """Return the learning rate at a point of the training.

    Parameters
    ----------
    schedule : {"constant", "paper", "steps", "cosine", "onecycle"}
        ``paper``: `lr` for 100 epochs, then times 0.5 and times 0.2 alternately every 20 epochs (Ryou et
        al., ICCV 2019, section 4.2). ``steps``: times 0.1 at each milestone (section 4.1).
        ``cosine``: falls to 0. ``onecycle``: rises from 1/25 of `lr` over the first 30 %, then falls to 0.
    lr : float
        The highest rate.
    epoch : float
        Epochs done, with a fraction.
    epochs : int
        Epochs in total.
    milestones : sequence of int
        Epochs done at which ``steps`` lowers the rate.
    warmup_epochs : int
        Epochs in which the rate rises linearly from 0 to the schedule's.

    Raises
    ------
    ValueError
        If the schedule is unknown.
    """
    if schedule not in SCHEDULES:
        raise ValueError(f"schedule {schedule!r}: choose from {', '.join(SCHEDULES)}")
    warmup = min(1.0, epoch / warmup_epochs) if warmup_epochs else 1.0
    return lr * warmup * SCHEDULES[schedule](min(epoch, epochs), epochs, milestones)
