"""Detect the coordinate base of a prediction file, 0 or 1, by scoring it with both."""

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
    """Base with which predictions fit the truth better.

    Parameters
    ----------
    base : {0, 1}
    auc : (float, float)
        AUC in percent with base 0 and with base 1.
    difference : Difference
        Of the AUC, the detected base minus the other, in percentage points.
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
    """Detect the base by scoring with both.

    Parameters
    ----------
    people : People
    read : callable
        Takes a base, returns the predictions, 0-based.
    source : str
        Name of the file in the error.

    Raises
    ------
    PredictionsError
        If neither is better beyond chance.
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
            "base 1); give --base 1 if the file was made for MATLAB's evaluation, else --base 0"
        )
    return DetectedBase(base, auc, difference)


def _auc_sums(scores: Scores) -> np.ndarray:
    """(N,) float64: each person's sum over counted joints of the share of thresholds that the joint passes."""
    thresholds = scores.pck.auc_thresholds
    errors = scores.pck.errors[:, list(scores.mean_joints)]
    passed = len(thresholds) - np.searchsorted(thresholds, errors, side="left")  # NaN sorts last: passes none
    return passed.sum(1) / len(thresholds)
