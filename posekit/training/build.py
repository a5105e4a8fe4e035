"""What all trainings have in common: optimizer, device, loaders, engine."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import nn
from torch.utils.data import DataLoader, Dataset

from posekit.data import open_people
from posekit.data.crops import EpochBatches, collate, make_loader
from posekit.errors import ConfigError, DataError
from posekit.machine import keep_freed_memory
from posekit.people import People, concatenate
from posekit.skeletons import Skeleton
from posekit.training.config import OptimizerConfig, RunConfig, SourceConfig, TrainConfig
from posekit.training.engine import Engine, Task
from posekit.training.schedule import learning_rate

# RGB; the usual mean and deviation of photographs (ImageNet's).
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_VALIDATED = 64  # at once

Run = TypeVar("Run", bound=RunConfig)


def build_optimizer(config: OptimizerConfig, model: nn.Module) -> torch.optim.Optimizer:
    """The optimizer, at the configured rate."""
    makers = {
        "rmsprop": torch.optim.RMSprop,
        "adam": partial(torch.optim.Adam, fused=True),
        "adamw": partial(torch.optim.AdamW, fused=True),
        "sgd": partial(torch.optim.SGD, momentum=config.momentum, nesterov=config.nesterov),
    }
    return makers[config.name](model.parameters(), lr=config.lr, weight_decay=config.weight_decay)


def build_accelerator(config: RunConfig) -> Accelerator:
    """Device, precision and processes (as `torchrun` or `accelerate launch` set them)."""
    if config.train.device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("train.device cuda: this machine has no GPU that PyTorch can use; choose auto or cpu")
    cpu = config.train.device == "cpu" or not torch.cuda.is_available()
    if cpu and config.train.precision == "fp16":
        raise ConfigError("train.precision fp16: needs a GPU; choose bf16 or no")
    if cpu:
        keep_freed_memory()
    torch.backends.cudnn.benchmark = not cpu  # every step's shapes are the same, so the quickest algorithm is looked for once
    AcceleratorState._reset_state()  # or whatever a process trains next would have to have the precision of the first
    return Accelerator(cpu=cpu, mixed_precision=resolved_precision(config.train))


def resolved_precision(config: TrainConfig) -> str:
    """What "auto" means on this machine: bf16 where it is multiplied by the hardware (emulated, it is ten times as slow)."""
    if config.precision != "auto":
        return config.precision
    if config.device != "cpu" and torch.cuda.is_available():
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        processor = getattr(torch.cpu, "get_capabilities", dict)()  # newer than the oldest PyTorch that we run on
        fast = processor.get("avx512_bf16") or processor.get("amx_bf16")
    return "bf16" if fast else "no"


def with_settled_precision(config: Run) -> Run:
    """Replace the precision "auto" by what it means on this machine: a resumed run must use what it was started with."""
    return replace(config, train=replace(config.train, precision=resolved_precision(config.train)))


def build_loaders(
    train: Dataset, valid: Dataset, config: RunConfig, accelerator: Accelerator, collate: Callable = collate
) -> tuple[DataLoader, DataLoader]:
    """Loaders of this process's share: of training batches, and of what is validated, each once and in order.

    Raises
    ------
    DataError
        If there is less to train on than there are processes.
    """
    share = {"rank": accelerator.process_index, "world": accelerator.num_processes}
    if len(train) < share["world"]:
        raise DataError(f"data.train: {len(train)} to learn from, for {share['world']} processes; start fewer")
    loading = {"workers": config.train.workers, "pin_memory": accelerator.device.type == "cuda", "collate": collate}
    batches = EpochBatches(len(train), config.train.batch_size, seed=config.seed, shuffle=True, **share)
    return make_loader(train, batches, **loading), make_loader(valid, EpochBatches(len(valid), _VALIDATED, **share), **loading)


def assemble_engine(
    task: Task,
    model: nn.Module,
    config: RunConfig,
    *,
    out: Path,
    accelerator: Accelerator,
    resume: bool,
    save_weights: Callable[[nn.Module, Path, dict], None],
) -> Engine:
    """The engine that trains a model on a task as `optimizer` and `train` say."""
    optimizer, train = config.optimizer, config.train
    rate = partial(
        learning_rate,
        optimizer.schedule,
        optimizer.lr,
        epochs=train.epochs,
        milestones=optimizer.milestones,
        warmup_epochs=optimizer.warmup_epochs,
    )
    return Engine(
        task,
        model,
        build_optimizer(optimizer, model),
        accelerator=accelerator,
        learning_rate=lambda epoch: rate(epoch=epoch),
        epochs=train.epochs,
        accumulate=train.accumulate,
        ema=train.ema,
        compiled=train.compile,
        keep_epochs=train.keep_epochs,
        folder=out,
        save_weights=save_weights,
        resume=resume,
    )


def open_sources(sources: Sequence[SourceConfig], root: Path, skeleton: Skeleton | None = None) -> People:
    """All of them together, in the first one's skeleton or that which is given."""
    return concatenate([open_people(source.data, root / source.path, source.split, skeleton=skeleton) for source in sources])
