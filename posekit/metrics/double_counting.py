"""Double counting: heatmaps with a second peak that is nearly as high as the first.

For example, the heatmap of the left knee may have a peak on each knee. The metric is how often the highest peak of such a
heatmap is correct: "ratio of correct predictions among maps with several peaks" in the Anchor Loss paper (Ryou, Jeong & Perona,
ICCV 2019).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from posekit.errors import require_array
from posekit.metrics.bootstrap import in_percent
from posekit.metrics.pck import pck

FINDINGS = ("double", "top_right", "other_right", "only_other_right", "other_opposite")


@dataclass(frozen=True)
class DoubleCounting:
    """Result of `double_counting`: one heatmap for each of N people's K joints.

    Parameters
    ----------
    counted : (N, K) bool
        True where the joint is evaluated: labelled, and the person has a reference size. All other masks are False where this
        mask is False.
    double : (N, K) bool
        True where the heatmap has another peak that is high enough and far enough from the highest peak.
    top_right : (N, K) bool
        True where the highest peak is within the threshold of the truth, whether or not the heatmap is double.
    other_right : (N, K) bool
        True where another peak is within the threshold of the truth, wherever the highest peak is.
    other_opposite : (N, K) bool
        True where another peak is within the threshold of the same person's true opposite (left or right) joint.
    other_NK : (N, K) int64
        Index of the second peak: the highest of the other peaks; -1 where the heatmap is not double.
    paired_K : (K,) bool
        True for joints that have an opposite (left or right) joint.
    """

    counted: np.ndarray
    double: np.ndarray
    top_right: np.ndarray
    other_right: np.ndarray
    other_opposite: np.ndarray
    other_NK: np.ndarray
    paired_K: np.ndarray

    @cached_property
    def only_other_right(self) -> np.ndarray:
        """(N, K) bool array, True where another peak is correct and the highest peak is not."""
        return self.other_right & ~self.top_right

    @cached_property
    def maps(self) -> np.ndarray:
        """(K,) int64 array: number of evaluated heatmaps of each joint."""
        return self.counted.sum(0)

    def counts(self, finding: str) -> np.ndarray:
        """(K,) int64 array: number of each joint's double heatmaps with the finding, one of `FINDINGS`."""
        return self._maps_with(finding).sum(0)

    def total(self, finding: str, joints: Sequence[int] | None = None) -> float:
        """Percentage of double heatmaps with the finding, pooled over the heatmaps of `joints` (default: all).

        The denominator is the number of evaluated heatmaps for the finding "double", and the number of double heatmaps for all
        other findings. For "other_opposite", joints without an opposite joint are left out. NaN if the denominator is 0.
        """
        columns = slice(None) if joints is None else list(joints)
        candidates = self.counted if finding == "double" else self.double
        if finding == "other_opposite":
            candidates = candidates & self.paired_K
        return float(in_percent(self._maps_with(finding)[:, columns].sum(), candidates[:, columns].sum()))

    def _maps_with(self, finding: str) -> np.ndarray:
        """(N, K) bool array, True for double heatmaps with the finding; raise `ValueError` if not one of `FINDINGS`."""
        if finding not in FINDINGS:
            raise ValueError(f"finding: expected one of {', '.join(FINDINGS)}, got {finding!r}")
        return self.double & getattr(self, finding)


def double_counting(
    peaks_NKP2: ArrayLike,
    heights_NKP: ArrayLike,
    truth_NK2: ArrayLike,
    counted_NK: ArrayLike,
    *,
    reference_size_N: ArrayLike,
    threshold: float,
    flip_order_K: ArrayLike,
) -> DoubleCounting:
    """Find heatmaps with several peaks, and check whether the lower peaks are on the true joint or on the opposite joint.

    A heatmap is double if its first peak is higher than 0 (not guaranteed for a linear output layer) and another peak is at least
    `threshold` away from the first peak and at least half as high.

    Parameters
    ----------
    peaks_NKP2 : (N, K, P, 2) float
        Local maxima of each heatmap, highest first: (x, y) in image pixels, padded with NaN. The first peak is
        the prediction.
    heights_NKP : (N, K, P) float
        Heatmap values at the peaks, padded with NaN.
    truth_NK2, counted_NK, reference_size_N
        As for `posekit.metrics.pck`.
    threshold : float
        Largest distance of a correct peak from the truth, in reference sizes; also the smallest distance of
        another peak from the first peak.
    flip_order_K : (K,) int
        Index of each joint's opposite joint; a middle joint's own index (`Skeleton.flip_order`).

    Raises
    ------
    ValueError
        If shapes or dtypes do not match, a heatmap's peaks are not in descending order of height, or the truth of a labelled
        joint is not finite.
    """
    peaks = np.asarray(peaks_NKP2, dtype=np.float64)
    heights = np.asarray(heights_NKP, dtype=np.float64)
    truth = np.asarray(truth_NK2, dtype=np.float64)
    counted = np.asarray(counted_NK)
    flip = np.asarray(flip_order_K)
    if peaks.ndim != 4 or peaks.shape[2] == 0 or peaks.shape[3] != 2:
        raise ValueError(f"peaks: expected (N, K, P, 2) with P at least 1, got {peaks.shape}")
    require_array("heights", heights, peaks.shape[:3])
    if (heights[..., 1:] > heights[..., :-1]).any():
        raise ValueError("heights: expected each heatmap's peaks in descending order of height")
    top = pck(peaks[:, :, 0], truth, counted, reference_size_N=reference_size_N, threshold=threshold)
    require_array("flip_order", flip, top.counts.shape)
    to_first = _distances(peaks, peaks[:, :, 0], np.isfinite(top.errors), reference_size_N)
    to_truth = _distances(peaks, truth, counted, reference_size_N)
    paired = flip != np.arange(len(flip))
    to_opposite = _distances(peaks, truth[:, flip], counted & counted[:, flip] & paired, reference_size_N)
    high_enough = (heights[..., :1] > 0) & (heights >= 0.5 * heights[..., :1])
    others = np.isfinite(to_first) & (to_first >= threshold) & high_enough
    others[..., 0] = False
    double = others.any(-1)
    return DoubleCounting(
        counted=top.counted,
        double=double,
        top_right=top.correct,
        other_right=(others & (to_truth <= threshold)).any(-1),
        other_opposite=(others & (to_opposite <= threshold)).any(-1),
        other_NK=np.where(double, others.argmax(-1), -1),
        paired_K=paired,
    )


def _distances(peaks_NKP2: np.ndarray, points_NK2: np.ndarray, counted_NK: np.ndarray, reference_size_N: ArrayLike) -> np.ndarray:
    """(N, K, P) float64 array: distances in reference sizes; NaN where `counted_NK` is False, inf where there is no peak."""
    n, k, p, _ = peaks_NKP2.shape
    points = np.repeat(points_NK2, p, axis=1)
    counted = np.repeat(counted_NK, p, axis=1)
    result = pck(peaks_NKP2.reshape(n, k * p, 2), points, counted, reference_size_N=reference_size_N)
    return result.errors.reshape(n, k, p)
