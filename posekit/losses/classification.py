"""Losses of classifiers, all computed from logits: anchor loss as the paper has it, and what it is compared with.

Each takes ``loss(logits, target)``: logits (N, C) or (N, C, …), and class indices (N, …) or a truth between 0 and 1 for
every class, of the logits' shape. Losses are summed over the classes and averaged over the examples. Inputs of lower
precision are computed in float32.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from posekit.losses.anchor import modulator
from posekit.losses.heatmap import HeatmapFocalLoss
from posekit.losses.reduction import REDUCTIONS, masked_reduce

ANCHORS = ("background", "target", "both")
_SURE = 0.5  # a class is the target's where its truth is above, as a pixel is in the circle of high confidence (eq. 6)


class ClassificationLoss(nn.Module):
    """Base of the classifiers' losses: a subclass says what every class of an example costs.

    Parameters
    ----------
    reduction : {"mean", "sum", "none"}
        ``mean`` is summed over the classes and averaged over the examples that count; 0 where none does. ``none`` returns
        one number per class, (N, C, …), as the logits.
    ignore_index : int
        Examples of this class index do not count, in the mean's denominator neither.
    class_weight : sequence of C floats, or (C,) Tensor, optional
        Factor of every class's term. It does not change the mean's denominator, unlike in `torch.nn.CrossEntropyLoss`
        on class indices.

    Raises
    ------
    ValueError
        If the reduction is unknown, or a weight is negative or not finite.
    """

    head = "sigmoid"
    """What turns the logits into probabilities."""

    def __init__(self, reduction: str = "mean", *, ignore_index: int = -100, class_weight: Sequence[float] | Tensor | None = None):
        super().__init__()
        if reduction not in REDUCTIONS:
            raise ValueError(f"reduction {reduction!r}: choose from {', '.join(REDUCTIONS)}")
        self.reduction, self.ignore_index = reduction, ignore_index
        self.register_buffer("class_weight", _class_weight(class_weight), persistent=False)

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch begins, counted from 0: call it on any loss before every epoch, as on a distributed sampler.

        Only a loss with a warm-up heeds it.
        """

    def per_class(self, logits: Tensor, target: Tensor) -> Tensor:
        """(N, C, …) loss of every class, without weights, of logits and truth of that shape."""
        raise TypeError(f"{type(self).__name__} does not say what a class costs")

    def weigh(self, loss: Tensor, counted: Tensor) -> Tensor:
        """(N, …) weight of every example, given its loss, detached, and 1 or 0 where it counts or not."""
        return counted

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Loss of a batch.

        Parameters
        ----------
        logits : (N, C) or (N, C, …)
        target : (N, …) integers, or the logits' shape
            Class indices, or the truth of every class in [0, 1] (several may be 1, or between).

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
        target, counted = _truth(logits, target, self.ignore_index)
        loss = self._weighted(self.per_class(logits, target))
        weight = self.weigh(loss.detach().sum(1), counted)
        if self.reduction == "none":
            return loss * weight.unsqueeze(1)
        return masked_reduce(loss.sum(1), weight, 1, self.reduction)

    def _weighted(self, loss: Tensor) -> Tensor:
        if self.class_weight is None:
            return loss
        if len(self.class_weight) != loss.shape[1]:
            raise ValueError(f"class_weight: expected {loss.shape[1]} weights, one per class, got {len(self.class_weight)}")
        return loss * self.class_weight.to(loss).view(-1, *(1,) * (loss.ndim - 2))


class BCE(ClassificationLoss):
    """Sigmoid and binary cross entropy of every class (eq. 8); parameters as of `ClassificationLoss`."""

    def per_class(self, logits, target):
        """-p log q - (1 - p) log(1 - q)."""
        return F.binary_cross_entropy_with_logits(logits, target, reduction="none")


class CrossEntropy(ClassificationLoss):
    """Softmax and cross entropy; parameters as of `ClassificationLoss`."""

    head = "softmax"

    def per_class(self, logits, target):
        """-p log softmax(z)."""
        return _softmax_cross_entropy(logits, target)


class FocalLoss(ClassificationLoss):
    """Focal loss (Lin et al., ICCV 2017; eq. 9) of every class, without its class balance alpha.

    Parameters
    ----------
    gamma : float
        Focusing exponent, >= 0; 0 is binary cross entropy.
    reduction, ignore_index, class_weight
        As of `ClassificationLoss`.

    Raises
    ------
    ValueError
        If gamma is negative or not finite, or as of `ClassificationLoss`.
    """

    def __init__(self, gamma: float = 2.0, reduction: str = "mean", **options):
        super().__init__(reduction, **options)
        self.of_heatmaps = HeatmapFocalLoss(gamma)

    def per_class(self, logits, target):
        """-p (1 - q)^gamma log q - (1 - p) q^gamma log(1 - q)."""
        return self.of_heatmaps.per_pixel(logits, target)


class AnchorLoss(ClassificationLoss):
    """Anchor loss (Ryou, Jeong, Perona, ICCV 2019, section 3.2 and appendix A-1) on sigmoid probabilities.

    The cross entropy of a class is scaled by how its probability q stands to an anchor probability q* (eq. A-1)::

        - p_k (1 - q_k + q*_t)^gamma_t log q_k - (1 - p_k) (1 + q_k - q*_b)^gamma_b log(1 - q_k)

    ================  ==========================================================  =====================================
    `anchor`          anchors                                                     exponents
    ================  ==========================================================  =====================================
    ``"background"``  q*_b: the target's probability - margin, 0 at least         0 and gamma (eq. 2, A-3; table A-1 ii)
    ``"target"``      q*_t: the best background probability + margin, 1 at most   gamma and 0 (eq. A-2; table A-1 i)
    ``"both"``        both                                                        gamma and gamma (A-4; table A-1 iii)
    a number          q*_b: that number, without margin                           0 and gamma (table 3, static)
    ================  ==========================================================  =====================================

    A class is the target's where its truth is above 0.5, background elsewhere; of several target classes the anchor is the best
    probability, as in a heatmap's circle of high confidence (eq. 6). Where there is none, the cross entropy is not scaled. The
    anchor is detached: it scales the loss and gets no gradient.

    Parameters
    ----------
    gamma : float
        Focusing exponent, >= 0; 0 is binary cross entropy. The paper has 0.5, and 2 with a warm-up.
    margin : float
        From 0 to 1. Background within the margin below the target's probability is amplified too.
    anchor : {"background", "target", "both"} or float
        What the anchor is; a number from 0 to 1 is the same for all.
    warmup_epochs : int
        In the first epochs the loss is `CrossEntropy`, softmax; 5 in the paper. Where it is above 0, call `set_epoch`
        before every epoch.
    reduction, ignore_index, class_weight
        As of `ClassificationLoss`.

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
        self.gamma, self.margin = _between("gamma", gamma, 0), _between("margin", margin, 0, 1)
        self.anchor = anchor if isinstance(anchor, str) else _between("anchor", anchor, 0, 1)
        self.warmup_epochs = _between("warmup_epochs", warmup_epochs, 0)
        # Not the epoch's number: a compiled loss would be compiled anew for every one.
        self.warming_up = None if warmup_epochs else False

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch begins, counted from 0: those below `warmup_epochs` are the warm-up.

        It is not part of the loss's state: a resumed training says its epoch as well.
        """
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
        of_target, of_background = self.modulators(logits, target)
        return -of_target * target * F.logsigmoid(logits) - of_background * (1 - target) * F.logsigmoid(-logits)

    def modulators(self, logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """The factors of a class's two cross entropies, (1 - q + q*_t)^gamma_t and (1 + q - q*_b)^gamma_b.

        Hard background is where the second is above 1.

        Parameters
        ----------
        logits, target : (N, C, …) float
            The truth of every class.

        Returns
        -------
        two of (N, C, …)
        """
        q, positive = logits.sigmoid(), target > _SURE
        of_target = of_background = torch.ones_like(q)
        if self.anchor in ("target", "both"):
            anchor = (_best(q, ~positive) + self.margin).clamp_max(1)
            # (1 - q + q*) is (1 + q - q*) of what is left to 1, and a sigmoid keeps that exact.
            of_target = _where_any(~positive, modulator((-logits).sigmoid(), 1 - anchor, self.gamma))
        if self.anchor in ("background", "both"):
            anchor = (_best(q, positive) - self.margin).clamp_min(0)  # eq. 2
            of_background = _where_any(positive, modulator(q, anchor, self.gamma))
        if not isinstance(self.anchor, str):
            of_background = modulator(q, q.new_full((), self.anchor), self.gamma)
        return of_target, of_background


class OHEM(ClassificationLoss):
    """Online hard example mining over any classifier's loss: only the batch's examples of highest loss count.

    Parameters
    ----------
    base : ClassificationLoss
        Its reduction, ignored index and class weights are used.
    ratio : float
        Share of the examples that are kept, above 0 and at most 1: rounded, and at least one.

    Raises
    ------
    ValueError
        If the ratio is outside its range.
    """

    def __init__(self, base: ClassificationLoss, ratio: float):
        super().__init__(base.reduction, ignore_index=base.ignore_index, class_weight=base.class_weight)
        self.base, self.head, self.ratio = base, base.head, _between("ratio", ratio, 0, 1)
        if not ratio:
            raise ValueError("ratio: expected a share above 0, got 0")

    def set_epoch(self, epoch: int) -> None:
        """Say it to the base."""
        self.base.set_epoch(epoch)

    def per_class(self, logits, target):
        """The base loss."""
        return self.base.per_class(logits, target)

    def weigh(self, loss, counted):
        """The base loss's weights for the hardest examples, 0 for the others."""
        counted = self.base.weigh(loss, counted)
        hardness = loss.masked_fill(counted == 0, -torch.inf).flatten()
        hardest_first = hardness.argsort(descending=True, stable=True)
        # Ranks, and not the first few: how many count is known on the device alone.
        rank = torch.empty_like(hardest_first).scatter_(0, hardest_first, torch.arange(len(hardness), device=loss.device))
        return counted * (rank < self.kept((counted > 0).sum())).view_as(counted)

    def kept(self, examples: Tensor) -> Tensor:
        """How many of so many examples count: the ratio of them, rounded, and at least one."""
        return (self.ratio * examples).round().clamp_min(1)


def _softmax_cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    return -target * F.log_softmax(logits, 1)


def _truth(logits: Tensor, target: Tensor, ignore_index: int) -> tuple[Tensor, Tensor]:
    """(N, C, …) truth of every class, and (N, …) 1 where an example counts, else 0; both as the logits' dtype."""
    of_examples = (*logits.shape[:1], *logits.shape[2:])
    if logits.ndim >= 2 and target.shape == logits.shape:
        return target.to(logits), logits.new_ones(of_examples)
    if logits.ndim < 2 or target.shape != of_examples or target.is_floating_point():
        raise ValueError(
            f"logits and target: expected (N, C, …) and class indices (N, …) or the same shape, got {tuple(logits.shape)} and "
            f"{tuple(target.shape)} {target.dtype}"
        )
    ignored = target == ignore_index
    index = target.masked_fill(ignored, 0).long().unsqueeze(1)
    return torch.zeros_like(logits).scatter_(1, index, 1.0), (~ignored).to(logits)


def _best(probability: Tensor, classes: Tensor) -> Tensor:
    """(N, 1, …) highest probability among some of the classes, detached."""
    return (probability.detach() * classes).amax(1, keepdim=True)


def _where_any(classes: Tensor, factor: Tensor) -> Tensor:
    """The factor where an example has such a class, to take the anchor from, else 1."""
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
