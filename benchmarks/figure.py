"""What the benchmark finds: figures, each a ratio to a yardstick measured in the same run, and what they are to reach."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Target:
    """What a figure is to reach.

    Parameters
    ----------
    ratio : float
        At most, or at least where the figure is a rate.
    ms : float, optional
        posekit's own time in milliseconds, at most.
    """

    ratio: float
    ms: float | None = None


# Figures without an entry have no target: they tell what the machine or one of several ways can do.
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
class Measurement:
    """One figure: what posekit takes or achieves, beside its yardstick.

    Parameters
    ----------
    name : str
        The same in every run.
    yardstick : str
        What it is measured against.
    ours, theirs : (R,) float
        posekit and the yardstick, in pairs measured one after the other.
    unit : str
        "ms", or a rate such as "people/s", which is the better the higher.
    target : Target, optional
    facts : mapping of str to str or float
        What else is to be known, such as how many people it was measured on.
    """

    name: str
    yardstick: str
    ours: Sequence[float]
    theirs: Sequence[float]
    unit: str = "ms"
    target: Target | None = None
    facts: Mapping[str, str | float] = field(default_factory=dict)

    @property
    def ratios(self) -> np.ndarray:
        """(R,) float64: of each pair. What disturbs the machine for longer disturbs both."""
        return np.divide(self.ours, self.theirs)

    @property
    def ratio(self) -> float:
        """Median of the ratios."""
        return float(np.median(self.ratios))

    @property
    def quartiles(self) -> tuple[float, float]:
        """Between them lies the middle half of the ratios."""
        low, high = np.percentile(self.ratios, [25, 75])
        return float(low), float(high)

    @property
    def medians(self) -> tuple[float, float]:
        """Of posekit and of the yardstick."""
        return float(np.median(self.ours)), float(np.median(self.theirs))

    @property
    def is_rate(self) -> bool:
        """Whether more is better."""
        return self.unit != "ms"

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None without one."""
        if self.target is None:
            return None
        if self.is_rate:
            return self.ratio >= self.target.ratio
        return self.ratio <= self.target.ratio and (self.target.ms is None or self.medians[0] <= self.target.ms)

    def to_dict(self) -> dict:
        """For JSON: everything measured, and what follows from it."""
        return {
            "name": self.name,
            "yardstick": self.yardstick,
            "unit": self.unit,
            "ratio": self.ratio,
            "quartiles": list(self.quartiles),
            "target": None if self.target is None else {"ratio": self.target.ratio, "ms": self.target.ms},
            "met": self.met,
            "ours": list(map(float, self.ours)),
            "theirs": list(map(float, self.theirs)),
            "facts": dict(self.facts),
        }
