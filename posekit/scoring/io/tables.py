"""Write predictions as CSV tables, with 0-based image pixels and empty cells for NaN."""

import csv
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from posekit.people import People
from posekit.scoring.io.predictions import ImagePeople, Predictions, file_names
from posekit.skeletons import Skeleton

_PARTS = ("x", "y", "score")


def write_table(path: Path, predictions: Predictions, people: People) -> None:
    """Write the columns ``index,image,joint,x,y,score``: one row per joint of each annotated person.

    `people` must contain every person to whom `predictions.index` refers.
    """
    names = file_names(people)
    numbers = np.concatenate([predictions.joints, predictions.scores[..., None]], -1)
    rows = []
    for index, person in zip(predictions.index.tolist(), numbers.tolist(), strict=True):
        for joint, values in zip(predictions.skeleton.joints, person, strict=True):
            rows.append([index, names[index], joint, *_cells(values)])
    _write_csv(path, [["index", "image", "joint", *_PARTS]], rows)


def write_long(path: Path, images: Sequence[ImagePeople], skeleton: Skeleton) -> None:
    """Write the columns ``image,person,joint,x,y,score``: one row per joint of each person in an image."""
    rows = []
    for people in images:
        for number, person in enumerate(people.rounded().tolist(), 1):
            for joint, values in zip(skeleton.joints, person, strict=True):
                rows.append([people.image, number, joint, *_cells(values)])
    _write_csv(path, [["image", "person", "joint", *_PARTS]], rows)


def write_wide(path: Path, images: Sequence[ImagePeople], skeleton: Skeleton) -> None:
    """Write the columns ``image,person,nose.x,nose.y,nose.score,…``: one row per person in an image."""
    header = ["image", "person"]
    for joint in skeleton.joints:
        header += [f"{joint}.{part}" for part in _PARTS]
    rows = []
    for people in images:
        for number, person in enumerate(people.rounded(), 1):
            rows.append([people.image, number, *_cells(person.ravel().tolist())])
    _write_csv(path, [header], rows)


def write_deeplabcut(path: Path, images: Sequence[ImagePeople], skeleton: Skeleton) -> None:
    """Write a table in DeepLabCut's format: one row per image.

    The header rows are ``scorer``, ``bodyparts`` and ``coords`` (x, y, likelihood). If any image has several people, a header row
    ``individuals`` follows ``scorer``, and the cells of missing people are empty. To read the table with pandas, use
    ``read_csv(path, header=[0, 1, 2], index_col=0)``, or ``header=[0, 1, 2, 3]`` with ``individuals``.

    Source of the format: Nath et al., Nature Protocols 2019; Lauer et al., Nature Methods 2022 (individuals).
    """
    count = max([1, *(len(people.boxes) for people in images)])
    individuals = ["individuals"]
    bodyparts = ["bodyparts"]
    coords = ["coords"]
    for number in range(1, count + 1):
        for joint in skeleton.joints:
            individuals += [f"person{number}"] * 3
            bodyparts += [joint] * 3
            coords += ["x", "y", "likelihood"]
    width = len(coords)
    header = [["scorer", *["posekit"] * (width - 1)], bodyparts, coords]
    if count > 1:
        header.insert(1, individuals)
    rows = []
    for people in images:
        row = [people.image, *_cells(people.rounded().ravel().tolist())]
        rows.append(row + [""] * (width - len(row)))
    _write_csv(path, header, rows)


def _cells(numbers: Iterable[float]) -> list[float | str]:
    return ["" if math.isnan(number) else number for number in numbers]


def _write_csv(path: Path, header: Sequence[Sequence], rows: Sequence[Sequence]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([*header, *rows])
