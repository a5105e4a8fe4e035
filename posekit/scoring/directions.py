"""Scores by the direction of the true torso, to compare people who stand, lie or are upside down."""

from dataclasses import dataclass

import numpy as np

from posekit.metrics import interval95
from posekit.metrics.bootstrap import in_percent
from posekit.people import People
from posekit.scoring.score import Scores

# Limits of the direction bins: degrees between the vector from the hips to the shoulders and straight up.
_ENDS = (45.0, 90.0, 135.0)
DIRECTIONS = ("upright", "45 to 90°", "90 to 135°", "inverted")
EVERYBODY = "everybody"
_HEAD = "Head"


@dataclass(frozen=True)
class DirectionScore:
    """Score of the limb joints of people whose torso points in one direction.

    Parameters
    ----------
    persons : int
        Number of people scored.
    percent : float
        Percentage of correct limb joints among the evaluated ones; NaN if no limb joint is evaluated.
    interval95 : (float, float)
        95 % confidence interval of `percent`, by bootstrap over people.
    """

    persons: int
    percent: float
    interval95: tuple[float, float]


def torso_angles(people: People) -> np.ndarray:
    """(N,) float64 array: angle between straight up and the torso vector from hips to shoulders, 0 to 180 degrees.

    The torso vector runs from the midpoint of the hips to the midpoint of the shoulders; if only one joint of a pair is labelled,
    that joint replaces the midpoint. The angle is NaN if neither joint of a pair is labelled or the skeleton lacks one of the four.
    """
    if not {"left_shoulder", "right_shoulder", "left_hip", "right_hip"} <= set(people.skeleton.joints):
        return np.full(len(people), np.nan)
    torso = _middle(people, "shoulder") - _middle(people, "hip")
    return np.degrees(np.arctan2(np.abs(torso[:, 0]), -torso[:, 1]))


def _middle(people: People, name: str) -> np.ndarray:
    """(N, 2) float64 array: mean of the labelled joints among left and right; NaN where neither is labelled."""
    pair = [people.skeleton.index(f"left_{name}"), people.skeleton.index(f"right_{name}")]
    labelled = people.labelled[:, pair]
    total = np.where(labelled[..., None], people.joints[:, pair], 0.0).sum(1)
    count = labelled.sum(1)[:, None]
    return np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)


def limb_joints(scores: Scores) -> list[int]:
    """Return the indices of the joints of the means in all groups except the head: shoulders to wrists, hips to ankles."""
    limbs: set[int] = set()
    for name, joints in scores.people.skeleton.group_indices.items():
        if name != _HEAD:
            limbs.update(joints)
    return sorted(limbs & set(scores.mean_joints))


def by_direction(scores: Scores) -> dict[str, DirectionScore]:
    """Score the limb joints for each of `DIRECTIONS`, and for all people (`EVERYBODY`), including those of unknown direction."""
    angles = torso_angles(scores.people)
    bins = np.where(np.isnan(angles), -1, np.searchsorted(_ENDS, angles, side="right"))
    masks = {name: bins == i for i, name in enumerate(DIRECTIONS)}
    masks[EVERYBODY] = np.ones(len(bins), bool)
    joints = limb_joints(scores)
    results = {}
    for name, mask in masks.items():
        scored = mask & ~scores.pck.left_out
        correct = scores.pck.correct[scored][:, joints].sum(1)
        counted = scores.pck.counted[scored][:, joints].sum(1)
        percent = float(in_percent(correct.sum(), counted.sum()))
        results[name] = DirectionScore(int(scored.sum()), percent, interval95(correct, counted))
    return results


def directions_table(scores: Scores) -> str:
    """Return the table for the terminal: one line per direction that occurs, and one for all people."""
    lines = [
        f"{scores.metric} in percent, pooled over the {len(limb_joints(scores))} limb joints, by direction of the true torso",
        "",
    ]
    for name, direction in by_direction(scores).items():
        if direction.persons:
            low, high = direction.interval95
            people = f"{name:<12}{direction.persons:>8,} people"
            lines.append(f"{people}{direction.percent:>9.2f}   95 % interval {low:.2f} to {high:.2f}")
    return "\n".join(lines)
