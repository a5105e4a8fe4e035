"""Calibration of heatmap peaks: the probability that a joint is right, learned on held-out people."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

Knots = tuple[float, ...]

_LEAST_PER_BIN = 50
_MOST_BINS = 16


@dataclass(frozen=True)
class Calibration:
    """Map each of K joints' peaks to probabilities: linear between knots, constant beyond the first and the last.

    Below half the first knot's height the probability falls linearly to 0 at a peak of 0: a knot averages all peaks around it,
    so the first is too high for the lowest. (Half was best for LSPET's held-out people.) A first knot of 0 or less has no such
    line.

    Parameters
    ----------
    peaks : K sequences of float
        The knots' peak heights for each joint, ascending; at least one.
    probabilities : K sequences of float
        Probabilities at the knots, never falling, 0 to 1.

    Raises
    ------
    ValueError
        If the knots are not of this form.
    """

    peaks: Sequence[Sequence[float]]
    probabilities: Sequence[Sequence[float]]

    def __post_init__(self):
        for name in ("peaks", "probabilities"):
            object.__setattr__(self, name, tuple(tuple(map(float, knots)) for knots in getattr(self, name)))
        if list(map(len, self.peaks)) != list(map(len, self.probabilities)) or not all(self.peaks):
            raise ValueError("calibration: expected as many probabilities as peaks for each joint, at least one")
        for peaks, probabilities in zip(self.peaks, self.probabilities, strict=True):
            rising = np.all(np.diff(peaks) > 0) and np.all(np.diff(probabilities) >= 0)
            if not (np.isfinite(peaks).all() and rising and probabilities[0] >= 0 and probabilities[-1] <= 1):
                raise ValueError("calibration: expected rising peaks, and probabilities from 0 to 1 that never fall")

    def __call__(self, peaks_NK: ArrayLike) -> np.ndarray:
        """(N, K) float64 probabilities of the peaks; NaN where there is no peak."""
        peaks = np.asarray(peaks_NK, np.float64)
        if not peaks.size:
            return peaks
        columns = []
        for peaks_N, knots, probabilities in zip(peaks.T, self.peaks, self.probabilities, strict=True):
            if knots[0] > 0:
                probabilities = (0.0, probabilities[0], *probabilities)
                knots = (0.0, knots[0] / 2, *knots)
            columns.append(np.interp(peaks_N, knots, probabilities))
        return np.stack(columns, axis=1)


def fit_calibration(
    peaks_NK: ArrayLike, correct_NK: ArrayLike, counted_NK: ArrayLike, groups: Sequence[Sequence[int]]
) -> Calibration:
    """Learn probabilities from how often peaks of similar height were right.

    The joints of a group share their knots. Their peaks are sorted into bins of equal count, 50 joints or more; the shares of
    right joints, with half a joint added to either side, are made monotonic by isotonic regression (Zadrozny & Elkan,
    "Transforming Classifier Scores into Accurate Multiclass Probability Estimates", KDD 2002). The bins' means are the knots.

    Parameters
    ----------
    peaks_NK : (N, K) float
    correct_NK, counted_NK : (N, K) bool
        Whether the joint is right, and whether that is known.
    groups : sequence of sequence of int
        Each joint must be in one; of several, the first counts.

    Raises
    ------
    ValueError
        If there is no counted joint with a peak, or a joint is in no group.
    """
    peaks = np.asarray(peaks_NK, np.float64)
    correct = np.asarray(correct_NK, bool)
    counted = np.asarray(counted_NK, bool) & np.isfinite(peaks)
    if not counted.any():
        raise ValueError("calibration: expected at least one counted joint with a peak")
    knots_by_joint: dict[int, tuple[Knots, Knots]] = {}
    for group in groups:
        joints = list(group)
        known = counted[:, joints]
        if known.sum() < _LEAST_PER_BIN:  # all joints together are a better estimate than a handful of its own
            knots = _fit_knots(peaks[counted], correct[counted])
        else:
            knots = _fit_knots(peaks[:, joints][known], correct[:, joints][known])
        for joint in joints:
            knots_by_joint.setdefault(joint, knots)
    for joint in range(peaks.shape[1]):
        if joint not in knots_by_joint:
            raise ValueError(f"groups: joint {joint} is in none")
    peak_knots, probability_knots = zip(*(knots_by_joint[joint] for joint in range(peaks.shape[1])), strict=True)
    return Calibration(peak_knots, probability_knots)


def _fit_knots(peaks: np.ndarray, correct: np.ndarray) -> tuple[Knots, Knots]:
    from scipy.optimize import isotonic_regression

    order = np.argsort(peaks, kind="stable")
    bins = np.array_split(order, min(_MOST_BINS, max(1, len(order) // _LEAST_PER_BIN)))
    counts = np.array([len(indices) for indices in bins])
    means = np.array([peaks[indices].mean() for indices in bins])
    shares = (np.array([correct[indices].sum() for indices in bins]) + 0.5) / (counts + 1)
    probabilities = isotonic_regression(shares, weights=counts).x
    kept = np.concatenate([[True], np.diff(means) > 0])  # bins of equal peaks are one
    return tuple(means[kept].tolist()), tuple(probabilities[kept].tolist())
