"""Write predictions as CSV for spreadsheets and statistics programs: one row per joint of each person."""

import csv
import math
from pathlib import Path

import numpy as np

from posekit.people import People
from posekit.scoring.io.predictions import Predictions, file_names

_COLUMNS = ("index", "image", "joint", "x", "y", "score")


def write_table(path: Path, predictions: Predictions, people: People) -> None:
    """Write the columns ``index,image,joint,x,y,score``: 0-based image pixels; empty cells for NaN.

    `people` must contain every person to whom `predictions.index` refers.
    """
    names = file_names(people)
    numbers = np.concatenate([predictions.joints, predictions.scores[..., None]], -1)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_COLUMNS)
        for index, person in zip(predictions.index.tolist(), numbers.tolist(), strict=True):
            for joint, row in zip(predictions.skeleton.joints, person, strict=True):
                cells = ["" if math.isnan(number) else number for number in row]
                writer.writerow([index, names[index], joint, *cells])
