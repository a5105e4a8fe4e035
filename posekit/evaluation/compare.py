"""Two prediction files on the same people: is one better, or is it luck."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from posekit.errors import PredictionsError
from posekit.evaluation.score import Scores
from posekit.metrics import Difference, compare


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

    def table(self, names: tuple[str, str]) -> str:
        """Text for the screen: a line for each group and one for the mean.

        Parameters
        ----------
        names : (str, str)
            What the two are called.
        """
        rows = {**self.groups, "Mean": self.total}
        width = max(map(len, rows)) + 2
        lines = [
            f"{self.first.metric}, pooled, of A ({names[0]}) and B ({names[1]});",
            "A - B in percentage points, with the 95 % interval of a paired bootstrap over persons",
            "",
            f"{'':<{width}}{'A':>8}{'B':>8}{'A - B':>9}   95 % interval",
        ]
        joints = {**self.first.people.skeleton.group_indices, "Mean": self.first.mean_joints}
        for name, found in rows.items():
            a, b = (scores.pck.pooled_mean(joints[name]) for scores in (self.first, self.second))
            verdict = "" if found.decided or np.isnan(found.low) else "   undecided: it includes 0"
            interval = f"{found.low:+.2f} to {found.high:+.2f}"
            line = f"{name:<{width}}{a:>8.2f}{b:>8.2f}{found.difference:>+9.2f}   {interval}{verdict}"
            lines.append(line.replace("+nan", "   -").replace("nan", "  -"))
        return "\n".join(lines)

    def to_dict(self) -> dict:
        """For ``metrics.json``: difference and interval of each group and the mean, in percentage points."""
        rows = {**self.groups, "Mean": self.total}
        return {name: {"difference": found.difference, "interval95": [found.low, found.high]} for name, found in rows.items()}
