"""From the configuration of a network that finds people to what trains it."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from torch import nn

from posekit import losses
from posekit.data.crops import identity_collate
from posekit.data.labelled_images import open_images
from posekit.losses import HeatmapLoss
from posekit.models import encoder, normalise, save_weights, start_from
from posekit.people import People
from posekit.tasks.person_finder.centres import sizes_between
from posekit.tasks.person_finder.config import DetectorConfig, DetectorLossConfig, ScenesConfig
from posekit.tasks.person_finder.model import CentresInfo
from posekit.tasks.person_finder.scenes import SceneDataset
from posekit.tasks.person_finder.task import CentresTask
from posekit.training.build import MEAN, STD, assemble_engine, build_loaders, open_sources
from posekit.training.engine import Engine


def build_scene_parts(config: ScenesConfig) -> tuple[People, People, Sequence[np.ndarray]]:
    """Training and validation people, and the photographs without people, which may be none."""
    root = Path(config.root)
    people = open_sources(config.people, root).without_unlabelled()
    valid = open_sources(config.valid, root, people.skeleton).without_unlabelled()
    backgrounds = config.backgrounds
    return people, valid, open_images(backgrounds.images, root / backgrounds.path, "train").images if backgrounds.images else ()


def build_centres_loss(config: DetectorLossConfig) -> HeatmapLoss:
    """The loss."""
    makers = {
        "anchor": partial(losses.HeatmapAnchorLoss, config.gamma),
        "bce": losses.HeatmapBCE,
        "focal": partial(losses.HeatmapFocalLoss, config.gamma),
    }
    return makers[config.name]()


def build_detector_engine(
    config: DetectorConfig,
    people: People,
    valid: People,
    backgrounds: Sequence[np.ndarray],
    *,
    out: Path,
    accelerator: Accelerator,
    resume: bool,
) -> Engine:
    """Everything that trains, ready to run."""
    info = _info(config)
    torch.manual_seed(config.seed)
    model = info.build(prior=config.model.prior).to(memory_format=torch.channels_last)
    if not resume:
        _begin_from(config, model)
    size = config.model.input_size
    scenes, valid_scenes = (SceneDataset(of, backgrounds, size=size, seed=config.seed) for of in (people, valid))
    loader, valid_loader = build_loaders(scenes, valid_scenes, config, accelerator, identity_collate)
    task = CentresTask(
        loader=loader,
        valid_loader=valid_loader,
        prepare=partial(normalise, mean=info.mean, std=info.std),
        sizes=info.sizes,
        loss=build_centres_loss(config.loss),
    )
    save = partial(_save, info=info, config=config.loss, data=f"{people.name} {people.split}")
    return assemble_engine(task, model, config, out=out, accelerator=accelerator, resume=resume, save_weights=save)


def _info(config: DetectorConfig) -> CentresInfo:
    encoded, sizes = bool(config.model.encoder), config.sizes
    return CentresInfo(
        sizes=sizes_between(sizes.least, sizes.most, sizes.per_octave),
        features=config.model.features,
        depth=config.model.depth,
        encoder=config.model.encoder,
        mean=encoder.MEAN if encoded else MEAN,
        std=encoder.STD if encoded else STD,
    )


def _begin_from(config: DetectorConfig, model: nn.Module) -> None:
    if config.model.start_from:
        start_from(model, config.model.start_from, joints=())
    elif config.model.encoder:
        encoder.load_imagenet(model.stem.encoder)


def _save(model: nn.Module, path: Path, notes: dict, *, info: CentresInfo, config: DetectorLossConfig, data: str) -> None:
    save_weights(path, model, info.with_notes(loss=config.name, gamma=config.gamma, trained_on=data, **notes))
