"""Write submissions to MPII: the variable ``pred`` that the official single-person evaluation toolkit reads.

The toolkit (evaluatePCKh.m) expects the test images of ``RELEASE.annolist`` with the predicted joints filled in:
``pred(image).annorect(rectangle).annopoints.point(joint)`` with the fields x, y and id (0 to 15), in 1-based pixel coordinates.
The toolkit ignores rectangles without ``objpos``, so every rectangle gets one: the centre of the person's box. The toolkit matches
images and rectangles by position alone: a submission needs all rectangles of all test images, in the order of
``RELEASE.annolist``.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from scipy.io import savemat

from posekit.errors import PredictionsError
from posekit.people import People
from posekit.scoring.io.predictions import Predictions
from posekit.skeletons import MPII16

_FIRST_PIXEL = 1


def write_submission(path: Path, predictions: Predictions, people: People) -> None:
    """Write the struct array ``pred``, 1 x (number of images), in the order of the people.

    `people` must contain every person to whom `predictions.index` refers. The joints of people without a prediction are NaN, which
    the toolkit counts as wrong.

    Raises
    ------
    PredictionsError
        If the predictions do not have MPII's 16 joints.
    """
    if predictions.skeleton.joints != MPII16.joints:
        raise PredictionsError(
            f"{path.name}: a submission to MPII needs the 16 joints of {MPII16.name}, but the predictions have skeleton "
            f"{predictions.skeleton.name}; write .h5, .json or .csv instead"
        )
    joints = np.full((len(people), len(MPII16), 2), np.nan)
    joints[predictions.index] = predictions.joints
    joints += _FIRST_PIXEL
    rectangles: dict[str, list[dict]] = {}
    for image, person, centre in zip(people.image_paths.tolist(), joints, people.centres + _FIRST_PIXEL, strict=True):
        numbers = np.column_stack([person, np.arange(len(MPII16))])
        points = [dict(zip(("x", "y", "id"), point, strict=True)) for point in numbers.tolist()]
        rectangle = {
            "objpos": _structs([{"x": centre[0], "y": centre[1]}]),
            "annopoints": _structs([{"point": _structs(points)}]),
        }
        rectangles.setdefault(image, []).append(rectangle)
    images = []
    for image, image_rectangles in rectangles.items():
        images.append({"image": _structs([{"name": Path(image).name}]), "annorect": _structs(image_rectangles)})
    with path.open("wb") as file:
        savemat(file, {"pred": _structs(images, ("image", "annorect"))})


def _structs(rows: Sequence[Mapping], fields: Sequence[str] | None = None) -> np.ndarray:
    """Return a MATLAB struct array, 1 x (number of rows)."""
    fields = fields or tuple(rows[0])
    array = np.empty((1, len(rows)), dtype=[(field, object) for field in fields])
    array[0] = [tuple(row.values()) for row in rows]
    return array
