"""Configuration of `posekit train-classifier`."""

from dataclasses import dataclass, field

from posekit.data.labelled_images import KINDS
from posekit.errors import choose, require
from posekit.training.config import OptimizerConfig, TrainConfig

_CIFAR_SIZE = 32


@dataclass(frozen=True)
class ImagesConfig:
    """Training, validation and test images.

    Parameters
    ----------
    images : str
        Data set format: cifar10, cifar100, or folder (one folder of images per class, like ImageNet).
    path : str
        Folder or HDF5 file of the data set; a relative path starts from data.root.
    root : str
        Folder that a relative data.path starts from.
    train : str
        Training split: train, valid (folder only), test, random:FRACTION:SEED (a random subset of the training images) or
        random-rest:FRACTION:SEED (the training images outside that subset).
    valid : str
        Validation split, on which the model is evaluated after each epoch to choose the best weights.
    test : str
        Test split, on which the best weights are evaluated after training.
    size : int
        Side of the network's square input in pixels; 32 for CIFAR. Images from a folder are cropped and resized to this size,
        at random in training.
    pad : int
        Largest random shift of a training image in pixels; the uncovered area is black.
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
        choose("data.images", self.images, KINDS)
        require(self.size >= 1, "data.size", self.size, "1 or more")
        require(self.images == "folder" or self.size == _CIFAR_SIZE, "data.size", self.size, f"{_CIFAR_SIZE} for CIFAR")
        require(0 <= self.pad < self.size, "data.pad", self.pad, "0 or more and below data.size")


@dataclass(frozen=True)
class ClassifierModelConfig:
    """Residual network.

    Parameters
    ----------
    name : str
        resnet20, resnet32, resnet56 or resnet110 for images of 32x32 pixels, or resnet50 (of torchvision) for ImageNet.
    """

    name: str = "resnet20"

    def __post_init__(self):
        choose("model.name", self.name, ("resnet20", "resnet32", "resnet56", "resnet110", "resnet50"))


@dataclass(frozen=True)
class ClassifierLossConfig:
    """Classification loss.

    Parameters
    ----------
    name : str
        anchor (anchor loss), bce (binary cross entropy) and focal (focal loss) use a sigmoid for every class; ce is cross
        entropy with softmax.
    gamma : float
        Focusing exponent of anchor and focal loss; the other losses ignore gamma.
    margin : float
        Margin of anchor loss: the loss is also amplified for wrong classes whose probability is below that of the true class
        by less than the margin.
    anchor : float or str
        Which terms of anchor loss are scaled: background (the terms of the wrong classes, relative to the probability of the
        true class), target (the term of the true class, relative to the highest probability of a wrong class), or both. A
        number from 0 to 1: the terms of the wrong classes, relative to this number.
    warmup_epochs : int
        Number of epochs at the start that train with softmax cross entropy (anchor loss only).
    ohem : float
        Online hard example mining (OHEM): fraction of each batch that enters the loss, namely the images with the highest
        loss; 1: all images.
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
        require(not without_effect, "loss.warmup_epochs", self.warmup_epochs, "0 unless loss.name is anchor")
        require(0 < self.ohem <= 1, "loss.ohem", self.ohem, "a fraction above 0, at most 1")


@dataclass(frozen=True)
class ClassifierConfig:
    """Configuration of a classifier's training run.

    Parameters
    ----------
    data : ImagesConfig
        Training, validation and test images.
    model : ClassifierModelConfig
        Residual network.
    loss : ClassifierLossConfig
        Classification loss.
    optimizer : OptimizerConfig
        Optimizer and learning rate schedule.
    train : TrainConfig
        Number of epochs, batches, precision and device.
    seed : int
        Random seed of the initial weights, the sample order and the augmentation.
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
"""Configuration class of the task; the module `config` of every task defines this name."""
