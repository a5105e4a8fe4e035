"""Batch normalisation folded into the convolutions beside it, for prediction."""

import copy

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


class Clamp(nn.Module):
    """Limits each channel: what is left of batch normalisation and ReLU when their scale and shift are folded away.

    Parameters
    ----------
    low, high : (C,)
    """

    def __init__(self, low: Tensor, high: Tensor):
        super().__init__()
        self.register_buffer("low", low[:, None, None])
        self.register_buffer("high", high[:, None, None])

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape."""
        return torch.clamp(x, self.low, self.high)


def fold(model: nn.Module) -> nn.Module:
    """A copy of a network for prediction alone, without batch normalisation wherever it stands beside a convolution.

    In its `nn.Sequential` parts, a normalisation after a convolution becomes part of that convolution. One before
    (pre-activation: BN, ReLU, 1x1 convolution) does so too, but for a limit on each channel: with the scale s and the shift t,
    ``relu(s x + t) = s clamp(x, -t / s, inf) + t``, and with a negative s the limit is from above.

    Parameters
    ----------
    model : nn.Module
        In eval mode; it stays as it is.

    Returns
    -------
    nn.Module : in eval mode; its parameters need no gradient. In float32 the outputs are equal to 1e-4 and better.

    Raises
    ------
    ValueError
        If the model is in training mode: its statistics would still change.
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
        convolution, norm = block[place], block[place + 1]
        if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            block[place] = fuse_conv_bn_eval(convolution, norm).requires_grad_(False)
            del block[place + 1]


def _fold_before(block: nn.Sequential) -> None:
    """BN, ReLU, 1x1 convolution -> limits, 1x1 convolution."""
    for place in range(len(block) - 3, -1, -1):
        norm, relu, convolution = block[place : place + 3]
        if isinstance(norm, nn.BatchNorm2d) and isinstance(relu, nn.ReLU) and _is_pointwise(convolution):
            scale, shift, limits = _limits(norm)
            weight = convolution.weight
            convolution.bias += weight[:, :, 0, 0] @ shift
            weight *= scale[:, None, None]
            block[place] = limits
            del block[place + 1]


def _is_pointwise(module: nn.Module) -> bool:
    """Where a convolution pads, the shift would be missing on the border."""
    if not isinstance(module, nn.Conv2d) or module.bias is None:
        return False
    return module.kernel_size == (1, 1) and module.padding == (0, 0) and module.groups == 1


def _limits(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor, Clamp]:
    """Scale, shift and limits such that BN and ReLU are ``scale * limits(x) + shift``."""
    scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    shift = norm.bias - norm.running_mean * scale
    idle = scale.abs() < 1e-20  # the channel is a constant, and its limit would be infinite
    scale, shift = scale.masked_fill(idle, 0), torch.where(idle, shift.clamp_min(0), shift)
    limit = -shift / scale
    low = limit.masked_fill(scale <= 0, -torch.inf)
    high = limit.masked_fill(scale >= 0, torch.inf)
    return scale, shift, Clamp(low, high)
