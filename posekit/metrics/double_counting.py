"""Double counting: heatmaps with a second peak that is nearly as high as the first.

Such a map answers "where is the left knee" with both knees. What matters is whether the highest peak
is right all the same: "ratio of correct predictions among maps with several peaks" in the Anchor Loss
paper (Ryou, Jeong & Perona, ICCV 2019).
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
    """The outcome of `double_counting` for the maps of N persons' K joints.

    Parameters
    ----------
    counted : (N, K) bool
        Labelled joints of persons who have a reference size. Everything below is False elsewhere.
    double : (N, K) bool
        The map has another peak: far enough from the highest one, and high enough.
    top_right : (N, K) bool
        The highest peak is within the threshold of the truth (as PCK's `correct`), be the map double or not.
    other_right : (N, K) bool
        One of the other peaks is within the threshold of the truth. Both may be right, if they may lie so close.
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
        """(N, K) bool: the truth lies under another peak and not under the highest one."""
        return self.other_right & ~self.top_right

    @cached_property
    def maps(self) -> np.ndarray:
        """(K,) int64: how many maps of each joint counted."""
        return self.counted.sum(0)

    def found(self, finding: str) -> np.ndarray:
        """Double maps for which a finding holds.

        Parameters
        ----------
        finding : str
            One of `FINDINGS`; "double" holds for all of them.

        Returns
        -------
        (N, K) bool

        Raises
        ------
        ValueError
            If it is none of `FINDINGS`.
        """
        if finding not in FINDINGS:
            raise ValueError(f"finding: expected one of {', '.join(FINDINGS)}, got {finding!r}")
        return self.double & getattr(self, finding)

    def counts(self, finding: str) -> np.ndarray:
        """(K,) int64: how many double maps of each joint a finding (see `found`) holds for."""
        return self.found(finding).sum(0)

    def percent(self, finding: str) -> np.ndarray:
        """(K,) float64: a finding's share of the maps for which it could hold; NaN where there is none.

        These are the counted maps for "double", the double maps of paired joints for "other_opposite", else the double maps.
        """
        return in_percent(self.counts(finding), self._among(finding).sum(0))

    def total(self, finding: str, joints: Sequence[int] | None = None) -> float:
        """Like `percent`, of the maps of `joints` (all by default) together."""
        joints = slice(None) if joints is None else list(joints)
        return float(in_percent(self.found(finding)[:, joints].sum(), self._among(finding)[:, joints].sum()))

    def persons(self, finding: str, joint: int) -> np.ndarray:
        """Indices of the persons for whose `joint` a finding (see `found`) holds, ascending."""
        return np.flatnonzero(self.found(finding)[:, joint])

    def _among(self, finding: str) -> np.ndarray:
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
    """Find the maps with several peaks, and what lies under the others.

    A map is double if a peak other than the first lies at least `min_distance` from the first and is at
    least `ratio` times as high, and the first is higher than 0 (a linear head's may not be).

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
        Whether the joint is labelled; the truth of others is not looked at.
    reference_size_N : (N,) float
        Image pixels: head sizes or torso sizes. No joint of persons for whom it is NaN, infinite or not above 0 counts.
    threshold : float
        Largest distance of a correct peak, in reference sizes.
    flip_order_K : (K,) int
        The opposite of each joint, itself for those in the middle (`Skeleton.flip_order`).
    min_distance : float, optional
        Least distance of another peak from the first, in reference sizes; `threshold` if not given.
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
    peaks, heights = np.asarray(peaks_NKP2, dtype=np.float64), np.asarray(heights_NKP, dtype=np.float64)
    truth, counted, flip = np.asarray(truth_NK2, dtype=np.float64), np.asarray(counted_NK), np.asarray(flip_order_K)
    _require_maps(peaks, heights)
    top = pck(peaks[:, :, 0], truth, counted, reference_size_N=reference_size_N, threshold=threshold)
    require_shape("flip_order", flip, top.counts.shape)
    apart = _distances(peaks, peaks[:, :, 0], np.isfinite(top.errors), reference_size_N)
    to_truth = _distances(peaks, truth, counted, reference_size_N)
    paired = flip != np.arange(len(flip))
    to_opposite = _distances(peaks, truth[:, flip], counted & counted[:, flip] & paired, reference_size_N)
    high_enough = (heights[..., :1] > 0) & (heights >= ratio * heights[..., :1])
    others = np.isfinite(apart) & (apart >= (threshold if min_distance is None else min_distance)) & high_enough
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
    points, counted = (np.repeat(array, p, axis=1) for array in (points_NK2, counted_NK))
    flat = pck(peaks_NKP2.reshape(n, k * p, 2), points, counted, reference_size_N=reference_size_N)
    return flat.errors.reshape(n, k, p)
