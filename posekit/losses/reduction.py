"""Masked mean, the reduction of all losses."""

import torch
from torch import Tensor

REDUCTIONS = ("mean", "sum", "none")


def map_weights(loss_BK: Tensor, weight_BK: Tensor | None) -> Tensor:
    """Return the weight of each joint's map, in the loss's precision.

    Parameters
    ----------
    loss_BK : (B, K)
    weight_BK : (B, K), bool or float, or None for all 1

    Raises
    ------
    ValueError
        If the weight's shape does not fit.
    """
    if weight_BK is None:
        return torch.ones_like(loss_BK)
    if weight_BK.shape != loss_BK.shape:
        raise ValueError(f"weight: expected {tuple(loss_BK.shape)} (B, K), got {tuple(weight_BK.shape)}")
    return weight_BK.to(loss_BK)


def masked_reduce(loss_BK: Tensor, weight_BK: Tensor, pixels: int, reduction: str) -> Tensor:
    """Weight each joint's map and reduce.

    Parameters
    ----------
    loss_BK : (B, K)
        Sum over the pixels of each map.
    weight_BK : (B, K) float
        0 for a joint that is not labelled: it does not count, in the mean's denominator either.
    pixels : int
        H W, the pixels of a map.
    reduction : {"mean", "sum"}
        ``mean`` is sum(w L) / (sum(w) H W), and 0 where no joint is labelled.
    """
    weighted = (loss_BK * weight_BK).sum()
    if reduction == "sum":
        return weighted
    counted = weight_BK.sum() * pixels
    return weighted / torch.where(counted == 0, 1.0, counted)
