"""Compare two models' predictions of the same people."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from posekit.errors import PredictionsError
from posekit.metrics import Difference, compare, paired_difference
from posekit.metrics.bootstrap import in_percent
from posekit.scoring.score import Scores


@dataclass(frozen=True)
class SameJoints:
    """How often two models are right about the same joints of the same people.

    Parameters
    ----------
    n : int
        Number of joints.
    first, second : float
        Percent of them within the threshold, for each model; NaN if there are none.
    difference : Difference
        First minus second, with the 95 % interval of a paired bootstrap over people.
    """

    n: int
    first: float
    second: float
    difference: Difference


@dataclass(frozen=True)
class PairedComparison:
    """Paired comparison of two models.

    Parameters
    ----------
    first, second : Scores
        Of the same people, with the same metric.

    Raises
    ------
    PredictionsError
        If the two do not score the same joints of the same people with the same metric.
    """

    first: Scores
    second: Scores

    def __post_init__(self):
        if self.first.metric != self.second.metric or not np.array_equal(self.first.pck.counted, self.second.pck.counted):
            raise PredictionsError(
                f"the two predictions are scored differently ({self.first.metric} of {self.first.pck.n:,} joints and "
                f"{self.second.metric} of {self.second.pck.n:,}); compare predictions of one skeleton on one split"
            )

    @cached_property
    def groups(self) -> dict[str, Difference]:
        """First minus second in percentage points, pooled over each of the skeleton's groups, with paired 95 % intervals."""
        return {name: self._difference(joints) for name, joints in self.first.people.skeleton.group_indices.items()}

    @cached_property
    def total(self) -> Difference:
        """First minus second, pooled over all joints of the mean."""
        return self._difference(self.first.mean_joints)

    def _difference(self, joints: tuple[int, ...]) -> Difference:
        return compare(self.first.pck, self.second.pck, joints)

    @cached_property
    def on_double_maps(self) -> dict[str, SameJoints]:
        """Joints of the mean whose heatmaps have several peaks in the first model, the second, either, both or neither.

        Among its own double maps each model is scored on different joints. Joints chosen by one model's maps favour the other,
        as does "either" if one model has more of them; "both" is the fairest. Empty if a file lacks the heatmaps' peaks.
        """
        a = self.first.double_counting
        b = self.second.double_counting
        if a is None or b is None:
            return {}
        masks = {
            "first": a.double,
            "second": b.double,
            "either": a.double | b.double,
            "both": a.double & b.double,
            "neither": ~(a.double | b.double),
        }
        return {name: self._same_joints(mask) for name, mask in masks.items()}

    def _same_joints(self, mask_NK: np.ndarray) -> SameJoints:
        joints = list(self.first.mean_joints)
        mask = (mask_NK & self.first.pck.counted)[:, joints]
        n = mask.sum(1)
        first = (mask & self.first.pck.correct[:, joints]).sum(1)
        second = (mask & self.second.pck.correct[:, joints]).sum(1)
        return SameJoints(
            n=int(n.sum()),
            first=float(in_percent(first.sum(), n.sum())),
            second=float(in_percent(second.sum(), n.sum())),
            difference=paired_difference(first, second, n),
        )

    def table(self, names: tuple[str, str]) -> str:
        """Text for the screen: a line for each group and one for the mean.

        Parameters
        ----------
        names : (str, str)
            Names of the two models.
        """
        joints = {**self.first.people.skeleton.group_indices, "Mean": self.first.mean_joints}
        rows = {}
        for name, difference in {**self.groups, "Mean": self.total}.items():
            first = self.first.pck.pooled_mean(joints[name])
            second = self.second.pck.pooled_mean(joints[name])
            rows[name] = (first, second, difference)
        lines = [
            f"{self.first.metric}, pooled, of A ({names[0]}) and B ({names[1]});",
            "A - B in percentage points, with the 95 % interval of a paired bootstrap over people",
            "",
            *_table_lines(rows),
        ]
        return "\n".join(lines)

    def double_table(self, names: tuple[str, str]) -> str:
        """Text for the screen: a line for each of `on_double_maps`.

        Parameters
        ----------
        names : (str, str)
            Names of the two models.
        """
        letters = {"first": "A", "second": "B"}
        rows = {}
        for name, joints in self.on_double_maps.items():
            rows[f"{letters.get(name, name)} ({joints.n:,} joints)"] = (joints.first, joints.second, joints.difference)
        lines = [
            f"percent right for A ({names[0]}) and B ({names[1]}) on the same joints, by which model's heatmaps are double;",
            "joints chosen by one model's maps favour the other, as does either if one has more: both is the fairest",
            "",
            *_table_lines(rows),
        ]
        return "\n".join(lines)

    def to_dict(self) -> dict:
        """For ``metrics.json``: difference and interval of each group and the mean, in percentage points."""
        return {name: _difference_dict(difference) for name, difference in {**self.groups, "Mean": self.total}.items()}

    def double_dict(self) -> dict:
        """For ``metrics.json``: `on_double_maps`."""
        contents = {}
        for name, joints in self.on_double_maps.items():
            shares = {"joints": joints.n, "first": joints.first, "second": joints.second}
            contents[name] = shares | _difference_dict(joints.difference)
        return contents


def _difference_dict(difference: Difference) -> dict:
    return {"difference": difference.difference, "interval95": [difference.low, difference.high]}


def _table_lines(rows: Mapping[str, tuple[float, float, Difference]]) -> list[str]:
    """A's and B's percentages and their difference, one line for each row."""
    width = max(map(len, rows)) + 2
    lines = [f"{'':<{width}}{'A':>8}{'B':>8}{'A - B':>9}   95 % interval"]
    for name, (a, b, difference) in rows.items():
        interval = f"{difference.low:+.2f} to {difference.high:+.2f}"
        line = f"{name:<{width}}{a:>8.2f}{b:>8.2f}{difference.difference:>+9.2f}   {interval}"
        if not difference.decided and not np.isnan(difference.low):
            line += "   undecided: it includes 0"
        lines.append(line.replace("+nan", "   -").replace("nan", "  -"))
    return lines
