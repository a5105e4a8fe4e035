"""Read MATLAB prediction files: pytorch-pose's ``preds.mat``, HRNet's ``pred.mat``, and MPII's evaluation file.

The first two files contain one variable ``preds``, (N, K, 2), or (N, K, 3) with the joints' scores. MPII's
``detections_our_format.mat`` contains the predictions of Tompson et al., CVPR 2015, as ``pos_pred_src``, (K, 2, N).
None of these files states whether pixel coordinates start at 0 or 1.
"""

from pathlib import Path

import numpy as np

from posekit.errors import DataError, PredictionsError
from posekit.matlab import load_variables, variable_names
from posekit.scoring.io.predictions import Predictions, checked_joints, resolve_base
from posekit.skeletons import Skeleton


def read_matlab(path: Path, *, base: int | None, skeleton: Skeleton) -> Predictions:
    """Read ``preds`` or ``pos_pred_src`` from a MATLAB file, with one row per person in the order of the split.

    Raises
    ------
    PredictionsError
        If the file cannot be read, contains no ``preds`` (N, K, 2 or 3) or ``pos_pred_src`` (K, 2, N), or `base` is not given.
    """
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
