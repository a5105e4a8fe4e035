"""Results of the benchmark: ratios of posekit to a yardstick from the same run, and targets for the ratios."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Target:
    """Target of a ratio.

    Parameters
    ----------
    ratio : float
        Largest permitted ratio of times, or smallest permitted ratio of rates.
    ms : float, optional
        Largest permitted time of posekit, in milliseconds.
    """

    ratio: float
    ms: float | None = None


# Targets by name of the ratio; the other ratios have no target, they are only for information.
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
        """(R,) float64 array: ratio of posekit to the yardstick in each round; a slow phase of the machine cancels out."""
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
        """Whether the values are rates, of which more is better, instead of times."""
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
            "target": None if self.target is None else {"ratio": self.target.ratio, "ms": self.target.ms},
            "met": self.met,
            "ours": [float(value) for value in self.values],
            "theirs": [float(value) for value in self.yardstick_values],
            "facts": dict(self.facts),
        }
