"""One prediction file under all the conventions in use: where published figures of the same predictions differ, this is why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from posekit.datasets.mpii import validation_truths
from posekit.errors import DataError
from posekit.evaluation.score import Scores, score
from posekit.metrics import PCK, pck
from posekit.predictions import Predictions
from posekit.sample import People

_OFFICIAL_VALIDATION = 2958


@dataclass(frozen=True)
class Convention:
    """One way to turn predictions into a number.

    Parameters
    ----------
    name : str
        What is done.
    used_by : str
        Who does it; "" for a slip or a variant that shows how much it matters.
    percent : float
    """

    name: str
    used_by: str
    percent: float


def conventions(people: People, predictions: Predictions, *, root: str | None = None) -> list[Convention]:
    """Score predictions under every convention.

    Parameters
    ----------
    people : People
        The ground truth that posekit takes.
    predictions : Predictions
        0-based.
    root : str, optional
        MPII's folder, for the ground truths in other forms.

    Returns
    -------
    list of Convention : the first is posekit's own.
    """
    scores = score(people, predictions)
    everywhere = _means(scores) + _inclusive(scores) + _shifts(people, predictions, scores)
    if scores.metric.startswith("PCKh"):
        return everywhere[:2] + _sixteen(scores) + _small_thresholds(scores) + everywhere[2:] + _truths(people, predictions, root)
    return everywhere[:2] + _lsp_variants(scores) + everywhere[2:]


def conventions_table(rows: Sequence[Convention], scores: Scores) -> str:
    """Text for the screen: a line for each convention."""
    width = max(len(row.name) for row in rows)
    lines = [
        f"{scores.people.name} {scores.people.split}, {scores.n_persons:,} persons, the same predictions under each convention",
        "",
    ]
    lines += [f"{row.percent:>7.3f}  {row.name:<{width}}  {row.used_by}".rstrip() for row in rows]
    return "\n".join(lines)


def _means(scores: Scores) -> list[Convention]:
    n = len(scores.mean_joints)
    return [
        Convention(f"{scores.metric}, pooled over {n} joints", "posekit, HRNet, mmpose", scores.pooled_mean),
        Convention(f"{scores.metric}, plain mean over {n} joints", "pytorch-pose", scores.joint_mean),
    ]


def _sixteen(scores: Scores) -> list[Convention]:
    k = len(scores.people.skeleton)
    return [Convention(f"{scores.metric}, pooled over all {k} joints, pelvis and thorax too", "", scores.pck.pooled_mean())]


def _small_thresholds(scores: Scores) -> list[Convention]:
    named = {0.10: ("PCKh@0.1, pooled", "mmpose"), 0.11: ("PCKh at 0.11, pooled", 'HRNet, called "Mean@0.1"')}
    return [
        Convention(*texts, replace(scores.pck, threshold=threshold).pooled_mean(scores.mean_joints))
        for threshold, texts in named.items()
    ]


def _inclusive(scores: Scores) -> list[Convention]:
    below = np.nextafter(scores.pck.threshold, 0)
    strict = replace(scores.pck, threshold=float(below)).pooled_mean(scores.mean_joints)
    return [Convention(f"{scores.metric}, pooled, distance < threshold instead of <=", "mmpose's older PCK", strict)]


def _shifts(people: People, predictions: Predictions, scores: Scores) -> list[Convention]:
    rows = []
    for shift, mistake in ((1, "1-based predictions taken for 0-based"), (-1, "0-based predictions taken for 1-based")):
        moved = score(people, replace(predictions, joints=predictions.joints + shift))
        rows.append(Convention(f"{scores.metric}, pooled, predictions off by {shift:+d} pixel", mistake, moved.pooled_mean))
    return rows


def _truths(people: People, predictions: Predictions, root: str | None) -> list[Convention]:
    if root is None or people.split != "valid" or len(people) != _OFFICIAL_VALIDATION:
        return []
    truths: Mapping[str, People] = validation_truths(root)
    scored = {name: score(truth, predictions) for name, truth in truths.items()}
    return [Convention(f"{found.metric}, pooled, truth of {name}", "", found.pooled_mean) for name, found in scored.items()]


def _lsp_variants(scores: Scores) -> list[Convention]:
    groups = list(scores.groups.values())
    rows = [Convention(f"{scores.metric}, mean of the {len(groups)} groups", "tables of LSP papers", float(np.nanmean(groups)))]
    other = _other_torso(scores)
    if other is not None:
        mean = other.pooled_mean(scores.mean_joints)
        rows.append(Convention(f"{scores.metric}, pooled, torso from right shoulder to left hip", "", mean))
    stricter = replace(scores.pck, threshold=0.1).pooled_mean(scores.mean_joints)
    return [*rows, Convention("PCK@0.1, pooled", "", stricter)]


def _other_torso(scores: Scores) -> PCK | None:
    people = scores.people
    try:
        ends = [people.skeleton.index("right_shoulder"), people.skeleton.index("left_hip")]
    except DataError:
        return None
    sizes = np.linalg.norm(people.joints[:, ends[0]] - people.joints[:, ends[1]], axis=-1)
    sizes[~people.labelled[:, ends].all(1)] = np.nan
    counted = people.labelled & ~np.isin(people.skeleton.joints, scores.lacking)
    return pck(scores.predictions.joints, people.joints, counted, reference_size_N=sizes)
