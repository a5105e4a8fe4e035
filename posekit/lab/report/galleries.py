"""Selection of the people that the report shows."""

from dataclasses import dataclass

import numpy as np

from posekit.metrics import DoubleCounting
from posekit.scoring.score import Scores

CLIPPED_AT = 1.0  # reference sizes; keeps one joint that is far off from deciding the ranking
GALLERY_SIZE = 12


@dataclass(frozen=True)
class Gallery:
    """People shown under one heading.

    Parameters
    ----------
    heading, remark : str
    persons : (n,) int64
        Indices of the people.
    joints : (n,) int64, optional
        Joint whose map is shown for each person; the whole pose by default.
    """

    heading: str
    remark: str
    persons: np.ndarray
    joints: np.ndarray | None = None


def mean_errors(scores: Scores) -> np.ndarray:
    """Return the mean of each person's errors, each clipped at `CLIPPED_AT`, over the joints of the means.

    Returns
    -------
    (N,) float64 : in reference sizes; NaN where no joint counts.
    """
    errors = scores.pck.errors[:, list(scores.mean_joints)]
    counts = (~np.isnan(errors)).sum(1)
    total = np.nansum(np.minimum(errors, CLIPPED_AT), axis=1)
    return np.divide(total, counts, out=np.full(len(errors), np.nan), where=counts > 0)


def select_galleries(scores: Scores, errors_N: np.ndarray, double: DoubleCounting | None) -> list[Gallery]:
    """Return all galleries that are not empty."""
    galleries = rank_by_error(errors_N)
    if double is not None:
        galleries.append(select_double_counted(scores, double))
    return [gallery for gallery in galleries if len(gallery.persons)]


def rank_by_error(errors_N: np.ndarray) -> list[Gallery]:
    """Return the worst, the median and the best people. Each person is in one gallery; few people are split among the three."""
    scored = np.flatnonzero(~np.isnan(errors_N))
    order = scored[np.argsort(errors_N[scored], kind="stable")]
    size = min(GALLERY_SIZE, -(-len(order) // 3))
    worst = order[len(order) - size :][::-1]
    others = order[: len(order) - size]
    best = others[:size]
    rest = others[size:]
    start = max(len(rest) - size, 0) // 2
    return [
        Gallery("Worst", "Largest mean errors, the largest first.", worst),
        Gallery("Median", "Middle of the ranking.", rest[start : start + size]),
        Gallery("Best", "Smallest mean errors, the smallest first.", best),
    ]


def select_double_counted(scores: Scores, double: DoubleCounting) -> Gallery:
    """Return one map each of people with several peaks, starting with those whose truth lies only under a lower peak."""
    persons, joints = np.nonzero(double.double)
    peaks = scores.predictions.heights
    assert peaks is not None  # otherwise there is no double counting
    heights = peaks[persons, joints]
    others = np.take_along_axis(heights, double.other_NK[persons, joints][:, None], axis=1)[:, 0]
    order = np.lexsort((-others / heights[:, 0], ~double.only_other_right[persons, joints]))
    first_maps = np.sort(np.unique(persons[order], return_index=True)[1])[:GALLERY_SIZE]
    chosen = order[first_maps]
    remark = (
        "One map per person: first the maps whose truth lies under another peak but not under the highest, then by the height "
        "of the other peak. Left: heatmap; right: penalty, what anchor loss would add to cross entropy. Without heatmaps: peaks as "
        "rings, larger for higher peaks. Cross: truth."
    )
    return Gallery("Double counting", remark, persons[chosen], joints[chosen])
