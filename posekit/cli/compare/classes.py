"""Classifiers that are compared."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from posekit.cli.compare.kind import Evaluated
from posekit.cli.compare.run import Run
from posekit.cli.train_classifier import ClassifierTraining
from posekit.evaluation.classification import TITLES, ClassRepeats, read_classes, score_classes, write_classes
from posekit.inference.classifier import classify_images
from posekit.models import load_classifier

_FILE = "predictions.csv"


class ClassesCompared:
    """Classifiers, scored on the test images (a `posekit.cli.compare.kind.Kind`)."""

    open = ClassifierTraining
    same = ("images", "path", "test")
    followed = "error"
    kept = ("metric", "n_images", *TITLES)
    drawn = "images"

    def __init__(self, training: ClassifierTraining):
        self.images = training.test
        self.described = (
            f"{len(training.train):,} images to train, {len(self.images):,} of {self.images.name} {self.images.split} to score"
        )

    def evaluate(self, run: Run, weights: Path) -> Evaluated:
        """Classify and score."""
        settings = run.config.train
        scores = score_classes(self.images, classify_images(weights, self.images, device=settings.device, workers=settings.workers))
        write_classes(run.results / _FILE, scores)
        model, _ = load_classifier(weights)
        return Evaluated(scores, sum(parameter.numel() for parameter in model.parameters()))

    def repeats(self, runs: Sequence[Run]) -> ClassRepeats:
        """As they were scored."""
        return ClassRepeats({run.seed: read_classes(run.results / _FILE, self.images) for run in runs})

    def figures(self, found: Mapping) -> dict[str, float]:
        """The errors."""
        return {"error": found["error"], **{kind: found[kind] for kind in TITLES if kind in found}}

    def caption(self, run: Run, models: Mapping[str, ClassRepeats]) -> str:
        """What the table's numbers are."""
        return (
            f"Errors in percent of {len(self.images):,} images ({self.images.name} {self.images.split}), {run.config.model.name}, "
            "last epoch's weights; mean ± standard deviation over the seeds. The paper's tables have what is left to 100."
        )

    def groups(self, models: Mapping[str, ClassRepeats]) -> list[str]:
        """All errors."""
        return list(next(iter(models.values())).figures)

    def metric(self, models: Mapping[str, ClassRepeats]) -> str:
        """What they are."""
        return "error"
