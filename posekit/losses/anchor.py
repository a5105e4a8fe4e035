"""Anchor loss: its modulator, shared by heatmaps and classification, and the loss of whole maps with its gradient.

Source: Ryou, Jeong, Perona, "Anchor Loss: Modulating Loss Scale based on Prediction Difficulty", ICCV 2019.
"""

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

# Pixels per thread of a block: 512 KiB of float32. Writing to fresh memory takes more time than most of a loss's arithmetic.
_BLOCK = 1 << 17
# Above it log(1 + e^z) is z, to the last bit of float64, and e^z is finite in float32.
_FAR = 40.0
_BUFFERS = 5  # temporary tensors of a block's size


def modulator(probability: Tensor, anchor: Tensor, gamma: float) -> Tensor:
    """(1 + q - q*)^gamma, the factor by which anchor loss scales the cross entropy of a background output (eq. 1).

    Below 1 where q < q* (easy), 1 where q = q*, above 1 where q > q* (hard), at most 2^gamma.

    Parameters
    ----------
    probability : Tensor
        q; the gradient flows through it.
    anchor : Tensor
        q*, broadcast against `probability`. It is detached: it scales the loss and receives no gradient.
    gamma : float
        Focusing exponent, >= 0.
    """
    base = 1 + probability - anchor.detach()
    # At q = 0, q* = 1 the derivative of the power is infinite for gamma < 1; its cross entropy is 0.
    return base.clamp_min(torch.finfo(base.dtype).eps) ** gamma


def heatmap_anchor(probability: Tensor, target: Tensor) -> Tensor:
    """q*, the highest predicted probability within the circle of high confidence, target > 0.5 (eq. 6).

    Parameters
    ----------
    probability, target : (B, K, H, W)

    Returns
    -------
    (B, K, 1, 1), detached; NaN for a map without a target above 0.5, which has no anchor.
    """
    # Subtracting a huge number outside takes a quarter of the time of masking, and leaves the values inside unchanged.
    far = torch.finfo(target.dtype).max
    outside = torch.le(target, 0.5, out=torch.empty_like(target))
    highest = torch.sub(probability.detach(), outside, alpha=far).amax((-2, -1), keepdim=True)
    return highest.masked_fill(highest < -far / 2, torch.nan)


def heatmap_modulator(probability: Tensor, target: Tensor, gamma: float, anchor: Tensor | None = None) -> Tensor:
    """Return the factor of every pixel of a heatmap: `modulator` on true negatives, 1 elsewhere (eq. 5-7).

    A map without an anchor (its joint lies outside the crop) has factor 1 everywhere.

    Parameters
    ----------
    probability, target : (B, K, H, W)
    gamma : float
    anchor : (B, K, 1, 1), optional
        q*, by default the maps' `heatmap_anchor`; NaN for none.

    Returns
    -------
    (B, K, H, W), at most 2^gamma.
    """
    if anchor is None:
        anchor = heatmap_anchor(probability, target)
    negative = (target == 0) & ~anchor.isnan()  # eq. 5
    return torch.where(negative, modulator(probability, anchor.nan_to_num(0.0), gamma), 1.0)


def true_negatives(target: Tensor, anchor: Tensor, out: Tensor | None = None) -> Tensor:
    """Mark the true negatives (eq. 5): the pixels with target 0, in maps that have an anchor.

    Parameters
    ----------
    target : (..., H, W)
    anchor : (..., 1, 1)
        NaN for none.
    out : (..., H, W), optional
        Buffer for the result.

    Returns
    -------
    (..., H, W), 1 or 0 in the target's precision, which is faster than a boolean mask.
    """
    negative = torch.where(anchor.isnan(), -1.0, 0.0)  # no target is -1
    return torch.eq(target, negative, out=torch.empty_like(target) if out is None else out)


def hard_pixels(output: Tensor, target: Tensor, labelled: Tensor) -> tuple[Tensor, Tensor]:
    """Count the true negatives that score higher than the anchor, which have a modulator above 1.

    The result does not depend on gamma, and is the same for logits and probabilities.

    Parameters
    ----------
    output : (B, K, H, W)
        Logits or probabilities.
    target : (B, K, H, W)
    labelled : (B, K) bool
        The counts of other maps are 0.

    Returns
    -------
    hard, negatives : (B, K) int64
        Numbers of hard pixels and of all true negatives; both 0 for a map without an anchor.
    """
    hard_counts = []
    negative_counts = []
    for output_NHW, target_NHW in blocks(output.detach(), target):
        anchor = heatmap_anchor(output_NHW, target_NHW)
        negative = true_negatives(target_NHW, anchor)
        above = torch.gt(output_NHW, anchor, out=torch.empty_like(target_NHW))
        hard_counts.append(above.mul_(negative).sum((-2, -1), dtype=torch.float32).long())
        negative_counts.append(negative.sum((-2, -1), dtype=torch.float32).long())
    hard = torch.cat(hard_counts).view(labelled.shape) * labelled
    negatives = torch.cat(negative_counts).view(labelled.shape) * labelled
    return hard, negatives


class AnchorMapLoss(torch.autograd.Function):
    """Sum of each map's anchor loss (Ryou et al., ICCV 2019, eq. 5-7): the sum of `heatmap_modulator` * cross entropy.

    The gradient is computed together with the loss, and only the gradient is kept for the backward pass. It equals autograd's
    gradient of the plain formula. There is no second derivative, and no derivative by the target.
    """

    @staticmethod
    def forward(ctx, logits: Tensor, target: Tensor, gamma: float) -> Tensor:
        """(B, K, H, W) logits and target, in float32 or float64, to (B, K)."""
        gradient = torch.empty_like(logits, memory_format=torch.contiguous_format)
        pieces = list(blocks(logits, target, gradient))
        sums = []
        for (z, p, gradient_NHW), buffers in zip(pieces, _buffers(pieces), strict=True):
            sums.append(_block_loss(z, p, gradient_NHW, gamma, buffers))
        ctx.save_for_backward(gradient)
        return torch.cat(sums).view(logits.shape[:2])

    @staticmethod
    @once_differentiable
    def backward(ctx, upstream_BK: Tensor):
        """Scale the maps' gradients."""
        (gradient,) = ctx.saved_tensors
        return gradient * upstream_BK[..., None, None], None, None


def blocks(*maps_BKHW: Tensor) -> Iterable[tuple[Tensor, ...]]:
    """Iterate over several batches of maps at once, in blocks of people and joints.

    Parameters
    ----------
    *maps_BKHW : (B, K, H, W)

    Returns
    -------
    iterable of tuples of (N, H, W)
        Views of contiguous batches. All maps form one block on a GPU and in a compiled graph, where blocks gain nothing.
    """
    flat = [maps.flatten(0, 1) for maps in maps_BKHW]
    if not flat[0].is_cpu or torch.compiler.is_compiling():
        return [tuple(flat)]
    pixels = max(1, flat[0].shape[1:].numel())
    count = max(1, _BLOCK * torch.get_num_threads() // pixels)
    return zip(*(maps.split(count) for maps in flat), strict=True)


def _buffers(pieces: Sequence[tuple[Tensor, ...]]) -> Iterator[Sequence[Tensor | None]]:
    """Yield buffers for each block. All blocks share one memory, which is faster because it stays in the cache."""
    if len(pieces) == 1:
        yield [None] * _BUFFERS  # allocate as needed: a compiled graph does without them
        return
    largest = pieces[0][0]
    memory = largest.new_empty(_BUFFERS, *largest.shape)
    for z, *_ in pieces:
        yield memory[:, : len(z)].unbind()


def _block_loss(z: Tensor, p: Tensor, gradient: Tensor, gamma: float, buffers: Sequence[Tensor | None]) -> Tensor:
    """(N,) losses of maps (N, H, W), whose gradient by the logits is written to `gradient`."""
    buffer1, buffer2, buffer3, buffer4, buffer5 = buffers
    anchor = heatmap_anchor(z, p).sigmoid()
    odds = torch.clamp(z, max=_FAR, out=buffer1).exp_()
    whole = torch.add(odds, 1, out=buffer2)
    q = torch.div(odds, whole, out=buffer3)
    cross_entropy = torch.maximum(odds.log1p_(), z, out=odds).addcmul_(z, p, value=-1)  # log(1 + e^z) - z p
    negative = true_negatives(p, anchor, out=buffer4)
    base = torch.sub(q, anchor.nan_to_num(0.0), out=buffer5).mul_(negative).add_(1)
    if gamma < 1:
        base.clamp_min_(torch.finfo(base.dtype).eps)  # as in `modulator`
    power = base if gamma == 2 else base ** (gamma - 1)
    # d(m BCE)/dz = m (q - p) + dm/dq q (1 - q) BCE, where m = base^gamma, which is 1 where p is not 0, and 1 - q = 1 / (1 + e^z).
    slope = torch.addcmul(base, torch.div(cross_entropy, whole, out=whole), negative, value=gamma, out=gradient)
    slope.mul_(q).mul_(power).sub_(p)
    return cross_entropy.mul_(power).mul_(base).sum((-2, -1))
