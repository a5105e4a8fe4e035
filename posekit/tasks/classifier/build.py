"""Build the data, loss, model and engine from the configuration of a classifier."""

from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
from accelerate import Accelerator

from posekit import losses
from posekit.data.crops import identity_collate
from posekit.data.labelled_images import LabelledImages, open_images
from posekit.errors import DataError
from posekit.losses import ClassificationLoss
from posekit.models import normalise
from posekit.tasks.classifier.config import ClassifierConfig, ClassifierLossConfig, ImagesConfig
from posekit.tasks.classifier.data import ImageDataset
from posekit.tasks.classifier.model import ClassifierInfo
from posekit.tasks.classifier.score import ERROR, score_classes
from posekit.tasks.classifier.task import ClassificationTask
from posekit.training.build import MEAN, STD, assemble_engine, build_loaders, build_model
from posekit.training.engine import Engine


@lru_cache(maxsize=1)  # most models of a comparison use the same images
def build_images(config: ImagesConfig) -> tuple[LabelledImages, LabelledImages, LabelledImages]:
    """Open the training, validation and test images.

    Raises
    ------
    DataError
        If the classes of the splits differ.
    """
    path = Path(config.root) / config.path
    train = open_images(config.images, path, config.train)
    valid = open_images(config.images, path, config.valid)
    test = open_images(config.images, path, config.test)
    for images in (valid, test):
        differing = sorted(set(images.classes) ^ set(train.classes))
        if differing:
            raise DataError(
                f"{path}: the classes of {images.split} and {train.split} differ, for example {differing[0]}; add the missing class"
            )
    return train, valid, test


def build_class_loss(config: ClassifierLossConfig) -> ClassificationLoss:
    """Build the loss, wrapped in OHEM if configured."""
    makers: dict[str, Callable[[], ClassificationLoss]] = {
        "anchor": lambda: losses.AnchorLoss(config.gamma, config.margin, config.anchor, config.warmup_epochs),
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
    """Build the engine, ready to run."""
    data = config.data
    loss = build_class_loss(config.loss)
    info = ClassifierInfo(config.model.name, train.classes, data.size, loss.head, MEAN, STD)
    model = build_model(info.build, config.seed)
    augmented = ImageDataset(train, size=data.size, augmented=True, pad=data.pad, seed=config.seed)
    loader, valid_loader = build_loaders(augmented, ImageDataset(valid, size=data.size), config, accelerator, identity_collate)
    task = ClassificationTask(
        loader=loader,
        valid_loader=valid_loader,
        prepare=partial(normalise, mean=info.mean, std=info.std),
        loss=loss,
        score=partial(_error_figures, valid),
        metric=ERROR,
    )
    info = info.with_notes(loss=config.loss.name, gamma=config.loss.gamma, trained_on=f"{train.name} {train.split}")
    return assemble_engine(task, model, config, info=info, out=out, accelerator=accelerator, resume=resume)


def _error_figures(images: LabelledImages, logits: np.ndarray) -> dict[str, float]:
    return score_classes(images, logits).figures
