"""Which number a prediction file gives the first pixel, where the file does not say it: detected on the truth, and told."""

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
    """The base under which predictions fit the truth better.

    Parameters
    ----------
    base : {0, 1}
    auc : (float, float)
        AUC in percent if the pixels count from 0, and if from 1.
    difference : Difference
        Of the AUC, the detected base minus the other, in percentage points.
    """

    base: int
    auc: tuple[float, float]
    difference: Difference

    def __str__(self):
        other, found = 1 - self.base, self.difference
        return (
            f"pixels count from {self.base}, as detected: AUC {self.auc[self.base]:.2f}, against {self.auc[other]:.2f} "
            f"if from {other} (difference {found.low:.2f} to {found.high:.2f}, 95 % interval)"
        )


def detect_base(people: People, read: Callable[[int], Predictions], source: str) -> DetectedBase:
    """Find out the base by scoring with both.

    Parameters
    ----------
    people : People
    read : callable
        Base -> predictions, 0-based.
    source : str
        What the error calls the file.

    Raises
    ------
    PredictionsError
        If neither is better beyond chance.
    """
    both = [score(people, read(base)) for base in (0, 1)]
    parts = [_auc_parts(scores) for scores in both]
    counted = both[0].pck.counted[:, list(both[0].mean_joints)].sum(1)
    base = int(parts[1].sum() > parts[0].sum())
    difference = paired_difference(parts[base], parts[1 - base], counted)
    if not difference.low > 0:
        raise PredictionsError(
            f"{source}: does not say whether its pixels count from 0 or from 1, and the scores do not tell (AUC "
            f"{both[0].auc:.2f} and {both[1].auc:.2f}). Give --base 1 if it was made for MATLAB's evaluation, else --base 0"
        )
    return DetectedBase(base, (both[0].auc, both[1].auc), difference)


def _auc_parts(scores: Scores) -> np.ndarray:
    """(N,) for each person, the sum over its counted joints of the share of thresholds within which the joint lies."""
    thresholds = scores.pck.auc_thresholds
    errors = scores.pck.errors[:, list(scores.mean_joints)]
    passed = len(thresholds) - np.searchsorted(thresholds, errors, side="left")  # NaN sorts behind all: passes none
    return passed.sum(1) / len(thresholds)
