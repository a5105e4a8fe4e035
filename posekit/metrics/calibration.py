"""Calibration: convert heatmap peaks to probabilities that joints are correct, and compare scores with the fraction correct."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

Knots = tuple[float, ...]

_LEAST_PER_BIN = 50
_MOST_BINS = 16


@dataclass(frozen=True)
class Calibration:
    """Piecewise linear functions that map the peak heights of K joints to probabilities.

    Each function is constant above the last knot. Below a first knot of positive height, the function is constant down to half
    that height and then falls linearly to 0 at height 0, because the first knot is the average of a bin of peaks, and its
    probability is too high for the lowest peaks of the bin. (Half the height fitted LSPET's held-out people best.) Below a first
    knot of height 0 or less, the function is constant.

    Parameters
    ----------
    peaks : K sequences of float
        Peak heights of each joint's knots, ascending; at least one knot per joint.
    probabilities : K sequences of float
        Probabilities at the knots, between 0 and 1, never decreasing.

    Raises
    ------
    ValueError
        If `peaks` or `probabilities` violate the conditions given above.
    """

    peaks: Sequence[Sequence[float]]
    probabilities: Sequence[Sequence[float]]

    def __post_init__(self):
        for name in ("peaks", "probabilities"):
            object.__setattr__(self, name, tuple(tuple(map(float, knots)) for knots in getattr(self, name)))
        if list(map(len, self.peaks)) != list(map(len, self.probabilities)) or not all(self.peaks):
            raise ValueError("calibration: expected as many probabilities as peaks for each joint, and at least one of each")
        for peaks, probabilities in zip(self.peaks, self.probabilities, strict=True):
            rising = np.all(np.diff(peaks) > 0) and np.all(np.diff(probabilities) >= 0)
            if not (np.isfinite(peaks).all() and rising and probabilities[0] >= 0 and probabilities[-1] <= 1):
                raise ValueError(
                    "calibration: expected finite, strictly increasing peaks and non-decreasing probabilities between 0 and 1"
                )

    def __call__(self, peaks_NK: ArrayLike) -> np.ndarray:
        """Return the probabilities for (N, K) peak heights as an (N, K) float64 array; NaN where the height is NaN."""
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
    """Learn probabilities from the fraction of correct joints among peaks of similar height.

    The peaks of each group of joints are sorted by height into bins of equal count, at least 50 peaks each. The fraction of
    correct joints in each bin, smoothed by adding half a correct and half a wrong joint, is made monotonic by isotonic
    regression (Zadrozny & Elkan, "Transforming Classifier Scores into Accurate Multiclass Probability Estimates", KDD 2002).
    Each bin gives one knot, its mean height and its probability, for all joints of the group. Groups with fewer than 50 peaks
    use all joints' peaks.

    Parameters
    ----------
    peaks_NK : (N, K) float
        Peak heights; joints whose height is not finite are ignored.
    correct_NK : (N, K) bool
        True where the joint is correct.
    counted_NK : (N, K) bool
        True where `correct_NK` is known; other joints are ignored.
    groups : sequence of sequence of int
        Joint indices of each group. Each joint must be in a group; a joint in several groups uses the first of them.

    Raises
    ------
    ValueError
        If no joint with a known result has a finite peak, or a joint is in no group.
    """
    peaks = np.asarray(peaks_NK, np.float64)
    correct = np.asarray(correct_NK, bool)
    counted = np.asarray(counted_NK, bool) & np.isfinite(peaks)
    if not counted.any():
        raise ValueError("calibration: expected at least one evaluated joint with a finite peak, got none")
    knots_by_joint: dict[int, tuple[Knots, Knots]] = {}
    for joints in map(list, groups):
        known = counted[:, joints]
        if known.sum() < _LEAST_PER_BIN:  # too few for a reliable estimate: use the peaks of all joints
            knots = _fit_knots(peaks[counted], correct[counted])
        else:
            knots = _fit_knots(peaks[:, joints][known], correct[:, joints][known])
        for joint in joints:
            knots_by_joint.setdefault(joint, knots)
    knots_of_joints = []
    for joint in range(peaks.shape[1]):
        if joint not in knots_by_joint:
            raise ValueError(f"groups: joint {joint} is in none of the groups; add it to one")
        knots_of_joints.append(knots_by_joint[joint])
    return Calibration(*zip(*knots_of_joints, strict=True))


def _fit_knots(peaks: np.ndarray, correct: np.ndarray) -> tuple[Knots, Knots]:
    from scipy.optimize import isotonic_regression

    order = np.argsort(peaks, kind="stable")
    bins = np.array_split(order, min(_MOST_BINS, max(1, len(order) // _LEAST_PER_BIN)))
    counts = np.array([len(indices) for indices in bins])
    means = np.array([peaks[indices].mean() for indices in bins])
    shares = (np.array([correct[indices].sum() for indices in bins]) + 0.5) / (counts + 1)
    probabilities = isotonic_regression(shares, weights=counts).x
    kept = np.concatenate([[True], np.diff(means) > 0])  # keep the first of bins with equal mean height
    return tuple(means[kept].tolist()), tuple(probabilities[kept].tolist())


@dataclass(frozen=True)
class Reliability:
    """Result of `reliability_bins`: B bins in ascending order of the score.

    Parameters
    ----------
    low, high : (B,) float64
        Lowest and highest score in each bin.
    score : (B,) float64
        Mean score of each bin.
    share : (B,) float64
        Fraction of correct joints in each bin, 0 to 1.
    counts : (B,) int64
        Number of joints in each bin; at least 1.
    """

    low: np.ndarray
    high: np.ndarray
    score: np.ndarray
    share: np.ndarray
    counts: np.ndarray

    @property
    def calibration_error(self) -> float:
        """Expected calibration error: mean of |share - score| over the bins, weighted by `counts`; NaN if there are no bins."""
        if not self.counts.sum():
            return float("nan")
        return float(np.average(np.abs(self.share - self.score), weights=self.counts))


def reliability_bins(scores: ArrayLike, correct: ArrayLike, bins: int = 10) -> Reliability:
    """Sort joints by score into bins of (nearly) equal count.

    Joints of equal score are in the same bin, so the result does not depend on the order of the joints, and there are fewer bins
    if many scores are equal. Naeini et al. ("Obtaining Well Calibrated Probabilities Using Bayesian Binning", AAAI 2015) define
    the expected calibration error with bins of equal width instead.

    Parameters
    ----------
    scores : float, any shape
        Scores of the joints, such as heatmap peaks. Joints without a finite score are left out.
    correct : bool, same shape
        True where the joint is correct.
    bins : int
        Number of bins, at least 1.

    Returns
    -------
    Reliability : at most `bins` bins; no bins if there are no joints.

    Raises
    ------
    ValueError
        If the shapes differ, `correct` is not bool, or `bins` is below 1.
    """
    values = np.asarray(scores, dtype=np.float64)
    right = np.asarray(correct)
    if values.shape != right.shape or right.dtype != bool:
        raise ValueError(f"correct: expected bool of shape {values.shape}, got {right.dtype} of {right.shape}")
    if bins < 1:
        raise ValueError(f"bins: expected at least 1, got {bins}")
    known = np.isfinite(values)
    order = np.argsort(values[known])
    values = values[known][order]
    right = right[known][order]
    n = len(values)
    if not n:
        empty = np.zeros(0)
        return Reliability(low=empty, high=empty, score=empty, share=empty, counts=np.zeros(0, np.int64))
    bins = min(bins, n)
    starts = np.arange(bins) * n // bins
    # Move a bin that would start inside a run of equal scores to the start of the run.
    starts = np.unique(np.searchsorted(values, values[starts], side="left"))
    counts = np.diff(starts, append=n)
    return Reliability(
        low=values[starts],
        high=values[starts + counts - 1],
        score=np.add.reduceat(values, starts) / counts,
        share=np.add.reduceat(right, starts, dtype=np.float64) / counts,
        counts=counts,
    )
