"""Build the data, loss, model and engine of a classifier's training run, and evaluate its result."""

from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
from accelerate import Accelerator

from posekit import losses
from posekit.data.crops import identity_collate
from posekit.data.labelled_images import LabelledImages, open_images
from posekit.drawing.pose import contact_sheet
from posekit.errors import DataError
from posekit.images import cv2, write_image
from posekit.losses import ClassificationLoss
from posekit.models import normalise
from posekit.scoring.metrics_file import write_metrics
from posekit.tasks.classifier.config import ClassifierConfig, ClassifierLossConfig, ImagesConfig
from posekit.tasks.classifier.data import ImageDataset
from posekit.tasks.classifier.predict import ClassifierInfo, classify_images
from posekit.tasks.classifier.score import ClassScores, score_classes, write_classes
from posekit.tasks.classifier.task import ClassificationTask
from posekit.training.build import MEAN, STD, assemble_engine, build_loaders, build_model, count_parameters, training_notes
from posekit.training.engine import Engine
from posekit.training.log import draw_run

_DRAWN_MISTAKES = 40
_MISTAKES_PER_ROW = 8
_TILE = 160  # side in pixels of the drawing of an image


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
        "anchor": partial(losses.AnchorLoss, config.gamma, config.margin, config.anchor, config.warmup_epochs),
        "bce": losses.BCE,
        "focal": partial(losses.FocalLoss, config.gamma),
        "ce": losses.CrossEntropy,
    }
    loss = makers[config.name]()
    return losses.OHEM(loss, config.ohem) if config.ohem < 1 else loss


class ClassifierTraining:
    """Training run of a classifier (implements `posekit.training.command.Training`)."""

    def __init__(self, config: ClassifierConfig):
        self.config = config
        self.train, self.valid, self.test = build_images(config.data)

    def build_engine(self, *, out: Path, accelerator: Accelerator, resume: bool) -> Engine:
        """Build the engine, ready to run."""
        config = self.config
        data = config.data
        loss = build_class_loss(config.loss)
        info = ClassifierInfo(config.model.name, self.train.classes, data.size, loss.head, MEAN, STD)
        info = info.with_notes(**training_notes(config.loss.name, config.loss.gamma, self.train))
        model = build_model(info.build, config.seed)
        train = ImageDataset(self.train, size=data.size, augmented=True, pad=data.pad, seed=config.seed)
        valid = ImageDataset(self.valid, size=data.size)
        loader, valid_loader = build_loaders(train, valid, config, accelerator, identity_collate)
        task = ClassificationTask(
            loader=loader,
            valid_loader=valid_loader,
            valid_images=self.valid,
            prepare=partial(normalise, mean=info.mean, std=info.std),
            criterion=loss,
        )
        return assemble_engine(task, model, config, info=info, out=out, accelerator=accelerator, resume=resume)

    def summary(self, engine: Engine) -> str:
        """Describe the data and the network."""
        lines = []
        for name, images in {"train": self.train, "valid": self.valid, "test": self.test}.items():
            lines.append(f"{name + ':':<6} {len(images):,} images of {images.name} {images.split}")
        lines.append(
            f"model: {self.config.model.name}, {count_parameters(engine.plain_model) / 1e6:.2f} M parameters, "
            f"{len(self.train.classes)} classes, {self.config.data.size} px; loss: {self.config.loss.name}; "
            f"device: {engine.accelerator.device}"
        )
        return "\n".join(lines)

    def finish(self, out: Path, engine: Engine) -> None:
        """Evaluate the best weights on the test images, and draw misclassified images."""
        weights = out / "best.safetensors"
        device = str(engine.accelerator.device)
        logits = classify_images(weights, self.test, device=device, workers=self.config.train.workers)
        scores = score_classes(self.test, logits)
        write_classes(out / "predictions.csv", scores)
        write_metrics(out, scores, weights=str(weights))
        figures = draw_run(out)
        _draw_mistakes(figures / "mistakes.png", scores)
        print(f"\n{scores.table()}\n\nweights: {weights}\nfigures: {figures}")


def _draw_mistakes(path: Path, scores: ClassScores) -> None:
    """Draw randomly chosen misclassified images, titled with the predicted class and, in brackets, the true class.

    If all predictions are correct, no file is written.
    """
    images = scores.images
    wrong = np.flatnonzero((scores.ranks > 0) & (scores.predicted >= 0))
    tiles = []
    titles = []
    for index in np.random.default_rng(0).permutation(wrong)[:_DRAWN_MISTAKES].tolist():
        image = images.images[index][..., ::-1]
        tiles.append(cv2.resize(image, (_TILE, _TILE), interpolation=cv2.INTER_NEAREST))
        titles.append(f"{images.classes[scores.predicted[index]]} ({images.classes[images.labels[index]]})")
    if tiles:
        write_image(path, contact_sheet(tiles, _MISTAKES_PER_ROW, titles))
