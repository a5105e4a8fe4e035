"""Compare two models' predictions for the same people."""

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
    """Scores of two models on the same joints of the same people.

    Parameters
    ----------
    n : int
        Number of joints.
    first, second : float
        Percentage of these joints that each model predicts within the threshold; NaN if `n` is 0.
    difference : Difference
        First minus second, with a 95 % confidence interval by paired bootstrap over people.
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
        Scores for the same people, with the same metric.

    Raises
    ------
    PredictionsError
        If `first` and `second` do not evaluate the same joints of the same people with the same metric.
    """

    first: Scores
    second: Scores

    def __post_init__(self):
        if self.first.metric != self.second.metric or not np.array_equal(self.first.pck.counted, self.second.pck.counted):
            raise PredictionsError(
                f"the two predictions are scored differently ({self.first.metric} on {self.first.pck.n:,} joints and "
                f"{self.second.metric} on {self.second.pck.n:,} joints); compare predictions of the same skeleton and split"
            )

    @cached_property
    def groups(self) -> dict[str, Difference]:
        """Difference of each joint group's pooled score, first minus second, in percentage points with 95 % confidence interval."""
        groups = self.first.people.skeleton.group_indices
        return {name: compare(self.first.pck, self.second.pck, joints) for name, joints in groups.items()}

    @cached_property
    def total(self) -> Difference:
        """Difference of the pooled means, first minus second, in percentage points with 95 % confidence interval."""
        return compare(self.first.pck, self.second.pck, self.first.mean_joints)

    @cached_property
    def on_double_maps(self) -> dict[str, SameJoints]:
        """Scores on five selections of joints: heatmap double in the "first" model, the "second", "either", "both" or "neither".

        A heatmap is double if it has several peaks (see `posekit.metrics.double_counting`). Selecting joints by one model's double
        heatmaps favours the other model, and "either" favours the model with fewer double heatmaps; "both" is the fairest.
        The result is empty if one of the predictions lacks the heatmaps' peaks.
        """
        if self.first.double_counting is None or self.second.double_counting is None:
            return {}
        a = self.first.double_counting.double
        b = self.second.double_counting.double
        masks = {"first": a, "second": b, "either": a | b, "both": a & b, "neither": ~(a | b)}
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
        """Return the table for the terminal: one line per joint group and one for the mean. `names`: the models' names."""
        joints = [*self.first.people.skeleton.group_indices.values(), self.first.mean_joints]
        differences = {**self.groups, "Mean": self.total}
        rows = {}
        for (name, difference), indices in zip(differences.items(), joints, strict=True):
            rows[name] = (self.first.pck.pooled_mean(indices), self.second.pck.pooled_mean(indices), difference)
        lines = [
            f"{self.first.metric} in percent, pooled over the joints, for A ({names[0]}) and B ({names[1]});",
            "A - B in percentage points, with a 95 % interval by paired bootstrap over people",
            "",
            *_table_lines(rows),
        ]
        return "\n".join(lines)

    def double_table(self, names: tuple[str, str]) -> str:
        """Return the table for the terminal: one line per entry of `on_double_maps`. `names`: the models' names."""
        letters = {"first": "A", "second": "B"}
        rows = {}
        for name, joints in self.on_double_maps.items():
            rows[f"{letters.get(name, name)} ({joints.n:,} joints)"] = (joints.first, joints.second, joints.difference)
        lines = [
            f"percentage of correct joints for A ({names[0]}) and B ({names[1]}), on joints with several peaks in A, B, …",
            '(selection by one model favours the other; "either" favours the one with fewer such heatmaps; "both" is the fairest)',
            "",
            *_table_lines(rows),
        ]
        return "\n".join(lines)

    def to_dict(self) -> dict:
        """Return the entry for ``metrics.json``: difference and interval of each group and the mean, in percentage points."""
        return {name: _difference_dict(difference) for name, difference in {**self.groups, "Mean": self.total}.items()}

    def double_dict(self) -> dict:
        """Return the entry for ``metrics.json`` with the contents of `on_double_maps`."""
        contents = {}
        for name, joints in self.on_double_maps.items():
            contents[name] = {
                "joints": joints.n,
                "first": joints.first,
                "second": joints.second,
                **_difference_dict(joints.difference),
            }
        return contents


def _difference_dict(difference: Difference) -> dict:
    return {"difference": difference.difference, "interval95": [difference.low, difference.high]}


def _table_lines(rows: Mapping[str, tuple[float, float, Difference]]) -> list[str]:
    """Format the percentages of A and B and their difference, one line per row."""
    width = max(map(len, rows)) + 2
    lines = [f"{'':<{width}}{'A':>8}{'B':>8}{'A - B':>9}   95 % interval"]
    for name, (a, b, difference) in rows.items():
        interval = f"{difference.low:+.2f} to {difference.high:+.2f}"
        line = f"{name:<{width}}{a:>8.2f}{b:>8.2f}{difference.difference:>+9.2f}   {interval}"
        if not difference.decided and not np.isnan(difference.low):
            line += "   undecided: the interval includes 0"
        lines.append(line.replace("+nan", "   -").replace("nan", "  -"))
    return lines
