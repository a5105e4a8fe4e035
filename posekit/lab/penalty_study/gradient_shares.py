"""Which pixels a loss learns from: how its gradient is shared out among them."""

import math

import numpy as np
import torch

from posekit.losses.explain import AnchorMaps
from posekit.metrics.bootstrap import in_percent

LOSSES = ("BCE", "anchor loss")
KINDS = ("target above 0", "true negatives above the anchor", "other true negatives")


def summed_gradients(maps: AnchorMaps) -> np.ndarray:
    """Add up, person by person, the absolute derivatives of both losses by the logits.

    Parameters
    ----------
    maps : AnchorMaps
        (B, K, H, W). Maps without an anchor do not count.

    Returns
    -------
    (B, 2, 3) float64 : of `LOSSES`, over the pixels of `KINDS`, all joints together.
    """
    counted, above = ~maps.anchor.isnan(), maps.probability > maps.anchor
    kinds = torch.stack([~maps.mask & counted, maps.mask & above, maps.mask & ~above & counted])
    losses = torch.stack([maps.probability - maps.target, maps.gradient]).abs().double()
    return torch.einsum("lbkhw,tbkhw->blt", losses, kinds.double()).cpu().numpy()


def gradient_shares(sums_N23: np.ndarray) -> dict[str, dict[str, float]]:
    """Percent of each loss's gradient that each kind of pixel has; NaN where there is none at all."""
    sums_23 = sums_N23.sum(0)
    shares_23 = in_percent(sums_23, sums_23.sum(-1, keepdims=True))
    return {loss: dict(zip(KINDS, map(float, row), strict=True)) for loss, row in zip(LOSSES, shares_23, strict=True)}


def gradient_lines(shares: dict[str, dict[str, float]]) -> list[str]:
    """Text for the screen: a line for each loss."""
    lines = ["  ".join([f"{'% of the gradient':<17}", *KINDS])]
    for loss, found in shares.items():
        cells = ("-" if math.isnan(share) else f"{share:.1f}" for share in found.values())
        lines.append("  ".join([f"{loss:<17}", *map(str.rjust, cells, map(len, KINDS))]))
    return lines
