"""Anchor loss's modulator, written once for heatmaps and classification.

Source: Ryou, Jeong, Perona, "Anchor Loss: Modulating Loss Scale based on Prediction Difficulty", ICCV 2019.
"""

import torch
from torch import Tensor

from posekit.losses.blocks import blocks


def modulator(probability: Tensor, anchor: Tensor, gamma: float) -> Tensor:
    """(1 + q - q*)^gamma, the factor by which anchor loss scales the cross entropy of a background output (eq. 1).

    Below 1 where q < q* (easy), 1 where q = q*, above 1 where q > q* (hard), at most 2^gamma.

    Parameters
    ----------
    probability : Tensor
        q; the gradient flows through it.
    anchor : Tensor
        q*, broadcast against `probability`. It is detached: it scales the loss and gets no gradient.
    gamma : float
        Focusing exponent, >= 0.
    """
    base = 1 + probability - anchor.detach()
    # At q = 0, q* = 1 the power's derivative is infinite for gamma < 1; the cross entropy beside it is 0.
    return base.clamp_min(torch.finfo(base.dtype).eps) ** gamma


def heatmap_anchor(probability: Tensor, target: Tensor) -> Tensor:
    """q*, the highest predicted probability within the circle of high confidence, target > 0.5 (eq. 6).

    Parameters
    ----------
    probability, target : (B, K, H, W)

    Returns
    -------
    (B, K, 1, 1), detached; NaN for a map without any target above 0.5, which has no anchor.
    """
    # Pushing the others far down takes a quarter of the time of masking them out, and leaves those within to the bit.
    far = torch.finfo(target.dtype).max
    outside = torch.le(target, 0.5, out=torch.empty_like(target))
    highest = torch.sub(probability.detach(), outside, alpha=far).amax((-2, -1), keepdim=True)
    return highest.masked_fill(highest < -far / 2, torch.nan)


def heatmap_modulator(probability: Tensor, target: Tensor, gamma: float, anchor: Tensor | None = None) -> Tensor:
    """Factor of every pixel of a heatmap: `modulator` on true negatives, 1 elsewhere (eq. 5-7).

    A map without an anchor (its joint lies outside the crop) has factor 1 everywhere.

    Parameters
    ----------
    probability, target : (B, K, H, W)
    gamma : float
    anchor : (B, K, 1, 1), optional
        q*, instead of the maps' own `heatmap_anchor`; NaN for none.

    Returns
    -------
    (B, K, H, W), at most 2^gamma.
    """
    if anchor is None:
        anchor = heatmap_anchor(probability, target)
    negative = (target == 0) & ~anchor.isnan()  # eq. 5
    return torch.where(negative, modulator(probability, anchor.nan_to_num(0.0), gamma), 1.0)


def true_negatives(target: Tensor, anchor: Tensor, out: Tensor | None = None) -> Tensor:
    """Where the modulator works (eq. 5): the pixels without any target, in maps that have an anchor.

    Parameters
    ----------
    target : (..., H, W)
    anchor : (..., 1, 1)
        NaN for none.
    out : (..., H, W), optional
        Where to put them.

    Returns
    -------
    (..., H, W), 1 or 0 in the target's precision, which is faster to make and to use than a mask of bools.
    """
    nothing = torch.where(anchor.isnan(), -1.0, 0.0)  # no target is -1
    return torch.eq(target, nothing, out=torch.empty_like(target) if out is None else out)


def hard_pixels(output: Tensor, target: Tensor, labelled: Tensor) -> tuple[Tensor, Tensor]:
    """Count the true negatives whose modulator is above 1: those that score higher than the anchor.

    That does not depend on gamma, nor on whether the maps went through the head already: activations keep the order.

    Parameters
    ----------
    output : (B, K, H, W)
        Logits or probabilities.
    target : (B, K, H, W)
    labelled : (B, K) bool
        Other maps have neither.

    Returns
    -------
    hard, negatives : (B, K) int64
        Hard pixels, and the true negatives among which they are; both 0 for a map without an anchor.
    """
    counts = [_count(*block) for block in blocks(output.detach(), target)]
    hard, negatives = (torch.cat(count).view(labelled.shape) * labelled for count in zip(*counts, strict=True))
    return hard, negatives


def _count(output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """`hard_pixels` of (N, H, W) maps, all labelled: (N,) int64 each."""
    anchor = heatmap_anchor(output, target)
    negative = true_negatives(target, anchor)
    above = torch.gt(output, anchor, out=torch.empty_like(target))
    return tuple(mask.sum((-2, -1), dtype=torch.float32).long() for mask in (above.mul_(negative), negative))
