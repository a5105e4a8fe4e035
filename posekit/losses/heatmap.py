"""Losses on heatmaps, computed from logits.

Each takes the logits of one output, or of several stacks, whose losses are summed (intermediate
supervision). Inputs of lower precision are computed in float32.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from posekit.losses.anchor import AnchorMapLoss, heatmap_modulator

REDUCTIONS = ("mean", "sum", "none")


class HeatmapLoss(nn.Module):
    """Base of the heatmap losses; a subclass defines `per_pixel`.

    Parameters
    ----------
    reduction : {"mean", "sum", "none"}
        ``mean`` averages over the pixels of all labelled joints; ``none`` returns (B, K, H, W), weighted.

    Raises
    ------
    ValueError
        If the reduction is unknown.
    """

    head = "sigmoid"
    """Activation that turns logits into heatmaps; the model's head must be the same."""

    def __init__(self, reduction: str = "mean"):
        super().__init__()
        if reduction not in REDUCTIONS:
            raise ValueError(f"reduction {reduction!r}: choose from {', '.join(REDUCTIONS)}")
        self.reduction = reduction

    def per_pixel(self, logits: Tensor, target: Tensor) -> Tensor:
        """(B, K, H, W) loss of every pixel, without weights."""
        raise TypeError(f"{type(self).__name__} does not define per_pixel")

    def per_map(self, logits: Tensor, target: Tensor) -> Tensor:
        """(B, K) sum of the pixels' losses in every map, without weights."""
        return self.per_pixel(logits, target).sum((-2, -1))

    def weigh(self, loss_BK: Tensor, weight_BK: Tensor | None) -> Tensor:
        """(B, K) weight of every map; `loss_BK` is its loss, detached."""
        return map_weights(loss_BK, weight_BK)

    def forward(self, logits: Tensor | Sequence[Tensor], target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Compute the loss of one output, or the sum over the outputs of several stacks.

        Parameters
        ----------
        logits : (B, K, H, W) or a sequence of such
        target : (B, K, H, W)
            Target heatmaps in [0, 1], without NaN even in maps of weight 0.
        weight : (B, K), bool or float, optional
            0 for joints that are not labelled.

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

    Background pixels cost more the higher they score above the anchor, the highest score within the true joint's circle.
    With gamma 0 it is binary cross entropy. No gradient flows through the anchor. Second derivatives (``create_graph``,
    `torch.func`) need ``reduction="none"``.

    Parameters
    ----------
    gamma : float
        Focusing exponent, >= 0. 2 is the paper's best on MPII.
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
        """The same, summed over each map."""
        if not self.gamma or target.requires_grad:  # the fused loss has no derivative by the target
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
        # From log-sigmoids: powers of q have no derivative at q = 0 for gamma < 1.
        log_q = F.logsigmoid(logits)
        log_not_q = F.logsigmoid(-logits)
        positive = torch.exp(self.gamma * log_not_q) * log_q
        negative = torch.exp(self.gamma * log_q) * log_not_q
        return -target * positive - (1 - target) * negative


class HeatmapMSE(HeatmapLoss):
    """Squared error of every pixel, on a linear head: the loss of the original hourglass."""

    head = "linear"

    def per_pixel(self, logits, target):
        """(z - p)^2."""
        return (logits - target).square()


class OHKM(HeatmapLoss):
    """Online hard keypoint mining (Chen et al., CVPR 2018) over any heatmap loss.

    Only each person's `top` labelled joints of highest loss count; the others get weight 0.

    Parameters
    ----------
    base : HeatmapLoss
        Its reduction is used.
    top : int
        Joints kept per person, >= 1.

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
        """The base loss."""
        return self.base.per_pixel(logits, target)

    def per_map(self, logits, target):
        """The base loss."""
        return self.base.per_map(logits, target)

    def weigh(self, loss_BK, weight_BK):
        """The base loss's weights for the hardest joints, 0 for the others."""
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
