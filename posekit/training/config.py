"""Configuration that all tasks share: data sources, hourglass, optimizer and run."""

from dataclasses import dataclass, field
from typing import Protocol

from posekit.choices import DATASETS, ENCODER_SIZES, PRECISIONS
from posekit.errors import choose, require
from posekit.training.schedule import SCHEDULES


@dataclass(frozen=True)
class OptimizerConfig:
    """Optimizer and learning rate schedule.

    Parameters
    ----------
    name : str
        rmsprop (the papers' choice for poses), adam, adamw or sgd (the papers' choice for classification).
    lr : float
        Highest learning rate.
    weight_decay : float
        L2 penalty (adamw: decoupled).
    momentum : float
        Momentum of sgd.
    nesterov : bool
        Whether sgd uses Nesterov momentum.
    schedule : str
        constant; paper (lr for 100 epochs, then times 0.5 and times 0.2 alternately every 20); steps (times 0.1 at each
        milestone); cosine (falls to 0 at the last epoch); onecycle (rises over the first 30 %, then falls to 0).
    milestones : list of int
        Epochs done at which the schedule steps lowers the rate.
    warmup_epochs : int
        Epochs in which the rate rises linearly from 0 to the schedule's.
    """

    name: str = "rmsprop"
    lr: float = 1e-3
    weight_decay: float = 0.0
    momentum: float = 0.9
    nesterov: bool = False
    schedule: str = "paper"
    milestones: list[int] = field(default_factory=list)
    warmup_epochs: int = 0

    def __post_init__(self):
        choose("optimizer.name", self.name, ("rmsprop", "adam", "adamw", "sgd"))
        choose("optimizer.schedule", self.schedule, tuple(SCHEDULES))
        require(self.lr > 0, "optimizer.lr", self.lr, "a number above 0")
        require(self.weight_decay >= 0, "optimizer.weight_decay", self.weight_decay, "0 or more")
        require(0 <= self.momentum < 1, "optimizer.momentum", self.momentum, "0 or more and below 1")
        require(self.momentum > 0 or not self.nesterov, "optimizer.momentum", self.momentum, "a number above 0 with nesterov")
        steps = self.schedule == "steps"
        require(steps == bool(self.milestones), "optimizer.milestones", self.milestones, "epochs with the schedule steps only")
        require(all(epoch >= 1 for epoch in self.milestones), "optimizer.milestones", self.milestones, "epochs of 1 or more")
        require(self.warmup_epochs >= 0, "optimizer.warmup_epochs", self.warmup_epochs, "0 or more")


@dataclass(frozen=True)
class TrainConfig:
    """Length, batches, precision and device of a run.

    Parameters
    ----------
    epochs : int
        Passes over the training data.
    batch_size : int
        People or images per step and process: N processes with B each learn the same as one process with N times B.
    accumulate : int
        Batches whose gradients are added up before the weights change.
    ema : float
        Decay of the moving average of the weights that is validated and saved; 0: none.
    keep_epochs : list of int
        Epochs (the first is 1) after which the weights, as validated, are kept in OUT/epochs.
    precision : str
        "no" (quoted in YAML: float32, though a GPU's convolutions multiply in TF32), or mixed precision: bf16, or
        fp16 (GPU only; it waits for the GPU at every step); auto: bf16 where the processor or GPU multiplies in it, else
        "no". The run's config.yaml holds the choice.
    compile : bool
        Train through torch.compile. The first step takes minutes, so use it for long runs on a GPU.
    device : str
        auto (a GPU where there is one), cpu or cuda.
    workers : int
        Processes that read and crop images; 0: the training process itself.
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
            require(getattr(self, key) >= 1, f"train.{key}", getattr(self, key), "1 or more")
        require(0 <= self.ema < 1, "train.ema", self.ema, "0 or more and below 1")
        require(all(epoch >= 1 for epoch in self.keep_epochs), "train.keep_epochs", self.keep_epochs, "epochs of 1 or more")
        choose("train.precision", self.precision, (*PRECISIONS, "auto"))
        choose("train.device", self.device, ("auto", "cpu", "cuda"))
        require(self.workers >= 0, "train.workers", self.workers, "0 or more")


@dataclass(frozen=True)
class SourceConfig:
    """One split of a data set.

    Parameters
    ----------
    data : str
        Kind of annotation: mpii, lsp (LSP and LSPET), coco, or packed (what `posekit prepare pack` writes).
    path : str
        Its folder or annotation file; a relative path starts from data.root.
    split : str
        train, valid, test, all, random:FRACTION:SEED or random-rest:FRACTION:SEED.
    """

    data: str
    path: str
    split: str = "all"

    def __post_init__(self):
        choose("data", self.data, DATASETS)


@dataclass(frozen=True)
class ModelConfig:
    """The stacked hourglass.

    Parameters
    ----------
    encoder : str
        efficientnet-lite0, or efficientnet-lite0-short for small models: a backbone with ImageNet weights that replaces the
        stem and the encoder half of the first hourglass; empty: none, as in the papers.
    stacks : int
        Number of hourglasses, one after another; each is supervised.
    features : int
        Channels; 256 in the papers.
    depth : int
        How often each hourglass halves its maps.
    input_size : int
        Side of the crops in pixels; the heatmaps' side is a quarter of it.
    prior : float
        Initial probability of every pixel (sigmoid head).
    start_from : str
        Weights to start from, a file or a shipped name, of a network of the same sizes; empty: random weights, and ImageNet's
        in an encoder. Layers that depend on the joints start from random weights where the file is for other joints.
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
            choose("model.encoder", self.encoder, tuple(ENCODER_SIZES))
        least = ENCODER_SIZES.get(self.encoder, 2) - 1  # the encoder halves its first maps so often
        require(self.stacks >= 1, "model.stacks", self.stacks, "1 or more")
        require(self.features >= 4 and self.features % 4 == 0, "model.features", self.features, "a multiple of 4")
        require(self.depth >= least, "model.depth", self.depth, f"{least} or more")
        multiple = 4 * 2**self.depth
        fits = self.input_size > 0 and self.input_size % multiple == 0
        require(fits, "model.input_size", self.input_size, f"a multiple of {multiple} (4 * 2^depth)")
        require(0 < self.prior < 1, "model.prior", self.prior, "a probability between 0 and 1")


class RunConfig(Protocol):
    """Sections that the configurations of all tasks have."""

    @property
    def optimizer(self) -> OptimizerConfig:
        """Optimizer and schedule."""

    @property
    def train(self) -> TrainConfig:
        """Length and device of the run."""

    @property
    def seed(self) -> int:
        """Seed of the initial weights, the order of the samples and the augmentation."""
