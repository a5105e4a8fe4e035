"""What can be configured: frozen dataclasses, each field documented and checked where it is declared.

A configuration is read from YAML and overridden on the command line (`--train.epochs 5`); see `posekit.cli.train`.
"""

from dataclasses import dataclass, field

from posekit.errors import ConfigError


def _require(condition: bool, key: str, value, expected: str) -> None:
    if not condition:
        raise ConfigError(f"{key}: expected {expected}, got {value!r}")


def _choose(key: str, value: str, choices: tuple[str, ...]) -> None:
    _require(value in choices, key, value, "one of " + ", ".join(choices))


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
        _choose("data", self.data, ("mpii", "lsp", "coco", "packed"))


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
        _require(self.people >= 0, "data.synthetic.people", self.people, "0 or more")
        _require(self.seed >= 0, "data.synthetic.seed", self.seed, "0 or more")


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
        _require(bool(self.train), "data.train", self.train, "at least one data set")
        _require(bool(self.valid), "data.valid", self.valid, "at least one data set")


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
        Weights to begin with, a file or a shipped name, of a network of the same sizes; empty: random ones, and ImageNet's in an
        encoder. What depends on the
        joints begins anew where the weights are for other joints.
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
            _choose("model.encoder", self.encoder, ("efficientnet-lite0", "efficientnet-lite0-short"))
        least = 3 if self.encoder == "efficientnet-lite0" else 2 if self.encoder else 1
        _require(self.stacks >= 1, "model.stacks", self.stacks, "1 or more")
        _require(self.features >= 4 and self.features % 4 == 0, "model.features", self.features, "a multiple of 4")
        _require(self.depth >= least, "model.depth", self.depth, f"{least} or more")
        multiple = 4 * 2**self.depth
        fits = self.input_size > 0 and self.input_size % multiple == 0
        _require(fits, "model.input_size", self.input_size, f"a multiple of {multiple} (4 * 2^depth)")
        _require(0 < self.prior < 1, "model.prior", self.prior, "a probability between 0 and 1")


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
        _require(self.sigma > 0, "targets.sigma", self.sigma, "a number above 0")


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
        _choose("loss.name", self.name, ("anchor", "bce", "focal", "mse"))
        _require(self.gamma >= 0, "loss.gamma", self.gamma, "0 or more")
        _require(self.ohkm >= 0, "loss.ohkm", self.ohkm, "0 or more")
        _require(self.warmup_epochs >= 0, "loss.warmup_epochs", self.warmup_epochs, "0 or more")
        linear = self.name == "mse" and self.warmup_epochs > 0
        _require(not linear, "loss.warmup_epochs", self.warmup_epochs, "0 with loss.name mse, whose head is linear")


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
        _require(0 <= self.scale < 1, "augment.scale", self.scale, "0 or more and below 1")
        _require(0 <= self.rotation <= 180, "augment.rotation", self.rotation, "0 to 180 degrees")
        for key in ("rotation_probability", "mirror_probability", "cover_probability"):
            _require(0 <= getattr(self, key) <= 1, f"augment.{key}", getattr(self, key), "a probability from 0 to 1")
        _require(0 <= self.colour <= 1, "augment.colour", self.colour, "0 to 1")


@dataclass(frozen=True)
class OptimizerConfig:
    """The optimizer and its schedule.

    Parameters
    ----------
    name : str
        rmsprop (the papers'), adam or adamw.
    lr : float
        The highest learning rate.
    weight_decay : float
        L2 penalty (adamw: decoupled).
    schedule : str
        constant; paper (lr for 100 epochs, then times 0.5 and times 0.2 in turn every 20); cosine (to 0 at the last
        epoch); onecycle (up over the first 30 %, down to 0).
    """

    name: str = "rmsprop"
    lr: float = 1e-3
    weight_decay: float = 0.0
    schedule: str = "paper"

    def __post_init__(self):
        _choose("optimizer.name", self.name, ("rmsprop", "adam", "adamw"))
        _choose("optimizer.schedule", self.schedule, ("constant", "paper", "cosine", "onecycle"))
        _require(self.lr > 0, "optimizer.lr", self.lr, "a number above 0")
        _require(self.weight_decay >= 0, "optimizer.weight_decay", self.weight_decay, "0 or more")


@dataclass(frozen=True)
class TrainConfig:
    """How long, on what and how it runs.

    Parameters
    ----------
    epochs : int
        Times that everyone is seen.
    batch_size : int
        People per step and process: N processes with B people each learn what one process with N times B learns.
    accumulate : int
        Steps whose gradients are added up before the weights change.
    ema : float
        Decay of the moving average of the weights that is validated and saved; 0: none.
    keep_epochs : list of int
        Epochs (the first is 1) after which the weights, as validated, are kept in OUT/epochs: to see later how training went.
    precision : str
        no (float32, though a GPU's convolutions multiply in TF32), or mixed precision: bf16, or fp16 (GPU only; it waits for
        the GPU at every step); auto: bf16 where the processor or GPU multiplies in it, else no. The run's config.yaml says
        which it was.
    compile : bool
        Run the network through torch.compile in training. The first step takes minutes: for long runs on a GPU.
    device : str
        auto (a GPU where there is one), cpu or cuda.
    workers : int
        Processes that read and crop photographs; 0: the training process itself.
    """

    epochs: int = 200
    batch_size: int = 6
    accumulate: int = 1
    ema: float = 0.0
    keep_epochs: list[int] = field(default_factory=list)
    precision: str = "no"
    compile: bool = False
    device: str = "auto"
    workers: int = 2

    def __post_init__(self):
        for key in ("epochs", "batch_size", "accumulate"):
            _require(getattr(self, key) >= 1, f"train.{key}", getattr(self, key), "1 or more")
        _require(0 <= self.ema < 1, "train.ema", self.ema, "0 or more and below 1")
        _require(all(epoch >= 1 for epoch in self.keep_epochs), "train.keep_epochs", self.keep_epochs, "epochs of 1 or more")
        _choose("train.precision", self.precision, ("no", "bf16", "fp16", "auto"))
        _choose("train.device", self.device, ("auto", "cpu", "cuda"))
        _require(self.workers >= 0, "train.workers", self.workers, "0 or more")


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
        _require(self.seed >= 0, "seed", self.seed, "0 or more")
        one_pixel = self.model.input_size == 4 * 2**self.model.depth and self.train.batch_size == 1
        _require(not one_pixel, "train.batch_size", 1, "2 or more where the innermost map has one pixel (batch normalisation)")


@dataclass(frozen=True)
class CompareConfig:
    """Which models are trained and compared.

    Parameters
    ----------
    base : str
        The training configuration that all share; a relative path starts from the folder of the comparison's file.
    models : dict of str to dict
        By the names that tables print, what sets each model apart: keys of a training configuration, nested as there.
    shared : dict
        Such keys that all models have in common, instead of the base's.
    seeds : list of int
        Each model is trained once with each.
    against : list of str
        Names of the models that the others' differences are told to.
    decode : str
        How heatmaps become joints where they are scored: quarter, dark or argmax (training validates by quarter).
    """

    base: str
    models: dict[str, dict]
    shared: dict = field(default_factory=dict)
    seeds: list[int] = field(default_factory=lambda: [0, 1, 2])
    against: list[str] = field(default_factory=list)
    decode: str = "quarter"

    def __post_init__(self):
        _require(bool(self.models), "models", self.models, "at least one model")
        _require(bool(self.seeds) and len(set(self.seeds)) == len(self.seeds), "seeds", self.seeds, "at least one, each once")
        _require(all(seed >= 0 for seed in self.seeds), "seeds", self.seeds, "numbers of 0 or more")
        unknown = [name for name in self.against if name not in self.models]
        _choose("decode", self.decode, ("quarter", "dark", "argmax"))
        _require(not unknown, "against", ", ".join(unknown), "names of models: " + ", ".join(self.models))
