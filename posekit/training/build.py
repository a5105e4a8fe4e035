"""Build the optimizer, accelerator, data loaders and engine of a training run of any task."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar, cast

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import nn
from torch.utils.data import DataLoader, Dataset

from posekit.data import open_people
from posekit.data.crops import EpochBatches, make_loader
from posekit.data.labelled_images import LabelledImages
from posekit.errors import ConfigError, DataError
from posekit.machine import keep_freed_memory
from posekit.models import StackedHourglass, WeightsInfo, encoder, save_weights, start_from
from posekit.models.weights import Note
from posekit.people import People, concatenate
from posekit.skeletons import Skeleton
from posekit.training.config import (
    LOSSES_WITH_GAMMA,
    ModelConfig,
    OptimizerConfig,
    RunConfig,
    SourceConfig,
    TrainConfig,
    learning_rate,
)
from posekit.training.engine import Engine
from posekit.training.task import Task, count_samples

# Mean and standard deviation of the RGB channels of ImageNet.
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
_VALIDATION_BATCH = 64

Run = TypeVar("Run", bound=RunConfig)
Model = TypeVar("Model", bound=nn.Module)
Channels = tuple[float, float, float]


def build_optimizer(config: OptimizerConfig, model: nn.Module) -> torch.optim.Optimizer:
    """Build the optimizer with the highest learning rate of the schedule."""
    makers: dict[str, Callable[..., torch.optim.Optimizer]] = {
        "rmsprop": torch.optim.RMSprop,
        "adam": partial(torch.optim.Adam, fused=True),
        "adamw": partial(torch.optim.AdamW, fused=True),
        "sgd": partial(torch.optim.SGD, momentum=config.momentum, nesterov=config.nesterov),
    }
    return makers[config.name](model.parameters(), lr=config.lr, weight_decay=config.weight_decay)


def build_accelerator(config: RunConfig) -> Accelerator:
    """Set up the device, the precision and the processes (started by `torchrun` or `accelerate launch`)."""
    if config.train.device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("train.device cuda: PyTorch finds no usable GPU; choose auto or cpu")
    cpu = config.train.device == "cpu" or not torch.cuda.is_available()
    if cpu and config.train.precision == "fp16":
        raise ConfigError('train.precision fp16: needs a GPU; choose bf16 or "no"')
    if cpu:
        keep_freed_memory()
    torch.backends.cudnn.benchmark = not cpu  # worthwhile because all batches have the same shape
    AcceleratorState._reset_state()  # otherwise a second run in this process could not change the precision
    return Accelerator(cpu=cpu, mixed_precision=resolved_precision(config.train))


def resolved_precision(config: TrainConfig) -> str:
    """Resolve "auto": bf16 if the hardware supports bf16 natively (emulation is ten times slower), else "no"."""
    if config.precision != "auto":
        return config.precision
    if config.device != "cpu" and torch.cuda.is_available():
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        get_capabilities = getattr(torch.cpu, "get_capabilities", None)  # missing in the oldest supported PyTorch
        processor = get_capabilities() if get_capabilities else {}
        fast = processor.get("avx512_bf16") or processor.get("amx_bf16")
    return "bf16" if fast else "no"


def with_settled_precision(config: Run) -> Run:
    """Replace the precision "auto" by the precision chosen for this machine, which a resumed run must keep."""
    train = replace(config.train, precision=resolved_precision(config.train))
    return replace(config, train=train)  # type: ignore[type-var]  # every configuration is a dataclass


def build_model(build: Callable[[], Model], seed: int) -> Model:
    """Build a network with random weights from a seed, in the channels_last memory format."""
    torch.manual_seed(seed)
    return build().to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks memory_format


def input_statistics(config: ModelConfig) -> tuple[Channels, Channels]:
    """Return the RGB mean and standard deviation for normalising the input of an hourglass."""
    return (encoder.MEAN, encoder.STD) if config.encoder else (MEAN, STD)


def load_first_weights(model: StackedHourglass, config: ModelConfig, joints: Sequence[str]) -> None:
    """Load the weights given by ``model.start_from`` or ``model.encoder``; `joints` as for `posekit.models.start_from`."""
    if config.start_from:
        start_from(model, config.start_from, joints=joints)
    elif config.encoder:
        encoder.load_imagenet(cast(encoder.EfficientNetLite0, model.stem.encoder))


def count_parameters(model: nn.Module) -> int:
    """Count the parameters of a network."""
    return sum(parameter.numel() for parameter in model.parameters())


def training_notes(loss: str, gamma: float, data: People | LabelledImages) -> dict[str, Note]:
    """Return the notes for a weights file: name of the loss, gamma if the loss has one, and training data."""
    notes: dict[str, Note] = {"loss": loss}
    if loss in LOSSES_WITH_GAMMA:
        notes["gamma"] = gamma
    return {**notes, "trained_on": f"{data.name} {data.split}"}


def build_loaders(
    train: Dataset, valid: Dataset, config: RunConfig, accelerator: Accelerator, collate: Callable
) -> tuple[DataLoader, DataLoader]:
    """Build the loaders of this process's share of the training and validation samples; each validation sample is used once."""
    rank = accelerator.process_index
    world = accelerator.num_processes
    samples = count_samples(train)
    if samples < world:
        raise DataError(f"data.train: only {samples} training samples for {world} processes; start fewer processes")
    make = partial(make_loader, workers=config.train.workers, pin_memory=accelerator.device.type == "cuda", collate=collate)
    batches = EpochBatches(samples, config.train.batch_size, seed=config.seed, shuffle=True, rank=rank, world=world)
    valid_batches = EpochBatches(count_samples(valid), _VALIDATION_BATCH, rank=rank, world=world)
    return make(train, batches), make(valid, valid_batches)


def assemble_engine(
    task: Task,
    model: nn.Module,
    config: RunConfig,
    *,
    info: WeightsInfo,
    out: Path,
    accelerator: Accelerator,
    resume: bool,
) -> Engine:
    """Build the engine that trains a model on a task; every weights file that the engine writes contains `info`."""

    def save(model: nn.Module, path: Path, notes: dict) -> None:
        save_weights(path, model, info.with_notes(**notes))

    return Engine(
        task,
        model,
        build_optimizer(config.optimizer, model),
        config.train,
        accelerator=accelerator,
        learning_rate=partial(learning_rate, config.optimizer, config.train.epochs),
        folder=out,
        save_weights=save,
        resume=resume,
    )


def open_sources(sources: Sequence[SourceConfig], root: Path, skeleton: Skeleton | None = None) -> People:
    """Open several data sets as one, in the given skeleton or that of the first data set."""
    return concatenate([open_people(source.data, root / source.path, source.split, skeleton=skeleton) for source in sources])
