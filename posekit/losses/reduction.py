"""The one masked mean that every heatmap loss ends in."""

import torch
from torch import Tensor

REDUCTIONS = ("mean", "sum", "none")


def masked_reduce(loss_BKHW: Tensor, weight_BK: Tensor | None, reduction: str) -> Tensor:
    """Weight each joint's map and reduce.

    Parameters
    ----------
    loss_BKHW : (B, K, H, W)
    weight_BK : (B, K), bool or float, or None for all 1
        0 for a joint that is not labelled: it adds nothing, not even to the mean's denominator.
    reduction : {"mean", "sum", "none"}
        ``mean`` is sum(w L) / (sum(w) H W), and 0 where no joint is labelled.

    Raises
    ------
    ValueError
        If the weight's shape does not fit or the reduction is unknown.
    """
    if reduction not in REDUCTIONS:
        raise ValueError(f"reduction {reduction!r}: choose from {', '.join(REDUCTIONS)}")
    if weight_BK is None:
        weight_BK = loss_BKHW.new_ones(loss_BKHW.shape[:2])
    if weight_BK.shape != loss_BKHW.shape[:2]:
        raise ValueError(f"weight: expected {tuple(loss_BKHW.shape[:2])} (B, K), got {tuple(weight_BK.shape)}")
    weight = weight_BK.to(loss_BKHW)
    weighted = loss_BKHW * weight[..., None, None]
    if reduction == "none":
        return weighted
    if reduction == "sum":
        return weighted.sum()
    pixels = weight.sum() * loss_BKHW.shape[-2:].numel()
    return weighted.sum() / torch.where(pixels == 0, 1.0, pixels)
