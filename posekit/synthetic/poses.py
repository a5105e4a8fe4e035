"""Sample poses: joint angles in degrees, within the range of human joints.

If all angles are zero, the person stands upright with hanging arms. Positive angles flex hips, shoulders and elbows
forward and knees backward. Positive ``spread`` moves a limb away from the body's midline; positive ``twist`` rotates a limb
inward about the limb's axis.
"""

from dataclasses import dataclass, field

import numpy as np

Range = tuple[float, float]


@dataclass(frozen=True)
class LegRange:
    """Ranges of one leg's angles."""

    flexion: Range
    spread: Range
    knee: Range


@dataclass(frozen=True)
class ArmRange:
    """Ranges of one arm's angles; `weight` is the relative frequency of this kind of arm pose."""

    weight: float
    flexion: Range
    spread: Range
    twist: Range
    elbow: Range


@dataclass(frozen=True)
class Stance:
    """Kind of pose, such as standing or running: ranges of the angles of legs and trunk.

    Parameters
    ----------
    weight : float
        Relative frequency of the stance.
    lead, trail : LegRange
        Ranges of the two legs; it is random which of the two legs is the left leg.
    bend : (float, float)
        Forward bend of the spine.
    lean : (float, float)
        Forward rotation of the whole body; 90 is face down.
    roll : (float, float)
        Sideways rotation of the whole body in the image; 180 is upside down.
    arms : tuple of str
        Names of the allowed arm poses in `ARMS`; empty allows all.
    """

    weight: float
    lead: LegRange
    trail: LegRange
    bend: Range = (-5, 15)
    lean: Range = (-5, 8)
    roll: Range = (-7, 7)
    arms: tuple[str, ...] = ()


_STRAIGHT = LegRange((-8, 15), (2, 13), (0, 14))
_SEATED = LegRange((65, 105), (2, 25), (55, 110))
_FREE = LegRange((-15, 90), (2, 40), (0, 110))

STANCES = {
    "stand": Stance(0.32, _STRAIGHT, _STRAIGHT),
    "walk": Stance(0.22, LegRange((12, 40), (0, 8), (0, 25)), LegRange((-25, -3), (0, 8), (5, 45)), bend=(-3, 12)),
    "run": Stance(0.12, LegRange((35, 90), (0, 10), (45, 115)), LegRange((-35, 5), (0, 10), (10, 95)), bend=(0, 25), lean=(0, 18)),
    "sit": Stance(0.06, _SEATED, _SEATED, bend=(-8, 28)),
    "squat": Stance(0.03, *(LegRange((70, 120), (8, 40), (75, 140)),) * 2, bend=(5, 40), lean=(0, 20)),
    "lunge": Stance(0.06, LegRange((50, 100), (0, 20), (55, 110)), LegRange((-30, 0), (0, 20), (0, 60))),
    "kick": Stance(0.04, LegRange((45, 120), (0, 45), (0, 60)), LegRange((-10, 12), (0, 10), (0, 22)), lean=(-22, 8)),
    "star": Stance(0.07, *(LegRange((-10, 15), (15, 50), (0, 15)),) * 2, roll=(-15, 15)),
    "jump": Stance(0.04, _FREE, _FREE, bend=(-15, 25), lean=(-15, 25), roll=(-20, 20)),
    "bend": Stance(0.02, *(LegRange((25, 75), (2, 16), (0, 35)),) * 2, bend=(10, 55), lean=(15, 60)),
    "lie": Stance(0.01, _FREE, _FREE, bend=(-10, 25), lean=(-20, 20), roll=(60, 120)),
    "flip": Stance(0.01, _FREE, _FREE, bend=(-15, 15), lean=(-20, 20), roll=(140, 220), arms=("up", "free")),
}

ARMS = {
    "down": ArmRange(0.24, (-15, 18), (4, 20), (-20, 30), (4, 35)),
    "forward_swing": ArmRange(0.1, (10, 60), (2, 20), (0, 45), (30, 105)),
    "backward_swing": ArmRange(0.06, (-50, -5), (4, 22), (0, 35), (20, 95)),
    "up": ArmRange(0.14, (135, 180), (0, 40), (-30, 30), (0, 65)),
    "side": ArmRange(0.14, (-10, 25), (55, 110), (-30, 30), (0, 45)),
    "flexed": ArmRange(0.08, (-10, 25), (55, 105), (-90, -40), (50, 125)),
    "akimbo": ArmRange(0.1, (-30, -5), (30, 55), (40, 70), (75, 110)),
    "reach": ArmRange(0.06, (45, 110), (-8, 22), (-20, 40), (0, 55)),
    "hold": ArmRange(0.06, (5, 60), (5, 30), (15, 65), (70, 135)),
    "free": ArmRange(0.03, (-40, 165), (0, 100), (-60, 65), (0, 140)),
}


@dataclass(frozen=True)
class Posture:
    """All angles of one pose, in degrees.

    Parameters
    ----------
    stance : str
        Name of the stance in `STANCES`.
    yaw : float
        Direction in which the person faces: 0 toward the viewer, 90 to the person's left, 180 away from the viewer.
    lean, roll : float
        Rotation of the whole body, see `Stance`.
    bend, side_bend, twist : float
        Spine: forward bend, bend to the left, rotation to the left.
    gaze, nod : float
        Head relative to the chest: rotation to the left, forward bend.
    legs, arms : dict of int to dict of str to float
        Angles by name, for side 1 (left) and -1 (right).
    """

    stance: str
    yaw: float
    lean: float
    roll: float
    bend: float
    side_bend: float
    twist: float
    gaze: float
    nod: float
    legs: dict[int, dict[str, float]] = field(default_factory=dict)
    arms: dict[int, dict[str, float]] = field(default_factory=dict)


def sample_posture(rng: np.random.Generator) -> Posture:
    """Sample a stance, then the angles within the ranges of the stance."""
    weights = np.array([stance.weight for stance in STANCES.values()])
    name = str(rng.choice(list(STANCES), p=weights / weights.sum()))
    stance = STANCES[name]
    left_leads = bool(rng.random() < 0.5)
    sides = (1, -1) if left_leads else (-1, 1)
    return Posture(
        stance=name,
        yaw=_draw_yaw(rng),
        lean=rng.uniform(*stance.lean),
        roll=rng.uniform(*stance.roll) * (1 if rng.random() < 0.5 else -1),
        bend=rng.uniform(*stance.bend),
        side_bend=rng.normal(0, 7),
        twist=rng.normal(0, 12),
        gaze=float(np.clip(rng.normal(0, 20), -65, 65)),
        nod=rng.normal(4, 10),
        legs=dict(zip(sides, (_draw_leg(rng, stance.lead), _draw_leg(rng, stance.trail)), strict=True)),
        arms=_draw_arms(rng, name, stance, sides),
    )


def _draw_yaw(rng: np.random.Generator) -> float:
    """Sample a yaw: all directions occur; as in real images, most people face the viewer."""
    direction = rng.random()
    if direction < 0.58:
        return rng.normal(0, 27)
    return rng.normal(180, 25) if direction < 0.8 else rng.uniform(-180, 180)


def _draw_leg(rng: np.random.Generator, ranges: LegRange) -> dict[str, float]:
    return {
        "flexion": rng.uniform(*ranges.flexion),
        "spread": rng.uniform(*ranges.spread),
        "twist": rng.uniform(-30, 5),  # feet point outward rather than inward
        "knee": rng.uniform(*ranges.knee),
        "foot": rng.uniform(-35, 12),
    }


def _draw_arms(rng: np.random.Generator, stance_name: str, stance: Stance, sides: tuple[int, int]) -> dict[int, dict[str, float]]:
    if stance_name in ("walk", "run") and rng.random() < 0.75:
        names = ["backward_swing", "forward_swing"]  # each arm swings opposite to the leg of the same side
    else:
        allowed = stance.arms or tuple(ARMS)
        weights = np.array([ARMS[arm].weight for arm in allowed])
        names = rng.choice(allowed, 2, p=weights / weights.sum()).tolist()
        if rng.random() < 0.6:
            names[1] = names[0]
    return {side: _draw_arm(rng, ARMS[arm]) for side, arm in zip(sides, names, strict=True)}


def _draw_arm(rng: np.random.Generator, ranges: ArmRange) -> dict[str, float]:
    return {name: rng.uniform(*getattr(ranges, name)) for name in ("flexion", "spread", "twist", "elbow")}
