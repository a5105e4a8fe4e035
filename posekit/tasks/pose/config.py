"""Configuration of `posekit train`."""

from dataclasses import dataclass, field

from posekit.data.augment import AugmentConfig
from posekit.errors import choose, require
from posekit.training.config import ModelConfig, OptimizerConfig, SourceConfig, TrainConfig


@dataclass(frozen=True)
class SyntheticConfig:
    """Synthetic data set, rendered before training unless it already exists.

    Parameters
    ----------
    people : int
        Number of images to render, each with one person; 0: no synthetic data set.
    path : str
        Folder to write the data set to; a relative path starts from data.root.
    seed : int
        Random seed; the same seed gives the same files.
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
        Training data sets. All use the skeleton of the first data set; joints are matched by name.
    valid : list of SourceConfig
        Validation data sets, on which the model is evaluated after each epoch.
    root : str
        Folder that the relative paths in this section start from.
    synthetic : SyntheticConfig
        Synthetic data set, rendered before training.
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
        Standard deviation of the Gaussian at each joint, in heatmap pixels.
    subpixel : bool
        Centre the Gaussians exactly on the joints instead of on the nearest heatmap pixel.
    """

    sigma: float = 1.0
    subpixel: bool = False

    def __post_init__(self):
        require(self.sigma > 0, "targets.sigma", self.sigma, "a number above 0")


@dataclass(frozen=True)
class LossConfig:
    """Loss. The loss determines the activation of the model's head: linear for mse, sigmoid for the other losses.

    Parameters
    ----------
    name : str
        anchor (anchor loss), bce (binary cross entropy), focal (focal loss) or mse (mean squared error).
    gamma : float
        Focusing exponent of anchor and focal loss; the other losses ignore gamma.
    ohkm : int
        Online hard keypoint mining (OHKM): number of joints per person that enter the loss, namely the joints with the
        highest loss; 0: all joints.
    warmup_epochs : int
        Number of epochs at the start that train with binary cross entropy on all joints instead of loss.name; must be 0 for mse.
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
        require(not linear, "loss.warmup_epochs", self.warmup_epochs, "0 because loss.name is mse, whose head is linear")


@dataclass(frozen=True)
class PoseConfig:
    """Configuration of a pose model's training run.

    Parameters
    ----------
    data : DataConfig
        Training and validation data.
    model : ModelConfig
        Stacked hourglass network.
    targets : TargetsConfig
        Target heatmaps.
    loss : LossConfig
        Loss on the heatmaps.
    augment : AugmentConfig
        Augmentation of the training crops.
    optimizer : OptimizerConfig
        Optimizer and learning rate schedule.
    train : TrainConfig
        Number of epochs, batches, precision and device.
    seed : int
        Random seed of the initial weights, the sample order and the augmentation.
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
        require(not one_pixel, "train.batch_size", 1, "2 or more, because the smallest feature map has one pixel")


CONFIG_CLASS = PoseConfig
"""Configuration class of the task; the module `config` of every task defines this name."""
