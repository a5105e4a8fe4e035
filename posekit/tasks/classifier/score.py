"""Errors of a classifier, and reading and writing of metrics.json and predictions.csv."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from posekit.data.labelled_images import LabelledImages
from posekit.errors import DataError
from posekit.files import atomic_write
from posekit.metrics import Difference, interval95, repeated_difference
from posekit.scoring.metrics_file import metrics_contents
from posekit.scoring.repeats import ERROR_TITLES, Repeats

ERROR = "error"
"""Name of the top-1 error in metrics.csv and metrics.json."""


@dataclass(frozen=True, eq=False)
class ClassScores:
    """Predictions of a classifier for labelled images, with their errors.

    Parameters
    ----------
    images : LabelledImages
    predicted : (N,) int64
        Predicted classes; -1 for an image that could not be read.
    ranks : (N,) int64
        Number of classes ranked above the true class, see `true_ranks`.
    """

    images: LabelledImages
    predicted: np.ndarray
    ranks: np.ndarray

    @cached_property
    def wrong(self) -> dict[str, np.ndarray]:
        """(N,) bool arrays by name of the error (top-1; top-5 with more than 10 classes), True for wrong images."""
        wrong = {ERROR: self.ranks >= 1}
        if len(self.images.classes) > 10:
            wrong["error_top5"] = self.ranks >= 5
        return wrong

    @property
    def figures(self) -> dict[str, float]:
        """Errors in percent, by name."""
        return {figure: 100 * float(wrong.mean()) for figure, wrong in self.wrong.items()}

    @property
    def intervals95(self) -> dict[str, tuple[float, float]]:
        """95 % confidence intervals of the errors in percent, by name, from a bootstrap over the images."""
        return {figure: interval95(wrong, np.ones(len(wrong))) for figure, wrong in self.wrong.items()}

    def table(self) -> str:
        """Return the errors as text to print."""
        images = self.images
        lines = [f"{images.name} {images.split}, {len(images):,} images, {len(images.classes)} classes", ""]
        for figure, (low, high) in self.intervals95.items():
            lines.append(
                f"{ERROR_TITLES[figure]}   {self.figures[figure]:6.2f} %   95 % confidence interval {low:.2f} to {high:.2f}"
            )
        return "\n".join(lines)

    def to_dict(self, *, weights: str | None = None, choices: Mapping | None = None, sections: Mapping | None = None) -> dict:
        """Return the contents of ``metrics.json``, errors in percent; parameters as for `posekit.scoring.score.Scores.to_dict`."""
        images = self.images
        class_errors = {}  # NaN for a class without images
        for index, name in enumerate(images.classes):
            wrong = self.wrong[ERROR][images.labels == index]
            class_errors[name] = 100 * float(wrong.mean()) if len(wrong) else float("nan")
        protocol = {
            "top_k": "the true class is among the k classes with the highest scores",
            "interval95": "95 % confidence interval of error; bootstrap over images, 1000 resamples, seed 0",
        }
        results = {
            "metric": ERROR_TITLES[ERROR],
            "protocol": {**protocol, **(choices or {})},
            "dataset": images.name,
            "split": images.split,
            "n_images": len(images),
            "n_not_read": int((self.predicted < 0).sum()),
            **self.figures,
            "interval95": self.intervals95[ERROR],
            "error_of_classes": class_errors,
            **(sections or {}),
        }
        return metrics_contents(results, weights)


def score_classes(images: LabelledImages, logits: np.ndarray) -> ClassScores:
    """Compute the errors of a classifier from (N, C) logits; NaN for images that could not be read, which count as errors."""
    readable = np.isfinite(logits).all(1)
    best = np.where(readable[:, None], logits, 0).argmax(1)
    predicted = np.where(readable, best, -1)
    return ClassScores(images, predicted, true_ranks(logits, images.labels))


class ClassRepeats(Repeats):
    """Errors of a classifier that was trained with several seeds."""

    low = tuple(ERROR_TITLES.values())

    def _figures(self, scores: ClassScores) -> dict[str, float]:
        return {ERROR_TITLES[figure]: error for figure, error in scores.figures.items()}

    def _differences(self, other: Repeats, seeds: Sequence[int]) -> dict[str, Difference]:
        first: ClassScores = self.scores[seeds[0]]
        weights = np.ones(len(first.images))
        differences = {}
        for figure in first.wrong:
            wrong = np.stack([self.scores[seed].wrong[figure] for seed in seeds], axis=1)
            other_wrong = np.stack([other.scores[seed].wrong[figure] for seed in seeds], axis=1)
            differences[ERROR_TITLES[figure]] = repeated_difference(wrong, other_wrong, weights)
        return differences


def write_classes(path: Path, scores: ClassScores) -> None:
    """Write predictions.csv: for each image the index, the true class, the predicted class, and the rank of the true class."""
    names = [*scores.images.classes, ""]  # the empty name is for class -1
    with atomic_write(path) as unfinished, unfinished.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["image", "label", "predicted", "rank"])
        for index, label in enumerate(scores.images.labels):
            writer.writerow([index, names[label], names[scores.predicted[index]], scores.ranks[index]])


def read_classes(path: Path, images: LabelledImages) -> ClassScores:
    """Read a file written by `write_classes` for the same images.

    Raises
    ------
    DataError
        If the file cannot be read or contains predictions of other images.
    """
    index = {name: i for i, name in enumerate(images.classes)} | {"": -1}
    rows = []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                rows.append((index[row["label"]], index[row["predicted"]], int(row["rank"])))
        labels, predicted, ranks = np.array(rows, np.int64).T
    except (OSError, ValueError, TypeError, KeyError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"{path}: cannot be parsed as predictions of {images.name} {images.split} ({error}); write the predictions again"
        ) from error
    if not np.array_equal(labels, images.labels):
        raise DataError(f"{path}: contains predictions for other images than {images.name} {images.split}")
    return ClassScores(images, predicted, ranks)


def true_ranks(scores_NC: ArrayLike, labels_N: ArrayLike) -> np.ndarray:
    """Count the classes that a classifier scores above the true class, from 0 to C - 1; C if all scores are NaN.

    The top-k error is the share of images whose rank is k or more. NaN ranks last; of equal scores, the lower class index ranks
    first, as in `numpy.argmax`.
    """
    scores = np.asarray(scores_NC)
    labels = np.asarray(labels_N)
    if scores.ndim != 2 or labels.shape != scores.shape[:1]:
        raise ValueError(f"scores and labels: expected (N, C) and (N,), got {scores.shape} and {labels.shape}")
    order = np.argsort(-scores, axis=1, kind="stable")
    ranks = (order == labels[:, None]).argmax(1)
    return np.where(np.isnan(scores).all(1), scores.shape[1], ranks)
