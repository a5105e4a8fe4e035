"""Fold batch normalisation into adjacent convolutions, for prediction."""

import copy
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

Network = TypeVar("Network", bound=nn.Module)


class Clamp(nn.Module):
    """Limits each channel: the rest of batch normalisation and ReLU after their scale and shift are folded away.

    Parameters
    ----------
    low, high : (C,)
    """

    low: Tensor
    high: Tensor

    def __init__(self, low: Tensor, high: Tensor):
        super().__init__()
        self.register_buffer("low", low[:, None, None])
        self.register_buffer("high", high[:, None, None])

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape."""
        return torch.clamp(x, self.low, self.high)


def fold(model: Network) -> Network:
    """Return a copy of a network for prediction, without batch normalisation beside convolutions.

    In its `nn.Sequential` parts, a normalisation after a convolution becomes part of that convolution. One before
    (pre-activation: BN, ReLU, 1x1 convolution) does so too and leaves a limit on each channel: with the scale s and the shift t,
    ``relu(s x + t) = s clamp(x, -t / s, inf) + t``; with a negative s the limit is an upper one.

    Parameters
    ----------
    model : nn.Module
        In eval mode; it is not changed.

    Returns
    -------
    nn.Module : in eval mode; its parameters need no gradient. In float32 its outputs agree within 1e-4.

    Raises
    ------
    ValueError
        If the model is in training mode, where its statistics still change.
    """
    if model.training:
        raise ValueError("model: is in training mode; call .eval() first")
    model = copy.deepcopy(model).requires_grad_(False)
    for block in list(model.modules()):
        if isinstance(block, nn.Sequential):
            _fold_after(block)
            _fold_before(block)
    return model


def _fold_after(block: nn.Sequential) -> None:
    """Convolution, BN -> convolution."""
    for place in range(len(block) - 2, -1, -1):
        convolution = block[place]
        norm = block[place + 1]
        if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            block[place] = fuse_conv_bn_eval(convolution, norm).requires_grad_(False)
            del block[place + 1]


def _fold_before(block: nn.Sequential) -> None:
    """BN, ReLU, 1x1 convolution -> limits, 1x1 convolution."""
    for place in range(len(block) - 3, -1, -1):
        norm = block[place]
        convolution = block[place + 2]
        if not (isinstance(norm, nn.BatchNorm2d) and isinstance(block[place + 1], nn.ReLU) and isinstance(convolution, nn.Conv2d)):
            continue
        # If the convolution padded its input, the shift would be missing at the border.
        pointwise = convolution.kernel_size == (1, 1) and convolution.padding == (0, 0) and convolution.groups == 1
        if pointwise and convolution.bias is not None:
            scale, shift, block[place] = _split_norm(norm)
            convolution.bias += convolution.weight[:, :, 0, 0] @ shift
            convolution.weight *= scale[:, None, None]
            del block[place + 1]


def _split_norm(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor, Clamp]:
    """Return scale, shift and limits such that BN and ReLU are ``scale * limits(x) + shift``."""
    assert norm.running_mean is not None and norm.running_var is not None  # in eval mode, normalisation by them
    scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    shift = norm.bias - norm.running_mean * scale
    constant = scale.abs() < 1e-20  # the channel's limit would be infinite
    scale = scale.masked_fill(constant, 0)
    shift = torch.where(constant, shift.clamp_min(0), shift)
    limit = -shift / scale
    low = limit.masked_fill(scale <= 0, -torch.inf)
    high = limit.masked_fill(scale >= 0, torch.inf)
    return scale, shift, Clamp(low, high)
