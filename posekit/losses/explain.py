"""Parts of the anchor loss formula for every pixel, computed with the same functions as in training."""

from dataclasses import dataclass

import torch
from torch import Tensor

from posekit.losses.anchor import heatmap_anchor, heatmap_modulator
from posekit.losses.heatmap import HeatmapBCE

# Probabilities are clipped to this distance from 0 and 1, where logits are infinite; larger than the float32 spacing below 1.
_MARGIN = 1e-7


@dataclass(frozen=True)
class AnchorMaps:
    """Parts of anchor loss on heatmaps (Ryou et al., ICCV 2019, eq. 5-7); all tensors are detached.

    Parameters
    ----------
    target : (B, K, H, W)
        Target heatmaps p.
    probability : (B, K, H, W)
        Predicted heatmaps q, strictly between 0 and 1.
    anchor : (B, K, 1, 1)
        Anchor q*; NaN for a heatmap without a target above 0.5, which has no anchor.
    modulator : (B, K, H, W)
        Factor on the cross entropy of each pixel.
    cross_entropy : (B, K, H, W)
        Binary cross entropy of each pixel.
    gamma : float
        Focusing exponent.
    """

    target: Tensor
    probability: Tensor
    anchor: Tensor
    modulator: Tensor
    cross_entropy: Tensor
    gamma: float

    @property
    def mask(self) -> Tensor:
        """(B, K, H, W) bool, True at true negatives (eq. 5), the only pixels that are modulated."""
        return self.target == 0

    @property
    def circle(self) -> Tensor:
        """(B, K, H, W) bool, True in the circle of high confidence. The anchor is the highest probability in the circle (eq. 6)."""
        return self.target > 0.5

    @property
    def loss(self) -> Tensor:
        """(B, K, H, W) anchor loss of each pixel (eq. 7)."""
        return self.modulator * self.cross_entropy

    @property
    def penalty(self) -> Tensor:
        """(B, K, H, W) anchor loss minus binary cross entropy; 0 where the difference is negative (figure 7).

        The penalty is positive at true negatives with a probability above the anchor, for example at a second peak.
        """
        return ((self.modulator - 1) * self.cross_entropy).clamp_min(0)

    @property
    def gradient(self) -> Tensor:
        """(B, K, H, W) derivative of `loss` with respect to the logits (sigmoid head), with the anchor held constant."""
        q = self.probability
        slope = self.gamma * (1 + q - self.anchor) ** (self.gamma - 1) * q * (1 - q)
        modulated = slope * self.cross_entropy + self.modulator * q
        return torch.where(self.mask & ~self.anchor.isnan(), modulated, q - self.target)


def anchor_maps(probability: Tensor, target: Tensor, gamma: float = 2.0, *, anchor: Tensor | float | None = None) -> AnchorMaps:
    """Compute the parts of anchor loss.

    Parameters
    ----------
    probability : (B, K, H, W) float
        Predicted heatmaps. Values outside [0, 1], which a linear head may predict, are clipped.
    target : (B, K, H, W) float
        Target heatmaps, for example from `posekit.heatmaps.encode`.
    gamma : float
        Focusing exponent, >= 0.
    anchor : float or (B, K, 1, 1), optional
        Anchor q* to use instead of the predicted heatmaps' own anchors. Heatmaps without an own anchor still have none.

    Returns
    -------
    AnchorMaps
        Computed in the precision of the inputs, but at least in float32.

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
    target = target.detach().to(exact)
    logits = torch.logit(probability.detach().to(exact).clamp(0, 1), _MARGIN)
    probability = logits.sigmoid()
    own_anchor = heatmap_anchor(probability, target)
    if anchor is None:
        anchor = own_anchor
    else:
        anchor = torch.as_tensor(anchor).to(own_anchor).expand_as(own_anchor).masked_fill(own_anchor.isnan(), torch.nan)
    factor = heatmap_modulator(probability, target, gamma, anchor)
    cross_entropy = HeatmapBCE(reduction="none")(logits, target)
    return AnchorMaps(target, probability, anchor, factor, cross_entropy, gamma)
