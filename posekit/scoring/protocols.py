"""Score predictions under the evaluation conventions of other tools, and detect the coordinate base of a prediction file."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from posekit.data.mpii import official_validation, validation_truths
from posekit.errors import PredictionsError
from posekit.metrics import PCK, Difference, paired_difference, pck, torso_sizes
from posekit.people import People
from posekit.scoring.io.predictions import Predictions
from posekit.scoring.score import HEAD_SIZE, Scores, score


@dataclass(frozen=True)
class Convention:
    """Score of predictions under one evaluation convention.

    Parameters
    ----------
    name : str
        Metric, joints and kind of mean.
    used_by : str
        Projects that use the convention, or the mistake that it demonstrates; "" for a variant shown for comparison only.
    percent : float
        Score in percent.
    """

    name: str
    used_by: str
    percent: float


def conventions(people: People, predictions: Predictions, *, root: str | Path | None = None) -> list[Convention]:
    """Score predictions under every convention, posekit's own first.

    If `root` is MPII's folder, the predictions are also scored on the ground truth in MPII's other annotation files.
    """
    scores = score(people, predictions)
    if scores.reference == HEAD_SIZE:
        return [*_mpii_rows(scores), *_shift_rows(people, predictions, scores), *_truth_rows(people, predictions, root)]
    return [*_lsp_rows(scores), *_shift_rows(people, predictions, scores)]


def conventions_table(rows: Sequence[Convention], scores: Scores) -> str:
    """Return the table for the terminal: one line per convention."""
    width = max(len(row.name) for row in rows)
    split = f"{scores.people.name} {scores.people.split}"
    lines = [f"{split}, {scores.n_persons:,} people: percentages of the same predictions under each convention", ""]
    lines += [f"{row.percent:>7.3f}  {row.name:<{width}}  {row.used_by}".rstrip() for row in rows]
    return "\n".join(lines)


def _mpii_rows(scores: Scores) -> list[Convention]:
    joints = scores.mean_joints
    n = len(joints)
    every = len(scores.people.skeleton) - len(scores.lacking)
    pooled = f"{scores.metric}, pooled over"
    strict = _strict(scores)
    tenth = replace(scores.pck, threshold=0.10)
    eleventh = replace(scores.pck, threshold=0.11)
    return [
        Convention(f"{pooled} {n} joints", "posekit, HRNet, mmpose", scores.pooled_mean),
        Convention(f"{pooled} {n} joints, distance < threshold", "", strict.pooled_mean(joints)),
        Convention(f"{pooled} all {every} joints, pelvis and thorax too", "", scores.pck.pooled_mean()),
        Convention(f"{scores.metric}, plain mean over {n} joints", "", scores.joint_mean),
        Convention(f"{scores.metric}, plain mean over {n} joints, distance < threshold", "pytorch-pose", strict.joint_mean(joints)),
        Convention("PCKh at 0.10, pooled", "later mmpose, as PCKh@0.1", tenth.pooled_mean(joints)),
        Convention("PCKh at 0.11, pooled", "HRNet and earlier mmpose, as PCKh@0.1", eleventh.pooled_mean(joints)),
    ]


def _lsp_rows(scores: Scores) -> list[Convention]:
    joints = scores.mean_joints
    n = len(joints)
    groups = np.array([value for value in scores.groups.values() if np.isfinite(value)])
    rows = [
        Convention(f"{scores.metric}, pooled over {n} joints", "posekit", scores.pooled_mean),
        Convention(f"{scores.metric}, pooled over {n} joints, distance < threshold", "", _strict(scores).pooled_mean(joints)),
        Convention(f"{scores.metric}, plain mean over {n} joints", "", scores.joint_mean),
        Convention(f"{scores.metric}, mean of the {len(groups)} groups", "", groups.mean() if len(groups) else np.nan),
        Convention("PCK@0.1, pooled", "", replace(scores.pck, threshold=0.1).pooled_mean(joints)),
    ]
    people = scores.people
    if {"right_shoulder", "left_hip"} <= set(people.skeleton.joints):
        sizes = torso_sizes(people.joints, people.labelled, people.skeleton, ends=("right_shoulder", "left_hip"))
        points = scores.predictions.joints
        result = pck(points, people.joints, scores.labelled, reference_size_N=sizes, threshold=scores.pck.threshold)
        name = f"{scores.metric}, pooled, torso from right shoulder to left hip"
        rows.append(Convention(name, "", result.pooled_mean(joints)))
    return rows


def _strict(scores: Scores) -> PCK:
    """Return the PCK in which a joint is correct if ``distance < threshold``, instead of ``<=``."""
    return replace(scores.pck, threshold=float(np.nextafter(scores.pck.threshold, 0)))


def _shift_rows(people: People, predictions: Predictions, scores: Scores) -> list[Convention]:
    rows = []
    for shift, mistake in ((1, "1-based predictions taken for 0-based"), (-1, "0-based predictions taken for 1-based")):
        shifted = score(people, replace(predictions, joints=predictions.joints + shift))
        name = f"{scores.metric}, pooled, predictions off by {shift:+d} pixel"
        rows.append(Convention(name, mistake, shifted.pooled_mean))
    return rows


def _truth_rows(people: People, predictions: Predictions, root: str | Path | None) -> list[Convention]:
    if root is None or people.split != "valid" or len(people) != len(official_validation()):
        return []
    rows = []
    for name, truth in validation_truths(root).items():
        scores = score(truth, predictions)
        rows.append(Convention(f"{scores.metric}, pooled, truth of {name}", "", scores.pooled_mean))
    return rows


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
    read : callable
        Function that reads the file with the given base and returns 0-based predictions.
    source : str
        Name of the file, for error messages.

    Raises
    ------
    PredictionsError
        If the difference in AUC between the two bases may be due to chance.
    """
    scores = (score(people, read(0)), score(people, read(1)))
    auc = (scores[0].auc, scores[1].auc)
    sums = [_auc_sums(scores_of_base) for scores_of_base in scores]
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
