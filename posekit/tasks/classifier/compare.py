"""Comparison of classifiers, evaluated on the test images."""

from collections.abc import Mapping
from pathlib import Path

from posekit.models import load_weights
from posekit.scoring.repeats import ERROR_TITLES, Evaluation
from posekit.tasks.classifier.build import ClassifierTraining
from posekit.tasks.classifier.config import ClassifierConfig
from posekit.tasks.classifier.predict import ClassifierInfo, classify_images
from posekit.tasks.classifier.score import ClassRepeats, read_classes, score_classes, write_classes
from posekit.training.build import count_parameters

_PREDICTIONS = "predictions.csv"


class Comparison:
    """Comparison of classifiers (implements `posekit.lab.compare.plan.Comparison`)."""

    open = ClassifierTraining
    same_data = ("images", "path", "test")
    metric_column = "error"
    kept = ("metric", "n_images", *ERROR_TITLES)
    resampled = "images"

    def __init__(self, training: ClassifierTraining):
        self.images = training.test
        self.summary = (
            f"training: {len(training.train):,} images; evaluation: {len(self.images):,} images of "
            f"{self.images.name} {self.images.split}"
        )

    @staticmethod
    def results_folder(decode: str) -> str:
        """Return the name of the results folder; classifiers have no decoding method."""
        return "final"

    def evaluate(self, config: ClassifierConfig, weights: Path, results: Path, decode: str) -> Evaluation:
        """Classify the test images and compute the errors."""
        logits = classify_images(weights, self.images, device=config.train.device, workers=config.train.workers)
        scores = score_classes(self.images, logits)
        write_classes(results / _PREDICTIONS, scores)
        model, _ = load_weights(weights, info_class=ClassifierInfo)
        return Evaluation(scores, count_parameters(model))

    def repeats(self, results: Mapping[int, Path]) -> ClassRepeats:
        """Read the stored predictions, by seed."""
        scores = {seed: read_classes(folder / _PREDICTIONS, self.images) for seed, folder in results.items()}
        return ClassRepeats(scores)

    def figures(self, metrics: Mapping) -> dict[str, float]:
        """Return the top-1 error, and the top-5 error if computed."""
        figures = {"error": metrics["error"]}
        if "error_top5" in metrics:
            figures["error_top5"] = metrics["error_top5"]
        return figures

    def caption(self, config: ClassifierConfig, decode: str, models: Mapping[str, ClassRepeats]) -> str:
        """Return the caption of the table of errors."""
        return (
            f"Errors in percent on {len(self.images):,} images ({self.images.name} {self.images.split}), {config.model.name}, "
            "weights of the last epoch; mean ± standard deviation over the seeds. The paper's tables list the accuracy, which is "
            "100 minus the error."
        )

    def groups(self, models: Mapping[str, ClassRepeats]) -> list[str]:
        """Return the names of the errors."""
        return list(next(iter(models.values())).figures)

    def metric(self, models: Mapping[str, ClassRepeats]) -> str:
        """Return the name of the metric."""
        return "error"
