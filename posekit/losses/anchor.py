"""The modulator of anchor loss, shared by heatmaps and classification.

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
        q*, broadcast against `probability`. It is detached: it scales the loss and receives no gradient.
    gamma : float
        Focusing exponent, >= 0.
    """
    base = 1 + probability - anchor.detach()
    # At q = 0, q* = 1 the derivative of the power is infinite for gamma < 1; its cross entropy is 0.
    return base.clamp_min(torch.finfo(base.dtype).eps) ** gamma


def heatmap_anchor(probability: Tensor, target: Tensor) -> Tensor:
    """q*, the highest predicted probability within the circle of high confidence, target > 0.5 (eq. 6).

    Parameters
    ----------
    probability, target : (B, K, H, W)

    Returns
    -------
    (B, K, 1, 1), detached; NaN for a map without a target above 0.5, which has no anchor.
    """
    # Subtracting a huge number outside takes a quarter of the time of masking, and leaves the values inside unchanged.
    far = torch.finfo(target.dtype).max
    outside = torch.le(target, 0.5, out=torch.empty_like(target))
    highest = torch.sub(probability.detach(), outside, alpha=far).amax((-2, -1), keepdim=True)
    return highest.masked_fill(highest < -far / 2, torch.nan)


def heatmap_modulator(probability: Tensor, target: Tensor, gamma: float, anchor: Tensor | None = None) -> Tensor:
    """Return the factor of every pixel of a heatmap: `modulator` on true negatives, 1 elsewhere (eq. 5-7).

    A map without an anchor (its joint lies outside the crop) has factor 1 everywhere.

    Parameters
    ----------
    probability, target : (B, K, H, W)
    gamma : float
    anchor : (B, K, 1, 1), optional
        q*, by default the maps' `heatmap_anchor`; NaN for none.

    Returns
    -------
    (B, K, H, W), at most 2^gamma.
    """
    if anchor is None:
        anchor = heatmap_anchor(probability, target)
    negative = (target == 0) & ~anchor.isnan()  # eq. 5
    return torch.where(negative, modulator(probability, anchor.nan_to_num(0.0), gamma), 1.0)


def true_negatives(target: Tensor, anchor: Tensor, out: Tensor | None = None) -> Tensor:
    """Mark the true negatives (eq. 5): the pixels with target 0, in maps that have an anchor.

    Parameters
    ----------
    target : (..., H, W)
    anchor : (..., 1, 1)
        NaN for none.
    out : (..., H, W), optional
        Buffer for the result.

    Returns
    -------
    (..., H, W), 1 or 0 in the target's precision, which is faster than a boolean mask.
    """
    negative = torch.where(anchor.isnan(), -1.0, 0.0)  # no target is -1
    return torch.eq(target, negative, out=torch.empty_like(target) if out is None else out)


def hard_pixels(output: Tensor, target: Tensor, labelled: Tensor) -> tuple[Tensor, Tensor]:
    """Count the true negatives that score higher than the anchor, which have a modulator above 1.

    The result does not depend on gamma, and is the same for logits and probabilities.

    Parameters
    ----------
    output : (B, K, H, W)
        Logits or probabilities.
    target : (B, K, H, W)
    labelled : (B, K) bool
        The counts of other maps are 0.

    Returns
    -------
    hard, negatives : (B, K) int64
        Numbers of hard pixels and of all true negatives; both 0 for a map without an anchor.
    """
    hard_counts = []
    negative_counts = []
    for output_NHW, target_NHW in blocks(output.detach(), target):
        anchor = heatmap_anchor(output_NHW, target_NHW)
        negative = true_negatives(target_NHW, anchor)
        above = torch.gt(output_NHW, anchor, out=torch.empty_like(target_NHW))
        hard_counts.append(above.mul_(negative).sum((-2, -1), dtype=torch.float32).long())
        negative_counts.append(negative.sum((-2, -1), dtype=torch.float32).long())
    hard = torch.cat(hard_counts).view(labelled.shape) * labelled
    negatives = torch.cat(negative_counts).view(labelled.shape) * labelled
    return hard, negatives
