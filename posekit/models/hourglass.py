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
    """Pre-activation bottleneck: three times BN, ReLU, convolution (1x1, 3x3, 1x1), added to its input.

    Parameters
    ----------
    inputs, outputs : int
        Channels. If they differ, the skip is a 1x1 convolution. The middle has ``outputs // 2`` channels.
    """

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        middle = outputs // 2
        # ReLU may work in place: neither batch normalisation nor the convolutions need the overwritten values.
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
        """(B, inputs, H, W) to (B, outputs, H, W)."""
        return self.branch(x).add_(self.skip(x))


def _residuals(count: int, features: int) -> nn.Sequential:
    return nn.Sequential(*(Residual(features, features) for _ in range(count)))


class Hourglass(nn.Module):
    """One hourglass: halves its map `depth` times and doubles it again, with a skip at every size.

    Parameters
    ----------
    depth : int
        At least 1.
    features : int
        Channels, the same at every size.
    blocks : int
        Residuals at every place.
    """

    def __init__(self, depth: int, features: int, blocks: int = 1):
        super().__init__()
        self.across = _residuals(blocks, features)
        self.down = _residuals(blocks, features)
        self.inner = Hourglass(depth - 1, features, blocks) if depth > 1 else _residuals(blocks, features)
        self.up = _residuals(blocks, features)

    def forward(self, x: Tensor) -> Tensor:
        """(B, features, H, W) to the same shape; H and W are multiples of ``2**depth``."""
        low = self.up(self.inner(self.down(F.max_pool2d(x, 2))))
        return self.across(x).add_(F.interpolate(low, scale_factor=2.0, mode="nearest"))


class EncodedStem(nn.Module):
    """An encoder's maps, at a quarter of the images' size and below, each with the hourglass's number of channels.

    Parameters
    ----------
    encoder : str
        One of `posekit.choices.ENCODER_SIZES`.
    features : int
    """

    def __init__(self, encoder: str, features: int):
        super().__init__()
        self.encoder = EfficientNetLite0(ENCODER_SIZES[encoder])
        self.entries = nn.ModuleList(Residual(channels, features) for channels in self.encoder.channels)

    def forward(self, images: Tensor) -> list[Tensor]:
        """(B, 3, H, W) to (B, features, H/4, W/4), (B, features, H/8, W/8), …"""
        return [entry(x) for entry, x in zip(self.entries, self.encoder(images), strict=True)]


class EncodedHourglass(nn.Module):
    """Hourglass whose encoder half is an external backbone.

    Parameters
    ----------
    sizes : int
        Number of the encoder's maps, each half as large as the one before.
    depth : int
        Number of times that the first map is halved. If the encoder halves it less often, an `Hourglass` does the rest.
    features : int
        Channels, the same at every size.
    blocks : int
        Residuals at every place.
    """

    def __init__(self, sizes: int, depth: int, features: int, blocks: int = 1):
        super().__init__()
        rest = depth - (sizes - 1)
        self.inner = Hourglass(rest, features, blocks) if rest else _residuals(blocks, features)
        self.up = nn.ModuleList(_residuals(blocks, features) for _ in range(sizes - 1))

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Maps (B, features, H, W), (B, features, H/2, W/2), … to one like the first."""
        *larger, smallest = maps
        x = self.inner(smallest)
        for up, skip in zip(self.up, reversed(larger), strict=True):
            x = skip + F.interpolate(up(x), scale_factor=2.0, mode="nearest")
        return x


def default_stem(features: int) -> tuple[int, int, int]:
    """Return the stem's channels in proportion to `features`: 64, 128, 256 for 256."""
    return features // 4, features // 2, features


def require_encoder(name: str, depth: int) -> None:
    """Raise `ValueError` if the encoder is unknown (an empty name is none), or halves its maps more often than `depth`."""
    if name and name not in ENCODER_SIZES:
        raise ValueError(f"encoder: expected one of {', '.join(ENCODER_SIZES)}, got {name!r}")
    if name and depth < ENCODER_SIZES[name] - 1:
        raise ValueError(f"depth: expected {ENCODER_SIZES[name] - 1} or more with the encoder {name}, got {depth}")


class StackedHourglass(nn.Module):
    """Heatmap logits from crops: one set per stack, each of which is supervised.

    Parameters
    ----------
    joints : int
        Heatmaps per stack.
    stacks : int
        Hourglasses in sequence; each takes in the predictions of the one before.
    features : int
        Channels at a quarter of the input's size, a multiple of 4.
    depth : int
        Number of times that each hourglass halves its map.
    head : {"sigmoid", "linear"}
        How `activate` turns logits into heatmaps.
    prior : float
        Initial probability of every pixel (sigmoid head).
    blocks : int
        Residuals at every place of an hourglass, and after it. 1 in the published 2- and 8-stack networks.
    encoder : str
        One of `posekit.choices.ENCODER_SIZES`: the stem and the encoder half of the first hourglass. Empty for none.
    stem : (int, int, int), optional
        Channels after the first convolution and after the first two residuals. In proportion to `features` by
        default, (F/4, F/2, F): the 64, 128, 256 of the widely published PyTorch networks, whose parameter
        counts (6.7 M with 2 stacks, 25.6 M with 8) are quoted as the hourglass's. The authors used 64, 128, 128.

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
        """Predict heatmaps.

        Parameters
        ----------
        images : (B, 3, H, W) float
            Normalised RGB; H and W are multiples of ``4 * 2**depth``.

        Returns
        -------
        list of (B, K, H/4, W/4) : logits, one per stack; the last is the network's prediction.

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
        """Turn logits of any shape into heatmaps: probabilities (sigmoid head), or the logits themselves (linear head)."""
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
