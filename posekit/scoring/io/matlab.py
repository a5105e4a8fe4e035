"""Read MATLAB prediction files, and write submissions to MPII.

pytorch-pose's ``preds.mat`` and HRNet's ``pred.mat`` contain one variable ``preds``, (N, K, 2), or (N, K, 3) with the joints'
scores. MPII's ``detections_our_format.mat`` contains the predictions of Tompson et al., CVPR 2015, as ``pos_pred_src``, (K, 2, N).
None of these files states whether pixel coordinates start at 0 or 1.

A submission contains the variable ``pred``, which MPII's single-person evaluation toolkit (evaluatePCKh.m) reads: the test images
of ``RELEASE.annolist`` with the predicted joints as ``pred(image).annorect(rectangle).annopoints.point(joint)``, each with the
fields x, y and id (0 to 15), in 1-based pixel coordinates. The toolkit matches images and rectangles by position alone: a
submission needs all rectangles of all test images, in the order of ``RELEASE.annolist``.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from scipy.io import savemat

from posekit.errors import DataError, PredictionsError
from posekit.matlab import load_variables, variable_names
from posekit.people import People
from posekit.scoring.io.predictions import Predictions, checked_joints, resolve_base
from posekit.skeletons import MPII16, Skeleton

_FIRST_PIXEL = 1  # coordinate of the first pixel in MPII's toolkit


def read_matlab(path: Path, *, base: int | None, skeleton: Skeleton) -> Predictions:
    """Read ``preds`` or ``pos_pred_src`` from a MATLAB file; see `posekit.scoring.io.files.read_predictions`."""
    try:
        names = variable_names(path)
        name = "pos_pred_src" if "pos_pred_src" in names and "preds" not in names else "preds"
        array = load_variables(path, name)[name]
    except DataError as error:
        raise PredictionsError(str(error)) from error
    if name == "pos_pred_src" and array.ndim == 3:
        array = array.transpose(2, 0, 1)
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu":
        raise PredictionsError(f"{path}: preds is not an array of numbers")
    array = checked_joints(path, array, skeleton, sizes=(2, 3))
    joints = array[..., :2] - resolve_base(path, None, base)
    scores = array[..., 2] if array.shape[2] == 3 else np.full(joints.shape[:2], np.nan)
    return Predictions(joints, scores, np.arange(len(joints)), skeleton)


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
    centres = people.centres + _FIRST_PIXEL
    rectangles: dict[str, list[dict]] = {}
    for image, person, (x, y) in zip(people.image_paths.tolist(), joints, centres, strict=True):
        points = [{"x": point[0], "y": point[1], "id": float(k)} for k, point in enumerate(person.tolist())]
        rectangle = {
            "objpos": _structs([{"x": x, "y": y}]),  # the toolkit ignores rectangles without objpos
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
