"""Configuration sections shared by the tasks (data sources, hourglass, optimizer and run), and learning rate schedules."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from posekit.choices import DATASETS, ENCODER_SIZES, PRECISIONS
from posekit.errors import choose, require

LOSSES_WITH_GAMMA = ("anchor", "focal")
"""Losses with a focusing exponent, of heatmaps and of classes."""

# Parameters of the schedule onecycle.
_RISE = 0.3  # fraction of a onecycle run in which the learning rate rises
_START = 1 / 25  # initial learning rate of a onecycle run, as a fraction of the highest


def _constant(epoch: float, epochs: int, milestones: Sequence[int]) -> float:
    return 1.0


def _paper(epoch: float, epochs: int, milestones: Sequence[int]) -> float:
    # Ryou et al., "Anchor Loss", ICCV 2019, section 4.2.
    drops = max(0, math.floor((epoch - 100) / 20) + 1)
    return 0.5 ** math.ceil(drops / 2) * 0.2 ** (drops // 2)


def _steps(epoch: float, epochs: int, milestones: Sequence[int]) -> float:
    # Section 4.1 of the paper.
    return 0.1 ** sum(epoch >= milestone for milestone in milestones)


def _cosine(epoch: float, epochs: int, milestones: Sequence[int]) -> float:
    return (1 + math.cos(math.pi * epoch / epochs)) / 2


def _onecycle(epoch: float, epochs: int, milestones: Sequence[int]) -> float:
    done = epoch / epochs
    if done < _RISE:
        return _START + (1 - _START) * (1 - math.cos(math.pi * done / _RISE)) / 2
    return (1 + math.cos(math.pi * (done - _RISE) / (1 - _RISE))) / 2


_SCHEDULES: dict[str, Callable[[float, int, Sequence[int]], float]] = {
    "constant": _constant,
    "paper": _paper,
    "steps": _steps,
    "cosine": _cosine,
    "onecycle": _onecycle,
}


@dataclass(frozen=True)
class OptimizerConfig:
    """Optimizer and learning rate schedule.

    Parameters
    ----------
    name : str
        rmsprop (the papers' choice for poses), adam, adamw or sgd (the papers' choice for classification).
    lr : float
        Highest learning rate of the schedule.
    weight_decay : float
        Weight decay: decoupled for adamw, an L2 penalty for the other optimizers.
    momentum : float
        Momentum of sgd; ignored by the other optimizers.
    nesterov : bool
        Use Nesterov momentum in sgd.
    schedule : str
        Learning rate schedule: constant; paper (lr for 100 epochs, then multiplied alternately by 0.5 and 0.2, every 20
        epochs); steps (multiplied by 0.1 at each milestone); cosine (falls to 0 at the end of training); onecycle (rises from
        lr / 25 to lr during the first 30 % of training, then falls to 0).
    milestones : list of int
        Only for the schedule steps: numbers of completed epochs after which the learning rate is multiplied by 0.1.
    warmup_epochs : int
        Number of epochs at the start in which the learning rate rises linearly from 0 to the value of the schedule; 0: no
        warm-up.
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
        choose("optimizer.schedule", self.schedule, tuple(_SCHEDULES))
        require(self.lr > 0, "optimizer.lr", self.lr, "a number above 0")
        require(self.weight_decay >= 0, "optimizer.weight_decay", self.weight_decay, "0 or more")
        require(0 <= self.momentum < 1, "optimizer.momentum", self.momentum, "0 or more and below 1")
        require(self.momentum > 0 or not self.nesterov, "optimizer.momentum", self.momentum, "above 0 if nesterov is true")
        steps = self.schedule == "steps"
        require(steps == bool(self.milestones), "optimizer.milestones", self.milestones, "epochs if schedule is steps, else []")
        require(all(epoch >= 1 for epoch in self.milestones), "optimizer.milestones", self.milestones, "epochs of 1 or more")
        require(self.warmup_epochs >= 0, "optimizer.warmup_epochs", self.warmup_epochs, "0 or more")


def learning_rate(config: OptimizerConfig, epochs: int, epoch: float) -> float:
    """Return the learning rate after `epoch` completed epochs, with a fraction, in a training of `epochs` epochs."""
    warmup = min(1.0, epoch / config.warmup_epochs) if config.warmup_epochs else 1.0
    return config.lr * warmup * _SCHEDULES[config.schedule](min(epoch, epochs), epochs, config.milestones)


@dataclass(frozen=True)
class TrainConfig:
    """Number of epochs, batches, precision and device of a training run.

    Parameters
    ----------
    epochs : int
        Number of passes over the training data.
    batch_size : int
        People or images per batch and process: N processes with batch size B train like one process with batch size N * B.
    accumulate : int
        Gradient accumulation: number of batches per update of the weights.
    ema : float
        Decay of the exponential moving average of the weights, e.g. 0.999. The averaged weights are validated and saved. 0:
        no averaging.
    keep_epochs : list of int
        Epochs (counted from 1) after which the validated weights are also saved in OUT/epochs.
    precision : str
        "no" (float32, with TF32 convolutions on a GPU; write the quotes in YAML), bf16 or fp16 (mixed precision; fp16 needs a
        GPU and synchronises with the GPU at every step), or auto (bf16 if the CPU or GPU supports bf16 in hardware, else
        "no"; the run's config.yaml records the choice).
    compile : bool
        Compile the network with torch.compile. The first step then takes minutes: worthwhile only for long runs on a GPU.
    device : str
        auto (a GPU if there is one, else the CPU), cpu or cuda.
    workers : int
        Number of data loading processes per training process; 0: the training process loads the data itself.
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
    """One split of one data set.

    Parameters
    ----------
    data : str
        Annotation format: mpii, lsp (for LSP and LSPET), coco, or packed (written by `posekit prepare pack`).
    path : str
        Folder or annotation file of the data set; a relative path starts from data.root.
    split : str
        train, valid, test, all, random:FRACTION:SEED (a random subset) or random-rest:FRACTION:SEED (everything outside
        that subset).
    """

    data: str
    path: str
    split: str = "all"

    def __post_init__(self):
        choose("data", self.data, DATASETS)


@dataclass(frozen=True)
class ModelConfig:
    """Stacked hourglass network.

    Parameters
    ----------
    encoder : str
        Backbone that replaces the stem and the encoder half of the first hourglass: efficientnet-lite0, or
        efficientnet-lite0-short for small models. Empty: no backbone, as in the papers.
    stacks : int
        Number of hourglasses in sequence; the loss is applied to the output of each hourglass.
    features : int
        Number of channels of the feature maps; 256 in the papers.
    depth : int
        Number of times that each hourglass halves the resolution of its feature maps.
    input_size : int
        Side of the network's square input in pixels; the heatmaps have 1/4 of the input resolution.
    prior : float
        Probability that the untrained network predicts at every heatmap pixel (sigmoid head only).
    start_from : str
        Initial weights: a weights file or the name of bundled weights, for a network with the same encoder, stacks, features
        and depth. If the joints differ, the layers that depend on the joints start from random weights. Empty: ImageNet weights
        in the backbone, random weights elsewhere.
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
        least = ENCODER_SIZES.get(self.encoder, 2) - 1  # number of times that the encoder halves its first feature maps
        require(self.stacks >= 1, "model.stacks", self.stacks, "1 or more")
        require(self.features >= 4 and self.features % 4 == 0, "model.features", self.features, "a multiple of 4")
        require(self.depth >= least, "model.depth", self.depth, f"{least} or more")
        multiple = 4 * 2**self.depth
        fits = self.input_size > 0 and self.input_size % multiple == 0
        require(fits, "model.input_size", self.input_size, f"a multiple of {multiple} (4 * 2^depth)")
        require(0 < self.prior < 1, "model.prior", self.prior, "a probability between 0 and 1")


class RunConfig(Protocol):
    """Sections that the configuration of every task has."""

    @property
    def optimizer(self) -> OptimizerConfig:
        """Optimizer and learning rate schedule."""

    @property
    def train(self) -> TrainConfig:
        """Number of epochs, batches, precision and device of the run."""

    @property
    def seed(self) -> int:
        """Seed of the initial weights, the order of the samples and the augmentation."""
