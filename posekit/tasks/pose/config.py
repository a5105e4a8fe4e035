"""Configuration of `posekit train`."""

from dataclasses import dataclass, field

from posekit.data.augment import AugmentConfig
from posekit.errors import choose, require
from posekit.training.config import ModelConfig, OptimizerConfig, SourceConfig, TrainConfig


@dataclass(frozen=True)
class SyntheticConfig:
    """Synthetic people, written before training if they are not there yet.

    Parameters
    ----------
    people : int
        Number of images to render, one person each; 0: none.
    path : str
        Folder; a relative path starts from data.root.
    seed : int
        The same seed gives the same files.
    """

    people: int = 0
    path: str = "synthetic"
    seed: int = 0

    def __post_init__(self):
        require(self.people >= 0, "data.synthetic.people", self.people, "0 or more")
        require(self.seed >= 0, "data.synthetic.seed", self.seed, "0 or more")


@dataclass(frozen=True)
class DataConfig:
    """Training and validation data.

    Parameters
    ----------
    train : list of SourceConfig
        Training data; joints are matched by name to the skeleton of the first source.
    valid : list of SourceConfig
        Validation data, scored after each epoch.
    root : str
        Folder that relative paths start from.
    synthetic : SyntheticConfig
        Synthetic data set to write first.
    """

    train: list[SourceConfig] = field(default_factory=list)
    valid: list[SourceConfig] = field(default_factory=list)
    root: str = "data"
    synthetic: SyntheticConfig = field(default_factory=SyntheticConfig)

    def __post_init__(self):
        require(bool(self.train), "data.train", self.train, "at least one data set")
        require(bool(self.valid), "data.valid", self.valid, "at least one data set")


@dataclass(frozen=True)
class TargetsConfig:
    """Target heatmaps.

    Parameters
    ----------
    sigma : float
        Standard deviation of the Gaussians, in heatmap pixels.
    subpixel : bool
        Centre the Gaussians exactly on the joints instead of on the nearest heatmap pixel.
    """

    sigma: float = 1.0
    subpixel: bool = False

    def __post_init__(self):
        require(self.sigma > 0, "targets.sigma", self.sigma, "a number above 0")


@dataclass(frozen=True)
class LossConfig:
    """The loss, which decides the model's head: linear for mse, sigmoid for the others.

    Parameters
    ----------
    name : str
        anchor, bce, focal or mse.
    gamma : float
        Focusing exponent of anchor and focal.
    ohkm : int
        Number of each person's hardest joints that count; 0: all joints.
    warmup_epochs : int
        The first epochs train with binary cross entropy (anchor and focal only).
    """

    name: str = "anchor"
    gamma: float = 2.0
    ohkm: int = 0
    warmup_epochs: int = 0

    def __post_init__(self):
        choose("loss.name", self.name, ("anchor", "bce", "focal", "mse"))
        require(self.gamma >= 0, "loss.gamma", self.gamma, "0 or more")
        require(self.ohkm >= 0, "loss.ohkm", self.ohkm, "0 or more")
        require(self.warmup_epochs >= 0, "loss.warmup_epochs", self.warmup_epochs, "0 or more")
        linear = self.name == "mse" and self.warmup_epochs > 0
        require(not linear, "loss.warmup_epochs", self.warmup_epochs, "0 with loss.name mse, whose head is linear")


@dataclass(frozen=True)
class PoseConfig:
    """Everything that a training run depends on.

    Parameters
    ----------
    data : DataConfig
        Training and validation data.
    model : ModelConfig
        Network.
    targets : TargetsConfig
        Target heatmaps.
    loss : LossConfig
        Loss.
    augment : AugmentConfig
        Augmentation of the training crops.
    optimizer : OptimizerConfig
        Optimizer and schedule.
    train : TrainConfig
        Length, batches, precision and device.
    seed : int
        Seed of the initial weights, the order of the samples and the augmentation.
    """

    data: DataConfig
    model: ModelConfig = field(default_factory=ModelConfig)
    targets: TargetsConfig = field(default_factory=TargetsConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    seed: int = 0

    def __post_init__(self):
        require(self.seed >= 0, "seed", self.seed, "0 or more")
        one_pixel = self.model.input_size == 4 * 2**self.model.depth and self.train.batch_size == 1
        require(not one_pixel, "train.batch_size", 1, "2 or more where the innermost map has one pixel (batch normalisation)")


CONFIG_CLASS = PoseConfig
"""Configuration class of this task, under the name that all tasks use."""
