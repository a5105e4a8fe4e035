"""Losses of classifiers, computed from logits: the paper's anchor loss, and the losses it is compared with.

All are called as ``loss(logits, target)``: logits (N, C) or (N, C, …), and class indices (N, …) or probabilities of
every class, in the logits' shape. Losses are summed over the classes and averaged over the examples. Inputs of lower
precision are computed in float32.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from posekit.losses.anchor import modulator
from posekit.losses.heatmap import REDUCTIONS, HeatmapFocalLoss, masked_reduce

ANCHORS = ("background", "target", "both")
_CONFIDENT = 0.5  # a class with a higher target is a target class, like a pixel in the circle of high confidence (eq. 6)


class ClassificationLoss(nn.Module):
    """Base of the classifiers' losses; a subclass defines `per_class`.

    Parameters
    ----------
    reduction : {"mean", "sum", "none"}
        ``mean`` sums over the classes and averages over the examples that count; it is 0 if none does. ``none`` returns
        one number per class, in the logits' shape.
    ignore_index : int
        Examples of this class index do not count, in the mean's denominator either.
    class_weight : sequence of C floats, or (C,) Tensor, optional
        Factor on every class's term. It does not change the mean's denominator, unlike in `torch.nn.CrossEntropyLoss`
        with class indices.

    Raises
    ------
    ValueError
        If the reduction is unknown, or a weight is negative or not finite.
    """

    head = "sigmoid"
    """Activation that turns logits into probabilities."""
    class_weight: Tensor | None

    def __init__(self, reduction: str = "mean", *, ignore_index: int = -100, class_weight: Sequence[float] | Tensor | None = None):
        super().__init__()
        if reduction not in REDUCTIONS:
            raise ValueError(f"reduction {reduction!r}: choose from {', '.join(REDUCTIONS)}")
        self.reduction = reduction
        self.ignore_index = ignore_index
        self.register_buffer("class_weight", _class_weight(class_weight), persistent=False)

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch, counted from 0. Call it before every epoch; only losses with a warm-up use it."""

    def per_class(self, logits: Tensor, target: Tensor) -> Tensor:
        """(N, C, …) loss of every class, without weights; logits and target have that shape."""
        raise TypeError(f"{type(self).__name__} does not define per_class")

    def weigh(self, loss: Tensor, counted: Tensor) -> Tensor:
        """(N, …) weight of every example; `loss` is its loss, detached, and `counted` 1, or 0 for an ignored example."""
        return counted

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Compute the loss of a batch.

        Parameters
        ----------
        logits : (N, C) or (N, C, …)
        target : (N, …) integers, or the logits' shape
            Class indices, or a target in [0, 1] for every class (any number of them may be above 0).

        Returns
        -------
        Tensor
            A number, or (N, C, …) with reduction ``none``; float32, or float64 for logits of float64.

        Raises
        ------
        ValueError
            If the shapes do not fit.
        """
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        target, counted = _class_targets(logits, target, self.ignore_index)
        loss = self._weighted(self.per_class(logits, target))
        weight = self.weigh(loss.detach().sum(1), counted)
        if self.reduction == "none":
            return loss * weight.unsqueeze(1)
        return masked_reduce(loss.sum(1), weight, 1, self.reduction)

    def _weighted(self, loss: Tensor) -> Tensor:
        if self.class_weight is None:
            return loss
        classes = loss.shape[1]
        if len(self.class_weight) != classes:
            raise ValueError(f"class_weight: expected {classes} weights, one per class, got {len(self.class_weight)}")
        return loss * self.class_weight.to(loss).view(-1, *(1,) * (loss.ndim - 2))


class BCE(ClassificationLoss):
    """Sigmoid and binary cross entropy of every class (eq. 8); parameters as for `ClassificationLoss`."""

    def per_class(self, logits, target):
        """-p log q - (1 - p) log(1 - q)."""
        return F.binary_cross_entropy_with_logits(logits, target, reduction="none")


class CrossEntropy(ClassificationLoss):
    """Softmax and cross entropy; parameters as for `ClassificationLoss`."""

    head = "softmax"

    def per_class(self, logits, target):
        """-p log softmax(z)."""
        return _softmax_cross_entropy(logits, target)


class FocalLoss(ClassificationLoss):
    """Focal loss (Lin et al., ICCV 2017; eq. 9) of every class, without the class balance alpha.

    Parameters
    ----------
    gamma : float
        Focusing exponent, >= 0; 0 is binary cross entropy.
    reduction, ignore_index, class_weight
        As for `ClassificationLoss`.

    Raises
    ------
    ValueError
        If gamma is negative or not finite, or as for `ClassificationLoss`.
    """

    def __init__(self, gamma: float = 2.0, reduction: str = "mean", **options):
        super().__init__(reduction, **options)
        self.heatmap_loss = HeatmapFocalLoss(gamma)

    def per_class(self, logits, target):
        """-p (1 - q)^gamma log q - (1 - p) q^gamma log(1 - q)."""
        return self.heatmap_loss.per_pixel(logits, target)


class AnchorLoss(ClassificationLoss):
    """Anchor loss (Ryou, Jeong, Perona, ICCV 2019, section 3.2 and appendix A-1) on sigmoid probabilities.

    The cross entropy of a class is scaled by its probability q relative to an anchor probability q* (eq. A-1)::

        - p_k (1 - q_k + q*_t)^gamma_t log q_k - (1 - p_k) (1 + q_k - q*_b)^gamma_b log(1 - q_k)

    ================  ==========================================================  =====================================
    `anchor`          anchors                                                     exponents
    ================  ==========================================================  =====================================
    ``"background"``  q*_b: the target's probability - margin, 0 at least         0 and gamma (eq. 2, A-3; table A-1 ii)
    ``"target"``      q*_t: the best background probability + margin, 1 at most   gamma and 0 (eq. A-2; table A-1 i)
    ``"both"``        both                                                        gamma and gamma (A-4; table A-1 iii)
    a number          q*_b: that number, without margin                           0 and gamma (table 3, static)
    ================  ==========================================================  =====================================

    A class with a target above 0.5 is a target class, the others are background. With several target classes the anchor is their
    highest probability, as in a heatmap's circle of high confidence (eq. 6). Without any, the cross entropy is not scaled. The
    anchor is detached: it scales the loss and receives no gradient.

    Parameters
    ----------
    gamma : float
        Focusing exponent, >= 0; 0 is binary cross entropy. The paper uses 0.5, and 2 with a warm-up.
    margin : float
        0 to 1. Background up to the margin below the target's probability is amplified too.
    anchor : {"background", "target", "both"} or float
        Kind of anchor, or one anchor from 0 to 1 for all examples.
    warmup_epochs : int
        Number of first epochs with the loss `CrossEntropy`, softmax; 5 in the paper. If it is above 0, call `set_epoch`
        before every epoch.
    reduction, ignore_index, class_weight
        As for `ClassificationLoss`.

    Raises
    ------
    ValueError
        If an argument is outside its range or unknown.
    """

    def __init__(
        self,
        gamma: float = 0.5,
        margin: float = 0.05,
        anchor: str | float = "background",
        warmup_epochs: int = 0,
        reduction: str = "mean",
        **options,
    ):
        super().__init__(reduction, **options)
        if isinstance(anchor, str) and anchor not in ANCHORS:
            raise ValueError(f"anchor {anchor!r}: choose from {', '.join(ANCHORS)}, or a number from 0 to 1")
        self.gamma = _between("gamma", gamma, 0)
        self.margin = _between("margin", margin, 0, 1)
        self.anchor = anchor if isinstance(anchor, str) else _between("anchor", anchor, 0, 1)
        self.warmup_epochs = _between("warmup_epochs", warmup_epochs, 0)
        # Not the epoch itself: a compiled loss would be compiled again in every epoch.
        self.warming_up: bool | None = None if warmup_epochs else False

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch, counted from 0; the first `warmup_epochs` are the warm-up. It is not part of the state dict."""
        self.warming_up = epoch < self.warmup_epochs

    def per_class(self, logits, target):
        """The formula above, or -p log softmax(z) in the warm-up.

        Raises
        ------
        RuntimeError
            If there is a warm-up and `set_epoch` was never called.
        """
        if self.warming_up is None:
            raise RuntimeError("AnchorLoss: with warmup_epochs, call set_epoch(epoch) before every epoch")
        if self.warming_up:
            return _softmax_cross_entropy(logits, target)
        target_factor, background_factor = self.modulators(logits, target)
        return -target_factor * target * F.logsigmoid(logits) - background_factor * (1 - target) * F.logsigmoid(-logits)

    def modulators(self, logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Return the factors (1 - q + q*_t)^gamma_t and (1 + q - q*_b)^gamma_b of every class's two cross entropies.

        Parameters
        ----------
        logits, target : (N, C, …) float

        Returns
        -------
        target_factor, background_factor : (N, C, …)
            Background is hard where its factor is above 1.
        """
        q = logits.sigmoid()
        positive = target > _CONFIDENT
        target_factor = background_factor = torch.ones_like(q)
        if self.anchor in ("target", "both"):
            anchor = (_highest(q, ~positive) + self.margin).clamp_max(1)
            # (1 - q + q*) is (1 + q' - q'*) of the complements q' = 1 - q, which the sigmoid computes exactly.
            target_factor = _where_any(~positive, modulator((-logits).sigmoid(), 1 - anchor, self.gamma))
        if self.anchor in ("background", "both"):
            anchor = (_highest(q, positive) - self.margin).clamp_min(0)  # eq. 2
            background_factor = _where_any(positive, modulator(q, anchor, self.gamma))
        if not isinstance(self.anchor, str):
            background_factor = modulator(q, q.new_full((), self.anchor), self.gamma)
        return target_factor, background_factor


class OHEM(ClassificationLoss):
    """Online hard example mining over any classifier's loss: only the batch's examples of highest loss count.

    Parameters
    ----------
    base : ClassificationLoss
        Its reduction, ignored index and class weights are used.
    ratio : float
        Share of the examples that count, above 0 and at most 1; their number is rounded, and at least 1.

    Raises
    ------
    ValueError
        If the ratio is outside its range.
    """

    def __init__(self, base: ClassificationLoss, ratio: float):
        super().__init__(base.reduction, ignore_index=base.ignore_index, class_weight=base.class_weight)
        self.base = base
        self.head = base.head
        self.ratio = _between("ratio", ratio, 0, 1)
        if not ratio:
            raise ValueError("ratio: expected a share above 0, got 0")

    def set_epoch(self, epoch: int) -> None:
        """Set the base loss's epoch."""
        self.base.set_epoch(epoch)

    def per_class(self, logits, target):
        """The base loss."""
        return self.base.per_class(logits, target)

    def weigh(self, loss, counted):
        """The base loss's weights for the hardest examples, 0 for the others."""
        counted = self.base.weigh(loss, counted)
        hardness = loss.masked_fill(counted == 0, -torch.inf).flatten()
        hardest_first = hardness.argsort(descending=True, stable=True)
        # Ranks instead of a slice: only the device knows how many examples count.
        rank = torch.empty_like(hardest_first).scatter_(0, hardest_first, torch.arange(len(hardness), device=loss.device))
        return counted * (rank < self.kept((counted > 0).sum())).view_as(counted)

    def kept(self, examples: Tensor) -> Tensor:
        """Number of examples that count, out of a () Tensor of `examples`."""
        return (self.ratio * examples).round().clamp_min(1)


def _softmax_cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    return -target * F.log_softmax(logits, 1)


def _class_targets(logits: Tensor, target: Tensor, ignore_index: int) -> tuple[Tensor, Tensor]:
    """(N, C, …) target of every class, and (N, …) 1, or 0 for an ignored example; both in the logits' dtype."""
    examples_shape = (*logits.shape[:1], *logits.shape[2:])
    if logits.ndim >= 2 and target.shape == logits.shape:
        return target.to(logits), logits.new_ones(examples_shape)
    if logits.ndim < 2 or target.shape != examples_shape or target.is_floating_point():
        raise ValueError(
            f"logits and target: expected (N, C, …) and class indices (N, …) or the same shape, got {tuple(logits.shape)} and "
            f"{tuple(target.shape)} {target.dtype}"
        )
    ignored = target == ignore_index
    index = target.masked_fill(ignored, 0).long().unsqueeze(1)
    return torch.zeros_like(logits).scatter_(1, index, 1.0), (~ignored).to(logits)


def _highest(probability: Tensor, classes: Tensor) -> Tensor:
    """(N, 1, …) highest probability among the classes of a mask, detached."""
    return (probability.detach() * classes).amax(1, keepdim=True)


def _where_any(classes: Tensor, factor: Tensor) -> Tensor:
    """The factor of examples that have a class to take the anchor from, 1 for the others."""
    return torch.where(classes.any(1, keepdim=True), factor, 1.0)


def _class_weight(weight: Sequence[float] | Tensor | None) -> Tensor | None:
    if weight is None:
        return None
    weight = torch.as_tensor(weight).detach()
    if weight.ndim != 1 or not ((weight >= 0) & weight.isfinite()).all():
        raise ValueError("class_weight: expected a finite number of at least 0 for every class")
    return weight


def _between(name: str, value: float, low: float, high: float = torch.inf) -> float:
    if not low <= value <= high or value == torch.inf:
        raise ValueError(f"{name}: expected a finite number from {low} to {high}, got {value}")
    return value
