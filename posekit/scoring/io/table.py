"""A table for spreadsheets and statistics programs: one row for each joint of each person."""

import csv
from pathlib import Path

import numpy as np

from posekit.people import People
from posekit.scoring.io.predictions import Predictions, file_names

_COLUMNS = ("index", "image", "joint", "x", "y", "score")


def write_table(path: Path, predictions: Predictions, people: People) -> None:
    """Write ``index,image,joint,x,y,score``: 0-based image pixels; a cell is empty where the number is NaN.

    `people` has a person at every index.
    """
    names, joints = file_names(people), predictions.skeleton.joints
    numbers = np.concatenate([predictions.joints, predictions.scores[..., None]], -1)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_COLUMNS)
        for index, person in zip(predictions.index.tolist(), numbers.tolist(), strict=True):
            for joint, row in zip(joints, person, strict=True):
                writer.writerow([index, names[index], joint, *("" if number != number else number for number in row)])
