"""What pose models are trained on, and how."""

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
        How many pictures to render; 0 writes none.
    path : str
        Folder; a relative one is looked up in data.root.
    seed : int
        Same seed, same files.
    """

    people: int = 0
    path: str = "synthetic"
    seed: int = 0

    def __post_init__(self):
        require(self.people >= 0, "data.synthetic.people", self.people, "0 or more")
        require(self.seed >= 0, "data.synthetic.seed", self.seed, "0 or more")


@dataclass(frozen=True)
class DataConfig:
    """What is trained on, and what is validated on.

    Parameters
    ----------
    train : list of SourceConfig
        Trained on together: joints are matched by name to the first one's skeleton.
    valid : list of SourceConfig
        Scored after each epoch.
    root : str
        Folder that the sources' paths start from.
    synthetic : SyntheticConfig
        The embedded data set.
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
        Of the Gaussians, in heatmap pixels.
    subpixel : bool
        Centre them exactly on the joint instead of on the nearest heatmap pixel.
    """

    sigma: float = 1.0
    subpixel: bool = False

    def __post_init__(self):
        require(self.sigma > 0, "targets.sigma", self.sigma, "a number above 0")


@dataclass(frozen=True)
class LossConfig:
    """The loss, and with it the model's head: linear for mse, sigmoid for the others.

    Parameters
    ----------
    name : str
        anchor, bce, focal or mse.
    gamma : float
        Focusing exponent of anchor and focal.
    ohkm : int
        Only this many hardest joints of each person count; 0: all.
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
    """Everything a training run depends on.

    Parameters
    ----------
    data : DataConfig
        What is trained and validated on.
    model : ModelConfig
        The network.
    targets : TargetsConfig
        What it is to produce.
    loss : LossConfig
        What errors cost.
    augment : AugmentConfig
        How the crops vary.
    optimizer : OptimizerConfig
        How the weights change.
    train : TrainConfig
        How long, and on what.
    seed : int
        Of the first weights, the order and the augmentation.
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
"""Configuration of this task, by the name that all tasks share."""
