"""From a configuration to the objects it describes: the only file that knows both."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from torch import nn

from posekit import heatmaps, losses
from posekit.config import Config, DataConfig, LossConfig, OptimizerConfig, SourceConfig, TrainConfig
from posekit.datasets import open_people
from posekit.datasets.augment import Ranges
from posekit.datasets.loader import CropDataset, EpochBatches, make_loader
from posekit.datasets.synthetic import write_synthetic
from posekit.errors import ConfigError, DataError
from posekit.evaluation.score import score
from posekit.losses import HeatmapLoss
from posekit.machine import keep_freed_memory
from posekit.models import ModelInfo, build_model, encoder, normalise, save_weights, start_from
from posekit.predictions import Predictions
from posekit.sample import People, concatenate
from posekit.skeletons import Skeleton
from posekit.training.engine import Engine
from posekit.training.pose import PoseTask
from posekit.training.schedule import learning_rate

# RGB; the usual mean and deviation of photographs (ImageNet's).
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def build_people(config: DataConfig) -> tuple[People, People]:
    """Training and validation people, both in the first training source's skeleton.

    Writes the synthetic data set first, if the configuration asks for one.
    """
    root = Path(config.root)
    if config.synthetic.people:
        write_synthetic(root / config.synthetic.path, people=config.synthetic.people, seed=config.synthetic.seed)
    train = _open(config.train, root).without_unlabelled()
    return train, _open(config.valid, root, train.skeleton).without_unlabelled()


def _open(sources: Sequence[SourceConfig], root: Path, skeleton: Skeleton | None = None) -> People:
    return concatenate([open_people(source.data, root / source.path, source.split, skeleton=skeleton) for source in sources])


def build_loss(config: LossConfig) -> HeatmapLoss:
    """The loss, OHKM around it if asked for."""
    makers: dict[str, Callable[[], HeatmapLoss]] = {
        "anchor": partial(losses.HeatmapAnchorLoss, config.gamma),
        "bce": losses.HeatmapBCE,
        "focal": partial(losses.HeatmapFocalLoss, config.gamma),
        "mse": losses.HeatmapMSE,
    }
    loss = makers[config.name]()
    return losses.OHKM(loss, config.ohkm) if config.ohkm else loss


def build_info(config: Config, skeleton: Skeleton) -> ModelInfo:
    """What a weights file says of the model."""
    return ModelInfo(
        skeleton=skeleton,
        input_size=config.model.input_size,
        stacks=config.model.stacks,
        features=config.model.features,
        depth=config.model.depth,
        encoder=config.model.encoder,
        head=build_loss(config.loss).head,
        mean=encoder.MEAN if config.model.encoder else _MEAN,
        std=encoder.STD if config.model.encoder else _STD,
    )


def build_optimizer(config: OptimizerConfig, model: nn.Module) -> torch.optim.Optimizer:
    """The optimizer, at the configured rate."""
    makers = {
        "rmsprop": torch.optim.RMSprop,
        "adam": partial(torch.optim.Adam, fused=True),
        "adamw": partial(torch.optim.AdamW, fused=True),
    }
    return makers[config.name](model.parameters(), lr=config.lr, weight_decay=config.weight_decay)


def build_accelerator(config: Config) -> Accelerator:
    """Device, precision and processes (as `torchrun` or `accelerate launch` set them)."""
    if config.train.device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("train.device cuda: this machine has no GPU that PyTorch can use; choose auto or cpu")
    cpu = config.train.device == "cpu" or not torch.cuda.is_available()
    if cpu and config.train.precision == "fp16":
        raise ConfigError("train.precision fp16: needs a GPU; choose bf16 or no")
    if cpu:
        keep_freed_memory()
    torch.backends.cudnn.benchmark = not cpu  # every step's shapes are the same, so the quickest algorithm is looked for once
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


def build_engine(config: Config, train: People, valid: People, *, out: Path, accelerator: Accelerator, resume: bool) -> Engine:
    """Everything that trains, ready to run."""
    info = build_info(config, train.skeleton)
    torch.manual_seed(config.seed)
    model = build_model(info, prior=config.model.prior).to(memory_format=torch.channels_last)
    if not resume:
        _begin_from(config, model, info)
    return Engine(
        _pose_task(config, train, valid, info, accelerator),
        model,
        build_optimizer(config.optimizer, model),
        accelerator=accelerator,
        learning_rate=lambda epoch: learning_rate(
            config.optimizer.schedule, config.optimizer.lr, epoch=epoch, epochs=config.train.epochs
        ),
        epochs=config.train.epochs,
        accumulate=config.train.accumulate,
        ema=config.train.ema,
        compiled=config.train.compile,
        keep_epochs=config.train.keep_epochs,
        folder=out,
        save_weights=partial(_save, info=info, config=config, data=f"{train.name} {train.split}"),
        resume=resume,
    )


def _begin_from(config: Config, model: nn.Module, info: ModelInfo) -> None:
    if config.model.start_from:
        start_from(model, info, config.model.start_from)
    elif config.model.encoder:
        encoder.load_imagenet(model.stem.encoder)


def _pose_task(config: Config, train: People, valid: People, info: ModelInfo, accelerator: Accelerator) -> PoseTask:
    size, targets = info.input_size, config.targets
    if len(train) < accelerator.num_processes:
        raise DataError(f"{train.name} {train.split}: {len(train)} people for {accelerator.num_processes} processes; start fewer")
    share = {"rank": accelerator.process_index, "world": accelerator.num_processes}
    loading = {"workers": config.train.workers, "pin_memory": accelerator.device.type == "cuda"}
    ranges = Ranges(**asdict(config.augment))
    batches = EpochBatches(len(train), config.train.batch_size, seed=config.seed, shuffle=True, **share)
    return PoseTask(
        loader=make_loader(CropDataset(train, size=size, ranges=ranges, seed=config.seed), batches, **loading),
        valid_loader=make_loader(CropDataset(valid, size=size), EpochBatches(len(valid), 64, **share), **loading),
        valid_people=valid,
        prepare=partial(normalise, mean=info.mean, std=info.std),
        encode=partial(heatmaps.encode, size=size // heatmaps.STRIDE, sigma=targets.sigma, subpixel=targets.subpixel),
        loss=build_loss(config.loss),
        warmup_loss=losses.HeatmapBCE(),
        warmup_epochs=config.loss.warmup_epochs,
        score=partial(_figures, valid),
        metric="pck",
    )


def _figures(people: People, joints: np.ndarray) -> dict[str, float]:
    scores = np.full(people.labelled.shape, np.nan)
    found = score(people, Predictions(joints, scores, np.arange(len(people)), people.skeleton))
    return {"pck": found.pooled_mean, **{f"pck_{group.lower()}": value for group, value in found.groups.items()}}


def _save(model: nn.Module, path: Path, notes: dict, *, info: ModelInfo, config: Config, data: str) -> None:
    loss, targets = config.loss, config.targets
    learned = {"loss": loss.name, "gamma": loss.gamma, "sigma": targets.sigma, "subpixel": targets.subpixel, "trained_on": data}
    save_weights(path, model, info.with_notes(**learned, **notes))
