"""One training run of a classifier: its data, its engine, what is written at the end."""

from pathlib import Path

import numpy as np
from accelerate import Accelerator

from posekit.data.labelled_images import LabelledImages
from posekit.drawing.training import training_curves
from posekit.files import writable_folder
from posekit.images import write_image
from posekit.scoring.metrics_file import write_metrics
from posekit.tasks.classifier.build import build_classifier_engine, build_images
from posekit.tasks.classifier.config import ClassifierConfig
from posekit.tasks.classifier.drawing import mistakes_sheet
from posekit.tasks.classifier.predict import classify_images
from posekit.tasks.classifier.score import ClassScores, score_classes, write_classes
from posekit.training.engine import Engine
from posekit.training.log import read_run

_DRAWN = 40


class ClassifierTraining:
    """A classifier's training (a `posekit.training.command.Training`)."""

    def __init__(self, config: ClassifierConfig):
        self.config = config
        self.train, self.valid, self.test = build_images(config.data)

    def build_engine(self, *, out: Path, accelerator: Accelerator, resume: bool) -> Engine:
        """As `posekit.tasks.classifier.build.build_classifier_engine`."""
        return build_classifier_engine(self.config, self.train, self.valid, out=out, accelerator=accelerator, resume=resume)

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
