"""What all trainings have in common: the optimizer, and how long and on what a run goes."""

from dataclasses import dataclass, field

from posekit.config.checks import choose, require


@dataclass(frozen=True)
class OptimizerConfig:
    """The optimizer and its schedule.

    Parameters
    ----------
    name : str
        rmsprop (the papers' for poses), adam, adamw or sgd (the papers' for classes).
    lr : float
        The highest learning rate.
    weight_decay : float
        L2 penalty (adamw: decoupled).
    momentum : float
        Of sgd.
    nesterov : bool
        Whether that is Nesterov's.
    schedule : str
        constant; paper (lr for 100 epochs, then times 0.5 and times 0.2 in turn every 20); steps (times 0.1 at each of the
        milestones); cosine (to 0 at the last epoch); onecycle (up over the first 30 %, down to 0).
    milestones : list of int
        Epochs done when the schedule steps drops the rate.
    warmup_epochs : int
        Epochs in which the rate rises evenly from 0 to what the schedule says.
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
        choose("optimizer.schedule", self.schedule, ("constant", "paper", "steps", "cosine", "onecycle"))
        require(self.lr > 0, "optimizer.lr", self.lr, "a number above 0")
        require(self.weight_decay >= 0, "optimizer.weight_decay", self.weight_decay, "0 or more")
        require(0 <= self.momentum < 1, "optimizer.momentum", self.momentum, "0 or more and below 1")
        require(self.momentum > 0 or not self.nesterov, "optimizer.momentum", self.momentum, "a number above 0 with nesterov")
        stepping, rising = self.schedule == "steps", all(epoch >= 1 for epoch in self.milestones)
        require(stepping == bool(self.milestones), "optimizer.milestones", self.milestones, "epochs with the schedule steps alone")
        require(rising, "optimizer.milestones", self.milestones, "epochs of 1 or more")
        require(self.warmup_epochs >= 0, "optimizer.warmup_epochs", self.warmup_epochs, "0 or more")


@dataclass(frozen=True)
class TrainConfig:
    """How long, on what and how it runs.

    Parameters
    ----------
    epochs : int
        Times that everyone, or every image, is seen.
    batch_size : int
        People or images per step and process: N processes with B each learn what one process with N times B learns.
    accumulate : int
        Steps whose gradients are added up before the weights change.
    ema : float
        Decay of the moving average of the weights that is validated and saved; 0: none.
    keep_epochs : list of int
        Epochs (the first is 1) after which the weights, as validated, are kept in OUT/epochs: to see later how training went.
    precision : str
        "no" (in YAML with its quotes: float32, though a GPU's convolutions multiply in TF32), or mixed precision: bf16, or
        fp16 (GPU only; it waits for the GPU at every step); auto: bf16 where the processor or GPU multiplies in it, else
        "no". The run's config.yaml says which it was.
    compile : bool
        Run the network through torch.compile in training. The first step takes minutes: for long runs on a GPU.
    device : str
        auto (a GPU where there is one), cpu or cuda.
    workers : int
        Processes that read and cut photographs; 0: the training process itself.
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
        choose("train.precision", self.precision, ("no", "bf16", "fp16", "auto"))
        choose("train.device", self.device, ("auto", "cpu", "cuda"))
        require(self.workers >= 0, "train.workers", self.workers, "0 or more")
