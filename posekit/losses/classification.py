"""Classification losses, computed from logits: the paper's anchor loss and the baselines of the paper.

Every loss is called as ``loss(logits, target)``. The logits are (N, C) or (N, C, …); the target contains class indices (N, …), or
probabilities of every class in the shape of the logits. Losses are summed over the classes and averaged over the examples.
Half-precision inputs are converted to float32.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from posekit.losses.anchor import modulator
from posekit.losses.heatmap import REDUCTIONS, HeatmapFocalLoss, masked_reduce

ANCHORS = ("background", "target", "both")
_CONFIDENT = 0.5  # classes with a target above this are target classes, like pixels in the circle of high confidence (eq. 6)


class ClassificationLoss(nn.Module):
    """Base class of the classification losses; a subclass defines `per_class`.

    Parameters
    ----------
    reduction : {"mean", "sum", "none"}
        ``mean`` sums over the classes and averages over the examples that are not ignored (0 if all are ignored). ``none``
        returns the loss of every class, in the shape of the logits.
    ignore_index : int
        Class index of examples to ignore; ``mean`` does not include ignored examples in the denominator.
    class_weight : sequence of C floats, or (C,) Tensor, optional
        Factor on the loss of each class. Unlike in `torch.nn.CrossEntropyLoss` with class indices, the weights do not change
        the denominator of ``mean``.

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
        """Set the epoch, counted from 0; call this method before every epoch. Only losses with a warm-up use the epoch."""

    def per_class(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the unweighted (N, C, …) loss of every class, from logits and targets of the same shape."""
        raise TypeError(f"{type(self).__name__} does not define per_class")

    def weigh(self, loss: Tensor, counted: Tensor) -> Tensor:
        """Return the (N, …) weight of every example.

        Both arguments are (N, …): `loss` is the detached loss, and `counted` is 0 for ignored examples, else 1.
        """
        return counted

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Compute the loss of a batch.

        Parameters
        ----------
        logits : (N, C) or (N, C, …)
        target : (N, …) int, or (N, C, …) float
            Class indices, or a target in [0, 1] for every class; any number of classes may have a target above 0.

        Returns
        -------
        Tensor
            Scalar, or (N, C, …) with reduction ``none``; float64 if the logits are float64, else float32.

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
    """Binary cross entropy of every class with a sigmoid (eq. 8); parameters as for `ClassificationLoss`."""

    def per_class(self, logits, target):
        """-p log q - (1 - p) log(1 - q)."""
        return F.binary_cross_entropy_with_logits(logits, target, reduction="none")


class CrossEntropy(ClassificationLoss):
    """Cross entropy with a softmax; parameters as for `ClassificationLoss`."""

    head = "softmax"

    def per_class(self, logits, target):
        """-p log softmax(z)."""
        return _softmax_cross_entropy(logits, target)


class FocalLoss(ClassificationLoss):
    """Focal loss (Lin et al., ICCV 2017; eq. 9) of every class with a sigmoid, without the class weight alpha.

    Parameters
    ----------
    gamma : float
        Focusing exponent, >= 0; 0 is binary cross entropy.
    reduction, ignore_index, class_weight
        As for `ClassificationLoss`.

    Raises
    ------
    ValueError
        If gamma is negative or not finite, or for the same reasons as `ClassificationLoss`.
    """

    def __init__(self, gamma: float = 2.0, reduction: str = "mean", **options):
        super().__init__(reduction, **options)
        self.heatmap_loss = HeatmapFocalLoss(gamma)

    def per_class(self, logits, target):
        """-p (1 - q)^gamma log q - (1 - p) q^gamma log(1 - q)."""
        return self.heatmap_loss.per_pixel(logits, target)


class AnchorLoss(ClassificationLoss):
    """Anchor loss (Ryou, Jeong, Perona, ICCV 2019, section 3.2 and appendix A-1) on sigmoid probabilities.

    The scale of each class's cross entropy depends on the probability q of the class relative to an anchor q* (eq. A-1)::

        - p_k (1 - q_k + q*_t)^gamma_t log q_k - (1 - p_k) (1 + q_k - q*_b)^gamma_b log(1 - q_k)

    ================  ==========================================================  =====================================
    `anchor`          anchors                                                     gamma_t and gamma_b
    ================  ==========================================================  =====================================
    ``"background"``  q*_b: the target's probability - margin, at least 0         0 and gamma (eq. 2, A-3; table A-1 ii)
    ``"target"``      q*_t: highest background probability + margin, at most 1    gamma and 0 (eq. A-2; table A-1 i)
    ``"both"``        both                                                        gamma and gamma (A-4; table A-1 iii)
    a number          q*_b: that number, without margin                           0 and gamma (table 3, static)
    ================  ==========================================================  =====================================

    Classes with a target above 0.5 are target classes; all other classes are background. With several target classes, "the
    target's probability" is the highest of their probabilities, as in the circle of high confidence of a heatmap (eq. 6). The
    cross entropy is not scaled if there is no class to take the anchor from. The anchor is detached and receives no gradient.

    Parameters
    ----------
    gamma : float
        Focusing exponent, >= 0; 0 is binary cross entropy. The paper uses 0.5, and 2 with a warm-up.
    margin : float
        Margin from 0 to 1. The loss is also amplified for background classes whose probability is below the target's
        probability by less than the margin.
    anchor : {"background", "target", "both"} or float
        Row of the table above, or a constant anchor from 0 to 1 for all examples.
    warmup_epochs : int
        Number of epochs at the start that use `CrossEntropy` (softmax) instead; 5 in the paper. If above 0, call `set_epoch`
        before every epoch.
    reduction, ignore_index, class_weight
        As for `ClassificationLoss`.

    Raises
    ------
    ValueError
        If an argument has an invalid value.
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
        # A flag instead of the epoch, because a compiled loss would be recompiled for every new epoch.
        self.warming_up: bool | None = None if warmup_epochs else False

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch, counted from 0; epochs below `warmup_epochs` are the warm-up. The epoch is not in the state dict."""
        self.warming_up = epoch < self.warmup_epochs

    def per_class(self, logits, target):
        """Return the loss in the class docstring, or -p log softmax(z) in the warm-up.

        Raises
        ------
        RuntimeError
            If there is a warm-up and `set_epoch` was never called.
        """
        if self.warming_up is None:
            raise RuntimeError("AnchorLoss: warmup_epochs is above 0, so call set_epoch(epoch) before every epoch")
        if self.warming_up:
            return _softmax_cross_entropy(logits, target)
        target_factor, background_factor = self.modulators(logits, target)
        return -target_factor * target * F.logsigmoid(logits) - background_factor * (1 - target) * F.logsigmoid(-logits)

    def modulators(self, logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Return the two factors of every class, (1 - q + q*_t)^gamma_t and (1 + q - q*_b)^gamma_b.

        Parameters
        ----------
        logits, target : (N, C, …) float

        Returns
        -------
        target_factor, background_factor : (N, C, …)
            Factors on the cross entropy of target and background; hard background has a factor above 1.
        """
        q = logits.sigmoid()
        positive = target > _CONFIDENT
        target_factor = background_factor = torch.ones_like(q)
        if self.anchor in ("target", "both"):
            anchor = (_highest(q, ~positive) + self.margin).clamp_max(1)
            # (1 - q + q*) equals (1 + q' - q'*) with q' = 1 - q = sigmoid(-z), which has no cancellation.
            target_factor = _where_any(~positive, modulator((-logits).sigmoid(), 1 - anchor, self.gamma))
        if self.anchor in ("background", "both"):
            anchor = (_highest(q, positive) - self.margin).clamp_min(0)  # eq. 2
            background_factor = _where_any(positive, modulator(q, anchor, self.gamma))
        if not isinstance(self.anchor, str):
            background_factor = modulator(q, q.new_full((), self.anchor), self.gamma)
        return target_factor, background_factor


class OHEM(ClassificationLoss):
    """Online hard example mining with any classification loss: only the examples with the highest loss of a batch are used.

    Parameters
    ----------
    base : ClassificationLoss
        Loss to use, including the reduction, ignore_index and class_weight of `base`.
    ratio : float
        Fraction of the examples to use, above 0 and at most 1. The number of used examples is rounded, and at least 1.

    Raises
    ------
    ValueError
        If the ratio is not above 0 and at most 1.
    """

    def __init__(self, base: ClassificationLoss, ratio: float):
        super().__init__(base.reduction, ignore_index=base.ignore_index, class_weight=base.class_weight)
        self.base = base
        self.head = base.head
        self.ratio = _between("ratio", ratio, 0, 1)
        if not ratio:
            raise ValueError("ratio: expected a fraction above 0, got 0")

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch of the base loss."""
        self.base.set_epoch(epoch)

    def per_class(self, logits, target):
        """Return the base loss of every class."""
        return self.base.per_class(logits, target)

    def weigh(self, loss, counted):
        """Return the weights of the base loss for the hardest examples, and 0 for all other examples."""
        counted = self.base.weigh(loss, counted)
        hardness = loss.masked_fill(counted == 0, -torch.inf).flatten()
        hardest_first = hardness.argsort(descending=True, stable=True)
        # Compare ranks instead of slicing, because reading the number of examples would synchronise with the GPU.
        rank = torch.empty_like(hardest_first).scatter_(0, hardest_first, torch.arange(len(hardness), device=loss.device))
        return counted * (rank < self.kept((counted > 0).sum())).view_as(counted)

    def kept(self, examples: Tensor) -> Tensor:
        """Return the number of used examples; `examples` is the number of all examples, as a scalar tensor."""
        return (self.ratio * examples).round().clamp_min(1)


def _softmax_cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    return -target * F.log_softmax(logits, 1)


def _class_targets(logits: Tensor, target: Tensor, ignore_index: int) -> tuple[Tensor, Tensor]:
    """Return the (N, C, …) target of every class, and an (N, …) mask that is 0 for ignored examples, else 1."""
    examples_shape = (*logits.shape[:1], *logits.shape[2:])
    if logits.ndim >= 2 and target.shape == logits.shape:
        return target.to(logits), logits.new_ones(examples_shape)
    if logits.ndim < 2 or target.shape != examples_shape or target.is_floating_point():
        raise ValueError(
            "logits and target: expected logits (N, C, …) and class indices (N, …) or targets (N, C, …), got "
            f"{tuple(logits.shape)} and {tuple(target.shape)} {target.dtype}"
        )
    ignored = target == ignore_index
    index = target.masked_fill(ignored, 0).long().unsqueeze(1)
    return torch.zeros_like(logits).scatter_(1, index, 1.0), (~ignored).to(logits)


def _highest(probability: Tensor, classes: Tensor) -> Tensor:
    """Return the (N, 1, …) highest probability of the classes where `classes` is True, detached."""
    return (probability.detach() * classes).amax(1, keepdim=True)


def _where_any(classes: Tensor, factor: Tensor) -> Tensor:
    """Return the factor for examples with a True in `classes`, and 1 for all other examples, which have no anchor."""
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
