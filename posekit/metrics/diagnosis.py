"""What kind of error each joint is: after Ronchi & Perona, "Benchmarking and Error Diagnosis in Multi-Instance
Pose Estimation", ICCV 2017, with PCK's distances in place of OKS.

Their swap (the joint of another person) is not told apart here, as the other persons of a photograph
are not always annotated: it is a miss or a jitter.
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
    """The outcome of `diagnose` for N persons of K joints.

    Parameters
    ----------
    kind_NK : (N, K) int8
        Index into `KINDS`; -1 where the joint does not count.
    mirrored_N : (N,) bool
        Persons of whom more joints would be good if left and right were exchanged in the whole prediction.
    """

    kind_NK: np.ndarray
    mirrored_N: np.ndarray

    @cached_property
    def counts(self) -> np.ndarray:
        """(K, 4) int64: how often each joint is of each of `KINDS`."""
        return np.stack([(self.kind_NK == kind).sum(0) for kind in range(len(KINDS))], axis=1)

    @cached_property
    def percent(self) -> np.ndarray:
        """(K, 4) float64: each kind's share of the joint's counted ones; NaN where nothing counted."""
        return in_percent(self.counts, self.counts.sum(1, keepdims=True))

    @cached_property
    def n_mirrored(self) -> int:
        """Persons who would be better with left and right exchanged."""
        return int(self.mirrored_N.sum())

    def cost(self, joints: Sequence[int] | None = None) -> dict[str, float]:
        """Points that the pooled mean over `joints` (all by default) would gain if every error of a kind were repaired.

        The kinds' channel_gains add up to what the pooled mean lacks of 100; NaN where nothing counted.
        """
        counts = (self.counts if joints is None else self.counts[list(joints)]).sum(0)
        return dict(zip(KINDS[1:], in_percent(counts[1:], counts.sum()).tolist(), strict=True))

    def persons(self, kind: str, joint: int) -> np.ndarray:
        """Indices of the persons whose `joint` is of that kind, ascending.

        Raises
        ------
        ValueError
            If `kind` is none of `KINDS`.
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
    """Tell each counted joint's kind; the first of these that holds.

    - good: within `threshold` of its truth, as in PCK;
    - inversion: within `threshold` of the true opposite (left or right) joint of the same person, if that is
      counted too. It is then nearer to the opposite joint than to its own;
    - jitter: within `jitter_factor` thresholds of its truth;
    - miss: anything else, and predictions that are not finite.

    Parameters
    ----------
    pred_NK2, truth_NK2 : (N, K, 2) float
        Image pixels, (x, y), both in one frame.
    counted_NK : (N, K) bool
        Whether the joint is labelled; the truth of others is not looked at.
    reference_size_N : (N,) float
        Image pixels: head sizes or torso sizes. No joint of persons for whom it is NaN, infinite or not above 0 counts.
    threshold : float
        Largest distance of a good joint, in reference sizes.
    flip_order_K : (K,) int
        The opposite of each joint, itself for those in the middle (`Skeleton.flip_order`).
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

    def errors(pred, truth, counted):
        return pck(pred, truth, counted, reference_size_N=reference_size_N, threshold=threshold).errors

    own = errors(pred_NK2, truth_NK2, counted_NK)
    pred, truth, counted, flip = map(np.asarray, (pred_NK2, truth_NK2, counted_NK, flip_order_K))
    require_shape("flip_order", flip, own.shape[1:])
    paired = flip != np.arange(len(flip))
    opposite = errors(pred, truth[:, flip], counted & counted[:, flip] & paired)
    holds = (own <= threshold, opposite <= threshold, own <= jitter_factor * threshold, ~np.isnan(own))
    kinds = [KINDS.index(kind) for kind in ("good", "inversion", "jitter", "miss")]
    exchanged = errors(pred[:, flip], truth, counted)
    return Diagnosis(
        kind_NK=np.select(holds, kinds, -1).astype(np.int8),
        mirrored_N=(exchanged <= threshold).sum(1) > (own <= threshold).sum(1),
    )
