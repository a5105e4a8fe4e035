"""How well people are found who stand, lie, or hang upside down: scores by the direction of the true torso."""

from dataclasses import dataclass

import numpy as np

from posekit.metrics import interval95
from posekit.metrics.bootstrap import in_percent
from posekit.people import People
from posekit.scoring.score import Scores

# Degrees between the torso, from the hips to the shoulders, and straight up.
_ENDS = (45.0, 90.0, 135.0)
DIRECTIONS = ("upright", "45 to 90°", "90 to 135°", "inverted")
EVERYBODY = "everybody"
_HEAD = "Head"


@dataclass(frozen=True)
class DirectionScore:
    """The limb joints of those whose torso points in one direction.

    Parameters
    ----------
    persons : int
        How many are scored.
    percent : float
        Correct among all their counted limb joints; NaN where there are none.
    interval95 : (float, float)
        Of a bootstrap over persons.
    """

    persons: int
    percent: float
    interval95: tuple[float, float]


def torso_angles(people: People) -> np.ndarray:
    """(N,) degrees from straight up, 0 to 180, of the way from the hips to the shoulders; NaN where one of them is not labelled.

    Of each pair the middle is taken, or the one that is labelled. A skeleton without shoulders or hips has no torso.
    """
    if not {f"{side}_{end}" for side in ("left", "right") for end in ("shoulder", "hip")} <= set(people.skeleton.joints):
        return np.full(len(people), np.nan)
    shoulders, hips = (_middle(people, name) for name in ("shoulder", "hip"))
    x, y = (shoulders - hips).T
    return np.degrees(np.arctan2(np.abs(x), -y))


def _middle(people: People, name: str) -> np.ndarray:
    pair = [people.skeleton.index(f"{side}_{name}") for side in ("left", "right")]
    labelled = people.labelled[:, pair]
    total = np.where(labelled[..., None], people.joints[:, pair], 0.0).sum(1)
    count = labelled.sum(1)[:, None]
    return np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)


def limb_joints(scores: Scores) -> list[int]:
    """Indices of the joints of all groups but the head's: shoulders to wrists, hips to ankles."""
    groups = scores.people.skeleton.group_indices
    return sorted({joint for name, joints in groups.items() if name != _HEAD for joint in joints} & set(scores.mean_joints))


def by_direction(scores: Scores) -> dict[str, DirectionScore]:
    """Scores of the limb joints for each of `DIRECTIONS`, and of `EVERYBODY`, with or without a known direction."""
    angles = torso_angles(scores.people)
    bins = np.where(np.isnan(angles), -1, np.searchsorted(_ENDS, angles, side="right"))
    chosen = {name: bins == i for i, name in enumerate(DIRECTIONS)} | {EVERYBODY: np.ones(len(bins), bool)}
    return {name: _of(scores, rows & ~scores.pck.left_out) for name, rows in chosen.items()}


def directions_table(scores: Scores) -> str:
    """Text for the screen: a line for each direction that somebody's torso has, and one for everybody."""
    lines = [f"{scores.metric} of the {len(limb_joints(scores))} limb joints, pooled, by the direction of the true torso", ""]
    for name, found in by_direction(scores).items():
        low, high = found.interval95
        if found.persons:
            lines.append(f"{name:<12}{found.persons:>8,} persons{found.percent:>9.2f}   95 % interval {low:.2f} to {high:.2f}")
    return "\n".join(lines)


def _of(scores: Scores, rows: np.ndarray) -> DirectionScore:
    joints = limb_joints(scores)
    correct, counted = (values[rows][:, joints].sum(1) for values in (scores.pck.correct, scores.pck.counted))
    return DirectionScore(int(rows.sum()), float(in_percent(correct.sum(), counted.sum())), interval95(correct, counted))
