"""Ratio of posekit to a yardstick, in time or rate: targets, results, and alternate timing.

`torch.utils.benchmark.Timer` repeats a statement for each result, so it cannot alternate single runs of two statements. This
module uses only `torch.utils.benchmark.timer`, which reads the clock after the GPU has finished.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

import numpy as np
import torch
from torch.utils.benchmark import set_torch_threads, timer
from tqdm.auto import tqdm

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class Target:
    """Largest allowed ratio of times, or smallest allowed ratio of rates; `ms` is posekit's largest allowed time."""

    ratio: float
    ms: float | None = None


# Targets by name of the ratio; all other ratios are only for information.
TARGETS = {
    "input, small photographs": Target(1.10),
    "input, large photographs": Target(0.90),
    "workers": Target(0.90),
    "targets": Target(12),
    "loss": Target(1.3),
    "loss, compiled": Target(1.1),
    "decoding, quarter": Target(1.3),
    "decoding, dark": Target(4),
    "scoring": Target(4, ms=5),
    "inference": Target(1 / 1.6),
    "targets in training": Target(0.03),
    "waiting in training": Target(0.05),
}


@dataclass(frozen=True)
class Ratio:
    """Times or rates of posekit and of a yardstick.

    Parameters
    ----------
    name : str
        Name of the ratio, the same in every run.
    yardstick : str
        Description of the code that posekit is compared with.
    values, yardstick_values : (R,) float
        Measurements of posekit and of the yardstick; value i of both was measured in round i.
    unit : str
        "ms" (less is better), or a rate such as "people/s" (more is better).
    target : Target, optional
    facts : mapping of str to str or float
        Further facts, such as the number of people.
    """

    name: str
    yardstick: str
    values: Sequence[float] | np.ndarray
    yardstick_values: Sequence[float] | np.ndarray
    unit: str = "ms"
    target: Target | None = None
    facts: Mapping[str, str | float] = field(default_factory=dict)

    @property
    def ratios(self) -> np.ndarray:
        """(R,) float64 array, the ratio of posekit to the yardstick in each round."""
        return np.divide(self.values, self.yardstick_values)

    @property
    def median(self) -> float:
        """Median of the ratios."""
        return float(np.median(self.ratios))

    @property
    def quartiles(self) -> tuple[float, float]:
        """First and third quartile of the ratios."""
        low, high = np.percentile(self.ratios, [25, 75])
        return float(low), float(high)

    @property
    def is_rate(self) -> bool:
        """Whether the values are rates (more is better) instead of times."""
        return self.unit != "ms"

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None if there is no target."""
        if self.target is None:
            return None
        if self.is_rate:
            return self.median >= self.target.ratio
        return self.median <= self.target.ratio and (self.target.ms is None or float(np.median(self.values)) <= self.target.ms)

    def to_dict(self) -> dict:
        """Return all values, statistics and facts as a dict for JSON."""
        return {
            "name": self.name,
            "yardstick": self.yardstick,
            "unit": self.unit,
            "ratio": self.median,
            "quartiles": list(self.quartiles),
            "target": None if self.target is None else asdict(self.target),
            "met": self.met,
            "ours": [float(value) for value in self.values],
            "theirs": [float(value) for value in self.yardstick_values],
            "facts": dict(self.facts),
        }


def time_ms(work: Callable[[], object]) -> float:
    """Return the milliseconds that a call of `work` takes, including its computations on the GPU."""
    start = timer()
    work()
    return 1000 * (timer() - start)


def interleave(
    works: Mapping[Key, Callable[[], object]], rounds: int, *, title: str, threads: int | None = None, per: int = 1
) -> dict[Key, list[float]]:
    """Time several functions alternately, after one call of each to warm up.

    Parameters
    ----------
    works : mapping of str to callable
        Functions to time, by name.
    rounds : int
        Number of timed calls of each function.
    title : str
        Text of the progress bar.
    threads : int, optional
        Number of torch's threads; default: unchanged.
    per : int
        Number by which the times are divided, e.g. people per call.

    Returns
    -------
    dict of str to list of float
        Milliseconds / `per` of each call, by name.
    """
    times: dict[Key, list[float]] = {name: [] for name in works}
    with set_torch_threads(threads or torch.get_num_threads()):
        for _ in tqdm(range(rounds + 1), desc=title, unit="round", leave=False):
            for name, work in works.items():
                times[name].append(time_ms(work) / per)
    return {name: values[1:] for name, values in times.items()}


def compare(
    name: str,
    work: Callable[[], object],
    yardstick: str,
    yardstick_work: Callable[[], object],
    rounds: int,
    *,
    facts: Mapping[str, str | float],
    threads: int | None = None,
    per: int = 1,
) -> Ratio:
    """Time posekit and the yardstick with `interleave`; the target is `TARGETS[name]`, if any."""
    works = {"posekit": work, "yardstick": yardstick_work}
    values, yardstick_values = interleave(works, rounds, title=name, threads=threads, per=per).values()
    return Ratio(name, yardstick, values, yardstick_values, target=TARGETS.get(name), facts=facts)


def try_compile(part: str, function: Any, warm_up: Callable[[Any], object]) -> Any | None:
    """Compile a function or module and call `warm_up` with it; if torch.compile fails, print a line and return None."""
    print(f"{part}: torch.compile ...", flush=True)
    try:
        compiled = torch.compile(function)
        warm_up(compiled)
    except RuntimeError as error:  # e.g. no C++ compiler is installed
        print(f"{part}: not measured with torch.compile, which failed ({str(error).strip().splitlines()[0]})")
        return None
    return compiled
