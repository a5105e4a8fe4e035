"""Build the data, loss, model and engine from the configuration of a pose model."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from accelerate import Accelerator

from posekit import heatmaps, losses
from posekit.data.crops import CropDataset
from posekit.losses import HeatmapLoss
from posekit.models import ModelInfo, normalise
from posekit.people import People
from posekit.scoring.io.predictions import Predictions
from posekit.scoring.score import score
from posekit.skeletons import Skeleton
from posekit.synthetic.write import write_synthetic
from posekit.tasks.pose.config import DataConfig, LossConfig, PoseConfig
from posekit.tasks.pose.task import PoseTask
from posekit.training.build import assemble_engine, build_loaders, build_model, input_statistics, load_first_weights, open_sources
from posekit.training.engine import Engine


def build_people(config: DataConfig) -> tuple[People, People]:
    """Open the training and validation people, all in the skeleton of the first training data set.

    First writes the synthetic data set if the configuration includes one.
    """
    root = Path(config.root)
    if config.synthetic.people:
        write_synthetic(root / config.synthetic.path, people=config.synthetic.people, seed=config.synthetic.seed)
    train = open_sources(config.train, root).without_unlabelled()
    valid = open_sources(config.valid, root, train.skeleton).without_unlabelled()
    return train, valid


def build_loss(config: LossConfig) -> HeatmapLoss:
    """Build the loss, wrapped in OHKM if configured."""
    makers: dict[str, Callable[[], HeatmapLoss]] = {
        "anchor": partial(losses.HeatmapAnchorLoss, config.gamma),
        "bce": losses.HeatmapBCE,
        "focal": partial(losses.HeatmapFocalLoss, config.gamma),
        "mse": losses.HeatmapMSE,
    }
    loss = makers[config.name]()
    return losses.OHKM(loss, config.ohkm) if config.ohkm else loss


def build_info(config: PoseConfig, skeleton: Skeleton) -> ModelInfo:
    """Build the description of the model that is stored in the weights files."""
    mean, std = input_statistics(config.model)
    return ModelInfo(
        skeleton=skeleton,
        input_size=config.model.input_size,
        stacks=config.model.stacks,
        features=config.model.features,
        depth=config.model.depth,
        encoder=config.model.encoder,
        head=build_loss(config.loss).head,
        mean=mean,
        std=std,
    )


def build_engine(config: PoseConfig, train: People, valid: People, *, out: Path, accelerator: Accelerator, resume: bool) -> Engine:
    """Build the engine, ready to run."""
    info = build_info(config, train.skeleton)
    model = build_model(partial(info.build, prior=config.model.prior), config.seed)
    if not resume:
        load_first_weights(model, config.model, info.skeleton.joints)
    size = info.input_size
    crops = CropDataset(train, size=size, ranges=config.augment, seed=config.seed)
    loader, valid_loader = build_loaders(crops, CropDataset(valid, size=size), config, accelerator)
    targets = config.targets
    task = PoseTask(
        loader=loader,
        valid_loader=valid_loader,
        valid_people=valid,
        prepare=partial(normalise, mean=info.mean, std=info.std),
        encode=partial(heatmaps.encode, size=size // heatmaps.STRIDE, sigma=targets.sigma, subpixel=targets.subpixel),
        loss=build_loss(config.loss),
        warmup_loss=losses.HeatmapBCE(),
        warmup_epochs=config.loss.warmup_epochs,
        score=partial(_pck_figures, valid),
        metric="pck",
    )
    info = info.with_notes(
        loss=config.loss.name,
        gamma=config.loss.gamma,
        sigma=targets.sigma,
        subpixel=targets.subpixel,
        trained_on=f"{train.name} {train.split}",
    )
    return assemble_engine(task, model, config, info=info, out=out, accelerator=accelerator, resume=resume)


def _pck_figures(people: People, joints: np.ndarray) -> dict[str, float]:
    no_scores = np.full(people.labelled.shape, np.nan)
    scores = score(people, Predictions(joints, no_scores, np.arange(len(people)), people.skeleton))
    figures = {"pck": scores.pooled_mean}
    for group, value in scores.groups.items():
        figures[f"pck_{group.lower()}"] = value
    return figures
