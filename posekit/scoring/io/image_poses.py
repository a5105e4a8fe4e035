"""Write the people predicted in images without annotations, as CSV or posekit's HDF5.

In each image, people are numbered from 1 in the order of their boxes. Pixel coordinates are 0-based and refer to the image as
displayed, after EXIF rotation.
"""

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from posekit.geometry import Box
from posekit.scoring.io.hdf5 import write_hdf5
from posekit.scoring.io.predictions import Predictions
from posekit.skeletons import Skeleton

DATASET = "photographs"
"""Data set name that `predictions.h5` contains for people without annotations."""

_PLACES = 4
_PARTS = ("x", "y", "score")


@dataclass(frozen=True)
class ImagePeople:
    """People predicted in one image.

    Parameters
    ----------
    image : str
        Path of the image, as given by the user.
    width, height : int
        Size in pixels of the image as displayed.
    joints : (P, K, 2) float64
        Image pixels, 0-based; NaN where nothing could be predicted.
    scores : (P, K) float64
        Score of each joint.
    boxes : tuple of Box
        The P boxes in which the joints were predicted.

    Raises
    ------
    ValueError
        If the arrays' shapes do not match.
    """

    image: str
    width: int
    height: int
    joints: np.ndarray
    scores: np.ndarray
    boxes: tuple[Box, ...]

    def __post_init__(self):
        if self.joints.shape != (*self.scores.shape, 2) or len(self.boxes) != len(self.scores) or self.scores.ndim != 2:
            raise ValueError(
                f"people of an image: expected joints (P, K, 2), scores (P, K) and P boxes, got {self.joints.shape}, "
                f"{self.scores.shape} and {len(self.boxes)}"
            )

    def cells(self) -> list[list]:
        """Return P rows of K x 3 table cells: rounded x, y and score of each joint; "" for NaN."""
        numbers = np.concatenate([self.joints, self.scores[..., None]], -1).round(_PLACES)
        cells = []
        for row in numbers.reshape(len(self.boxes), len(_PARTS) * self.scores.shape[1]).tolist():
            cells.append(["" if math.isnan(number) else number for number in row])
        return cells


def write_long(path: Path, images: Sequence[ImagePeople], skeleton: Skeleton) -> None:
    """Write a CSV table in long format, ``image,person,joint,x,y,score``: one row per joint."""
    rows = []
    for people in images:
        for number, cells in enumerate(people.cells(), 1):
            for k, joint in enumerate(skeleton.joints):
                start = k * len(_PARTS)
                rows.append([people.image, number, joint, *cells[start : start + len(_PARTS)]])
    write_csv(path, [["image", "person", "joint", *_PARTS]], rows)


def write_wide(path: Path, images: Sequence[ImagePeople], skeleton: Skeleton) -> None:
    """Write a CSV table in wide format, ``image,person,nose.x,nose.y,nose.score,…``: one row per person."""
    header = ["image", "person"]
    for joint in skeleton.joints:
        header += [f"{joint}.{part}" for part in _PARTS]
    rows = []
    for people in images:
        rows += [[people.image, number, *cells] for number, cells in enumerate(people.cells(), 1)]
    write_csv(path, [header], rows)


def write_csv(path: Path, header: Sequence[Sequence], rows: Sequence[Sequence]) -> None:
    """Write header rows and rows as CSV in UTF-8."""
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([*header, *rows])


def write_images_hdf5(path: Path, images: Sequence[ImagePeople], skeleton: Skeleton) -> None:
    """Write posekit's ``predictions.h5`` with the additional arrays ``image``, ``person``, ``size`` and ``box``.

    The N rows are the people of all images in order: ``image`` (N,) is the image's path, ``person`` (N,) the person's number in the
    image, ``size`` (N, 2) the image's width and height, and ``box`` (N, 3) the centre x, centre y and side of the person's box.
    ``index`` is 0 to N - 1, and the attribute ``dataset`` is ``photographs``, because the people are in no annotated data set.
    `read_predictions` reads the file, without the additional arrays.
    """
    k = len(skeleton)
    joints = np.concatenate([np.empty((0, k, 2)), *(people.joints for people in images)])
    scores = np.concatenate([np.empty((0, k)), *(people.scores for people in images)])
    paths: list[str] = []
    numbers: list[int] = []
    sizes: list[tuple[int, int]] = []
    boxes: list[tuple[float, float, float]] = []
    for people in images:
        for number, box in enumerate(people.boxes, 1):
            paths.append(people.image)
            numbers.append(number)
            sizes.append((people.width, people.height))
            boxes.append((*box.centre, box.side))
    beside = {
        "image": np.array(paths, h5py.string_dtype()),
        "person": np.array(numbers, np.int64),
        "size": np.array(sizes, np.int64).reshape(-1, 2),
        "box": np.array(boxes, np.float64).reshape(-1, 3),
    }
    write_hdf5(path, Predictions(joints, scores, np.arange(len(joints)), skeleton, DATASET), beside=beside)
