"""Kinds of error after Ronchi & Perona, "Benchmarking and Error Diagnosis in Multi-Instance Pose Estimation", ICCV 2017, with
PCK's distances instead of OKS.

Their swap (the joint of another person) counts as a miss or a jitter, because not all people in an image may be annotated.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from posekit.metrics.bootstrap import in_percent
from posekit.metrics.pck import pck, require_shape

KINDS = ("good", "jitter", "inversion", "miss")


@dataclass(frozen=True)
class Diagnosis:
    """Result of `diagnose` for N people of K joints.

    Parameters
    ----------
    kind_NK : (N, K) int8
        Index into `KINDS`; -1 where the joint does not count.
    mirrored_N : (N,) bool
        People with more good joints if left and right are exchanged in the whole prediction.
    """

    kind_NK: np.ndarray
    mirrored_N: np.ndarray

    @cached_property
    def counts(self) -> np.ndarray:
        """(K, 4) int64: number of each joint's predictions of each of `KINDS`."""
        return np.stack([(self.kind_NK == kind).sum(0) for kind in range(len(KINDS))], axis=1)

    @cached_property
    def percent(self) -> np.ndarray:
        """(K, 4) float64: `counts` in percent of the joint's counted predictions; NaN where nothing counted."""
        return in_percent(self.counts, self.counts.sum(1, keepdims=True))

    @cached_property
    def n_mirrored(self) -> int:
        """Number of people with more good joints if left and right are exchanged."""
        return int(self.mirrored_N.sum())

    def cost(self, joints: Sequence[int] | None = None) -> dict[str, float]:
        """Percentage points that the pooled mean over `joints` (all by default) loses by each kind of error.

        They sum to 100 minus the pooled mean; NaN where nothing counted.
        """
        counts = (self.counts if joints is None else self.counts[list(joints)]).sum(0)
        return dict(zip(KINDS[1:], in_percent(counts[1:], counts.sum()).tolist(), strict=True))

    def persons(self, kind: str, joint: int) -> np.ndarray:
        """Indices of the people whose `joint` is of one of `KINDS`, ascending.

        Raises
        ------
        ValueError
            If `kind` is not one of `KINDS`.
        """
        if kind not in KINDS:
            raise ValueError(f"kind: expected one of {', '.join(KINDS)}, got {kind!r}")
        return np.flatnonzero(self.kind_NK[:, joint] == KINDS.index(kind))


def diagnose(
    pred_NK2: ArrayLike,
    truth_NK2: ArrayLike,
    counted_NK: ArrayLike,
    *,
    reference_size_N: ArrayLike,
    threshold: float,
    flip_order_K: ArrayLike,
    jitter_factor: float = 2.0,
) -> Diagnosis:
    """Classify each counted joint's prediction as the first of these kinds that applies.

    - good: within `threshold` of its truth, as in PCK;
    - inversion: within `threshold` of the same person's true opposite (left or right) joint, if that is
      counted too. It is then nearer to the opposite joint than to its own;
    - jitter: within `jitter_factor` thresholds of its truth;
    - miss: anything else, and predictions that are not finite.

    Parameters
    ----------
    pred_NK2, truth_NK2 : (N, K, 2) float
        Image pixels, (x, y), both in one frame.
    counted_NK : (N, K) bool
        Whether the joint is labelled; the truth of other joints is ignored.
    reference_size_N : (N,) float
        Image pixels: head sizes or torso sizes. People for whom it is NaN, infinite or not above 0 are left out.
    threshold : float
        Largest distance of a good joint, in reference sizes.
    flip_order_K : (K,) int
        Opposite of each joint; a middle joint is its own (`Skeleton.flip_order`).
    jitter_factor : float
        Thresholds within which an error is a jitter.

    Returns
    -------
    Diagnosis

    Raises
    ------
    ValueError
        If shapes or dtypes do not fit, or the truth of a counted joint is not finite.
    """
    own = pck(pred_NK2, truth_NK2, counted_NK, reference_size_N=reference_size_N, threshold=threshold)
    pred = np.asarray(pred_NK2)
    truth = np.asarray(truth_NK2)
    counted = np.asarray(counted_NK)
    flip = np.asarray(flip_order_K)
    require_shape("flip_order", flip, own.counts.shape)
    both_counted = counted & counted[:, flip] & (flip != np.arange(len(flip)))
    opposite = pck(pred, truth[:, flip], both_counted, reference_size_N=reference_size_N, threshold=threshold)
    exchanged = pck(pred[:, flip], truth, counted, reference_size_N=reference_size_N, threshold=threshold)
    masks = {
        "good": own.correct,
        "inversion": opposite.correct,
        "jitter": own.errors <= jitter_factor * threshold,
        "miss": own.counted,
    }
    kinds = [KINDS.index(kind) for kind in masks]
    return Diagnosis(
        kind_NK=np.select(list(masks.values()), kinds, -1).astype(np.int8),
        mirrored_N=exchanged.correct.sum(1) > own.correct.sum(1),
    )
