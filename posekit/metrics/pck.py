"""Percentage of correct keypoints: PCKh (MPII) and PCK (LSP).

A predicted joint is correct when its distance to the truth is at most `threshold` times a reference
size of the person: the head size for PCKh (Andriluka et al., CVPR 2014), the torso for PCK (Yang &
Ramanan, PAMI 2013, as used for LSP).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from posekit.metrics import bootstrap
from posekit.metrics.bootstrap import Difference, in_percent
from posekit.skeletons import Skeleton

# Quotients of whole numbers, so that a distance of exactly 0.3 head sizes is not lost to rounding.
_AUC_PCKH = np.arange(1, 51) / 100
_AUC_PCK = np.arange(1, 21) / 100


@dataclass(frozen=True)
class PCK:
    """The outcome of `pckh` or `pck` for N persons of K joints.

    Every mean takes the joints' indices it runs over (all by default), and is NaN where nothing counted.

    Parameters
    ----------
    errors : (N, K) float64
        Distance to the truth in reference sizes; inf where the prediction is not finite; NaN where
        the joint does not count.
    left_out : (N,) bool
        Persons without a reference size: none of their joints counts.
    threshold : float
        In reference sizes.
    auc_thresholds : (T,) float64
        Ascending; those that `auc` averages over.
    """

    errors: np.ndarray
    left_out: np.ndarray
    threshold: float
    auc_thresholds: np.ndarray

    @cached_property
    def counted(self) -> np.ndarray:
        """(N, K) bool: labelled joints of persons who have a reference size."""
        return ~np.isnan(self.errors)

    @cached_property
    def correct(self) -> np.ndarray:
        """(N, K) bool: counted, and within the threshold."""
        return self.errors <= self.threshold

    @cached_property
    def counts(self) -> np.ndarray:
        """(K,) int64: how often each joint counted."""
        return self.counted.sum(0)

    @cached_property
    def percent(self) -> np.ndarray:
        """(K,) float64: correct among counted, in percent; NaN where nothing counted."""
        return in_percent(self.correct.sum(0), self.counts)

    @cached_property
    def n(self) -> int:
        """Counted joints."""
        return int(self.counts.sum())

    @cached_property
    def n_left_out(self) -> int:
        """Persons without a reference size."""
        return int(self.left_out.sum())

    @cached_property
    def n_not_predicted(self) -> int:
        """Counted joints whose prediction is not finite; they count as wrong."""
        return int(np.isinf(self.errors).sum())

    def pooled_mean(self, joints: Sequence[int] | None = None) -> float:
        """Correct among all counted joints together, in percent."""
        joints = self._chosen(joints)
        return float(in_percent(self.correct[:, joints].sum(), self.counts[joints].sum()))

    def joint_mean(self, joints: Sequence[int] | None = None) -> float:
        """Plain mean of the joints' percentages; joints that never counted are left out."""
        values = self.percent[self._chosen(joints)]
        values = values[~np.isnan(values)]
        return float(values.mean()) if len(values) else float("nan")

    def group_values(self, groups: Mapping[str, Sequence[int]]) -> dict[str, float]:
        """Plain mean of the joints' percentages in each group, as MPII's published tables have it."""
        return {name: self.joint_mean(joints) for name, joints in groups.items()}

    def auc(self, joints: Sequence[int] | None = None) -> float:
        """Mean of the pooled mean over `auc_thresholds`, in percent."""
        errors = self.errors[:, self._chosen(joints)]
        errors = errors[~np.isnan(errors)]
        failed = np.searchsorted(self.auc_thresholds, errors, side="left")  # thresholds below the error
        return 100 - float(in_percent(failed.sum(), len(errors) * len(self.auc_thresholds)))

    def curve(self, thresholds_T: ArrayLike, joints: Sequence[int] | None = None) -> np.ndarray:
        """Pooled mean at other thresholds.

        Parameters
        ----------
        thresholds_T : (T,) float
            In reference sizes, in any order.
        joints : sequence of int, optional

        Returns
        -------
        (T,) float64 : percent; NaN where nothing counted.
        """
        errors = self.errors[:, self._chosen(joints)]
        errors = np.sort(errors[~np.isnan(errors)])
        return in_percent(np.searchsorted(errors, thresholds_T, side="right"), len(errors))

    def interval95(self, joints: Sequence[int] | None = None, *, resamples: int = 1000, seed: int = 0) -> tuple[float, float]:
        """Bootstrap 95 % interval of the pooled mean: percentiles over resamples of the persons.

        Parameters
        ----------
        joints : sequence of int, optional
        resamples : int
        seed : int

        Returns
        -------
        (low, high) : percent; NaN where nothing counted.
        """
        correct, counted = self._usable(self.correct, joints), self._usable(self.counted, joints)
        return bootstrap.interval95(correct.sum(1), counted.sum(1), resamples=resamples, seed=seed)

    def joint_mean_interval95(
        self, joints: Sequence[int] | None = None, *, resamples: int = 1000, seed: int = 0
    ) -> tuple[float, float]:
        """Like `interval95`, of `joint_mean`: a joint that a resample lacks is left out of that resample's mean."""
        columns = np.concatenate([self._usable(self.correct, joints), self._usable(self.counted, joints)], axis=1)
        correct, counted = np.split(bootstrap.resampled_sums(columns, resamples=resamples, seed=seed), 2, axis=1)
        shares = np.divide(correct, counted, out=np.zeros_like(correct), where=counted > 0)
        return bootstrap.percentiles95(in_percent(shares.sum(1), (counted > 0).sum(1)))

    def auc_interval95(self, joints: Sequence[int] | None = None, *, resamples: int = 1000, seed: int = 0) -> tuple[float, float]:
        """Like `interval95`, of `auc`."""
        errors = self._usable(self.errors, joints)
        whole = len(self.auc_thresholds) * (~np.isnan(errors)).sum(1)
        reached = len(self.auc_thresholds) - np.searchsorted(self.auc_thresholds, errors, side="left")  # 0 for NaN
        return bootstrap.interval95(reached.sum(1), whole, resamples=resamples, seed=seed)

    def _usable(self, values_NK: np.ndarray, joints: Sequence[int] | None) -> np.ndarray:
        """The joints' columns, and only persons who have a reference size."""
        return values_NK[~self.left_out][:, self._chosen(joints)]

    def _chosen(self, joints: Sequence[int] | None) -> slice | list[int]:
        return slice(None) if joints is None else list(joints)


def pckh(
    pred_NK2: ArrayLike, truth_NK2: ArrayLike, counted_NK: ArrayLike, *, head_size_N: ArrayLike, threshold: float = 0.5
) -> PCK:
    """PCKh: the reference size is the head's.

    Parameters
    ----------
    pred_NK2, truth_NK2 : (N, K, 2) float
        Image pixels, (x, y), both in one frame. A prediction that is not finite is wrong.
    counted_NK : (N, K) bool
        Whether the joint is labelled; the truth of others is not looked at.
    head_size_N : (N,) float
        0.6 times the diagonal of the head box, image pixels. Persons for whom it is NaN, infinite or
        not above 0 are left out.
    threshold : float
        Largest distance of a correct joint, in head sizes.

    Returns
    -------
    PCK : its `PCK.auc` averages over the thresholds 0.01, 0.02 … 0.50.

    Raises
    ------
    ValueError
        If shapes or dtypes do not fit, or the truth of a counted joint is not finite.
    """
    return _pck(pred_NK2, truth_NK2, counted_NK, head_size_N, "head_size", threshold, _AUC_PCKH)


def pck(
    pred_NK2: ArrayLike, truth_NK2: ArrayLike, counted_NK: ArrayLike, *, reference_size_N: ArrayLike, threshold: float = 0.2
) -> PCK:
    """PCK: the reference size is given, usually `torso_sizes`.

    Parameters
    ----------
    pred_NK2, truth_NK2, counted_NK
        As for `pckh`.
    reference_size_N : (N,) float
        Image pixels. Persons for whom it is NaN, infinite or not above 0 are left out.
    threshold : float
        Largest distance of a correct joint, in reference sizes.

    Returns
    -------
    PCK : its `PCK.auc` averages over the thresholds 0.01, 0.02 … 0.20.

    Raises
    ------
    ValueError
        If shapes or dtypes do not fit, or the truth of a counted joint is not finite.
    """
    return _pck(pred_NK2, truth_NK2, counted_NK, reference_size_N, "reference_size", threshold, _AUC_PCK)


def compare(a: PCK, b: PCK, joints: Sequence[int] | None = None, *, resamples: int = 1000, seed: int = 0) -> Difference:
    """Difference of two models' pooled means, with its 95 % interval over the same resampled persons.

    Parameters
    ----------
    a, b : PCK
        Of the same N persons and K joints.
    joints : sequence of int, optional
    resamples : int
    seed : int

    Returns
    -------
    Difference : `a` minus `b`; NaN where nothing counted.

    Raises
    ------
    ValueError
        If the two have other thresholds, or did not count the same joints of the same persons.
    """
    return compare_repeats([a], [b], joints, resamples=resamples, seed=seed)


def compare_repeats(
    a: Sequence[PCK], b: Sequence[PCK], joints: Sequence[int] | None = None, *, resamples: int = 1000, seed: int = 0
) -> Difference:
    """Like `compare`, of two ways of training that were each repeated, with the same seeds in the same order.

    The difference is that of the means over the repeats; its interval holds for other persons and other seeds
    (`posekit.metrics.bootstrap.repeated_difference`).

    Parameters
    ----------
    a, b : sequence of PCK
        S each, all of the same N persons and K joints.
    joints, resamples, seed
        As for `compare`.

    Raises
    ------
    ValueError
        As for `compare`, or if there are not as many of both.
    """
    if not len(a) == len(b) > 0:
        raise ValueError(f"b: expected as many repeats as a has, and at least one, got {len(b)} and {len(a)}")
    first = a[0]
    for other in (*a[1:], *b):
        _require_same_joints(first, other, joints)
    correct = (np.stack([found._usable(found.correct, joints).sum(1) for found in repeats], axis=1) for repeats in (a, b))
    whole = first._usable(first.counted, joints).sum(1)
    return bootstrap.repeated_difference(*correct, whole, resamples=resamples, seed=seed)


def _require_same_joints(a: PCK, b: PCK, joints: Sequence[int] | None) -> None:
    if a.threshold != b.threshold:
        raise ValueError(f"b: expected threshold {a.threshold}, got {b.threshold}")
    require_shape("b", b.errors, a.errors.shape)
    differ = (a.counted ^ b.counted)[:, a._chosen(joints)]
    if differ.any():
        raise ValueError(f"b: expected the joints that a counted, but {differ.sum()} were counted by only one of the two")


def torso_sizes(
    truth_NK2: ArrayLike, labelled_NK: ArrayLike, skeleton: Skeleton, *, ends: tuple[str, str] = ("left_shoulder", "right_hip")
) -> np.ndarray:
    """Distance from left shoulder to right hip, or between two other joints.

    Parameters
    ----------
    truth_NK2 : (N, K, 2) float
        Image pixels.
    labelled_NK : (N, K) bool
    skeleton : Skeleton
        K joints.
    ends : (str, str)
        Names of the two joints.

    Returns
    -------
    (N,) float64 : image pixels; NaN where not both joints are labelled.

    Raises
    ------
    DataError
        If the skeleton lacks one of the two joints.
    ValueError
        If a shape does not fit.
    """
    truth, labelled = _checked(truth_NK2, labelled_NK, len(skeleton))
    first, second = (skeleton.index(joint) for joint in ends)
    across = _distances(truth[:, first], truth[:, second])
    return np.where(labelled[:, first] & labelled[:, second], across, np.nan)


def _pck(pred, truth, counted, reference, reference_name, threshold, auc_thresholds) -> PCK:
    truth, counted = _checked(truth, counted)
    pred, reference = np.asarray(pred, dtype=np.float64), np.asarray(reference, dtype=np.float64)
    require_shape("pred", pred, truth.shape)
    require_shape(reference_name, reference, truth.shape[:1])
    if not (_finite(truth) | ~counted).all():
        raise ValueError("truth: expected finite coordinates where counted, got NaN or infinity")
    usable = np.isfinite(reference) & (reference > 0)
    errors = _distances(pred, truth) / np.where(usable, reference, 1.0)[:, None]
    errors[~_finite(pred)] = np.inf
    errors[~(counted & usable[:, None])] = np.nan
    return PCK(errors, ~usable, threshold, auc_thresholds)


def _distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore", over="ignore"):  # predictions may be anything
        x, y = a[..., 0] - b[..., 0], a[..., 1] - b[..., 1]
        return np.sqrt(x * x + y * y)


def _finite(points: np.ndarray) -> np.ndarray:
    return np.isfinite(points[..., 0]) & np.isfinite(points[..., 1])  # many times faster than .all(-1)


def _checked(truth, counted, joints: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    truth, counted = np.asarray(truth, dtype=np.float64), np.asarray(counted)
    if truth.ndim != 3 or truth.shape[2] != 2 or joints not in (None, truth.shape[1]):
        raise ValueError(f"truth: expected (N, {'K' if joints is None else joints}, 2), got {truth.shape}")
    require_shape("counted", counted, truth.shape[:2])
    if counted.dtype != bool:
        raise ValueError(f"counted: expected bool, got {counted.dtype}")
    return truth, counted


def require_shape(name: str, array: np.ndarray, expected: tuple) -> None:
    """Raise ValueError, with the array's name, if it has another shape."""
    if array.shape != expected:
        raise ValueError(f"{name}: expected {expected}, got {array.shape}")
