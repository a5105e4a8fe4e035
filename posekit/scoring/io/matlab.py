"""MATLAB's prediction files: ``preds.mat`` of pytorch-pose, ``pred.mat`` of HRNet, and what MPII's evaluation file brings along.

The first two hold one variable, ``preds``, (N, K, 2) or with the joint's score as a third number. In
``detections_our_format.mat`` it is ``pos_pred_src``, (K, 2, N): the predictions of Tompson et al., CVPR 2015.
None says whether its pixels count from 0 or from 1.
"""

from pathlib import Path

import numpy as np

from posekit.errors import DataError, PredictionsError
from posekit.matlab import load_variables, variable_names
from posekit.scoring.io.predictions import Predictions, checked_joints, known_base
from posekit.skeletons import Skeleton


def read_matlab(path: Path, *, base: int | None, skeleton: Skeleton) -> Predictions:
    """Read ``preds`` or ``pos_pred_src`` of a MATLAB file, one row for each person in the split's order.

    Raises
    ------
    PredictionsError
        If the file cannot be read, holds no ``preds`` (N, K, 2 or 3), or `base` is not given.
    """
    try:
        held = variable_names(path)
        name = "pos_pred_src" if "pos_pred_src" in held and "preds" not in held else "preds"
        array = load_variables(path, name)[name]
    except DataError as error:
        raise PredictionsError(str(error)) from error
    if name == "pos_pred_src" and array.ndim == 3:
        array = array.transpose(2, 0, 1)
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu":
        raise PredictionsError(f"{path}: preds is not an array of numbers")
    array = checked_joints(path, array, skeleton, sizes=(2, 3))
    joints = array[..., :2] - known_base(path, None, base)
    scores = array[..., 2] if array.shape[2] == 3 else np.full(joints.shape[:2], np.nan)
    return Predictions(joints, scores, np.arange(len(joints)), skeleton)
