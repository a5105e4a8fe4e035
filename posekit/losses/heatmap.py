"""Heatmap losses, computed from logits.

Every loss takes the logits of one output, or a sequence with the logits of every stack, whose losses are summed (intermediate
supervision). Half-precision inputs are converted to float32.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from posekit.losses.anchor import AnchorMapLoss, heatmap_modulator

REDUCTIONS = ("mean", "sum", "none")


class HeatmapLoss(nn.Module):
    """Base class of the heatmap losses; a subclass defines `per_pixel`.

    Parameters
    ----------
    reduction : {"mean", "sum", "none"}
        ``mean`` averages over the pixels of all labelled joints; ``none`` returns the weighted loss of every pixel, (B, K, H, W).

    Raises
    ------
    ValueError
        If the reduction is unknown.
    """

    head = "sigmoid"
    """Activation that converts logits to heatmaps; must equal the head of the model."""

    def __init__(self, reduction: str = "mean"):
        super().__init__()
        if reduction not in REDUCTIONS:
            raise ValueError(f"reduction {reduction!r}: choose from {', '.join(REDUCTIONS)}")
        self.reduction = reduction

    def per_pixel(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the unweighted (B, K, H, W) loss of every pixel."""
        raise TypeError(f"{type(self).__name__} does not define per_pixel")

    def per_map(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the unweighted (B, K) loss of every heatmap, summed over the pixels."""
        return self.per_pixel(logits, target).sum((-2, -1))

    def weigh(self, loss_BK: Tensor, weight_BK: Tensor | None) -> Tensor:
        """Return the (B, K) weight of every heatmap; `loss_BK` is the detached loss of every heatmap."""
        return map_weights(loss_BK, weight_BK)

    def forward(self, logits: Tensor | Sequence[Tensor], target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Compute the loss of one output, or the sum over the outputs of several stacks.

        Parameters
        ----------
        logits : (B, K, H, W) or a sequence of (B, K, H, W)
        target : (B, K, H, W)
            Target heatmaps in [0, 1], without NaN, not even in heatmaps with weight 0.
        weight : (B, K), bool or float, optional
            Weight of every heatmap, 0 for joints that are not labelled; by default 1.

        Raises
        ------
        ValueError
            If the shapes do not fit.
        """
        if not isinstance(logits, Tensor):
            return torch.stack([self(stack, target, weight) for stack in logits]).sum(0)
        if logits.ndim != 4 or logits.shape != target.shape:
            raise ValueError(
                f"logits and target: expected the same (B, K, H, W), got {tuple(logits.shape)} and {tuple(target.shape)}"
            )
        exact = torch.promote_types(logits.dtype, torch.float32)
        logits, target = logits.to(exact), target.to(exact)
        if self.reduction == "none":
            loss = self.per_pixel(logits, target)
            return loss * self.weigh(loss.detach().sum((-2, -1)), weight)[..., None, None]
        loss = self.per_map(logits, target)
        return masked_reduce(loss, self.weigh(loss.detach(), weight), logits.shape[-2:].numel(), self.reduction)


def _bce(logits: Tensor, target: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, target, reduction="none")


class HeatmapBCE(HeatmapLoss):
    """Binary cross entropy of every pixel."""

    def per_pixel(self, logits, target):
        """-p log q - (1 - p) log(1 - q)."""
        return _bce(logits, target)


class HeatmapAnchorLoss(HeatmapLoss):
    """Anchor loss on heatmaps (Ryou et al., ICCV 2019, eq. 5-7).

    The loss of a background pixel is amplified if the predicted probability is above the anchor, which is the highest probability
    in the circle around the true joint. With gamma 0, the loss is binary cross entropy. No gradient flows through the anchor.
    Second derivatives (``create_graph``, `torch.func`) need ``reduction="none"``.

    Parameters
    ----------
    gamma : float
        Focusing exponent, >= 0; 2 gave the best result on MPII in the paper.
    reduction : {"mean", "sum", "none"}

    Raises
    ------
    ValueError
        If gamma is negative or not finite.
    """

    def __init__(self, gamma: float = 2.0, reduction: str = "mean"):
        super().__init__(reduction)
        self.gamma = _exponent(gamma)

    def per_pixel(self, logits, target):
        """M (1 + q - q*)^gamma BCE + (1 - M) BCE (eq. 7)."""
        loss = _bce(logits, target)
        if not self.gamma:
            return loss
        return heatmap_modulator(logits.sigmoid(), target, self.gamma) * loss

    def per_map(self, logits, target):
        """Return the sum of `per_pixel` over each heatmap."""
        if not self.gamma or target.requires_grad:  # the fused loss has no derivative with respect to the target
            return super().per_map(logits, target)
        return AnchorMapLoss.apply(logits, target, self.gamma)


class HeatmapFocalLoss(HeatmapLoss):
    """Focal loss on heatmaps (Lin et al., ICCV 2017), with soft targets.

    Parameters
    ----------
    gamma : float
        Focusing exponent, >= 0; 0 is binary cross entropy.
    reduction : {"mean", "sum", "none"}
    """

    def __init__(self, gamma: float = 2.0, reduction: str = "mean"):
        super().__init__(reduction)
        self.gamma = _exponent(gamma)

    def per_pixel(self, logits, target):
        """-p (1 - q)^gamma log q - (1 - p) q^gamma log(1 - q)."""
        # Use log-sigmoids, because q^gamma has no derivative at q = 0 for gamma < 1.
        log_q = F.logsigmoid(logits)
        log_not_q = F.logsigmoid(-logits)
        positive = torch.exp(self.gamma * log_not_q) * log_q
        negative = torch.exp(self.gamma * log_q) * log_not_q
        return -target * positive - (1 - target) * negative


class HeatmapMSE(HeatmapLoss):
    """Squared error of every pixel, for a linear head: the loss of the original hourglass paper."""

    head = "linear"

    def per_pixel(self, logits, target):
        """(z - p)^2."""
        return (logits - target).square()


class OHKM(HeatmapLoss):
    """Online hard keypoint mining (Chen et al., CVPR 2018) with any heatmap loss.

    Of each person's labelled joints, only the `top` joints with the highest loss are used; all other joints get weight 0.

    Parameters
    ----------
    base : HeatmapLoss
        Loss to use, including the reduction of `base`.
    top : int
        Number of joints to use per person, >= 1.

    Raises
    ------
    ValueError
        If `top` is below 1.
    """

    def __init__(self, base: HeatmapLoss, top: int = 8):
        super().__init__(base.reduction)
        if top < 1:
            raise ValueError(f"top: expected at least 1 joint, got {top}")
        self.base = base
        self.top = top
        self.head = base.head

    def per_pixel(self, logits, target):
        """Return the base loss of every pixel."""
        return self.base.per_pixel(logits, target)

    def per_map(self, logits, target):
        """Return the base loss of every heatmap."""
        return self.base.per_map(logits, target)

    def weigh(self, loss_BK, weight_BK):
        """Return the weights of the base loss for the hardest joints, and 0 for all other joints."""
        weight = map_weights(loss_BK, weight_BK)
        hardness = (loss_BK * weight).masked_fill(weight == 0, -torch.inf)
        hardest = hardness.topk(min(self.top, hardness.shape[1]), dim=1).indices
        kept = torch.zeros_like(hardness).scatter_(1, hardest, 1.0)
        return self.base.weigh(loss_BK, weight * kept)


def _exponent(gamma: float) -> float:
    if not 0 <= gamma < float("inf"):
        raise ValueError(f"gamma: expected a finite number of at least 0, got {gamma}")
    return float(gamma)


def map_weights(loss_BK: Tensor, weight_BK: Tensor | None) -> Tensor:
    """Return the weight of every heatmap, in the dtype of the loss.

    Parameters
    ----------
    loss_BK : (B, K)
    weight_BK : (B, K), bool or float, optional
        By default 1 for every heatmap.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    if weight_BK is None:
        return torch.ones_like(loss_BK)
    if weight_BK.shape != loss_BK.shape:
        raise ValueError(f"weight: expected {tuple(loss_BK.shape)} (B, K), got {tuple(weight_BK.shape)}")
    return weight_BK.to(loss_BK)


def masked_reduce(loss_BK: Tensor, weight_BK: Tensor, pixels: int, reduction: str) -> Tensor:
    """Compute the weighted sum or mean of the losses of heatmaps.

    Parameters
    ----------
    loss_BK : (B, K)
        Loss of every heatmap, summed over the pixels.
    weight_BK : (B, K) float
        Weight of every heatmap. Joints with weight 0 (not labelled) are also excluded from the denominator of the mean.
    pixels : int
        Number of pixels of a heatmap, H * W.
    reduction : {"mean", "sum"}
        ``mean`` is sum(w L) / (sum(w) H W), and 0 if all weights are 0.
    """
    weighted = (loss_BK * weight_BK).sum()
    if reduction == "sum":
        return weighted
    counted = weight_BK.sum() * pixels
    return weighted / torch.where(counted == 0, 1.0, counted)
