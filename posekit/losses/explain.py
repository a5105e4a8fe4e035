"""What anchor loss does to a heatmap, pixel by pixel: the parts of its formula, from the functions that training uses."""

from dataclasses import dataclass

import torch
from torch import Tensor

from posekit.losses.anchor import heatmap_anchor, heatmap_modulator
from posekit.losses.heatmap import HeatmapBCE

# Probabilities keep this distance from 0 and 1, where logits are infinite: float32's next number below 1 is nearer still.
_MARGIN = 1e-7


@dataclass(frozen=True)
class AnchorMaps:
    """The parts of anchor loss on heatmaps (Ryou et al., ICCV 2019, eq. 5-7); all detached.

    Parameters
    ----------
    target : (B, K, H, W)
        p.
    probability : (B, K, H, W)
        q, within 0 to 1.
    anchor : (B, K, 1, 1)
        q*; NaN for a map without any target above 0.5, which has none.
    modulator : (B, K, H, W)
        The factor of each pixel's cross entropy.
    cross_entropy : (B, K, H, W)
        What binary cross entropy charges.
    gamma : float
        The focusing exponent.
    """

    target: Tensor
    probability: Tensor
    anchor: Tensor
    modulator: Tensor
    cross_entropy: Tensor
    gamma: float

    @property
    def mask(self) -> Tensor:
        """(B, K, H, W) bool: the true negatives (eq. 5), which alone are modulated."""
        return self.target == 0

    @property
    def circle(self) -> Tensor:
        """(B, K, H, W) bool: the circle of high confidence, whose highest probability is the anchor (eq. 6)."""
        return self.target > 0.5

    @property
    def loss(self) -> Tensor:
        """(B, K, H, W): what anchor loss charges (eq. 7)."""
        return self.modulator * self.cross_entropy

    @property
    def penalty(self) -> Tensor:
        """(B, K, H, W): what anchor loss charges more than binary cross entropy, 0 where it charges less (figure 7).

        It is above 0 on true negatives that score higher than the anchor: the peaks by which a map counts a joint twice.
        """
        return ((self.modulator - 1) * self.cross_entropy).clamp_min(0)

    @property
    def gradient(self) -> Tensor:
        """(B, K, H, W): the derivative of `loss` by a sigmoid's logits; the anchor counts as a constant."""
        q = self.probability
        slope = self.gamma * (1 + q - self.anchor) ** (self.gamma - 1) * q * (1 - q)
        modulated = slope * self.cross_entropy + self.modulator * q
        return torch.where(self.mask & ~self.anchor.isnan(), modulated, q - self.target)


def anchor_maps(probability: Tensor, target: Tensor, gamma: float = 2.0, *, anchor: Tensor | float | None = None) -> AnchorMaps:
    """Take anchor loss apart.

    Parameters
    ----------
    probability : (B, K, H, W) float
        Predicted maps. What a linear head puts below 0 or above 1 is taken as 0 or 1.
    target : (B, K, H, W) float
        Target maps, as `posekit.heatmaps.encode` draws them.
    gamma : float
        The focusing exponent, >= 0.
    anchor : float or (B, K, 1, 1), optional
        q*, to see what another anchor would do; by default the maps' own. A map without an anchor of its own gets none.

    Returns
    -------
    AnchorMaps
        Computed in the inputs' precision, in float32 at least.

    Raises
    ------
    ValueError
        If the shapes do not fit, a probability is not finite, or gamma is negative or not finite.
    """
    if probability.ndim != 4 or probability.shape != target.shape:
        shapes = f"{tuple(probability.shape)} and {tuple(target.shape)}"
        raise ValueError(f"probability and target: expected the same (B, K, H, W), got {shapes}")
    if not probability.isfinite().all():
        raise ValueError("probability: expected finite numbers, got NaN or infinity")
    if not 0 <= gamma < float("inf"):
        raise ValueError(f"gamma: expected a finite number of at least 0, got {gamma}")
    exact = torch.promote_types(torch.promote_types(probability.dtype, target.dtype), torch.float32)
    probability, target = probability.detach().to(exact).clamp(0, 1), target.detach().to(exact)
    logits = torch.logit(probability, _MARGIN)
    probability = logits.sigmoid()
    own = heatmap_anchor(probability, target)
    anchor = own if anchor is None else torch.as_tensor(anchor).to(own).expand_as(own).masked_fill(own.isnan(), torch.nan)
    factor = heatmap_modulator(probability, target, gamma, anchor)
    return AnchorMaps(target, probability, anchor, factor, HeatmapBCE(reduction="none")(logits, target), gamma)
