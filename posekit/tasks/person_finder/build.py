"""Build the data, loss, model and engine from the configuration of a person finder."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from accelerate import Accelerator

from posekit import losses
from posekit.data.crops import identity_collate
from posekit.data.labelled_images import ImageFiles, open_images
from posekit.losses import HeatmapLoss
from posekit.models import normalise
from posekit.people import People
from posekit.tasks.person_finder.centres import sizes_between
from posekit.tasks.person_finder.config import DetectorConfig, DetectorLossConfig, ScenesConfig
from posekit.tasks.person_finder.model import CentresInfo
from posekit.tasks.person_finder.scenes import SceneDataset
from posekit.tasks.person_finder.task import CentresTask
from posekit.training.build import assemble_engine, build_loaders, build_model, input_statistics, load_first_weights, open_sources
from posekit.training.engine import Engine

Images = Sequence[np.ndarray] | np.ndarray | ImageFiles
"""RGB images, each (H, W, 3) uint8."""


def build_scene_parts(config: ScenesConfig) -> tuple[People, People, Images]:
    """Open the training people, the validation people, and the background images (empty if not configured)."""
    root = Path(config.root)
    people = open_sources(config.people, root).without_unlabelled()
    valid = open_sources(config.valid, root, people.skeleton).without_unlabelled()
    backgrounds: Images = ()
    if config.backgrounds.images:
        backgrounds = open_images(config.backgrounds.images, root / config.backgrounds.path, "train").images
    return people, valid, backgrounds


def build_centres_loss(config: DetectorLossConfig) -> HeatmapLoss:
    """Build the heatmap loss."""
    makers: dict[str, Callable[[], HeatmapLoss]] = {
        "anchor": partial(losses.HeatmapAnchorLoss, config.gamma),
        "bce": losses.HeatmapBCE,
        "focal": partial(losses.HeatmapFocalLoss, config.gamma),
    }
    return makers[config.name]()


def build_detector_engine(
    config: DetectorConfig,
    people: People,
    valid: People,
    backgrounds: Images,
    *,
    out: Path,
    accelerator: Accelerator,
    resume: bool,
) -> Engine:
    """Build the engine, ready to run."""
    info = _describe_model(config)
    model = build_model(partial(info.build, prior=config.model.prior), config.seed)
    if not resume:
        load_first_weights(model, config.model, joints=())
    scenes = SceneDataset(people, backgrounds, size=config.model.input_size, seed=config.seed)
    valid_scenes = SceneDataset(valid, backgrounds, size=config.model.input_size, seed=config.seed)
    loader, valid_loader = build_loaders(scenes, valid_scenes, config, accelerator, identity_collate)
    task = CentresTask(
        loader=loader,
        valid_loader=valid_loader,
        prepare=partial(normalise, mean=info.mean, std=info.std),
        sizes=info.sizes,
        loss=build_centres_loss(config.loss),
    )
    info = info.with_notes(loss=config.loss.name, gamma=config.loss.gamma, trained_on=f"{people.name} {people.split}")
    return assemble_engine(task, model, config, info=info, out=out, accelerator=accelerator, resume=resume)


def _describe_model(config: DetectorConfig) -> CentresInfo:
    mean, std = input_statistics(config.model)
    return CentresInfo(
        sizes=sizes_between(config.sizes.least, config.sizes.most, config.sizes.per_octave),
        features=config.model.features,
        depth=config.model.depth,
        encoder=config.model.encoder,
        mean=mean,
        std=std,
    )
