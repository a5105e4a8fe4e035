"""Configuration of `posekit train-classifier`."""

from dataclasses import dataclass, field

from posekit.errors import choose, require
from posekit.training.config import OptimizerConfig, TrainConfig

_CIFAR_SIZE = 32


@dataclass(frozen=True)
class ImagesConfig:
    """Training, validation and test images.

    Parameters
    ----------
    images : str
        Kind of data set: cifar10, cifar100, or folder (like ImageNet: a folder of images for every class).
    path : str
        Its folder or HDF5 file; a relative path starts from data.root.
    root : str
        Folder that a relative path starts from.
    train : str
        Training split: train, valid (of a folder), test, random:FRACTION:SEED or random-rest:FRACTION:SEED.
    valid : str
        Split that is scored after each epoch to choose the best weights.
    test : str
        Split that the best weights are scored on at the end.
    size : int
        Side of the network's input in pixels. Images of a folder are cropped to it, at random in training; CIFAR's have 32.
    pad : int
        Largest random shift of an image in training, in pixels; black beyond its edge.
    """

    images: str
    path: str
    root: str = "data"
    train: str = "train"
    valid: str = "test"
    test: str = "test"
    size: int = _CIFAR_SIZE
    pad: int = 4

    def __post_init__(self):
        choose("data.images", self.images, ("cifar10", "cifar100", "folder"))
        require(self.size >= 1, "data.size", self.size, "1 or more")
        require(self.images == "folder" or self.size == _CIFAR_SIZE, "data.size", self.size, f"{_CIFAR_SIZE} of CIFAR's images")
        require(0 <= self.pad < self.size, "data.pad", self.pad, "0 or more and below data.size")


@dataclass(frozen=True)
class ClassifierModelConfig:
    """The residual network.

    Parameters
    ----------
    name : str
        resnet20, resnet32, resnet56 or resnet110 for images of 32x32; resnet50, torchvision's, for ImageNet.
    """

    name: str = "resnet20"

    def __post_init__(self):
        choose("model.name", self.name, ("resnet20", "resnet32", "resnet56", "resnet110", "resnet50"))


@dataclass(frozen=True)
class ClassifierLossConfig:
    """The loss.

    Parameters
    ----------
    name : str
        anchor, bce, focal (all on the sigmoid of every class) or ce (softmax cross entropy).
    gamma : float
        Focusing exponent of anchor and focal.
    margin : float
        Margin of anchor: background up to this much below the target's probability is amplified too.
    anchor : float or str
        Kind of anchor: background (its anchor is the target's probability), target, both, or one number from 0 to 1.
    warmup_epochs : int
        The first epochs train with softmax cross entropy (anchor only).
    ohem : float
        Share of each batch's images that count, those of highest loss; 1: all images.
    """

    name: str = "anchor"
    gamma: float = 0.5
    margin: float = 0.05
    anchor: float | str = "background"
    warmup_epochs: int = 0
    ohem: float = 1.0

    def __post_init__(self):
        choose("loss.name", self.name, ("anchor", "bce", "focal", "ce"))
        require(self.gamma >= 0, "loss.gamma", self.gamma, "0 or more")
        require(0 <= self.margin <= 1, "loss.margin", self.margin, "0 to 1")
        known = self.anchor in ("background", "target", "both") if isinstance(self.anchor, str) else 0 <= self.anchor <= 1
        require(known, "loss.anchor", self.anchor, "background, target, both, or a number from 0 to 1")
        require(self.warmup_epochs >= 0, "loss.warmup_epochs", self.warmup_epochs, "0 or more")
        without_effect = self.name != "anchor" and self.warmup_epochs > 0
        require(not without_effect, "loss.warmup_epochs", self.warmup_epochs, "0 with another loss.name than anchor")
        require(0 < self.ohem <= 1, "loss.ohem", self.ohem, "a share above 0, at most 1")


@dataclass(frozen=True)
class ClassifierConfig:
    """Everything that a classifier's training run depends on.

    Parameters
    ----------
    data : ImagesConfig
        Training, validation and test images.
    model : ClassifierModelConfig
        Network.
    loss : ClassifierLossConfig
        Loss.
    optimizer : OptimizerConfig
        Optimizer and schedule.
    train : TrainConfig
        Length, batches, precision and device.
    seed : int
        Seed of the initial weights, the order of the samples and the augmentation.
    """

    data: ImagesConfig
    model: ClassifierModelConfig = field(default_factory=ClassifierModelConfig)
    loss: ClassifierLossConfig = field(default_factory=ClassifierLossConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    seed: int = 0

    def __post_init__(self):
        require(self.seed >= 0, "seed", self.seed, "0 or more")


CONFIG_CLASS = ClassifierConfig
"""Configuration class of this task, under the name that all tasks use."""
