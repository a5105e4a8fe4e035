"""Classify errors as in Ronchi & Perona, "Benchmarking and Error Diagnosis in Multi-Instance Pose Estimation", ICCV 2017, but
with PCK's distances instead of OKS.

The paper's "swap" (a joint placed on another person) is classified here as a miss or a jitter, because an image may contain
people who are not annotated.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from posekit.errors import require_array
from posekit.metrics.bootstrap import in_percent
from posekit.metrics.pck import pck

KINDS = ("good", "jitter", "inversion", "miss")


@dataclass(frozen=True)
class Diagnosis:
    """Result of `diagnose` for N people of K joints.

    Parameters
    ----------
    kind_NK : (N, K) int8
        Index into `KINDS`; -1 where the joint is not evaluated (not labelled, or the person has no reference size).
    mirrored_N : (N,) bool
        True for people who would have more good joints if left and right were swapped in the whole prediction.
    """

    kind_NK: np.ndarray
    mirrored_N: np.ndarray

    @cached_property
    def counts(self) -> np.ndarray:
        """(K, 4) int64 array: number of predictions per joint and kind, in the order of `KINDS`."""
        return np.stack([(self.kind_NK == kind).sum(0) for kind in range(len(KINDS))], axis=1)

    @cached_property
    def percent(self) -> np.ndarray:
        """(K, 4) float64 array: `counts` as a percentage of each joint's evaluated predictions; NaN for joints without any."""
        return in_percent(self.counts, self.counts.sum(1, keepdims=True))

    @cached_property
    def n_mirrored(self) -> int:
        """Number of people who would have more good joints if left and right were swapped."""
        return int(self.mirrored_N.sum())

    def cost(self, joints: Sequence[int] | None = None) -> dict[str, float]:
        """Percentage points of PCK's pooled mean over `joints` (default: all) that each kind of error costs.

        The values add up to 100 minus the pooled mean. They are NaN if no joint is evaluated.
        """
        counts = (self.counts if joints is None else self.counts[list(joints)]).sum(0)
        return dict(zip(KINDS[1:], in_percent(counts[1:], counts.sum()).tolist(), strict=True))


def diagnose(
    pred_NK2: ArrayLike,
    truth_NK2: ArrayLike,
    counted_NK: ArrayLike,
    *,
    reference_size_N: ArrayLike,
    threshold: float,
    flip_order_K: ArrayLike,
) -> Diagnosis:
    """Classify the prediction of each evaluated joint as the first kind in this list that applies.

    - good: within `threshold` of the true joint, as in PCK;
    - inversion: within `threshold` of the same person's true opposite (left or right) joint, if the opposite joint is
      evaluated too. The prediction is then nearer to the opposite joint than to the true one;
    - jitter: within `2 * threshold` of the true joint;
    - miss: all other predictions, including those that are not finite.

    Parameters
    ----------
    pred_NK2, truth_NK2, counted_NK, reference_size_N
        As for `posekit.metrics.pck`.
    threshold : float
        Largest error of a good joint, in reference sizes.
    flip_order_K : (K,) int
        Index of each joint's opposite joint; a middle joint's own index (`Skeleton.flip_order`).

    Raises
    ------
    ValueError
        If shapes or dtypes do not match, or the truth of a labelled joint is not finite.
    """
    own = pck(pred_NK2, truth_NK2, counted_NK, reference_size_N=reference_size_N, threshold=threshold)
    pred = np.asarray(pred_NK2)
    truth = np.asarray(truth_NK2)
    counted = np.asarray(counted_NK)
    flip = np.asarray(flip_order_K)
    require_array("flip_order", flip, own.counts.shape)
    both_counted = counted & counted[:, flip] & (flip != np.arange(len(flip)))
    opposite = pck(pred, truth[:, flip], both_counted, reference_size_N=reference_size_N, threshold=threshold)
    exchanged = pck(pred[:, flip], truth, counted, reference_size_N=reference_size_N, threshold=threshold)
    masks = {
        "good": own.correct,
        "inversion": opposite.correct,
        "jitter": own.errors <= 2.0 * threshold,
        "miss": own.counted,
    }
    kinds = [KINDS.index(kind) for kind in masks]
    return Diagnosis(
        kind_NK=np.select(list(masks.values()), kinds, -1).astype(np.int8),
        mirrored_N=exchanged.correct.sum(1) > own.correct.sum(1),
    )
