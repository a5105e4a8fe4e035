"""Training run of a classifier: data, engine and results."""

from pathlib import Path

import numpy as np
from accelerate import Accelerator

from posekit.data.labelled_images import LabelledImages
from posekit.images import write_image
from posekit.scoring.metrics_file import write_metrics
from posekit.tasks.classifier.build import build_classifier_engine, build_images
from posekit.tasks.classifier.config import ClassifierConfig
from posekit.tasks.classifier.drawing import mistakes_sheet
from posekit.tasks.classifier.predict import classify_images
from posekit.tasks.classifier.score import ClassScores, score_classes, write_classes
from posekit.training.build import count_parameters
from posekit.training.engine import Engine
from posekit.training.log import draw_run

_DRAWN_MISTAKES = 40


class ClassifierTraining:
    """Training run of a classifier (implements `posekit.training.command.Training`)."""

    def __init__(self, config: ClassifierConfig):
        self.config = config
        self.train, self.valid, self.test = build_images(config.data)

    def build_engine(self, *, out: Path, accelerator: Accelerator, resume: bool) -> Engine:
        """Build the engine, see `posekit.tasks.classifier.build.build_classifier_engine`."""
        return build_classifier_engine(self.config, self.train, self.valid, out=out, accelerator=accelerator, resume=resume)

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
        _draw_mistakes(figures / "mistakes.png", self.test, scores)
        print(f"\n{scores.table()}\n\nweights: {weights}\nfigures: {figures}")


def _draw_mistakes(path: Path, images: LabelledImages, scores: ClassScores) -> None:
    """Draw randomly chosen misclassified images; write no file if all predictions are correct."""
    wrong = np.flatnonzero((scores.ranks > 0) & (scores.predicted >= 0))
    chosen = np.random.default_rng(0).permutation(wrong)[:_DRAWN_MISTAKES].tolist()
    if chosen:
        pixels = [images.images[index][..., ::-1] for index in chosen]
        truth = [images.classes[images.labels[index]] for index in chosen]
        predicted = [images.classes[scores.predicted[index]] for index in chosen]
        write_image(path, mistakes_sheet(pixels, truth, predicted))
