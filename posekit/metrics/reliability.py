"""Reliability of scores: compare the scores of joints with the fraction of correct joints."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike


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
    if many scores are equal. The expected calibration error was defined by Naeini et al., "Obtaining Well Calibrated
    Probabilities Using Bayesian Binning", AAAI 2015, with bins of equal width instead.

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
