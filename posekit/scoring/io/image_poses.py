"""Tables of the people predicted in photographs without annotation: CSV, and posekit's HDF5.

People are counted from 1 in each photograph, in the order of their boxes. Pixels are 0-based, of the
photograph as shown, after the turn that its EXIF data ask for.
"""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from posekit.geometry import Box
from posekit.scoring.io.hdf5 import write_hdf5
from posekit.scoring.io.predictions import Predictions
from posekit.skeletons import Skeleton

DATASET = "photographs"
"""What `predictions.h5` calls people without annotation, so that they are not taken for those of a data set."""

_PLACES = 4
_PARTS = ("x", "y", "score")


@dataclass(frozen=True)
class PhotographPeople:
    """The people predicted in one photograph.

    Parameters
    ----------
    image : str
        The photograph's path, as it was given.
    width, height : int
        Its size as shown, pixels.
    joints : (P, K, 2) float64
        Image pixels, 0-based; NaN where nothing could be predicted.
    scores : (P, K) float64
    boxes : tuple of Box
        Where the model looked, P of them.

    Raises
    ------
    ValueError
        If the arrays' shapes do not fit.
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
                f"people of a photograph: expected joints (P, K, 2), scores (P, K) and P boxes, got {self.joints.shape}, "
                f"{self.scores.shape} and {len(self.boxes)}"
            )

    def rows(self) -> Iterator[tuple[int, list[list]]]:
        """Of each person: its number, counted from 1, and [x, y, score] of every joint; "" where one is not finite."""
        numbers = np.concatenate([self.joints, self.scores[..., None]], -1).round(_PLACES).tolist()
        for number, person in enumerate(numbers, 1):
            yield number, [["" if value != value else value for value in joint] for joint in person]


def write_long(path: Path, photographs: Sequence[PhotographPeople], skeleton: Skeleton) -> None:
    """Write ``image,person,joint,x,y,score``: a row for each joint."""
    rows = (
        [photograph.image, number, joint, *values]
        for photograph in photographs
        for number, person in photograph.rows()
        for joint, values in zip(skeleton.joints, person, strict=True)
    )
    write_csv(path, [["image", "person", "joint", *_PARTS]], rows)


def write_wide(path: Path, photographs: Sequence[PhotographPeople], skeleton: Skeleton) -> None:
    """Write ``image,person`` and three columns for each joint, ``nose.x,nose.y,nose.score``: a row for each person."""
    rows = (
        [photograph.image, number, *(value for joint in person for value in joint)]
        for photograph in photographs
        for number, person in photograph.rows()
    )
    write_csv(path, [["image", "person", *(f"{joint}.{part}" for joint in skeleton.joints for part in _PARTS)]], rows)


def write_csv(path: Path, header: Sequence[Sequence], rows: Iterator[Sequence]) -> None:
    """Write lines of a header and rows, UTF-8."""
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([*header, *rows])


def write_photographs_hdf5(path: Path, photographs: Sequence[PhotographPeople], skeleton: Skeleton) -> None:
    """Write posekit's ``predictions.h5``, which `read_predictions` reads, with ``image``, ``person``, ``size`` and ``box`` beside.

    The N people stand one after the other: ``image`` (N,) is the photograph's path, ``person`` (N,) the number
    in it, ``size`` (N, 2) its width and height, ``box`` (N, 3) centre x, y and side of where the model looked.
    ``index`` counts them, and the attribute ``dataset`` is ``photographs``: no annotation knows them.
    """
    k = len(skeleton)
    counts = [len(photograph.boxes) for photograph in photographs]
    joints = np.concatenate([np.empty((0, k, 2)), *(photograph.joints for photograph in photographs)])
    scores = np.concatenate([np.empty((0, k)), *(photograph.scores for photograph in photographs)])
    names = [photograph.image for photograph, count in zip(photographs, counts, strict=True) for _ in range(count)]
    sizes = np.array([(photograph.width, photograph.height) for photograph in photographs], np.int64).reshape(-1, 2)
    boxes = [(*box.centre, box.side) for photograph in photographs for box in photograph.boxes]
    beside = {
        "image": np.array(names, h5py.string_dtype()),
        "person": np.concatenate([np.empty(0, np.int64), *(np.arange(1, count + 1) for count in counts)]),
        "size": np.repeat(sizes, counts, axis=0),
        "box": np.array(boxes, np.float64).reshape(-1, 3),
    }
    write_hdf5(path, Predictions(joints, scores, np.arange(len(joints)), skeleton, DATASET), beside=beside)
