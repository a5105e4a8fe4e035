"""Configuration of `posekit train-detector`."""

from dataclasses import dataclass, field

from posekit.data.labelled_images import KINDS
from posekit.errors import choose, require
from posekit.training.config import ModelConfig, OptimizerConfig, SourceConfig, TrainConfig


@dataclass(frozen=True)
class BackgroundsConfig:
    """Images without people, used as backgrounds of the scenes.

    Parameters
    ----------
    images : str
        Data set format: cifar10, cifar100, or folder (folders of images in path/train). Empty: all backgrounds are synthetic.
    path : str
        Folder or HDF5 file of the data set; a relative path starts from data.root.
    """

    images: str = ""
    path: str = ""

    def __post_init__(self):
        if self.images:
            choose("data.backgrounds.images", self.images, KINDS)


@dataclass(frozen=True)
class ScenesConfig:
    """People and backgrounds from which the training and validation scenes are composed.

    Parameters
    ----------
    people : list of SourceConfig
        Data sets of the people pasted into the training scenes; ideally, each image shows only one person.
    valid : list of SourceConfig
        Data sets of the people pasted into the validation scenes, on which the model is evaluated after each epoch.
    backgrounds : BackgroundsConfig
        Background images for half of the scenes; the other scenes have synthetic backgrounds.
    root : str
        Folder that the relative paths in this section start from.
    """

    people: list[SourceConfig] = field(default_factory=list)
    valid: list[SourceConfig] = field(default_factory=list)
    backgrounds: BackgroundsConfig = field(default_factory=BackgroundsConfig)
    root: str = "data"

    def __post_init__(self):
        require(bool(self.people), "data.people", self.people, "at least one data set")
        require(bool(self.valid), "data.valid", self.valid, "at least one data set")


@dataclass(frozen=True)
class SizesConfig:
    """Sizes of people: one heatmap per size. The size is the longer side of the bounding box of the joints.

    Parameters
    ----------
    least, most : float
        Smallest and largest size, in pixels of the network's input.
    per_octave : int
        Number of heatmaps per doubling of the size.
    """

    least: float = 32.0
    most: float = 256.0
    per_octave: int = 2

    def __post_init__(self):
        require(0 < self.least < self.most, "sizes.least", self.least, "a number above 0 and below sizes.most")
        require(self.per_octave >= 1, "sizes.per_octave", self.per_octave, "1 or more")


@dataclass(frozen=True)
class DetectorLossConfig:
    """Loss on the heatmaps.

    Parameters
    ----------
    name : str
        anchor (anchor loss), bce (binary cross entropy) or focal (focal loss).
    gamma : float
        Focusing exponent of anchor and focal loss; bce ignores gamma.
    """

    name: str = "anchor"
    gamma: float = 2.0

    def __post_init__(self):
        choose("loss.name", self.name, ("anchor", "bce", "focal"))
        require(self.gamma >= 0, "loss.gamma", self.gamma, "0 or more")


@dataclass(frozen=True)
class DetectorConfig:
    """Configuration of a person finder's training run.

    Parameters
    ----------
    data : ScenesConfig
        People and backgrounds of the scenes.
    model : ModelConfig
        Hourglass network with one stack; input_size is the side of the scenes in pixels.
    sizes : SizesConfig
        Sizes of people.
    loss : DetectorLossConfig
        Loss on the heatmaps.
    optimizer : OptimizerConfig
        Optimizer and learning rate schedule.
    train : TrainConfig
        Number of epochs, batches, precision and device.
    seed : int
        Random seed of the initial weights, the sample order and the scenes.
    """

    data: ScenesConfig
    model: ModelConfig = field(default_factory=lambda: ModelConfig(stacks=1))
    sizes: SizesConfig = field(default_factory=SizesConfig)
    loss: DetectorLossConfig = field(default_factory=DetectorLossConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    seed: int = 0

    def __post_init__(self):
        require(self.seed >= 0, "seed", self.seed, "0 or more")
        require(self.model.stacks == 1, "model.stacks", self.model.stacks, "1")


CONFIG_CLASS = DetectorConfig
"""Configuration class of the task; the module `config` of every task defines this name."""
