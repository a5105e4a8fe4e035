"""Comparison of classifiers, scored on the test images."""

from collections.abc import Mapping
from pathlib import Path

from posekit.models import load_weights
from posekit.scoring.repeats import ERROR_TITLES, Evaluation
from posekit.tasks.classifier.config import ClassifierConfig
from posekit.tasks.classifier.model import ClassifierInfo
from posekit.tasks.classifier.predict import classify_images
from posekit.tasks.classifier.score import ClassRepeats, read_classes, score_classes, write_classes
from posekit.tasks.classifier.training import ClassifierTraining

_FILE = "predictions.csv"


class Comparison:
    """Comparison of classifiers (a `posekit.lab.compare.comparison.Comparison`)."""

    config_class = ClassifierConfig
    open = ClassifierTraining
    same_data = ("images", "path", "test")
    metric_column = "error"
    kept = ("metric", "n_images", *ERROR_TITLES)
    resampled = "images"

    def __init__(self, training: ClassifierTraining):
        self.images = training.test
        self.summary = (
            f"{len(training.train):,} images to train, {len(self.images):,} of {self.images.name} {self.images.split} to score"
        )

    @staticmethod
    def results_folder(decode: str) -> str:
        """Classifiers have no decoding."""
        return "final"

    def evaluate(self, config: ClassifierConfig, weights: Path, results: Path, decode: str) -> Evaluation:
        """Classify and score the test images."""
        logits = classify_images(weights, self.images, device=config.train.device, workers=config.train.workers)
        scores = score_classes(self.images, logits)
        write_classes(results / _FILE, scores)
        model, _ = load_weights(weights, info_class=ClassifierInfo)
        return Evaluation(scores, sum(parameter.numel() for parameter in model.parameters()))

    def repeats(self, results: Mapping[int, Path]) -> ClassRepeats:
        """Read the stored predictions."""
        return ClassRepeats({seed: read_classes(folder / _FILE, self.images) for seed, folder in results.items()})

    def figures(self, metrics: Mapping) -> dict[str, float]:
        """The errors."""
        return {"error": metrics["error"], **{kind: metrics[kind] for kind in ERROR_TITLES if kind in metrics}}

    def caption(self, config: ClassifierConfig, decode: str, models: Mapping[str, ClassRepeats]) -> str:
        """Caption of the table of scores."""
        return (
            f"Errors in percent of {len(self.images):,} images ({self.images.name} {self.images.split}), {config.model.name}, "
            "last epoch's weights; mean ± standard deviation over the seeds. The paper's tables have the accuracy, 100 minus this."
        )

    def groups(self, models: Mapping[str, ClassRepeats]) -> list[str]:
        """Names of all errors."""
        return list(next(iter(models.values())).figures)

    def metric(self, models: Mapping[str, ClassRepeats]) -> str:
        """Name of the metric."""
        return "error"
