"""Learning rate schedules: stateless functions of the epoch, so checkpoints need not save them."""

import math
from collections.abc import Callable, Sequence

_RISE = 0.3  # fraction of a onecycle run in which the learning rate rises
_START = 1 / 25  # initial learning rate of a onecycle run, as a fraction of the highest
_STEP = 0.1  # factor on the learning rate at a milestone


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
    epoch: float, *, schedule: str, lr: float, epochs: int, milestones: Sequence[int] = (), warmup_epochs: int = 0
) -> float:
    """Return the learning rate at a given time of the training.

    Parameters
    ----------
    epoch : float
        Number of completed epochs, with a fraction.
    schedule : {"constant", "paper", "steps", "cosine", "onecycle"}
        ``paper``: `lr` for 100 epochs, then multiplied alternately by 0.5 and 0.2, every 20 epochs (Ryou et al., ICCV 2019,
        section 4.2). ``steps``: multiplied by 0.1 at each milestone (section 4.1). ``cosine``: falls from `lr` to 0.
        ``onecycle``: rises from 1/25 of `lr` to `lr` during the first 30 % of the epochs, then falls to 0.
    lr : float
        Highest learning rate of the schedule.
    epochs : int
        Total number of epochs.
    milestones : sequence of int
        Numbers of completed epochs after which ``steps`` lowers the learning rate.
    warmup_epochs : int
        Number of epochs at the start in which the learning rate rises linearly from 0 to the value of the schedule.
    """
    warmup = min(1.0, epoch / warmup_epochs) if warmup_epochs else 1.0
    return lr * warmup * SCHEDULES[schedule](min(epoch, epochs), epochs, milestones)
