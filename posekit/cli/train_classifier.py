"""`posekit train-classifier`: train a classifier, test it, draw what it mistakes."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from accelerate import Accelerator

from posekit import build
from posekit.cli.training import WRITES, Command, run_training
from posekit.config import ClassifierConfig
from posekit.datasets.classes import LabelledImages
from posekit.drawing.classes import mistakes_sheet
from posekit.drawing.training import training_curves
from posekit.evaluation import write_metrics
from posekit.evaluation.classification import ClassScores, score_classes, write_classes
from posekit.files import writable_folder
from posekit.images import write_image
from posekit.inference.classifier import classify_images
from posekit.training.engine import Engine
from posekit.training.log import read_run

_DESCRIPTION = f"""Train a classifier under anchor loss or one that it is compared with, test it, draw what it mistakes.

  posekit train-classifier --config configs/cifar/cpu_small.yaml --data.root DIR
  posekit train-classifier --config configs/cifar/resnet110_anchor.yaml --data.root DIR --loss.name bce
  posekit train-classifier --resume --out runs/cifar-cpu_small

Writes into OUT: config.yaml; metrics.csv and tensorboard/, a row per epoch; last/, to resume from;
best.safetensors and final.safetensors; metrics.json and predictions.csv of the best weights on the test images; figures/.
{WRITES.format(tool="tools/train_classifier.py")}"""
_DRAWN = 40


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Run the command; returns the exit status."""
    return run_training(Command(_DESCRIPTION, ClassifierConfig, ClassifierTraining), argv, prog)


class ClassifierTraining:
    """A classifier's training (a `posekit.cli.training.Training`)."""

    def __init__(self, config: ClassifierConfig):
        self.config = config
        self.train, self.valid, self.test = build.build_images(config.data)

    def build_engine(self, *, out: Path, accelerator: Accelerator, resume: bool) -> Engine:
        """As `posekit.build.build_classifier_engine`."""
        return build.build_classifier_engine(self.config, self.train, self.valid, out=out, accelerator=accelerator, resume=resume)

    def summary(self, engine: Engine) -> str:
        """What is trained on, and what the network is."""
        parameters = sum(parameter.numel() for parameter in engine.plain_model.parameters())
        splits = {"train": self.train, "valid": self.valid, "test": self.test}
        lines = [f"{name + ':':<6} {len(images):,} images of {images.name} {images.split}" for name, images in splits.items()]
        return "\n".join(
            [
                *lines,
                f"model: {self.config.model.name}, {parameters / 1e6:.2f} M parameters, {len(self.train.classes)} classes, "
                f"{self.config.data.size} px; loss: {self.config.loss.name}; device: {engine.accelerator.device}",
            ]
        )

    def finish(self, out: Path, engine: Engine) -> None:
        """Test the best weights, and draw what they mistake."""
        weights = out / "best.safetensors"
        device, workers = str(engine.accelerator.device), self.config.train.workers
        scores = score_classes(self.test, classify_images(weights, self.test, device=device, workers=workers))
        write_classes(out / "predictions.csv", scores)
        write_metrics(out, scores, weights=str(weights))
        figures = writable_folder(out / "figures")
        training_curves({out.name: read_run(out)}).savefig(figures / "training.png")
        _draw_mistakes(figures / "mistakes.png", self.test, scores)
        print(f"\n{scores.table()}\n\nweights:  {weights}\npictures: {figures}")


def _draw_mistakes(path: Path, images: LabelledImages, scores: ClassScores) -> None:
    """Some of the wrong images, drawn at random; none where none is wrong."""
    wrong = np.flatnonzero((scores.ranks > 0) & (scores.predicted >= 0))
    chosen = np.random.default_rng(0).permutation(wrong)[:_DRAWN]
    if len(chosen):
        truth, predicted = ([images.classes[i] for i in kind[chosen]] for kind in (images.labels, scores.predicted))
        write_image(path, mistakes_sheet([images.images[int(i)][..., ::-1] for i in chosen], truth, predicted))
