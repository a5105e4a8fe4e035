"""How often a classifier is wrong: metrics.json and predictions.csv of labelled images."""

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

ERROR, ERROR_TOP5 = "error", "error_top5"
"""Figures, as columns name them."""
_CHOICES = {ERROR: 1, ERROR_TOP5: 5}
_ENOUGH_CLASSES = 10  # with no more, the top-5 error tells little
_COLUMNS = ("image", "label", "predicted", "rank")


@dataclass(frozen=True, eq=False)
class ClassScores:
    """What a classifier made of labelled images.

    Parameters
    ----------
    images : LabelledImages
    predicted : (N,) int64
        First choices; -1 of an image that could not be read.
    ranks : (N,) int64
        How many classes were preferred to the true one; see `true_ranks`.
    """

    images: LabelledImages
    predicted: np.ndarray
    ranks: np.ndarray

    @cached_property
    def wrong(self) -> dict[str, np.ndarray]:
        """(N,) bool by figure: the true class is not among the first choice, or among the first five where classes are many."""
        kinds = [ERROR] if len(self.images.classes) <= _ENOUGH_CLASSES else [ERROR, ERROR_TOP5]
        return {kind: self.ranks >= _CHOICES[kind] for kind in kinds}

    @property
    def figures(self) -> dict[str, float]:
        """Errors in percent."""
        return {kind: 100 * float(wrong.mean()) for kind, wrong in self.wrong.items()}

    @property
    def intervals95(self) -> dict[str, tuple[float, float]]:
        """Of the errors, in percent; a bootstrap over the images."""
        return {kind: interval95(wrong, np.ones(len(wrong))) for kind, wrong in self.wrong.items()}

    def table(self) -> str:
        """Text for the screen."""
        lines = [f"{self.images.name} {self.images.split}, {len(self.images):,} images, {len(self.images.classes)} classes", ""]
        for kind, (low, high) in self.intervals95.items():
            lines.append(f"{ERROR_TITLES[kind]}   {self.figures[kind]:6.2f} %   95 % interval {low:.2f} to {high:.2f}")
        return "\n".join(lines)

    def to_dict(self, *, weights: str | None = None, choices: Mapping | None = None, sections: Mapping | None = None) -> dict:
        """The contents of ``metrics.json``, numbers in percent; parameters as of `posekit.scoring.Scores.to_dict`."""
        images = self.images
        protocol = {
            "top_k": "the true class is among the k of highest score",
            "interval95": "of error; bootstrap over images, 1000 resamples, seed 0",
        }
        classes = {
            name: 100 * float(self.wrong[ERROR][images.labels == i].mean()) if (images.labels == i).any() else float("nan")
            for i, name in enumerate(images.classes)
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
            "error_of_classes": classes,
            **(sections or {}),
        }
        return metrics_contents(results, weights)


def score_classes(images: LabelledImages, logits: np.ndarray) -> ClassScores:
    """Score logits.

    Parameters
    ----------
    images : LabelledImages
    logits : (N, C) float
        NaN where an image could not be read: it is wrong.
    """
    read = np.isfinite(logits).all(1)
    predicted = np.where(read, np.where(read[:, None], logits, 0).argmax(1), -1)
    return ClassScores(images, predicted, true_ranks(logits, images.labels))


class ClassRepeats(Repeats):
    """Of a classifier: errors of its `ClassScores`."""

    low = tuple(ERROR_TITLES.values())

    def _figures(self, scores: ClassScores) -> dict[str, float]:
        return {ERROR_TITLES[kind]: error for kind, error in scores.figures.items()}

    def _differences(self, other: "ClassRepeats", seeds: Sequence[int]) -> dict[str, Difference]:
        any_one = self.scores[seeds[0]]
        return {
            ERROR_TITLES[kind]: repeated_difference(
                self._wrong(kind, seeds), other._wrong(kind, seeds), np.ones(len(any_one.images))
            )
            for kind in any_one.wrong
        }

    def _wrong(self, kind: str, seeds: Sequence[int]) -> np.ndarray:
        """(N, S) bool."""
        return np.stack([self.scores[seed].wrong[kind] for seed in seeds], axis=1)


def write_classes(path: Path, scores: ClassScores) -> None:
    """Write a row for each image: its place, true class, first choice, and how many classes were preferred to the true one."""
    with atomic_write(path) as unfinished, unfinished.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_COLUMNS)
        names = [*scores.images.classes, ""]  # the last for -1
        for i, (label, predicted, rank) in enumerate(zip(scores.images.labels, scores.predicted, scores.ranks, strict=True)):
            writer.writerow([i, names[label], names[predicted], rank])


def read_classes(path: Path, images: LabelledImages) -> ClassScores:
    """Read what `write_classes` wrote of these images.

    Raises
    ------
    DataError
        If the file cannot be read, or is of other images.
    """
    places = {name: i for i, name in enumerate(images.classes)} | {"": -1}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [(places[row["label"]], places[row["predicted"]], int(row["rank"])) for row in csv.DictReader(file)]
        labels, predicted, ranks = np.array(rows, np.int64).T
    except (OSError, ValueError, TypeError, KeyError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read as predictions of {images.name} {images.split} ({error})") from error
    if not np.array_equal(labels, images.labels):
        raise DataError(f"{path}: predictions of other images than {images.name} {images.split}")
    return ClassScores(images, predicted, ranks)


def true_ranks(scores_NC: ArrayLike, labels_N: ArrayLike) -> np.ndarray:
    """How many classes a classifier prefers to the true one.

    The top-k error is the share of images whose rank is k or more.

    Parameters
    ----------
    scores_NC : (N, C) float
        Logits or probabilities. NaN comes last; of equal scores the lower class goes first, as `numpy.argmax` has it.
    labels_N : (N,) int
        True classes.

    Returns
    -------
    (N,) int64 : from 0, the true class is the first choice, to C - 1; C where all scores are NaN.
    """
    scores, labels = np.asarray(scores_NC), np.asarray(labels_N)
    if scores.ndim != 2 or labels.shape != scores.shape[:1]:
        raise ValueError(f"scores and labels: expected (N, C) and (N,), got {scores.shape} and {labels.shape}")
    order = np.argsort(-scores, axis=1, kind="stable")
    ranks = (order == labels[:, None]).argmax(1)
    return np.where(np.isnan(scores).all(1), scores.shape[1], ranks)
