"""Anchor loss of whole maps together with its gradient, in one pass, for training."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from posekit.losses.anchor import heatmap_anchor, true_negatives
from posekit.losses.blocks import blocks

# Above it log(1 + e^z) is z, to the last bit of float64, and e^z is finite in float32.
_FAR = 40.0
_BUFFERS = 5  # temporary tensors of a block's size


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
