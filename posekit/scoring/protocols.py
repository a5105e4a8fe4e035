"""One prediction file under all the conventions in use: where published figures of the same predictions differ, this is why."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from posekit.data.mpii import official_validation, validation_truths
from posekit.metrics import PCK, pck, torso_sizes
from posekit.people import People
from posekit.scoring.io.predictions import Predictions
from posekit.scoring.score import HEAD_SIZE, Scores, score


@dataclass(frozen=True)
class Convention:
    """One way to turn predictions into a number.

    Parameters
    ----------
    name : str
        What is done.
    used_by : str
        Who does it; for a mistake, which it is; "" for a variant that shows how much it matters.
    percent : float
    """

    name: str
    used_by: str
    percent: float


def conventions(people: People, predictions: Predictions, *, root: str | Path | None = None) -> list[Convention]:
    """Score predictions under every convention.

    Parameters
    ----------
    people : People
        The ground truth that posekit takes.
    predictions : Predictions
        0-based.
    root : str or Path, optional
        MPII's folder, for the ground truths in other forms.

    Returns
    -------
    list of Convention : the first is posekit's own.
    """
    scores = score(people, predictions)
    if scores.reference == HEAD_SIZE:
        return [*_of_mpii(scores), *_shifts(people, predictions, scores), *_truths(people, predictions, root)]
    return [*_of_lsp(scores), *_shifts(people, predictions, scores)]


def conventions_table(rows: Sequence[Convention], scores: Scores) -> str:
    """Text for the screen: a line for each convention."""
    width = max(len(row.name) for row in rows)
    lines = [
        f"{scores.people.name} {scores.people.split}, {scores.n_persons:,} persons, the same predictions under each convention",
        "",
    ]
    lines += [f"{row.percent:>7.3f}  {row.name:<{width}}  {row.used_by}".rstrip() for row in rows]
    return "\n".join(lines)


def _of_mpii(scores: Scores) -> list[Convention]:
    joints, strict = scores.mean_joints, _strict(scores)
    pooled, n, every = f"{scores.metric}, pooled over", len(joints), len(scores.people.skeleton) - len(scores.lacking)
    tenth, eleventh = (replace(scores.pck, threshold=threshold) for threshold in (0.10, 0.11))
    return [
        Convention(f"{pooled} {n} joints", "posekit, HRNet, mmpose", scores.pooled_mean),
        Convention(f"{pooled} {n} joints, distance < threshold", "", strict.pooled_mean(joints)),
        Convention(f"{pooled} all {every} joints, pelvis and thorax too", "", scores.pck.pooled_mean()),
        Convention(f"{scores.metric}, plain mean over {n} joints", "", scores.joint_mean),
        Convention(f"{scores.metric}, plain mean over {n} joints, distance < threshold", "pytorch-pose", strict.joint_mean(joints)),
        Convention("PCKh at 0.10, pooled", "later mmpose, as PCKh@0.1", tenth.pooled_mean(joints)),
        Convention("PCKh at 0.11, pooled", "HRNet and earlier mmpose, as PCKh@0.1", eleventh.pooled_mean(joints)),
    ]


def _of_lsp(scores: Scores) -> list[Convention]:
    joints, n = scores.mean_joints, len(scores.mean_joints)
    groups = np.array([value for value in scores.groups.values() if np.isfinite(value)])
    rows = [
        Convention(f"{scores.metric}, pooled over {n} joints", "posekit", scores.pooled_mean),
        Convention(f"{scores.metric}, pooled over {n} joints, distance < threshold", "", _strict(scores).pooled_mean(joints)),
        Convention(f"{scores.metric}, plain mean over {n} joints", "", scores.joint_mean),
        Convention(f"{scores.metric}, mean of the {len(groups)} groups", "", groups.mean() if len(groups) else np.nan),
        Convention("PCK@0.1, pooled", "", replace(scores.pck, threshold=0.1).pooled_mean(joints)),
    ]
    if {"right_shoulder", "left_hip"} <= set(scores.people.skeleton.joints):
        across = _other_torso(scores).pooled_mean(joints)
        rows.append(Convention(f"{scores.metric}, pooled, torso from right shoulder to left hip", "", across))
    return rows


def _strict(scores: Scores) -> PCK:
    return replace(scores.pck, threshold=float(np.nextafter(scores.pck.threshold, 0)))


def _other_torso(scores: Scores) -> PCK:
    people = scores.people
    sizes = torso_sizes(people.joints, people.labelled, people.skeleton, ends=("right_shoulder", "left_hip"))
    return pck(scores.predictions.joints, people.joints, scores.labelled, reference_size_N=sizes, threshold=scores.pck.threshold)


def _shifts(people: People, predictions: Predictions, scores: Scores) -> list[Convention]:
    mistakes = {1: "1-based predictions taken for 0-based", -1: "0-based predictions taken for 1-based"}
    moved = {shift: score(people, replace(predictions, joints=predictions.joints + shift)) for shift in mistakes}
    return [
        Convention(f"{scores.metric}, pooled, predictions off by {shift:+d} pixel", mistake, moved[shift].pooled_mean)
        for shift, mistake in mistakes.items()
    ]


def _truths(people: People, predictions: Predictions, root: str | Path | None) -> list[Convention]:
    if root is None or people.split != "valid" or len(people) != len(official_validation()):
        return []
    scored = {name: score(truth, predictions) for name, truth in validation_truths(root).items()}
    return [Convention(f"{found.metric}, pooled, truth of {name}", "", found.pooled_mean) for name, found in scored.items()]
