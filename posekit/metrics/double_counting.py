"""Double counting: heatmaps with a second peak that is nearly as high as the first.

Such a map of the left knee, for example, has a peak on each knee. The measure is how often the highest
peak is right: "ratio of correct predictions among maps with several peaks" in the Anchor Loss paper
(Ryou, Jeong & Perona, ICCV 2019).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from posekit.metrics.bootstrap import in_percent
from posekit.metrics.pck import pck, require_shape

FINDINGS = ("double", "top_right", "other_right", "only_other_right", "other_opposite")


@dataclass(frozen=True)
class DoubleCounting:
    """Result of `double_counting` for the maps of N people's K joints.

    Parameters
    ----------
    counted : (N, K) bool
        Labelled joints of people with a reference size. The other masks are False elsewhere.
    double : (N, K) bool
        The map has another peak: far enough from the highest one, and high enough.
    top_right : (N, K) bool
        The highest peak is within the threshold of the truth (as PCK's `correct`), whether or not the map is double.
    other_right : (N, K) bool
        One of the other peaks is within the threshold of the truth. The highest may be, too.
    other_opposite : (N, K) bool
        One of the other peaks is within the threshold of the same person's true opposite (left or right) joint.
    other_NK : (N, K) int64
        Index of the highest of the other peaks; -1 where the map is not double.
    paired_K : (K,) bool
        Joints that have an opposite.
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
        """(N, K) bool: another peak is right and the highest one is not."""
        return self.other_right & ~self.top_right

    @cached_property
    def maps(self) -> np.ndarray:
        """(K,) int64: number of counted maps of each joint."""
        return self.counted.sum(0)

    def maps_with(self, finding: str) -> np.ndarray:
        """(N, K) bool: double maps with one of `FINDINGS`; "double" selects all of them.

        Raises
        ------
        ValueError
            If the finding is not one of `FINDINGS`.
        """
        if finding not in FINDINGS:
            raise ValueError(f"finding: expected one of {', '.join(FINDINGS)}, got {finding!r}")
        return self.double & getattr(self, finding)

    def counts(self, finding: str) -> np.ndarray:
        """(K,) int64: number of each joint's `maps_with` the finding."""
        return self.maps_with(finding).sum(0)

    def percent(self, finding: str) -> np.ndarray:
        """(K,) float64: percent of maps with the finding; NaN where there is no map.

        Of the counted maps for "double", of the double maps of paired joints for "other_opposite", else of the double maps.
        """
        return in_percent(self.counts(finding), self._candidates(finding).sum(0))

    def total(self, finding: str, joints: Sequence[int] | None = None) -> float:
        """Like `percent`, of the maps of `joints` (all by default) together."""
        columns = slice(None) if joints is None else list(joints)
        part = self.maps_with(finding)[:, columns].sum()
        return float(in_percent(part, self._candidates(finding)[:, columns].sum()))

    def persons(self, finding: str, joint: int) -> np.ndarray:
        """Indices of the people whose map of `joint` has the finding, ascending."""
        return np.flatnonzero(self.maps_with(finding)[:, joint])

    def _candidates(self, finding: str) -> np.ndarray:
        if finding == "double":
            return self.counted
        return self.double & self.paired_K if finding == "other_opposite" else self.double


def double_counting(
    peaks_NKP2: ArrayLike,
    heights_NKP: ArrayLike,
    truth_NK2: ArrayLike,
    counted_NK: ArrayLike,
    *,
    reference_size_N: ArrayLike,
    threshold: float,
    flip_order_K: ArrayLike,
    min_distance: float | None = None,
    ratio: float = 0.5,
) -> DoubleCounting:
    """Find the heatmaps with several peaks, and whether the other peaks are on this or the opposite joint.

    A map is double if a peak other than the first is at least `min_distance` from the first and at least
    `ratio` times as high, and the first is higher than 0 (a linear head's may not be).

    Parameters
    ----------
    peaks_NKP2 : (N, K, P, 2) float
        Local maxima of each map, highest first, image pixels, (x, y); NaN where there are fewer than P. The first is
        the prediction.
    heights_NKP : (N, K, P) float
        Values of the map at the peaks; NaN where there are fewer.
    truth_NK2 : (N, K, 2) float
        Image pixels.
    counted_NK : (N, K) bool
        Whether the joint is labelled; the truth of other joints is ignored.
    reference_size_N : (N,) float
        Image pixels: head sizes or torso sizes. People for whom it is NaN, infinite or not above 0 are left out.
    threshold : float
        Largest distance of a correct peak, in reference sizes.
    flip_order_K : (K,) int
        Opposite of each joint; a middle joint is its own (`Skeleton.flip_order`).
    min_distance : float, optional
        Least distance of another peak from the first, in reference sizes; by default `threshold`.
    ratio : float
        Least height of another peak, in heights of the first; above 0.

    Returns
    -------
    DoubleCounting

    Raises
    ------
    ValueError
        If shapes or dtypes do not fit, a map's first peak is not its highest, or the truth of a counted joint is not finite.
    """
    peaks = np.asarray(peaks_NKP2, dtype=np.float64)
    heights = np.asarray(heights_NKP, dtype=np.float64)
    truth = np.asarray(truth_NK2, dtype=np.float64)
    counted = np.asarray(counted_NK)
    flip = np.asarray(flip_order_K)
    min_distance = threshold if min_distance is None else min_distance
    _require_maps(peaks, heights)
    top = pck(peaks[:, :, 0], truth, counted, reference_size_N=reference_size_N, threshold=threshold)
    require_shape("flip_order", flip, top.counts.shape)
    to_first = _distances(peaks, peaks[:, :, 0], np.isfinite(top.errors), reference_size_N)
    to_truth = _distances(peaks, truth, counted, reference_size_N)
    paired = flip != np.arange(len(flip))
    to_opposite = _distances(peaks, truth[:, flip], counted & counted[:, flip] & paired, reference_size_N)
    high_enough = (heights[..., :1] > 0) & (heights >= ratio * heights[..., :1])
    others = np.isfinite(to_first) & (to_first >= min_distance) & high_enough
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


def _require_maps(peaks: np.ndarray, heights: np.ndarray) -> None:
    if peaks.ndim != 4 or peaks.shape[2] == 0 or peaks.shape[3] != 2:
        raise ValueError(f"peaks: expected (N, K, P, 2) with P at least 1, got {peaks.shape}")
    require_shape("heights", heights, peaks.shape[:3])
    if (heights[..., 1:] > heights[..., :-1]).any():
        raise ValueError("heights: expected each map's highest peak first, then in descending order")


def _distances(peaks_NKP2: np.ndarray, points_NK2: np.ndarray, counted_NK: np.ndarray, reference_size_N: ArrayLike) -> np.ndarray:
    """(N, K, P) from each map's peaks to one point, in reference sizes; NaN where not counted, inf where there is no peak."""
    n, k, p, _ = peaks_NKP2.shape
    points = np.repeat(points_NK2, p, axis=1)
    counted = np.repeat(counted_NK, p, axis=1)
    result = pck(peaks_NKP2.reshape(n, k * p, 2), points, counted, reference_size_N=reference_size_N)
    return result.errors.reshape(n, k, p)
