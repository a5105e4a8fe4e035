"""Share of a loss's gradient that each kind of pixel receives."""

import math

import numpy as np
import torch

from posekit.losses.explain import AnchorMaps
from posekit.metrics.bootstrap import in_percent

LOSSES = ("BCE", "anchor loss")
KINDS = ("target above 0", "true negatives above the anchor", "other true negatives")


def summed_gradients(maps: AnchorMaps) -> np.ndarray:
    """Sum the absolute gradients of both losses with respect to the logits, for each person and kind of pixel.

    Parameters
    ----------
    maps : AnchorMaps
        Maps of shape (B, K, H, W); heatmaps without an anchor are ignored.

    Returns
    -------
    (B, 2, 3) float64 : sums by person, loss (`LOSSES`) and kind of pixel (`KINDS`), over all joints.
    """
    counted = ~maps.anchor.isnan()
    above = maps.probability > maps.anchor
    kinds = torch.stack([~maps.mask & counted, maps.mask & above, maps.mask & ~above & counted])
    gradients = torch.stack([maps.probability - maps.target, maps.gradient]).abs().double()
    return torch.einsum("lbkhw,tbkhw->blt", gradients, kinds.double()).cpu().numpy()


def gradient_shares(sums_N23: np.ndarray) -> dict[str, dict[str, float]]:
    """Return loss -> kind of pixel -> percentage of the absolute gradient; NaN if the gradient is 0."""
    sums_23 = sums_N23.sum(0)
    shares_23 = in_percent(sums_23, sums_23.sum(-1, keepdims=True))
    return {loss: dict(zip(KINDS, row.tolist(), strict=True)) for loss, row in zip(LOSSES, shares_23, strict=True)}


def gradient_lines(shares: dict[str, dict[str, float]]) -> list[str]:
    """Format the shares as text, one line per loss."""
    lines = ["  ".join([f"{'% of the gradient':<17}", *KINDS])]
    for loss, share_by_kind in shares.items():
        cells = [f"{loss:<17}"]
        for kind, share in share_by_kind.items():
            cell = "-" if math.isnan(share) else f"{share:.1f}"
            cells.append(cell.rjust(len(kind)))
        lines.append("  ".join(cells))
    return lines
