"""Anchor loss: the modulator, shared by heatmaps and classification, and a fused heatmap loss with gradient.

Source: Ryou, Jeong, Perona, "Anchor Loss: Modulating Loss Scale based on Prediction Difficulty", ICCV 2019.
"""

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

# Pixels per block and thread: 512 KiB of float32. Small blocks reuse cached memory, as allocating takes longer than the arithmetic.
_BLOCK = 1 << 17
# For z above this limit, log(1 + e^z) equals z in float64; e^z of the limit is finite in float32.
_FAR = 40.0
_BUFFERS = 5  # number of temporary tensors per block


def modulator(probability: Tensor, anchor: Tensor, gamma: float) -> Tensor:
    """Return (1 + q - q*)^gamma, the factor by which anchor loss scales the cross entropy of a background output (eq. 1).

    The factor is below 1 where q < q* (easy), 1 where q = q*, above 1 where q > q* (hard), and at most 2^gamma.

    Parameters
    ----------
    probability : Tensor
        q, with gradient.
    anchor : Tensor
        q*, broadcast against `probability`; detached, so that the anchor receives no gradient.
    gamma : float
        Focusing exponent, >= 0.
    """
    base = 1 + probability - anchor.detach()
    # At q = 0 and q* = 1, the derivative of the power is infinite for gamma < 1, although the cross entropy is 0.
    return base.clamp_min(torch.finfo(base.dtype).eps) ** gamma


def heatmap_anchor(probability: Tensor, target: Tensor) -> Tensor:
    """Return q*, the highest predicted probability in the circle of high confidence, i.e. where target > 0.5 (eq. 6).

    Parameters
    ----------
    probability, target : (B, K, H, W)

    Returns
    -------
    (B, K, 1, 1)
        Detached; NaN for a heatmap without a target above 0.5, which has no anchor.
    """
    # Subtract a huge number outside the circle: four times as fast as masking, and the values inside stay unchanged.
    far = torch.finfo(target.dtype).max
    outside = torch.le(target, 0.5, out=torch.empty_like(target))
    highest = torch.sub(probability.detach(), outside, alpha=far).amax((-2, -1), keepdim=True)
    return highest.masked_fill(highest < -far / 2, torch.nan)


def heatmap_modulator(probability: Tensor, target: Tensor, gamma: float, anchor: Tensor | None = None) -> Tensor:
    """Return the factor on the cross entropy of every heatmap pixel: `modulator` on true negatives, 1 elsewhere (eq. 5-7).

    The factor is 1 everywhere in a heatmap without an anchor, i.e. if the joint lies outside the crop.

    Parameters
    ----------
    probability, target : (B, K, H, W)
    gamma : float
    anchor : (B, K, 1, 1), optional
        q*, by default `heatmap_anchor`; NaN for heatmaps without an anchor.

    Returns
    -------
    (B, K, H, W)
        At most 2^gamma.
    """
    if anchor is None:
        anchor = heatmap_anchor(probability, target)
    negative = (target == 0) & ~anchor.isnan()  # eq. 5
    return torch.where(negative, modulator(probability, anchor.nan_to_num(0.0), gamma), 1.0)


def true_negatives(target: Tensor, anchor: Tensor, out: Tensor | None = None) -> Tensor:
    """Mark the true negatives (eq. 5): the pixels with target 0 in heatmaps that have an anchor.

    Parameters
    ----------
    target : (..., H, W)
    anchor : (..., 1, 1)
        NaN for heatmaps without an anchor.
    out : (..., H, W), optional
        Buffer for the result.

    Returns
    -------
    (..., H, W)
        1 for true negatives, else 0; in the dtype of `target`, which is faster than a boolean mask.
    """
    negative = torch.where(anchor.isnan(), -1.0, 0.0)  # no target is -1
    return torch.eq(target, negative, out=torch.empty_like(target) if out is None else out)


def hard_pixels(output: Tensor, target: Tensor, labelled: Tensor) -> tuple[Tensor, Tensor]:
    """Count the hard pixels: true negatives with an output above the anchor, i.e. with a modulator above 1.

    The result is the same for logits and probabilities, and for every gamma.

    Parameters
    ----------
    output : (B, K, H, W)
        Logits or probabilities.
    target : (B, K, H, W)
    labelled : (B, K) bool
        True for labelled joints; the counts of all other joints are 0.

    Returns
    -------
    hard, negatives : (B, K) int64
        Number of hard pixels and number of true negatives in each heatmap; both are 0 in a heatmap without an anchor.
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
    """Anchor loss of each heatmap (Ryou et al., ICCV 2019, eq. 5-7): the sum of `heatmap_modulator` * cross entropy.

    The forward pass also computes the gradient with respect to the logits, and stores only this gradient for the backward pass.
    The gradient equals that of autograd. Second derivatives and the derivative with respect to the target are not available.
    """

    @staticmethod
    def forward(ctx, logits: Tensor, target: Tensor, gamma: float) -> Tensor:
        """Compute (B, K) losses from (B, K, H, W) logits and targets in float32 or float64."""
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
        """Scale the stored gradients by the upstream gradient."""
        (gradient,) = ctx.saved_tensors
        return gradient * upstream_BK[..., None, None], None, None


def blocks(*maps_BKHW: Tensor) -> Iterable[tuple[Tensor, ...]]:
    """Split several batches of heatmaps into the same blocks of heatmaps.

    Parameters
    ----------
    *maps_BKHW : (B, K, H, W)

    Returns
    -------
    iterable of tuples of (N, H, W)
        Views of the (contiguous) batches. On a GPU and in a compiled graph, where blocks bring no speedup, there is one block.
    """
    flat = [maps.flatten(0, 1) for maps in maps_BKHW]
    if not flat[0].is_cpu or torch.compiler.is_compiling():
        return [tuple(flat)]
    pixels = max(1, flat[0].shape[1:].numel())
    count = max(1, _BLOCK * torch.get_num_threads() // pixels)
    return zip(*(maps.split(count) for maps in flat), strict=True)


def _buffers(pieces: Sequence[tuple[Tensor, ...]]) -> Iterator[Sequence[Tensor | None]]:
    """Yield the buffers for each block. All blocks share the same memory, which then stays in the CPU cache."""
    if len(pieces) == 1:
        yield [None] * _BUFFERS  # None: each operation allocates its result, which a compiled graph can avoid
        return
    largest = pieces[0][0]
    memory = largest.new_empty(_BUFFERS, *largest.shape)
    for z, *_ in pieces:
        yield memory[:, : len(z)].unbind()


def _block_loss(z: Tensor, p: Tensor, gradient: Tensor, gamma: float, buffers: Sequence[Tensor | None]) -> Tensor:
    """Return the (N,) losses of (N, H, W) heatmaps; writes the gradient with respect to the logits to `gradient`."""
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
