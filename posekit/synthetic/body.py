"""Articulated body: forward kinematics from joint angles to joints in 3D.

Coordinates are in metres in the viewer's space: x to the right, y up, z toward the viewer. The axes of body parts are (left,
up, forward), seen from the person.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np

from posekit.synthetic.poses import Posture

SIDES = {1: "left", -1: "right"}


@dataclass(frozen=True)
class Build:
    """Lengths of body parts in metres, and `stoutness`, a factor on the thickness.

    The defaults are an adult with the proportions of MPII's annotations: relative to the head (upper neck to head top),
    the upper arm is 1.1 long, thigh and shin 1.6, and the trunk 1.9.
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

    Parameters
    ----------
    joints : dict of str to (3,) float64
        MPII's 16 joints, and ``waist``, ``left_hand``, ``left_heel``, ``left_toe`` etc.; in metres, in the viewer's space.
    frames : dict of str to (3, 3) float64
        Orientation of ``pelvis``, ``chest``, ``head``, ``left_upper_arm``, ``left_thigh`` etc.: the columns are the left, up
        and forward axes of the body part.
    build : Build
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


@cache
def _down() -> np.ndarray:
    return np.array([0.0, -1.0, 0.0])


def place(posture: Posture, build: Build, *, camera: np.ndarray, position: np.ndarray) -> Body:
    """Place all joints by forward kinematics.

    Parameters
    ----------
    posture : Posture
    build : Build
    camera : (3, 3) float64
        Rotation from world space (y is vertical) to the viewer's space.
    position : (3,) float64
        Position of the pelvis in the viewer's space.
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
    joints[f"{name}_knee"] = joints[f"{name}_hip"] + build.thigh * (thigh @ _down())
    joints[f"{name}_ankle"] = joints[f"{name}_knee"] + build.shin * (shin @ _down())
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
    raised = max(0.0, float(chest[:, 1] @ upper @ _down()))  # the collar bone rises with the arm
    shoulder = (side * build.shoulder * (1 - 0.15 * raised), -0.025 + 0.07 * raised, 0)
    joints[f"{name}_shoulder"] = joints["thorax"] + chest @ shoulder
    joints[f"{name}_elbow"] = joints[f"{name}_shoulder"] + build.upper_arm * (upper @ _down())
    joints[f"{name}_wrist"] = joints[f"{name}_elbow"] + build.forearm * (fore @ _down())
    joints[f"{name}_hand"] = joints[f"{name}_wrist"] + 0.1 * (fore @ _down())
    body.frames[f"{name}_upper_arm"] = upper
    body.frames[f"{name}_forearm"] = fore
