"""Two prediction files on the same people: is one better, or is it luck."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from posekit.errors import PredictionsError
from posekit.evaluation.score import Scores
from posekit.metrics import Difference, compare, paired_difference
from posekit.metrics.bootstrap import in_percent


@dataclass(frozen=True)
class SameMaps:
    """How often the highest peak is right where two models are asked for the same joints.

    Parameters
    ----------
    maps : int
        How many joints of how many persons these are.
    first, second : float
        Percent of them in which the model's highest peak is within the threshold; NaN if there are none.
    difference : Difference
        First minus second, with the 95 % interval of a paired bootstrap over persons.
    """

    maps: int
    first: float
    second: float
    difference: Difference


@dataclass(frozen=True)
class Comparison:
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
    def on_double_maps(self) -> dict[str, SameMaps]:
        """Joints of the mean, by whose heatmap of them has several peaks: A's, B's, either's, both's or neither's.

        How often each model is right among its own double maps compares different joints. Those that are hard for one of the
        two alone favour the other: what "either" and "both" say is fair. Empty if a file lacks the heatmaps' peaks.
        """
        a, b = self.first.double_counting, self.second.double_counting
        if a is None or b is None:
            return {}
        whose = {"A": a.double, "B": b.double, "either": a.double | b.double, "both": a.double & b.double}
        return {name: self._same_maps(among) for name, among in (whose | {"neither": ~whose["either"]}).items()}

    def _same_maps(self, among_NK: np.ndarray) -> SameMaps:
        among = (among_NK & self.first.pck.counted)[:, list(self.first.mean_joints)]
        right = [(among & scores.pck.correct[:, list(scores.mean_joints)]).sum(1) for scores in (self.first, self.second)]
        first, second = (float(in_percent(part.sum(), among.sum())) for part in right)
        return SameMaps(int(among.sum()), first, second, paired_difference(*right, among.sum(1)))

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
        rows = {
            f"{name} ({found.maps:,} maps)": (found.first, found.second, found.difference)
            for name, found in self.on_double_maps.items()
        }
        lines = [
            f"the highest peak is right, in percent of the same joints for A ({names[0]}) and B ({names[1]}),",
            "by whose maps of them are double. Those hard for one alone favour the other: either and both are fair",
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
            name: {"maps": found.maps, "first": found.first, "second": found.second, **_difference_dict(found.difference)}
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
