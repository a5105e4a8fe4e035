"""Selection of the people shown in the report."""

from dataclasses import dataclass

import numpy as np

from posekit.metrics import DoubleCounting
from posekit.scoring.score import Scores

CLIPPED_AT = 1.0  # reference sizes; so that a single joint that is far off does not decide the ranking
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
        For each person, the joint whose heatmap is shown; default: the whole pose is shown.
    """

    heading: str
    remark: str
    persons: np.ndarray
    joints: np.ndarray | None = None


def mean_errors(scores: Scores) -> np.ndarray:
    """Return the mean error of each person over the joints of the means; each joint's error is clipped at `CLIPPED_AT`.

    Returns
    -------
    (N,) float64 : in reference sizes; NaN for people without an evaluated joint.
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
    """Return the galleries of the worst, median and best people. Few people are split among the three."""
    scored = np.flatnonzero(~np.isnan(errors_N))
    order = scored[np.argsort(errors_N[scored], kind="stable")]
    size = min(GALLERY_SIZE, -(-len(order) // 3))
    worst = order[len(order) - size :][::-1]
    others = order[: len(order) - size]
    best = others[:size]
    rest = others[size:]
    start = max(len(rest) - size, 0) // 2
    return [
        Gallery("Worst", "People with the largest mean errors, in descending order.", worst),
        Gallery("Median", "People in the middle of the ranking by mean error.", rest[start : start + size]),
        Gallery("Best", "People with the smallest mean errors, in ascending order.", best),
    ]


def select_double_counted(scores: Scores, double: DoubleCounting) -> Gallery:
    """Return one heatmap with several peaks per person; first the heatmaps in which only a lower peak is correct."""
    persons, joints = np.nonzero(double.double)
    peaks = scores.predictions.heights
    assert peaks is not None  # otherwise there is no double counting
    heights = peaks[persons, joints]
    others = np.take_along_axis(heights, double.other_NK[persons, joints][:, None], axis=1)[:, 0]
    order = np.lexsort((-others / heights[:, 0], ~double.only_other_right[persons, joints]))
    first_maps = np.sort(np.unique(persons[order], return_index=True)[1])[:GALLERY_SIZE]
    chosen = order[first_maps]
    remark = (
        "One heatmap with several peaks per person. Heatmaps in which the highest peak is wrong and another peak is "
        "correct come first, then those with a higher second peak. Left: heatmap. Right: penalty, which anchor loss adds "
        "to cross entropy. If heatmaps are not available, rings mark the peaks (larger for higher peaks). Cross: true joint."
    )
    return Gallery("Double counting", remark, persons[chosen], joints[chosen])
