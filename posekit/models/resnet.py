"""Residual networks for image classification: small networks for 32x32 images, and ResNet-50.

Source: He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", CVPR 2016, section 4.2.
"""

import math

from torch import Tensor, nn
from torch.nn import functional as F

from posekit.errors import ConfigError

SMALL = {"resnet20": 20, "resnet32": 32, "resnet56": 56, "resnet110": 110}
CLASSIFIERS = (*SMALL, "resnet50")
_WIDTHS = (16, 32, 64)
# Standard deviation of the last layer's initial weights: small, so that every class starts near the prior.
_OUTPUT_STD = 0.01


class Block(nn.Module):
    """Residual block: two 3x3 convolutions plus a shortcut without weights (option A of the paper).

    Parameters
    ----------
    inputs, outputs : int
        Number of input and output channels; `outputs` is at least `inputs`. Additional channels of the shortcut are zero.
    stride : int
        Stride of the first convolution and of the shortcut.
    """

    def __init__(self, inputs: int, outputs: int, stride: int = 1):
        super().__init__()
        self.stride = stride
        self.new = outputs - inputs
        self.branch = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Turn (B, inputs, H, W) into (B, outputs, H / stride, W / stride), where sizes are rounded up."""
        shortcut = x[..., :: self.stride, :: self.stride]
        if self.new:
            shortcut = F.pad(shortcut, (0, 0, 0, 0, self.new // 2, self.new - self.new // 2))
        return F.relu(self.branch(x) + shortcut)


class SmallResNet(nn.Module):
    """ResNet for 32x32 images: convolution, residual blocks (16, 32, then 64 channels), global average pooling, linear layer.

    With 10 classes ResNet-20, -32, -56 and -110 have 0.27, 0.46, 0.85 and 1.73 million parameters, as in the paper's table 6.

    Parameters
    ----------
    classes : int
        Number of classes, at least 2.
    depth : int
        Number of layers with weights: 6 n + 2 for n blocks with each number of channels.
    prior : float, optional
        Initial probability of every class under a sigmoid, ``1 / classes`` by default. A small prior keeps the many wrong classes
        of each image from dominating the first steps. The prior has no effect on a softmax.

    Raises
    ------
    ValueError
        If the depth is not 6 n + 2, there are fewer than 2 classes, or the prior is not between 0 and 1.
    """

    def __init__(self, classes: int, depth: int = 20, prior: float | None = None):
        super().__init__()
        if depth < 8 or depth % 6 != 2:
            raise ValueError(f"depth: expected 6 n + 2 layers (for example 20 or 110), got {depth}")
        channels = _WIDTHS[0]
        layers: list[nn.Module] = [
            nn.Conv2d(3, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
        ]
        for width in _WIDTHS:
            for block in range(depth // 6):
                layers.append(Block(channels, width, 2 if width > _WIDTHS[0] and block == 0 else 1))
                channels = width
        self.features = nn.Sequential(*layers)
        self.output = nn.Linear(channels, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        start_from_prior(self.output, prior)

    def forward(self, images: Tensor) -> Tensor:
        """Turn normalised RGB images (B, 3, H, W), 32x32 in the paper, into logits (B, C)."""
        return self.output(self.features(images).mean((-2, -1)))


def start_from_prior(output: nn.Linear, prior: float | None = None) -> None:
    """Initialise a classifier's last layer so that the sigmoid of every class starts near `prior`, by default 1 / classes.

    Raises
    ------
    ValueError
        If there are fewer than 2 classes, or the prior is not between 0 and 1.
    """
    if output.out_features < 2:
        raise ValueError(f"classes: expected at least 2, got {output.out_features}")
    prior = 1 / output.out_features if prior is None else prior
    if not 0 < prior < 1:
        raise ValueError(f"prior: expected a probability between 0 and 1, got {prior}")
    nn.init.normal_(output.weight, std=_OUTPUT_STD)
    nn.init.constant_(output.bias, math.log(prior / (1 - prior)))


def build_classifier(name: str, classes: int, *, prior: float | None = None) -> nn.Module:
    """Build a classifier with randomly initialised weights.

    The classifier turns normalised RGB images (B, 3, H, W) into logits (B, classes).

    Parameters
    ----------
    name : str
        ``resnet20``, ``resnet32``, ``resnet56`` or ``resnet110`` for 32x32 images; torchvision's ``resnet50`` for ImageNet.
    classes : int
        Number of classes, at least 2.
    prior : float, optional
        Initial probability of every class; see `SmallResNet`.

    Raises
    ------
    ConfigError
        If the name is unknown, or ``resnet50`` is chosen and torchvision is not installed.
    ValueError
        If there are fewer than 2 classes, or the prior is not between 0 and 1.
    """
    if name in SMALL:
        return SmallResNet(classes, SMALL[name], prior)
    if name != "resnet50":
        raise ConfigError(f"classifier {name!r}: choose from {', '.join(CLASSIFIERS)}")
    try:
        from torchvision.models import resnet50
    except ImportError as error:
        raise ConfigError(
            f'{name} needs torchvision, which cannot be imported ({error}); run pip install "posekit[imagenet]"'
        ) from error
    model = resnet50(weights=None, num_classes=classes)
    start_from_prior(model.fc, prior)
    return model
