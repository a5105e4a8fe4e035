"""What the height of a heatmap's peak is worth: the probability that the joint is right, learned on people held out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

_FEWEST, _MOST_BINS = 50, 16


@dataclass(frozen=True)
class Calibration:
    """Probabilities of peaks, for each of K joints: lines between knots, level beyond the first and the last.

    From half the first knot's height down a line leads to 0 at a peak of 0, where nothing is seen: a knot stands for all peaks
    about it, so the first says too much of the lowest. (Half serves LSPET's held-out people.) A first knot of 0 or less has none.

    Parameters
    ----------
    peaks : K tuples of float
        Of each joint, the knots' peak heights, ascending; at least one.
    probabilities : K tuples of float
        At the knots, never falling, 0 to 1.

    Raises
    ------
    ValueError
        If the knots are not such.
    """

    peaks: tuple[tuple[float, ...], ...]
    probabilities: tuple[tuple[float, ...], ...]

    def __post_init__(self):
        for name in ("peaks", "probabilities"):
            object.__setattr__(self, name, tuple(tuple(map(float, row)) for row in getattr(self, name)))
        if [len(row) for row in self.peaks] != [len(row) for row in self.probabilities] or not all(self.peaks):
            raise ValueError("calibration: expected as many probabilities as peaks for each joint, at least one")
        for peaks, probabilities in zip(self.peaks, self.probabilities, strict=True):
            rising = np.all(np.diff(peaks) > 0) and np.all(np.diff(probabilities) >= 0)
            if not (np.isfinite(peaks).all() and rising and probabilities[0] >= 0 and probabilities[-1] <= 1):
                raise ValueError("calibration: expected rising peaks, and probabilities from 0 to 1 that never fall")

    def __call__(self, peaks_NK: ArrayLike) -> np.ndarray:
        """(N, K) float64 probabilities of the peaks; NaN where there is no peak."""
        peaks = np.asarray(peaks_NK, np.float64)
        columns = zip(peaks.T, self.peaks, self.probabilities, strict=True)
        return np.stack([_interpolated(*each) for each in columns], axis=1) if peaks.size else peaks


def _interpolated(peaks_N: np.ndarray, knots: tuple[float, ...], probabilities: tuple[float, ...]) -> np.ndarray:
    if knots[0] > 0:
        knots, probabilities = (0.0, knots[0] / 2, *knots), (0.0, probabilities[0], *probabilities)
    return np.interp(peaks_N, knots, probabilities)


def fit_calibration(
    peaks_NK: ArrayLike, correct_NK: ArrayLike, counted_NK: ArrayLike, groups: Sequence[Sequence[int]]
) -> Calibration:
    """Learn probabilities from how often peaks of like height were right.

    The joints of a group share theirs. Their peaks are sorted into bins of equal count, 50 joints or more; the shares of right
    joints, one half of a joint added to either side, are made to rise by isotonic regression (Zadrozny & Elkan, "Transforming
    Classifier Scores into Accurate Multiclass Probability Estimates", KDD 2002), and lines are drawn between the bins' means.

    Parameters
    ----------
    peaks_NK : (N, K) float
    correct_NK, counted_NK : (N, K) bool
        Whether the joint is right, and whether that is known.
    groups : sequence of sequence of int
        Each joint is in one at least; in the first of several.

    Raises
    ------
    ValueError
        If there is no counted joint with a peak, or a joint is in no group.
    """
    peaks, correct, counted = np.asarray(peaks_NK, np.float64), np.asarray(correct_NK, bool), np.asarray(counted_NK, bool)
    counted = counted & np.isfinite(peaks)
    if not counted.any():
        raise ValueError("calibration: expected at least one counted joint with a peak")
    found: dict[int, tuple] = {}
    for joints in groups:
        members, rows = list(joints), counted[:, list(joints)]
        few = rows.sum() < _FEWEST  # all joints together tell more than a handful of its own
        use = (peaks[counted], correct[counted]) if few else (peaks[:, members][rows], correct[:, members][rows])
        knots = _knots(*use)
        for joint in members:
            found.setdefault(joint, knots)
    lacking = sorted(set(range(peaks.shape[1])) - found.keys())
    if lacking:
        raise ValueError(f"groups: joint {lacking[0]} is in none")
    return Calibration(*zip(*(found[joint] for joint in range(peaks.shape[1])), strict=True))


def _knots(peaks: np.ndarray, correct: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    from scipy.optimize import isotonic_regression

    order = np.argsort(peaks, kind="stable")
    bins = np.array_split(order, min(_MOST_BINS, max(1, len(order) // _FEWEST)))
    means = np.array([peaks[rows].mean() for rows in bins])
    shares = np.array([(correct[rows].sum() + 0.5) / (len(rows) + 1) for rows in bins])
    rising = isotonic_regression(shares, weights=[len(rows) for rows in bins]).x
    kept = np.concatenate([[True], np.diff(means) > 0])  # bins of equal peaks are one
    return tuple(means[kept].tolist()), tuple(rising[kept].tolist())
