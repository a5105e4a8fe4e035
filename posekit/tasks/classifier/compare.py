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
from posekit.training.build import count_parameters

_PREDICTIONS = "predictions.csv"


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
        """Name the folder; classifiers have no decoding."""
        return "final"

    def evaluate(self, config: ClassifierConfig, weights: Path, results: Path, decode: str) -> Evaluation:
        """Classify and score the test images."""
        logits = classify_images(weights, self.images, device=config.train.device, workers=config.train.workers)
        scores = score_classes(self.images, logits)
        write_classes(results / _PREDICTIONS, scores)
        model, _ = load_weights(weights, info_class=ClassifierInfo)
        return Evaluation(scores, count_parameters(model))

    def repeats(self, results: Mapping[int, Path]) -> ClassRepeats:
        """Read the stored predictions."""
        scores = {seed: read_classes(folder / _PREDICTIONS, self.images) for seed, folder in results.items()}
        return ClassRepeats(scores)

    def figures(self, metrics: Mapping) -> dict[str, float]:
        """Top-1 error, and top-5 error where there is one."""
        figures = {"error": metrics["error"]}
        if "error_top5" in metrics:
            figures["error_top5"] = metrics["error_top5"]
        return figures

    def caption(self, config: ClassifierConfig, decode: str, models: Mapping[str, ClassRepeats]) -> str:
        """Caption of the table of scores."""
        return (
            f"Errors in percent of {len(self.images):,} images ({self.images.name} {self.images.split}), {config.model.name}, "
            "last epoch's weights; mean ± standard deviation over the seeds. The paper's tables have the accuracy, 100 minus this."
        )

    def groups(self, models: Mapping[str, ClassRepeats]) -> list[str]:
        """Names of the errors."""
        return list(next(iter(models.values())).figures)

    def metric(self, models: Mapping[str, ClassRepeats]) -> str:
        """Name of the metric."""
        return "error"
