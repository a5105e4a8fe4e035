"""Configuration of `posekit train-detector`."""

from dataclasses import dataclass, field

from posekit.errors import choose, require
from posekit.training.config import ModelConfig, OptimizerConfig, SourceConfig, TrainConfig


@dataclass(frozen=True)
class BackgroundsConfig:
    """Images without people, to paste people into.

    Parameters
    ----------
    images : str
        Kind of data set: cifar10, cifar100, or folder (folders of images in path/train); empty: all backgrounds are drawn.
    path : str
        Its folder or HDF5 file; a relative path starts from data.root.
    """

    images: str = ""
    path: str = ""

    def __post_init__(self):
        if self.images:
            choose("data.backgrounds.images", self.images, ("cifar10", "cifar100", "folder"))


@dataclass(frozen=True)
class ScenesConfig:
    """People and backgrounds that the scenes are made of.

    Parameters
    ----------
    people : list of SourceConfig
        People pasted into the training scenes; ideally the only person in their image.
    valid : list of SourceConfig
        People pasted into the validation scenes, which are scored after each epoch.
    backgrounds : BackgroundsConfig
        Images for the background; others are drawn.
    root : str
        Folder that relative paths start from.
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
    """Sizes of people, one map for each: the longer side of the tight box of the joints.

    Parameters
    ----------
    least, most : float
        Smallest and largest size in pixels of the network's input.
    per_octave : int
        Maps for each doubling.
    """

    least: float = 32.0
    most: float = 256.0
    per_octave: int = 2

    def __post_init__(self):
        require(0 < self.least < self.most, "sizes.least", self.least, "a number above 0 and below sizes.most")
        require(self.per_octave >= 1, "sizes.per_octave", self.per_octave, "1 or more")


@dataclass(frozen=True)
class DetectorLossConfig:
    """The loss.

    Parameters
    ----------
    name : str
        anchor, bce or focal.
    gamma : float
        Focusing exponent of anchor and focal.
    """

    name: str = "anchor"
    gamma: float = 2.0

    def __post_init__(self):
        choose("loss.name", self.name, ("anchor", "bce", "focal"))
        require(self.gamma >= 0, "loss.gamma", self.gamma, "0 or more")


@dataclass(frozen=True)
class DetectorConfig:
    """Everything that a person finder's training run depends on.

    Parameters
    ----------
    data : ScenesConfig
        People and backgrounds of the scenes.
    model : ModelConfig
        Network of one stack; its input_size is the side of the scenes.
    sizes : SizesConfig
        Sizes of people.
    loss : DetectorLossConfig
        Loss.
    optimizer : OptimizerConfig
        Optimizer and schedule.
    train : TrainConfig
        Length, batches, precision and device.
    seed : int
        Seed of the initial weights, the order of the samples and the scenes.
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
"""Configuration class of this task, under the name that all tasks use."""
