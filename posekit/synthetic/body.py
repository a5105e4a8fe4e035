"""Sample poses (as joint angles) and body sizes, and compute the joints of the body in 3D by forward kinematics.

Angles are in degrees, within the range of human joints. If all angles are zero, the person stands upright with hanging arms.
Positive angles flex hips, shoulders and elbows forward and knees backward. Positive ``spread`` moves a limb away from the body's
midline; positive ``twist`` rotates a limb inward about the limb's axis.

Coordinates are in metres in the viewer's space: x to the right, y up, z toward the viewer. The axes of body parts are (left, up,
forward), seen from the person.
"""

from dataclasses import dataclass

import numpy as np

SIDES = {1: "left", -1: "right"}
_DOWN = np.array([0.0, -1.0, 0.0])
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
    """Kind of pose, such as standing or running: ranges of the angles of legs and trunk."""

    weight: float  # relative frequency of the stance
    lead: LegRange  # left or right leg, at random; `trail` is the other leg
    trail: LegRange
    bend: Range = (-5, 15)  # forward bend of the spine
    lean: Range = (-5, 8)  # forward rotation of the whole body; 90 is face down
    roll: Range = (-7, 7)  # sideways rotation of the whole body in the image; 180 is upside down
    arms: tuple[str, ...] = ()  # names of the allowed arm poses in `_ARMS`; empty allows all


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

_ARMS = {
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
    """All angles of one pose, in degrees; `lean` and `roll` as in `Stance`."""

    stance: str  # name of the stance in `STANCES`
    yaw: float  # direction in which the person faces: 0 toward the viewer, 90 to the person's left, 180 away from the viewer
    lean: float
    roll: float
    bend: float  # of the spine, forward
    side_bend: float  # of the spine, to the left
    twist: float  # of the spine, to the left
    gaze: float  # rotation of the head relative to the chest, to the left
    nod: float  # bend of the head relative to the chest, forward
    legs: dict[int, dict[str, float]]  # angles by name, for side 1 (left) and -1 (right)
    arms: dict[int, dict[str, float]]


def sample_posture(rng: np.random.Generator) -> Posture:
    """Sample a stance, then the angles within the ranges of the stance."""
    weights = np.array([stance.weight for stance in STANCES.values()])
    name = str(rng.choice(list(STANCES), p=weights / weights.sum()))
    stance = STANCES[name]
    sides = (1, -1) if rng.random() < 0.5 else (-1, 1)  # the side of the leading leg comes first
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
    """Sample a yaw; all directions occur, but most people face the viewer, as in real images."""
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
        allowed = stance.arms or tuple(_ARMS)
        weights = np.array([_ARMS[arm].weight for arm in allowed])
        names = rng.choice(allowed, 2, p=weights / weights.sum()).tolist()
        if rng.random() < 0.6:
            names[1] = names[0]
    return {side: _draw_arm(rng, _ARMS[arm]) for side, arm in zip(sides, names, strict=True)}


def _draw_arm(rng: np.random.Generator, ranges: ArmRange) -> dict[str, float]:
    return {name: rng.uniform(*getattr(ranges, name)) for name in ("flexion", "spread", "twist", "elbow")}


@dataclass(frozen=True)
class Build:
    """Lengths of body parts in metres, and `stoutness`, a factor on the thickness.

    The defaults are an adult with the proportions of MPII's annotations: in head lengths (upper neck to head top), the upper arm
    measures 1.1, thigh and shin 1.6, and the trunk 1.9.
    """

    thigh: float = 0.43
    shin: float = 0.42
    upper_arm: float = 0.29
    forearm: float = 0.255
    shoulder: float = 0.175
    hip: float = 0.095
    abdomen: float = 0.2
    chest: float = 0.3
    neck: float = 0.08
    head: float = 0.26
    foot: float = 0.19
    stoutness: float = 1.0


def draw_build(rng: np.random.Generator) -> Build:
    """Sample a build: body size, stoutness, and a small variation of each length."""
    default = Build()
    size = rng.uniform(0.9, 1.06)
    lengths = {name: value * size * rng.uniform(0.94, 1.06) for name, value in vars(default).items()}
    return Build(**{**lengths, "head": default.head * rng.uniform(0.93, 1.06), "stoutness": rng.uniform(0.85, 1.22)})


@dataclass(frozen=True)
class Body:
    """Posed body in 3D.

    `joints` are MPII's 16 joints, and ``waist``, ``left_hand``, ``left_heel``, ``left_toe`` etc.: (3,) float64, in metres, in the
    viewer's space. `frames` are the orientations of ``pelvis``, ``chest``, ``head``, ``left_upper_arm``, ``left_thigh`` etc.:
    (3, 3) float64, with the left, up and forward axes of the body part as columns.
    """

    joints: dict[str, np.ndarray]
    frames: dict[str, np.ndarray]
    build: Build


def turn(axis: int, degrees: float) -> np.ndarray:
    """Return the (3, 3) matrix of a rotation about axis 0 (x), 1 (y) or 2 (z), by the right-hand rule."""
    angle = np.deg2rad(degrees)
    i = (axis + 1) % 3
    j = (axis + 2) % 3
    matrix = np.eye(3)
    matrix[i, i] = matrix[j, j] = np.cos(angle)
    matrix[j, i] = np.sin(angle)
    matrix[i, j] = -np.sin(angle)
    return matrix


def _flexed(degrees: float) -> np.ndarray:
    """Return the rotation that swings a hanging limb forward."""
    return turn(0, -degrees)


def place(posture: Posture, build: Build, *, camera: np.ndarray, position: np.ndarray) -> Body:
    """Place all joints by forward kinematics.

    `camera` (3, 3) is the rotation from world space (y is vertical) to the viewer's space; `position` (3,) is the position of the
    pelvis in the viewer's space.
    """
    pelvis = camera @ turn(2, posture.roll) @ turn(1, posture.yaw) @ turn(0, posture.lean)
    half_bend = turn(2, -posture.side_bend / 2) @ turn(0, posture.bend / 2) @ turn(1, posture.twist / 2)
    middle = pelvis @ half_bend
    chest = middle @ half_bend
    head = chest @ turn(1, posture.gaze) @ turn(0, posture.nod - 0.4 * posture.bend)
    body = Body({"pelvis": position}, {"pelvis": pelvis, "chest": chest, "head": head}, build)
    joints = body.joints
    joints["waist"] = position + pelvis @ (0, build.abdomen, 0)
    joints["thorax"] = joints["waist"] + middle @ (0, build.chest, 0)
    joints["upper_neck"] = joints["thorax"] + chest @ (0, 0.9 * build.neck, 0.3 * build.neck)
    joints["head_top"] = joints["upper_neck"] + head @ (0, build.head, 0)
    for side in SIDES:
        _place_leg(body, side, posture.legs[side])
        _place_arm(body, side, posture.arms[side])
    return body


def _place_leg(body: Body, side: int, angles: dict[str, float]) -> None:
    joints = body.joints
    build = body.build
    name = SIDES[side]
    pelvis = body.frames["pelvis"]
    thigh = pelvis @ _flexed(angles["flexion"]) @ turn(2, side * angles["spread"]) @ turn(1, -side * angles["twist"])
    shin = thigh @ _flexed(-angles["knee"])
    foot = shin @ turn(0, -angles["foot"])
    joints[f"{name}_hip"] = joints["pelvis"] + pelvis @ (side * build.hip, 0, 0)
    joints[f"{name}_knee"] = joints[f"{name}_hip"] + build.thigh * (thigh @ _DOWN)
    joints[f"{name}_ankle"] = joints[f"{name}_knee"] + build.shin * (shin @ _DOWN)
    joints[f"{name}_heel"] = joints[f"{name}_ankle"] + foot @ (0, -0.05, -0.03)
    joints[f"{name}_toe"] = joints[f"{name}_ankle"] + foot @ (0, -0.06, build.foot)
    body.frames[f"{name}_thigh"] = thigh
    body.frames[f"{name}_shin"] = shin


def _place_arm(body: Body, side: int, angles: dict[str, float]) -> None:
    joints = body.joints
    build = body.build
    name = SIDES[side]
    chest = body.frames["chest"]
    upper = chest @ _flexed(angles["flexion"]) @ turn(2, side * angles["spread"]) @ turn(1, -side * angles["twist"])
    fore = upper @ _flexed(angles["elbow"])
    raised = max(0.0, float(chest[:, 1] @ upper @ _DOWN))  # the collar bone rises with the arm
    shoulder = (side * build.shoulder * (1 - 0.15 * raised), -0.025 + 0.07 * raised, 0)
    joints[f"{name}_shoulder"] = joints["thorax"] + chest @ shoulder
    joints[f"{name}_elbow"] = joints[f"{name}_shoulder"] + build.upper_arm * (upper @ _DOWN)
    joints[f"{name}_wrist"] = joints[f"{name}_elbow"] + build.forearm * (fore @ _DOWN)
    joints[f"{name}_hand"] = joints[f"{name}_wrist"] + 0.1 * (fore @ _DOWN)
    body.frames[f"{name}_upper_arm"] = upper
    body.frames[f"{name}_forearm"] = fore
