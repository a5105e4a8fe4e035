"""Detect whether the pixel coordinates of a prediction file start at 0 or 1, by scoring the file with both bases."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from posekit.errors import PredictionsError
from posekit.metrics import Difference, paired_difference
from posekit.people import People
from posekit.scoring.io.predictions import Predictions
from posekit.scoring.score import Scores, score


@dataclass(frozen=True)
class DetectedBase:
    """Coordinate base with which the predictions fit the truth better.

    Parameters
    ----------
    base : {0, 1}
        Detected coordinate of the first pixel.
    auc : (float, float)
        AUC in percent with base 0 and with base 1.
    difference : Difference
        AUC with the detected base minus AUC with the other base, in percentage points.
    """

    base: int
    auc: tuple[float, float]
    difference: Difference

    def __str__(self):
        other = 1 - self.base
        return (
            f"pixels count from {self.base}, as detected: AUC {self.auc[self.base]:.2f}, against {self.auc[other]:.2f} "
            f"if from {other} (difference {self.difference.low:.2f} to {self.difference.high:.2f}, 95 % interval)"
        )


def detect_base(people: People, read: Callable[[int], Predictions], source: str) -> DetectedBase:
    """Detect the coordinate base of predictions by scoring them with base 0 and base 1.

    Parameters
    ----------
    people : People
        Ground truth.
    read : callable
        Function that reads the file with the given base and returns 0-based predictions.
    source : str
        Name of the file, for error messages.

    Returns
    -------
    DetectedBase

    Raises
    ------
    PredictionsError
        If the difference between the bases may be due to chance.
    """
    scores = [score(people, read(base)) for base in (0, 1)]
    auc = scores[0].auc, scores[1].auc
    sums = [_auc_sums(scores[base]) for base in (0, 1)]
    counted = scores[0].pck.counted[:, list(scores[0].mean_joints)].sum(1)
    base = int(sums[1].sum() > sums[0].sum())
    difference = paired_difference(sums[base], sums[1 - base], counted)
    if not difference.low > 0:
        raise PredictionsError(
            f"{source}: the coordinate base is unknown and cannot be detected (AUC {auc[0]:.2f} with base 0, {auc[1]:.2f} with "
            "base 1); add --base 1 if the file was made for the MATLAB evaluation, otherwise --base 0"
        )
    return DetectedBase(base, auc, difference)


def _auc_sums(scores: Scores) -> np.ndarray:
    """(N,) float64 array: for each person, the fraction of thresholds that each evaluated joint passes, summed over the joints."""
    thresholds = scores.pck.auc_thresholds
    errors = scores.pck.errors[:, list(scores.mean_joints)]
    passed = len(thresholds) - np.searchsorted(thresholds, errors, side="left")  # NaN is sorted last: passes none
    return passed.sum(1) / len(thresholds)
