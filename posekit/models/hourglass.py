"""The stacked hourglass (Newell, Yang & Deng, "Stacked Hourglass Networks for Human Pose Estimation", ECCV 2016)."""

import math
from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from posekit.choices import ENCODER_SIZES
from posekit.models.encoder import EfficientNetLite0

HEADS = ("sigmoid", "linear")
# Standard deviation of the output weights: small, so that every pixel starts near the prior.
_OUTPUT_STD = 0.01


class Residual(nn.Module):
    """Pre-activation bottleneck residual: three times BN, ReLU, convolution (1x1, 3x3, 1x1), plus a skip.

    Parameters
    ----------
    inputs, outputs : int
        Number of input and output channels. If they differ, the skip is a 1x1 convolution, otherwise the identity. The 3x3
        convolution has ``outputs // 2`` channels.
    """

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        middle = outputs // 2
        # The ReLU can be in-place: the backward pass of batch normalisation does not need the overwritten values.
        self.branch = nn.Sequential(
            nn.BatchNorm2d(inputs),
            nn.ReLU(inplace=True),
            nn.Conv2d(inputs, middle, 1),
            nn.BatchNorm2d(middle),
            nn.ReLU(inplace=True),
            nn.Conv2d(middle, middle, 3, padding=1),
            nn.BatchNorm2d(middle),
            nn.ReLU(inplace=True),
            nn.Conv2d(middle, outputs, 1),
        )
        self.skip = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Turn (B, inputs, H, W) into (B, outputs, H, W)."""
        return self.branch(x).add_(self.skip(x))


def _residuals(count: int, features: int) -> nn.Sequential:
    return nn.Sequential(*(Residual(features, features) for _ in range(count)))


class Hourglass(nn.Module):
    """One hourglass: halves the resolution of a feature map `depth` times and restores it, with a skip at every resolution.

    Parameters
    ----------
    depth : int
        Number of times that the resolution is halved, at least 1.
    features : int
        Number of channels, the same at every resolution.
    blocks : int
        Number of consecutive residuals in each of `across`, `down`, `inner` (at the lowest resolution) and `up`.
    """

    def __init__(self, depth: int, features: int, blocks: int = 1):
        super().__init__()
        self.across = _residuals(blocks, features)
        self.down = _residuals(blocks, features)
        self.inner = Hourglass(depth - 1, features, blocks) if depth > 1 else _residuals(blocks, features)
        self.up = _residuals(blocks, features)

    def forward(self, x: Tensor) -> Tensor:
        """Process a feature map (B, features, H, W), keeping the shape; H and W are multiples of ``2**depth``."""
        low = self.up(self.inner(self.down(F.max_pool2d(x, 2))))
        return self.across(x).add_(F.interpolate(low, scale_factor=2.0, mode="nearest"))


class EncodedStem(nn.Module):
    """Encoder whose feature maps, at 1/4 of the input resolution and below, are converted to the hourglass's channel count.

    Parameters
    ----------
    encoder : str
        One of `posekit.choices.ENCODER_SIZES`.
    features : int
        Number of channels of every returned feature map.
    """

    def __init__(self, encoder: str, features: int):
        super().__init__()
        self.encoder = EfficientNetLite0(ENCODER_SIZES[encoder])
        self.entries = nn.ModuleList(Residual(channels, features) for channels in self.encoder.channels)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Turn images (B, 3, H, W) into feature maps (B, features, H/4, W/4), (B, features, H/8, W/8), …"""
        return [entry(x) for entry, x in zip(self.entries, self.encoder(images), strict=True)]


class EncodedHourglass(nn.Module):
    """Hourglass whose encoder half is a separate network, such as `EncodedStem`.

    Parameters
    ----------
    sizes : int
        Number of feature maps from the encoder, each with half the resolution of the previous one.
    depth : int
        Number of times that the resolution of the first feature map is halved. If the encoder halves the resolution less often,
        an inner `Hourglass` does the remaining halvings.
    features : int
        Number of channels, the same at every resolution.
    blocks : int
        Number of consecutive residuals at each resolution.
    """

    def __init__(self, sizes: int, depth: int, features: int, blocks: int = 1):
        super().__init__()
        rest = depth - (sizes - 1)
        self.inner = Hourglass(rest, features, blocks) if rest else _residuals(blocks, features)
        self.up = nn.ModuleList(_residuals(blocks, features) for _ in range(sizes - 1))

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Turn feature maps (B, features, H, W), (B, features, H/2, W/2), … into one (B, features, H, W)."""
        *larger, smallest = maps
        x = self.inner(smallest)
        for up, skip in zip(self.up, reversed(larger), strict=True):
            x = skip + F.interpolate(up(x), scale_factor=2.0, mode="nearest")
        return x


def default_stem(features: int) -> tuple[int, int, int]:
    """Return the stem's default channels, which are proportional to `features`: (64, 128, 256) for 256 features."""
    return features // 4, features // 2, features


def require_encoder(name: str, depth: int) -> None:
    """Check that an encoder exists and that an hourglass of this depth can use it; an empty name means no encoder.

    Raises
    ------
    ValueError
        If the encoder is unknown, or has more feature maps than ``depth + 1``.
    """
    if name and name not in ENCODER_SIZES:
        raise ValueError(f"encoder: expected one of {', '.join(ENCODER_SIZES)}, got {name!r}")
    if name and depth < ENCODER_SIZES[name] - 1:
        raise ValueError(f"depth: expected {ENCODER_SIZES[name] - 1} or more with the encoder {name}, got {depth}")


class StackedHourglass(nn.Module):
    """Stacked hourglass network: predicts heatmap logits from crops, one set per stack, for intermediate supervision.

    Parameters
    ----------
    joints : int
        Number of heatmaps per stack.
    stacks : int
        Number of hourglasses in sequence; each also gets the features and heatmaps of the previous stack as input.
    features : int
        Number of channels of the feature maps in the hourglasses, a multiple of 4.
    depth : int
        Number of times that each hourglass halves the resolution of its feature map.
    head : {"sigmoid", "linear"}
        Activation that `activate` applies to the logits.
    prior : float
        Initial probability of every heatmap pixel, for the sigmoid head.
    blocks : int
        Number of consecutive residuals in each branch of an hourglass and after each hourglass: 1 in the published networks with 2
        and 8 stacks.
    encoder : str
        One of `posekit.choices.ENCODER_SIZES`, which replaces the stem and the encoder half of the first hourglass. Empty for no
        encoder.
    stem : (int, int, int), optional
        Number of channels after the first convolution and after the first and second residual of the stem. By default
        (F/4, F/2, F) with F = `features`: 64, 128, 256 for 256 features, as in the widely used PyTorch networks, whose parameter
        counts (6.7 M with 2 stacks, 25.6 M with 8) are usually quoted for the hourglass. The authors of the paper used 64, 128,
        128.

    Raises
    ------
    ValueError
        If `features` is not a multiple of 4, `head` or `encoder` is unknown, or `depth` is too small for the encoder.
    """

    def __init__(
        self,
        joints: int = 16,
        stacks: int = 2,
        features: int = 256,
        depth: int = 4,
        head: str = "sigmoid",
        prior: float = 0.01,
        *,
        blocks: int = 1,
        encoder: str = "",
        stem: tuple[int, int, int] | None = None,
    ):
        super().__init__()
        if features < 4 or features % 4:
            raise ValueError(f"features: expected a multiple of 4, got {features}")
        if head not in HEADS:
            raise ValueError(f"head: expected one of {', '.join(HEADS)}, got {head!r}")
        require_encoder(encoder, depth)
        self.head = head
        self.multiple = 4 * 2**depth
        self.encoded = bool(encoder)
        self.stem: nn.Module
        first: nn.Module
        if encoder:
            self.stem = EncodedStem(encoder, features)
            first = EncodedHourglass(ENCODER_SIZES[encoder], depth, features, blocks)
        else:
            self.stem = _plain_stem(stem or default_stem(features), features)
            first = Hourglass(depth, features, blocks)
        later = [Hourglass(depth, features, blocks) for _ in range(stacks - 1)]
        self.hourglasses = nn.ModuleList([first, *later])
        self.features = nn.ModuleList(_feature_head(features, blocks) for _ in range(stacks))
        outputs = [nn.Conv2d(features, joints, 1) for _ in range(stacks)]
        self.outputs = nn.ModuleList(outputs)
        self.merge_features = nn.ModuleList(nn.Conv2d(features, features, 1) for _ in range(stacks - 1))
        self.merge_outputs = nn.ModuleList(nn.Conv2d(joints, features, 1) for _ in range(stacks - 1))
        self._initialise(outputs, math.log(prior / (1 - prior)) if head == "sigmoid" else 0.0)

    def _initialise(self, outputs: Sequence[nn.Conv2d], output_bias: float) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for output in outputs:
            nn.init.normal_(output.weight, std=_OUTPUT_STD)
            if output.bias is not None:
                nn.init.constant_(output.bias, output_bias)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Predict heatmap logits.

        Parameters
        ----------
        images : (B, 3, H, W) float
            Normalised RGB crops; H and W are multiples of ``4 * 2**depth``.

        Returns
        -------
        list of (B, K, H/4, W/4) : heatmap logits of each stack; the last are the network's prediction.

        Raises
        ------
        ValueError
            If the images have another shape.
        """
        if images.ndim != 4 or images.shape[1] != 3 or images.shape[2] % self.multiple or images.shape[3] % self.multiple:
            raise ValueError(f"images: expected (B, 3, H, W), H and W multiples of {self.multiple}, got {tuple(images.shape)}")
        maps = self.stem(images)
        x = maps[0] if self.encoded else maps
        logits: list[Tensor] = []
        for stack, hourglass in enumerate(self.hourglasses):
            features = self.features[stack](hourglass(x if stack else maps))
            logits.append(self.outputs[stack](features))
            if stack < len(self.merge_features):
                x = x + self.merge_features[stack](features) + self.merge_outputs[stack](logits[-1])
        return logits

    def activate(self, logits: Tensor) -> Tensor:
        """Turn logits of any shape into heatmap values: probabilities for a sigmoid head, unchanged for a linear head."""
        return logits.sigmoid() if self.head == "sigmoid" else logits


def _plain_stem(channels: tuple[int, int, int], features: int) -> nn.Sequential:
    first, second, third = channels
    return nn.Sequential(
        nn.Conv2d(3, first, 7, stride=2, padding=3),
        nn.BatchNorm2d(first),
        nn.ReLU(inplace=True),
        Residual(first, second),
        nn.MaxPool2d(2),
        Residual(second, third),
        Residual(third, features),
    )


def _feature_head(features: int, blocks: int) -> nn.Sequential:
    return nn.Sequential(
        _residuals(blocks, features), nn.Conv2d(features, features, 1), nn.BatchNorm2d(features), nn.ReLU(inplace=True)
    )
