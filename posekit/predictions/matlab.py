"""``preds.mat`` and ``pred.mat``: the prediction files of pytorch-pose and HRNet.

Both hold one variable, ``preds``, (N, K, 2) or with the joint's score as a third number. They do not say
whether their pixels count from 0 or from 1.
"""

from pathlib import Path

import numpy as np

from posekit.errors import DataError, PredictionsError
from posekit.matlab import load_variables
from posekit.predictions.data import Predictions, checked_joints, known_base
from posekit.skeletons import Skeleton


def read_matlab(path: Path, *, base: int | None, skeleton: Skeleton) -> Predictions:
    """Read ``preds`` of a MATLAB file, one row for each person in the split's order.

    Raises
    ------
    PredictionsError
        If the file cannot be read, holds no ``preds`` (N, K, 2 or 3), or `base` is not given.
    """
    try:
        array = load_variables(path, "preds")["preds"]
    except DataError as error:
        raise PredictionsError(str(error)) from error
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu":
        raise PredictionsError(f"{path}: preds is not an array of numbers")
    array = checked_joints(path, array, skeleton, sizes=(2, 3))
    joints = array[..., :2] - known_base(path, None, base)
    scores = array[..., 2] if array.shape[2] == 3 else np.full(joints.shape[:2], np.nan)
    return Predictions(joints, scores, np.arange(len(joints)), skeleton)
