"""Anchor loss of whole maps together with its gradient, in one pass: what training on heatmaps takes."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from posekit.losses.anchor import heatmap_anchor, true_negatives
from posekit.losses.blocks import blocks

# Above it log(1 + e^z) is z, to the last bit of float64, and e^z is finite in float32.
_FAR = 40.0
_NEEDED = 5  # tensors of a block's size


class AnchorMapLoss(torch.autograd.Function):
    """Sum of each map's anchor loss (Ryou et al., ICCV 2019, eq. 5-7): the sum of `heatmap_modulator` * cross entropy.

    The gradient is computed beside the loss, and is all that is kept for the backward pass. It is the same as autograd's
    of the plain formula; there is no second derivative, and none by the target.
    """

    @staticmethod
    def forward(ctx, logits: Tensor, target: Tensor, gamma: float) -> Tensor:
        """(B, K, H, W) logits and target, in float32 or float64, to (B, K)."""
        gradient = torch.empty_like(logits, memory_format=torch.contiguous_format)
        pieces = list(blocks(logits, target, gradient))
        sums = [_block(*piece, gamma, scratch) for piece, scratch in zip(pieces, _scratch(pieces), strict=True)]
        ctx.save_for_backward(gradient)
        return torch.cat(sums).view(logits.shape[:2])

    @staticmethod
    @once_differentiable
    def backward(ctx, upstream_BK: Tensor):
        """Scale the maps' gradients."""
        (gradient,) = ctx.saved_tensors
        return gradient * upstream_BK[..., None, None], None, None


def _scratch(pieces: list[tuple[Tensor, ...]]) -> Iterator[Sequence[Tensor | None]]:
    """Room for what is computed on the way, the same for all blocks: writing where the cache has been is faster."""
    if len(pieces) == 1:
        yield [None] * _NEEDED  # as it comes: in a compiled graph nothing is written at all
        return
    room = pieces[0][0].new_empty(_NEEDED, *pieces[0][0].shape)  # the first is the largest
    for z, *_ in pieces:
        yield room[:, : len(z)].unbind()


def _block(z: Tensor, p: Tensor, gradient: Tensor, gamma: float, scratch: Sequence[Tensor | None]) -> Tensor:
    """(N,) losses of maps (N, H, W), whose gradient by the logits is written to `gradient`."""
    room1, room2, room3, room4, room5 = scratch
    anchor = heatmap_anchor(z, p).sigmoid()
    odds = torch.clamp(z, max=_FAR, out=room1).exp_()
    whole = torch.add(odds, 1, out=room2)
    q = torch.div(odds, whole, out=room3)
    cross_entropy = torch.maximum(odds.log1p_(), z, out=odds).addcmul_(z, p, value=-1)  # log(1 + e^z) - z p
    negative = true_negatives(p, anchor, out=room4)
    base = torch.sub(q, anchor.nan_to_num(0.0), out=room5).mul_(negative).add_(1)
    if gamma < 1:
        base.clamp_min_(torch.finfo(base.dtype).eps)  # as in `modulator`
    power = base if gamma == 2 else base ** (gamma - 1)
    # d(m BCE)/dz = m (q - p) + dm/dq q (1 - q) BCE, where m = base^gamma, which is 1 where p is not 0, and 1 - q = 1 / (1 + e^z).
    slope = torch.addcmul(base, torch.div(cross_entropy, whole, out=whole), negative, value=gamma, out=gradient)
    slope.mul_(q).mul_(power).sub_(p)
    return cross_entropy.mul_(power).mul_(base).sum((-2, -1))
