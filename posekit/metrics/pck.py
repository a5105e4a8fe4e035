"""Percentage of correct keypoints: PCKh (MPII) and PCK (LSP).

A predicted joint is correct if its distance to the truth is at most `threshold` times the person's reference size. The reference
size is the head size for PCKh (Andriluka et al., CVPR 2014) and the torso size for PCK (Yang & Ramanan, PAMI 2013, as used for
LSP).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from posekit.errors import require_array
from posekit.metrics import bootstrap
from posekit.metrics.bootstrap import Difference, in_percent
from posekit.skeletons import Skeleton

TORSO = ("left_shoulder", "right_hip")
"""The two joints whose distance is the torso size in PCK."""

# Divide integers, so that a threshold such as 0.3 is the nearest float and an error of exactly 0.3 is correct.
_AUC_PCKH = np.arange(1, 51) / 100
_AUC_PCK = np.arange(1, 21) / 100


@dataclass(frozen=True)
class PCK:
    """Result of `pckh` or `pck` for N people of K joints.

    A joint is evaluated if it is labelled and its person has a reference size. Every mean takes the indices of the joints to
    average (default: all) and is NaN if none of these joints is evaluated.

    Parameters
    ----------
    errors : (N, K) float64
        Distance to the truth in reference sizes; inf where the prediction is not finite; NaN where the joint is not evaluated.
    left_out : (N,) bool
        True for people without a reference size: none of their joints is evaluated.
    threshold : float
        Largest error of a correct joint, in reference sizes.
    auc_thresholds : (T,) float64
        Thresholds that `auc` averages over, ascending.
    """

    errors: np.ndarray
    left_out: np.ndarray
    threshold: float
    auc_thresholds: np.ndarray

    @cached_property
    def counted(self) -> np.ndarray:
        """(N, K) bool array, True where the joint is evaluated: labelled, and the person has a reference size."""
        return ~np.isnan(self.errors)

    @cached_property
    def correct(self) -> np.ndarray:
        """(N, K) bool array, True where the joint is evaluated and its error is at most the threshold."""
        return self.errors <= self.threshold

    @cached_property
    def counts(self) -> np.ndarray:
        """(K,) int64 array: number of people for whom each joint is evaluated."""
        return self.counted.sum(0)

    @cached_property
    def percent(self) -> np.ndarray:
        """(K,) float64 array: percentage of correct predictions of each joint; NaN for joints that are never evaluated."""
        return in_percent(self.correct.sum(0), self.counts)

    @cached_property
    def n(self) -> int:
        """Number of evaluated joints of all people."""
        return int(self.counts.sum())

    @cached_property
    def n_left_out(self) -> int:
        """Number of people without a reference size."""
        return int(self.left_out.sum())

    def pooled_mean(self, joints: Sequence[int] | None = None) -> float:
        """Percentage of correct joints among all evaluated joints."""
        columns = _columns(joints)
        return float(in_percent(self.correct[:, columns].sum(), self.counts[columns].sum()))

    def joint_mean(self, joints: Sequence[int] | None = None) -> float:
        """Unweighted mean of the joints' percentages, without joints that are never evaluated (MPII's group scores)."""
        values = self.percent[_columns(joints)]
        values = values[~np.isnan(values)]
        return float(values.mean()) if len(values) else float("nan")

    def auc(self, joints: Sequence[int] | None = None) -> float:
        """Area under the PCK curve: `pooled_mean`, averaged over `auc_thresholds`, in percent."""
        errors = self.errors[:, _columns(joints)]
        errors = errors[~np.isnan(errors)]
        failed = np.searchsorted(self.auc_thresholds, errors, side="left")  # number of thresholds below the error
        return 100 - float(in_percent(failed.sum(), len(errors) * len(self.auc_thresholds)))

    def curve(self, thresholds_T: ArrayLike, joints: Sequence[int] | None = None) -> np.ndarray:
        """PCK curve: (T,) float64, the pooled mean at each of the T given thresholds (in reference sizes, in any order)."""
        errors = self.errors[:, _columns(joints)]
        errors = np.sort(errors[~np.isnan(errors)])
        return in_percent(np.searchsorted(errors, thresholds_T, side="right"), len(errors))

    def interval95(self, joints: Sequence[int] | None = None, *, resamples: int = 1000, seed: int = 0) -> tuple[float, float]:
        """95 % confidence interval (low, high) of the pooled mean in percent, by bootstrap over people; NaN without joints."""
        correct = self._usable(self.correct, joints)
        counted = self._usable(self.counted, joints)
        return bootstrap.interval95(correct.sum(1), counted.sum(1), resamples=resamples, seed=seed)

    def joint_mean_interval95(
        self, joints: Sequence[int] | None = None, *, resamples: int = 1000, seed: int = 0
    ) -> tuple[float, float]:
        """95 % confidence interval of `joint_mean`, as in `interval95`.

        Joints that are not evaluated in a resample are left out of that resample's mean.
        """
        columns = np.concatenate([self._usable(self.correct, joints), self._usable(self.counted, joints)], axis=1)
        sums = bootstrap.resampled_sums(columns, resamples=resamples, seed=seed)
        correct, counted = np.split(sums, 2, axis=1)
        shares = np.divide(correct, counted, out=np.zeros_like(correct), where=counted > 0)
        return bootstrap.percentiles95(in_percent(shares.sum(1), (counted > 0).sum(1)))

    def auc_interval95(self, joints: Sequence[int] | None = None, *, resamples: int = 1000, seed: int = 0) -> tuple[float, float]:
        """95 % confidence interval of `auc`, as in `interval95`."""
        errors = self._usable(self.errors, joints)
        whole = len(self.auc_thresholds) * (~np.isnan(errors)).sum(1)
        reached = len(self.auc_thresholds) - np.searchsorted(self.auc_thresholds, errors, side="left")  # 0 for NaN
        return bootstrap.interval95(reached.sum(1), whole, resamples=resamples, seed=seed)

    def _usable(self, values_NK: np.ndarray, joints: Sequence[int] | None) -> np.ndarray:
        """Select the columns of `joints` and the rows of people with a reference size."""
        return values_NK[~self.left_out][:, _columns(joints)]


def _columns(joints: Sequence[int] | None) -> slice | list[int]:
    return slice(None) if joints is None else list(joints)


def pckh(
    pred_NK2: ArrayLike, truth_NK2: ArrayLike, counted_NK: ArrayLike, *, head_size_N: ArrayLike, threshold: float = 0.5
) -> PCK:
    """PCKh: percentage of correct keypoints, with head sizes as reference sizes.

    Parameters
    ----------
    pred_NK2, truth_NK2 : (N, K, 2) float
        Image pixels, (x, y), both in the same coordinate frame. A prediction that is not finite is wrong.
    counted_NK : (N, K) bool
        True where the joint is labelled; the truth of other joints is ignored.
    head_size_N : (N,) float
        0.6 times the diagonal of the head box, image pixels. People whose head size is NaN, infinite or not above 0 are left out.
    threshold : float
        Largest error of a correct joint, in head sizes.

    Returns
    -------
    PCK : `PCK.auc` of this result averages over the thresholds 0.01, 0.02 … 0.50.

    Raises
    ------
    ValueError
        If shapes or dtypes do not match, or the truth of a labelled joint is not finite.
    """
    errors, left_out = _relative_errors(pred_NK2, truth_NK2, counted_NK, head_size_N, "head_size")
    return PCK(errors, left_out, threshold, _AUC_PCKH)


def pck(
    pred_NK2: ArrayLike, truth_NK2: ArrayLike, counted_NK: ArrayLike, *, reference_size_N: ArrayLike, threshold: float = 0.2
) -> PCK:
    """PCK: percentage of correct keypoints, with any reference sizes, usually `torso_sizes`.

    Parameters
    ----------
    pred_NK2, truth_NK2, counted_NK
        As for `pckh`.
    reference_size_N : (N,) float
        Image pixels. People whose reference size is NaN, infinite or not above 0 are left out.
    threshold : float
        Largest error of a correct joint, in reference sizes.

    Returns
    -------
    PCK : `PCK.auc` of this result averages over the thresholds 0.01, 0.02 … 0.20.

    Raises
    ------
    ValueError
        If shapes or dtypes do not match, or the truth of a labelled joint is not finite.
    """
    errors, left_out = _relative_errors(pred_NK2, truth_NK2, counted_NK, reference_size_N, "reference_size")
    return PCK(errors, left_out, threshold, _AUC_PCK)


def compare(a: PCK, b: PCK, joints: Sequence[int] | None = None, *, resamples: int = 1000, seed: int = 0) -> Difference:
    """Difference between the pooled means of two models, `a` minus `b`, with a 95 % interval by paired bootstrap over people.

    The difference is NaN if no joint is evaluated.

    Raises
    ------
    ValueError
        If the thresholds differ, or `a` and `b` do not evaluate the same joints of the same people.
    """
    return compare_repeats([a], [b], joints, resamples=resamples, seed=seed)


def compare_repeats(
    a: Sequence[PCK], b: Sequence[PCK], joints: Sequence[int] | None = None, *, resamples: int = 1000, seed: int = 0
) -> Difference:
    """Difference between two training configurations, each repeated with the same seeds in the same order.

    The pooled means are averaged over the repeats. The confidence interval covers the variation between people and between seeds
    (`posekit.metrics.bootstrap.repeated_difference`).

    Raises
    ------
    ValueError
        As for `compare`, or if the numbers of repeats differ or are 0.
    """
    if not len(a) == len(b) > 0:
        raise ValueError(f"b: expected as many repeats as in a, and at least one, got {len(b)} in b and {len(a)} in a")
    first = a[0]
    for other in (*a[1:], *b):
        _require_same_joints(first, other, joints)
    whole = first._usable(first.counted, joints).sum(1)
    return bootstrap.repeated_difference(_n_correct(a, joints), _n_correct(b, joints), whole, resamples=resamples, seed=seed)


def _n_correct(repeats: Sequence[PCK], joints: Sequence[int] | None) -> np.ndarray:
    """(N, S) int64 array: number of correct joints per person and repeat."""
    return np.stack([result._usable(result.correct, joints).sum(1) for result in repeats], axis=1)


def _require_same_joints(a: PCK, b: PCK, joints: Sequence[int] | None) -> None:
    if a.threshold != b.threshold:
        raise ValueError(f"b: expected threshold {a.threshold}, got {b.threshold}")
    require_array("b", b.errors, a.errors.shape)
    differ = (a.counted ^ b.counted)[:, _columns(joints)]
    if differ.any():
        raise ValueError(f"b: expected the same evaluated joints as in a, but {differ.sum()} are evaluated in only one of a and b")


def torso_sizes(truth_NK2: ArrayLike, labelled_NK: ArrayLike, skeleton: Skeleton, *, ends: tuple[str, str] = TORSO) -> np.ndarray:
    """Torso size of each person: distance from left shoulder to right hip, or between two other joints.

    Parameters
    ----------
    truth_NK2 : (N, K, 2) float
        Image pixels.
    labelled_NK : (N, K) bool
    skeleton : Skeleton
        Skeleton of the K joints.
    ends : (str, str)
        Names of the two joints.

    Returns
    -------
    (N,) float64 : image pixels; NaN unless both joints are labelled.

    Raises
    ------
    DataError
        If the skeleton lacks one of the two joints.
    ValueError
        If the shapes do not match.
    """
    truth, labelled = _checked(truth_NK2, labelled_NK, len(skeleton))
    first, second = (skeleton.index(joint) for joint in ends)
    lengths = _distances(truth[:, first], truth[:, second])
    return np.where(labelled[:, first] & labelled[:, second], lengths, np.nan)


def _relative_errors(
    pred_NK2: ArrayLike, truth_NK2: ArrayLike, counted_NK: ArrayLike, reference_N: ArrayLike, reference_name: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return `PCK.errors` and `PCK.left_out`."""
    truth, counted = _checked(truth_NK2, counted_NK)
    pred = np.asarray(pred_NK2, dtype=np.float64)
    reference = np.asarray(reference_N, dtype=np.float64)
    require_array("pred", pred, truth.shape)
    require_array(reference_name, reference, truth.shape[:1])
    if not (_finite(truth) | ~counted).all():
        raise ValueError("truth: expected finite coordinates where counted is True, got NaN or infinity")
    usable = np.isfinite(reference) & (reference > 0)
    errors = _distances(pred, truth) / np.where(usable, reference, 1.0)[:, None]
    errors[~_finite(pred)] = np.inf
    errors[~(counted & usable[:, None])] = np.nan
    return errors, ~usable


def _distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore", over="ignore"):  # predictions may be NaN or arbitrarily large
        x = a[..., 0] - b[..., 0]
        y = a[..., 1] - b[..., 1]
        return np.sqrt(x * x + y * y)


def _finite(points: np.ndarray) -> np.ndarray:
    return np.isfinite(points[..., 0]) & np.isfinite(points[..., 1])  # many times faster than np.isfinite(points).all(-1)


def _checked(truth_NK2: ArrayLike, counted_NK: ArrayLike, joints: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    truth = np.asarray(truth_NK2, dtype=np.float64)
    counted = np.asarray(counted_NK)
    require_array("truth", truth, ("N", joints or "K", 2))
    require_array("counted", counted, truth.shape[:2], "bool")
    return truth, counted
