"""From a pose model's configuration to what trains it."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from torch import nn

from posekit import heatmaps, losses
from posekit.data.crops import CropDataset
from posekit.losses import HeatmapLoss
from posekit.models import ModelInfo, encoder, normalise, save_weights, start_from
from posekit.people import People
from posekit.scoring.io.predictions import Predictions
from posekit.scoring.score import score
from posekit.skeletons import Skeleton
from posekit.synthetic.write import write_synthetic
from posekit.tasks.pose.config import DataConfig, LossConfig, PoseConfig
from posekit.tasks.pose.task import PoseTask
from posekit.training.build import MEAN, STD, assemble_engine, build_loaders, open_sources
from posekit.training.engine import Engine


def build_people(config: DataConfig) -> tuple[People, People]:
    """Training and validation people, both in the first training source's skeleton.

    Writes the synthetic data set first, if the configuration asks for one.
    """
    root = Path(config.root)
    if config.synthetic.people:
        write_synthetic(root / config.synthetic.path, people=config.synthetic.people, seed=config.synthetic.seed)
    train = open_sources(config.train, root).without_unlabelled()
    return train, open_sources(config.valid, root, train.skeleton).without_unlabelled()


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


def build_info(config: PoseConfig, skeleton: Skeleton) -> ModelInfo:
    """What a weights file says of the model."""
    return ModelInfo(
        skeleton=skeleton,
        input_size=config.model.input_size,
        stacks=config.model.stacks,
        features=config.model.features,
        depth=config.model.depth,
        encoder=config.model.encoder,
        head=build_loss(config.loss).head,
        mean=encoder.MEAN if config.model.encoder else MEAN,
        std=encoder.STD if config.model.encoder else STD,
    )


def build_engine(config: PoseConfig, train: People, valid: People, *, out: Path, accelerator: Accelerator, resume: bool) -> Engine:
    """Everything that trains, ready to run."""
    info = build_info(config, train.skeleton)
    torch.manual_seed(config.seed)
    model = info.build(prior=config.model.prior).to(memory_format=torch.channels_last)
    if not resume:
        _begin_from(config, model, info)
    return assemble_engine(
        _pose_task(config, train, valid, info, accelerator),
        model,
        config,
        out=out,
        accelerator=accelerator,
        resume=resume,
        save_weights=partial(_save, info=info, config=config, data=f"{train.name} {train.split}"),
    )


def _begin_from(config: PoseConfig, model: nn.Module, info: ModelInfo) -> None:
    if config.model.start_from:
        start_from(model, config.model.start_from, joints=info.skeleton.joints)
    elif config.model.encoder:
        encoder.load_imagenet(model.stem.encoder)


def _pose_task(config: PoseConfig, train: People, valid: People, info: ModelInfo, accelerator: Accelerator) -> PoseTask:
    size, targets = info.input_size, config.targets
    crops = CropDataset(train, size=size, ranges=config.augment, seed=config.seed)
    loader, valid_loader = build_loaders(crops, CropDataset(valid, size=size), config, accelerator)
    return PoseTask(
        loader=loader,
        valid_loader=valid_loader,
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


def _save(model: nn.Module, path: Path, notes: dict, *, info: ModelInfo, config: PoseConfig, data: str) -> None:
    loss, targets = config.loss, config.targets
    learned = {"loss": loss.name, "gamma": loss.gamma, "sigma": targets.sigma, "subpixel": targets.subpixel, "trained_on": data}
    save_weights(path, model, info.with_notes(**learned, **notes))
