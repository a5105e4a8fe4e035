"""From a classifier's configuration to what trains it."""

from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from torch import nn

from posekit import losses
from posekit.data.crops import identity_collate
from posekit.data.labelled_images import LabelledImages, open_images
from posekit.errors import DataError
from posekit.losses import ClassificationLoss
from posekit.models import build_classifier, normalise, save_weights
from posekit.tasks.classifier.config import ClassifierConfig, ClassifierLossConfig, ImagesConfig
from posekit.tasks.classifier.data import ImageDataset
from posekit.tasks.classifier.model import ClassifierInfo
from posekit.tasks.classifier.score import ERROR, score_classes
from posekit.tasks.classifier.task import ClassificationTask
from posekit.training.build import MEAN, STD, assemble_engine, build_loaders
from posekit.training.engine import Engine


@lru_cache(maxsize=1)  # a comparison asks for those of every model, which are mostly the same
def build_images(config: ImagesConfig) -> tuple[LabelledImages, LabelledImages, LabelledImages]:
    """Training, validation and test images.

    Raises
    ------
    DataError
        If their classes are not the same.
    """
    path = Path(config.root) / config.path
    train, *others = [open_images(config.images, path, split) for split in (config.train, config.valid, config.test)]
    for images in others:
        differing = sorted(set(images.classes) ^ set(train.classes))
        if differing:
            raise DataError(f"{path}: {images.split} and {train.split} have other classes, such as {differing[0]}; complete one")
    return train, *others


def build_class_loss(config: ClassifierLossConfig) -> ClassificationLoss:
    """The loss, OHEM around it if asked for."""
    anchor = {"margin": config.margin, "anchor": config.anchor, "warmup_epochs": config.warmup_epochs}
    makers: dict[str, Callable[[], ClassificationLoss]] = {
        "anchor": partial(losses.AnchorLoss, config.gamma, **anchor),
        "bce": losses.BCE,
        "focal": partial(losses.FocalLoss, config.gamma),
        "ce": losses.CrossEntropy,
    }
    loss = makers[config.name]()
    return losses.OHEM(loss, config.ohem) if config.ohem < 1 else loss


def build_classifier_engine(
    config: ClassifierConfig,
    train: LabelledImages,
    valid: LabelledImages,
    *,
    out: Path,
    accelerator: Accelerator,
    resume: bool,
) -> Engine:
    """Everything that trains, ready to run."""
    loss, data = build_class_loss(config.loss), config.data
    info = ClassifierInfo(config.model.name, train.classes, data.size, loss.head, MEAN, STD)
    torch.manual_seed(config.seed)
    model = build_classifier(info.network, len(info.classes)).to(memory_format=torch.channels_last)
    augmented = ImageDataset(train, size=data.size, augmented=True, pad=data.pad, seed=config.seed)
    loader, valid_loader = build_loaders(augmented, ImageDataset(valid, size=data.size), config, accelerator, identity_collate)
    task = ClassificationTask(
        loader=loader,
        valid_loader=valid_loader,
        prepare=partial(normalise, mean=info.mean, std=info.std),
        loss=loss,
        score=partial(_figures, valid),
        metric=ERROR,
    )
    save = partial(_save, info=info, config=config.loss, data=f"{train.name} {train.split}")
    return assemble_engine(task, model, config, out=out, accelerator=accelerator, resume=resume, save_weights=save)


def _figures(images: LabelledImages, logits: np.ndarray) -> dict[str, float]:
    return score_classes(images, logits).figures


def _save(model: nn.Module, path: Path, notes: dict, *, info: ClassifierInfo, config: ClassifierLossConfig, data: str) -> None:
    save_weights(path, model, info.with_notes(loss=config.name, gamma=config.gamma, trained_on=data, **notes))
