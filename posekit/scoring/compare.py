"""Two prediction files on the same people: is one better, or is it luck."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from posekit.errors import PredictionsError
from posekit.metrics import Difference, compare, paired_difference
from posekit.metrics.bootstrap import in_percent
from posekit.scoring.score import Scores


@dataclass(frozen=True)
class SameJoints:
    """How often two models are right about the same joints of the same persons.

    Parameters
    ----------
    n : int
        How many these are.
    first, second : float
        Percent of them in which the model is within the threshold; NaN if there are none.
    difference : Difference
        First minus second, with the 95 % interval of a paired bootstrap over persons.
    """

    n: int
    first: float
    second: float
    difference: Difference


@dataclass(frozen=True)
class PairedComparison:
    """The difference of two models, person by person.

    Parameters
    ----------
    first, second : Scores
        Of the same people, by the same metric.

    Raises
    ------
    PredictionsError
        If the two do not score the same joints of the same people by the same metric.
    """

    first: Scores
    second: Scores

    def __post_init__(self):
        if self.first.metric != self.second.metric or not np.array_equal(self.first.pck.counted, self.second.pck.counted):
            raise PredictionsError(
                f"the two predictions are scored on different joints ({self.first.metric}, {self.first.pck.n:,} joints, against "
                f"{self.second.metric}, {self.second.pck.n:,}); compare predictions of one skeleton on one split"
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
        """Joints of the mean, by whose heatmap of them has several peaks: the first's, the second's, either's, both's, neither's.

        How often each model is right among its own double maps compares different joints. Those chosen by one model's maps favour
        the other one, and so do either's where one has more of them; both's are the fairest. Empty if a file lacks the heatmaps'
        peaks.
        """
        a, b = self.first.double_counting, self.second.double_counting
        if a is None or b is None:
            return {}
        either, both = a.double | b.double, a.double & b.double
        whose = {"first": a.double, "second": b.double, "either": either, "both": both, "neither": ~either}
        return {name: self._same_joints(chosen) for name, chosen in whose.items()}

    def _same_joints(self, chosen_NK: np.ndarray) -> SameJoints:
        joints = list(self.first.mean_joints)
        chosen = (chosen_NK & self.first.pck.counted)[:, joints]
        right = [(chosen & scores.pck.correct[:, joints]).sum(1) for scores in (self.first, self.second)]
        first, second = (float(in_percent(part.sum(), chosen.sum())) for part in right)
        return SameJoints(int(chosen.sum()), first, second, paired_difference(*right, chosen.sum(1)))

    def table(self, names: tuple[str, str]) -> str:
        """Text for the screen: a line for each group and one for the mean.

        Parameters
        ----------
        names : (str, str)
            What the two are called.
        """
        joints = {**self.first.people.skeleton.group_indices, "Mean": self.first.mean_joints}
        rows = {
            name: (*(scores.pck.pooled_mean(joints[name]) for scores in (self.first, self.second)), found)
            for name, found in {**self.groups, "Mean": self.total}.items()
        }
        lines = [
            f"{self.first.metric}, pooled, of A ({names[0]}) and B ({names[1]});",
            "A - B in percentage points, with the 95 % interval of a paired bootstrap over persons",
            "",
            *_lines(rows),
        ]
        return "\n".join(lines)

    def double_table(self, names: tuple[str, str]) -> str:
        """Text for the screen: a line for each of `on_double_maps`.

        Parameters
        ----------
        names : (str, str)
            What the two are called.
        """
        shown = {"first": "A", "second": "B"}
        rows = {
            f"{shown.get(name, name)} ({found.n:,} joints)": (found.first, found.second, found.difference)
            for name, found in self.on_double_maps.items()
        }
        lines = [
            f"percent right for A ({names[0]}) and B ({names[1]}) of the same joints, by whose heatmaps of them are double;",
            "those chosen by the maps of one favour the other, as do either's if one has more: both's are the fairest",
            "",
            *_lines(rows),
        ]
        return "\n".join(lines)

    def to_dict(self) -> dict:
        """For ``metrics.json``: difference and interval of each group and the mean, in percentage points."""
        return {name: _difference_dict(found) for name, found in {**self.groups, "Mean": self.total}.items()}

    def double_dict(self) -> dict:
        """For ``metrics.json``: `on_double_maps`."""
        return {
            name: {"joints": found.n, "first": found.first, "second": found.second, **_difference_dict(found.difference)}
            for name, found in self.on_double_maps.items()
        }


def _difference_dict(found: Difference) -> dict:
    return {"difference": found.difference, "interval95": [found.low, found.high]}


def _lines(rows: Mapping[str, tuple[float, float, Difference]]) -> Iterator[str]:
    """A's and B's percentages and their difference, a line each."""
    width = max(map(len, rows)) + 2
    yield f"{'':<{width}}{'A':>8}{'B':>8}{'A - B':>9}   95 % interval"
    for name, (a, b, found) in rows.items():
        verdict = "" if found.decided or np.isnan(found.low) else "   undecided: it includes 0"
        interval = f"{found.low:+.2f} to {found.high:+.2f}"
        line = f"{name:<{width}}{a:>8.2f}{b:>8.2f}{found.difference:>+9.2f}   {interval}{verdict}"
        yield line.replace("+nan", "   -").replace("nan", "  -")
