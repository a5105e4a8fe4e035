"""Whether a peak score means accuracy: how often joints of like score are right."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike


@dataclass(frozen=True)
class Reliability:
    """The outcome of `reliability_bins`: B bins in ascending order of the score.

    Parameters
    ----------
    low, high : (B,) float64
        Lowest and highest score in each bin.
    score : (B,) float64
        Mean score of each bin.
    share : (B,) float64
        Share of correct joints in each bin, 0 to 1.
    counts : (B,) int64
        Joints in each bin; at least 1.
    """

    low: np.ndarray
    high: np.ndarray
    score: np.ndarray
    share: np.ndarray
    counts: np.ndarray

    @property
    def calibration_error(self) -> float:
        """Expected calibration error: mean of |share - score| over the bins, weighted by their joints; NaN without joints."""
        if not self.counts.sum():
            return float("nan")
        return float(np.average(np.abs(self.share - self.score), weights=self.counts))


def reliability_bins(scores: ArrayLike, correct: ArrayLike, bins: int = 10) -> Reliability:
    """Sort joints by their score into bins of (nearly) equal count.

    Joints of the same score are never parted, so the order of the joints does not matter, and there are
    fewer bins where many scores are equal. Naeini et al., "Obtaining Well Calibrated Probabilities Using
    Bayesian Binning", AAAI 2015, define the error; their bins are of equal width.

    Parameters
    ----------
    scores : float, any shape
        Peaks of the heatmaps of the joints that count. Joints without a finite score are left out.
    correct : bool, the same shape
    bins : int
        At least 1.

    Returns
    -------
    Reliability : of at most `bins` bins; none where there is no joint.

    Raises
    ------
    ValueError
        If the shapes differ, `correct` is not bool, or `bins` is below 1.
    """
    scores, correct = np.asarray(scores, dtype=np.float64), np.asarray(correct)
    if scores.shape != correct.shape or correct.dtype != bool:
        raise ValueError(f"correct: expected bool of shape {scores.shape}, got {correct.dtype} of {correct.shape}")
    if bins < 1:
        raise ValueError(f"bins: expected at least 1, got {bins}")
    known = np.isfinite(scores)
    scores, correct = scores[known], correct[known]
    order = np.argsort(scores)
    scores, correct = scores[order], correct[order]
    starts = _starts(scores, bins)
    counts = np.diff(starts, append=len(scores))
    return Reliability(
        low=scores[starts],
        high=scores[starts + counts - 1],
        score=np.add.reduceat(scores, starts) / counts if len(starts) else np.zeros(0),
        share=np.add.reduceat(correct, starts, dtype=np.float64) / counts if len(starts) else np.zeros(0),
        counts=counts,
    )


def _starts(ascending: np.ndarray, bins: int) -> np.ndarray:
    """Where each bin begins; a bin that would begin within a run of equal scores begins with the run."""
    n = len(ascending)
    wanted = np.arange(min(bins, n)) * n // max(min(bins, n), 1)
    return np.unique(np.searchsorted(ascending, ascending[wanted], side="left"))
