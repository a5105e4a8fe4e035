"""What pose models are trained on, and how."""

from dataclasses import dataclass, field

from posekit.config.checks import choose, require
from posekit.config.training import OptimizerConfig, TrainConfig


@dataclass(frozen=True)
class SourceConfig:
    """One data set's split.

    Parameters
    ----------
    data : str
        Kind of annotation: mpii, lsp (LSP and LSPET), coco, or packed (what `posekit prepare pack` writes).
    path : str
        Its folder or annotation file; a relative one is looked up in data.root.
    split : str
        train, valid, test, all, random:FRACTION:SEED or random-rest:FRACTION:SEED.
    """

    data: str
    path: str
    split: str = "all"

    def __post_init__(self):
        choose("data", self.data, ("mpii", "lsp", "coco", "packed"))


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
class ModelConfig:
    """The stacked hourglass.

    Parameters
    ----------
    encoder : str
        efficientnet-lite0, or efficientnet-lite0-short for small models: a network with ImageNet's weights in the place of the
        stem and of the first hourglass's way down; empty: none, as in the papers.
    stacks : int
        Hourglasses one after another; each is supervised.
    features : int
        Channels; 256 in the papers.
    depth : int
        Times that each hourglass halves its map.
    input_size : int
        Side of the crops in pixels; the heatmaps' side is a quarter of it.
    prior : float
        Probability that every pixel starts from (sigmoid head).
    start_from : str
        Weights to begin with, a file or a shipped name, of a network of the same sizes; empty: random ones, and ImageNet's in
        an encoder. What depends on the joints begins anew where the weights are for other joints.
    """

    encoder: str = ""
    stacks: int = 2
    features: int = 256
    depth: int = 4
    input_size: int = 256
    prior: float = 0.01
    start_from: str = ""

    def __post_init__(self):
        if self.encoder:
            choose("model.encoder", self.encoder, ("efficientnet-lite0", "efficientnet-lite0-short"))
        least = 3 if self.encoder == "efficientnet-lite0" else 2 if self.encoder else 1
        require(self.stacks >= 1, "model.stacks", self.stacks, "1 or more")
        require(self.features >= 4 and self.features % 4 == 0, "model.features", self.features, "a multiple of 4")
        require(self.depth >= least, "model.depth", self.depth, f"{least} or more")
        multiple = 4 * 2**self.depth
        fits = self.input_size > 0 and self.input_size % multiple == 0
        require(fits, "model.input_size", self.input_size, f"a multiple of {multiple} (4 * 2^depth)")
        require(0 < self.prior < 1, "model.prior", self.prior, "a probability between 0 and 1")


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
class AugmentConfig:
    """How far the training crops vary.

    Parameters
    ----------
    scale : float
        The box's side is multiplied by 1 - scale … 1 + scale.
    rotation : float
        Degrees, to either side.
    rotation_probability : float
        Share of the crops that are rotated.
    mirror_probability : float
        Share of the crops that are mirrored.
    colour : float
        Each channel is multiplied by 1 - colour … 1 + colour.
    cover_probability : float
        Share of the crops of which a rectangle is hidden.
    """

    scale: float = 0.25
    rotation: float = 30.0
    rotation_probability: float = 0.6
    mirror_probability: float = 0.5
    colour: float = 0.2
    cover_probability: float = 0.0

    def __post_init__(self):
        require(0 <= self.scale < 1, "augment.scale", self.scale, "0 or more and below 1")
        require(0 <= self.rotation <= 180, "augment.rotation", self.rotation, "0 to 180 degrees")
        for key in ("rotation_probability", "mirror_probability", "cover_probability"):
            require(0 <= getattr(self, key) <= 1, f"augment.{key}", getattr(self, key), "a probability from 0 to 1")
        require(0 <= self.colour <= 1, "augment.colour", self.colour, "0 to 1")


@dataclass(frozen=True)
class Config:
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
