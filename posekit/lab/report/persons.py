"""Which persons the report shows."""

from dataclasses import dataclass

import numpy as np

from posekit.metrics import DoubleCounting
from posekit.scoring.score import Scores

# A joint that is further off is no worse: one lost foot should not decide.
CLIPPED_AT = 1.0
SHOWN = 12


@dataclass(frozen=True)
class Category:
    """Persons shown under one heading.

    Parameters
    ----------
    heading, remark : str
    persons : (n,) int64
        Places in the people scored.
    joints : (n,) int64, optional
        The joint whose map is shown for each, instead of the whole pose.
    """

    heading: str
    remark: str
    persons: np.ndarray
    joints: np.ndarray | None = None


def mean_errors(scores: Scores) -> np.ndarray:
    """Mean of each person's errors, each clipped at `CLIPPED_AT`, over the joints that the totals run over.

    Returns
    -------
    (N,) float64 : in reference sizes; NaN where no joint counts.
    """
    errors = scores.pck.errors[:, list(scores.mean_joints)]
    counts = (~np.isnan(errors)).sum(1)
    total = np.nansum(np.minimum(errors, CLIPPED_AT), axis=1)
    return np.divide(total, counts, out=np.full(len(errors), np.nan), where=counts > 0)


def by_error(errors_N: np.ndarray) -> list[Category]:
    """The worst, the median and the best; nobody stands twice, and few persons are shared out among the three."""
    known = np.flatnonzero(~np.isnan(errors_N))
    order = known[np.argsort(errors_N[known], kind="stable")]
    size = min(SHOWN, -(-len(order) // 3))
    worst, others = order[len(order) - size :][::-1], order[: len(order) - size]
    best, rest = others[:size], others[size:]
    start = max(len(rest) - size, 0) // 2
    return [
        Category("Worst", "The largest mean errors, the largest first.", worst),
        Category("Median", "The middle of the ranking.", rest[start : start + size]),
        Category("Best", "The smallest mean errors, the smallest first.", best),
    ]


def chosen(scores: Scores, errors_N: np.ndarray, double: DoubleCounting | None) -> list[Category]:
    """All categories that have somebody."""
    categories = by_error(errors_N) + ([] if double is None else [double_counted(scores, double)])
    return [category for category in categories if len(category.persons)]


def double_counted(scores: Scores, found: DoubleCounting) -> Category:
    """One map each of persons with several peaks: those first whose truth lies only under another peak than the highest."""
    persons, joints = np.nonzero(found.double)
    heights = scores.predictions.heights[persons, joints]
    ratio = np.take_along_axis(heights, found.other_NK[persons, joints][:, None], axis=1)[:, 0] / heights[:, 0]
    order = np.lexsort((-ratio, ~found.only_other_right[persons, joints]))
    first = np.sort(np.unique(persons[order], return_index=True)[1])[:SHOWN]  # each person's first map in that order
    remark = (
        "A map of each person: first those where the truth lies under another peak and not under the highest, then by the height "
        "of the other peak. Left the heatmap, right what anchor loss would charge beyond cross entropy; where there is no heatmap, "
        "its peaks as rings, the higher the larger. Cross: the truth."
    )
    return Category("Double counting", remark, persons[order[first]], joints[order[first]])
