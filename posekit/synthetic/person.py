"""Posed and dressed person: the solids of the body, and the visibility of the joints."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from posekit.skeletons import MPII16
from posekit.synthetic.body import SIDES, Body, draw_build, place, sample_posture
from posekit.synthetic.clothes import AROUND, Outfit, draw_outfit
from posekit.synthetic.render import HEAD_DEPTH, HEAD_WIDTH, Camera, Canvas, Head, Hull, Light

_TRUNK = ("chest", "pelvis", "skirt")
# Solids that belong to each joint; a joint is visible if one of its solids is visible at the joint. Limbs: the joint's side only.
_SHOWN_BY = {
    "ankle": ("shin", "foot"),
    "knee": ("thigh", "shin"),
    "hip": ("thigh",),
    "pelvis": ("left_thigh", "right_thigh", *_TRUNK),
    "thorax": ("chest", "neck"),
    "upper_neck": ("neck", "head", "nose"),
    "head_top": ("head", "brim"),
    "shoulder": ("upper_arm",),
    "elbow": ("upper_arm", "forearm"),
    "wrist": ("forearm", "hand"),
}
# The trunk hides a hip or shoulder that is farther from the viewer than the middle of the trunk by more than this distance.
_BEHIND_M = 0.05


@dataclass(frozen=True)
class Actor:
    """Posed and dressed person, ready to be painted."""

    body: Body
    solids: tuple[Hull | Head, ...]  # parts of the body, from far to near
    head: Head
    stance: str  # name of the stance in `posekit.synthetic.body.STANCES`

    @property
    def joints(self) -> np.ndarray:
        """(16, 3) float64 array: joints in MPII's order, in metres, in the viewer's space."""
        return np.stack([self.body.joints[name] for name in MPII16.joints])

    @property
    def limb_textures(self) -> list[np.ndarray]:
        """Textures of upper arm, forearm, thigh and shin, (rows, AROUND, 3) uint8 each."""
        outfit = self.head.outfit
        return [outfit.upper_arm, outfit.forearm, outfit.thigh, outfit.shin]

    def paint(self, canvas: Canvas, camera: Camera, light: Light, first_owner: int) -> None:
        """Paint all solids on the canvas; their owner numbers start at `first_owner`."""
        for number, solid in enumerate(self.solids, first_owner):
            solid.paint(canvas, camera, light, number)

    def visible(self, canvas: Canvas, camera: Camera, first_owner: int) -> np.ndarray:
        """Return a (16,) bool array, True for each joint in whose place the canvas shows a body part that has this joint."""
        xy = np.round(camera.project(self.joints)[0]).astype(int)
        height, width = canvas.owners.shape
        shown = []
        for name, (x, y) in zip(MPII16.joints, xy, strict=True):
            if not (0 <= x < width and 0 <= y < height):
                shown.append(False)
                continue
            owners = canvas.owners[max(y - 2, 0) : y + 3, max(x - 2, 0) : x + 3]
            shown.append(bool(np.isin(owners, self._owners_showing(name, first_owner)).mean() > 0.35))
        return np.array(shown)

    def _owners_showing(self, joint: str, first_owner: int) -> list[int]:
        part = joint.removeprefix("left_").removeprefix("right_")
        names = {joint.removesuffix(part) + name for name in _SHOWN_BY[part]}
        if part in ("hip", "shoulder"):
            middle = self.body.joints["pelvis" if part == "hip" else "thorax"]
            if self.body.joints[joint][2] > middle[2] - _BEHIND_M:
                names |= set(_TRUNK)
        return [number for number, solid in enumerate(self.solids, first_owner) if solid.name in names]


def draw_actor(rng: np.random.Generator, *, camera: np.ndarray, position: np.ndarray) -> Actor:
    """Sample posture, build and outfit; `camera` and `position` as in `posekit.synthetic.body.place`."""
    posture = sample_posture(rng)
    body = place(posture, draw_build(rng), camera=camera, position=position)
    outfit = draw_outfit(rng)
    head_centre = (body.joints["upper_neck"] + body.joints["head_top"]) / 2
    head = Head(head_centre, body.frames["head"], body.build.head, outfit)
    solids: list[Hull | Head] = [*_trunk(body, outfit), head, *_around_head(head), *_extras(body, outfit)]
    for name in SIDES.values():
        solids += _leg(body, outfit, name)
        solids += _arm(body, outfit, name)
    return Actor(body, tuple(sorted(solids, key=lambda solid: solid.depth)), head, posture.stance)


def _plain_texture(colour: np.ndarray) -> np.ndarray:
    """Return a (4, AROUND, 3) uint8 texture of one colour."""
    return np.broadcast_to(np.clip(colour, 0, 255).astype(np.uint8), (4, AROUND, 3))


Place = str | np.ndarray
"""Name of a joint, or a (3,) point."""


def _hull(
    body: Body,
    name: str,
    spheres: list[tuple[Place, float]],
    axis: tuple[Place, Place],
    forward: np.ndarray,
    texture: np.ndarray,
) -> Hull:
    """Create a hull of spheres, each given as (place, radius)."""

    def points(places: Iterable[Place]) -> np.ndarray:
        return np.array([body.joints[place] if isinstance(place, str) else place for place in places])

    radii = np.array([radius for _, radius in spheres]) * body.build.stoutness
    return Hull(name, points(place for place, _ in spheres), radii, points(axis), forward, texture)


def _trunk(body: Body, outfit: Outfit) -> list[Hull]:
    joints = body.joints
    chest = body.frames["chest"]
    pelvis = body.frames["pelvis"]

    def pair(joint: str, frame: np.ndarray, x: float, y: float, z: float, radius: float) -> list[tuple[Place, float]]:
        """Spheres to the right and left of a joint."""
        return [(joints[joint] + frame @ (-x, y, z), radius), (joints[joint] + frame @ (x, y, z), radius)]

    shoulders = pair("thorax", chest, body.build.shoulder - 0.05, -0.05, 0, 0.06)
    ribs = pair("thorax", chest, 0.055, -0.18, 0.01, 0.098)
    waist = pair("waist", pelvis, 0.05, 0.02, 0, 0.082)
    belt = pair("waist", pelvis, 0.055, -0.06, 0, 0.082)
    hips = pair("pelvis", pelvis, 0.075, 0.0, -0.01, 0.088)
    top = joints["thorax"] + chest @ (0, 0.03, 0)
    bottom = joints["pelvis"] - pelvis @ (0, 0.08, 0)
    neck: list[tuple[Place, float]] = [(joints["thorax"] + chest @ (0, -0.02, 0), 0.052), ("upper_neck", 0.046)]
    return [
        _hull(body, "chest", shoulders + ribs + waist, (top, "waist"), chest[:, 2], outfit.trunk),
        _hull(body, "pelvis", belt + hips, ("waist", bottom), pelvis[:, 2], outfit.pelvis),
        _hull(body, "neck", neck, ("upper_neck", "thorax"), chest[:, 2], _plain_texture(0.9 * outfit.skin)),
    ]


def _leg(body: Body, outfit: Outfit, side: str) -> list[Hull]:
    hip, knee, ankle, heel, toe = (f"{side}_{part}" for part in ("hip", "knee", "ankle", "heel", "toe"))
    thigh = body.frames[f"{side}_thigh"][:, 2]
    shin = body.frames[f"{side}_shin"][:, 2]
    loose = outfit.looseness
    shoe = _plain_texture(outfit.shoes)
    return [
        _hull(body, f"{side}_thigh", [(hip, 0.08 * loose), (knee, 0.056 * loose)], (hip, knee), thigh, outfit.thigh),
        _hull(body, f"{side}_shin", [(knee, 0.054 * loose), (ankle, 0.038 * loose)], (knee, ankle), shin, outfit.shin),
        _hull(body, f"{side}_foot", [(ankle, 0.04), (heel, 0.038), (toe, 0.03)], (heel, toe), shin, shoe),
    ]


def _arm(body: Body, outfit: Outfit, side: str) -> list[Hull]:
    shoulder, elbow, wrist, hand = (f"{side}_{part}" for part in ("shoulder", "elbow", "wrist", "hand"))
    upper = body.frames[f"{side}_upper_arm"][:, 2]
    fore = body.frames[f"{side}_forearm"][:, 2]
    loose = outfit.looseness
    skin = _plain_texture(outfit.skin)
    sleeve: list[tuple[Place, float]] = [(shoulder, 0.054 * loose), (elbow, 0.041 * loose)]
    return [
        _hull(body, f"{side}_upper_arm", sleeve, (shoulder, elbow), upper, outfit.upper_arm),
        _hull(body, f"{side}_forearm", [(elbow, 0.041 * loose), (wrist, 0.029 * loose)], (elbow, wrist), fore, outfit.forearm),
        _hull(body, f"{side}_hand", [(wrist, 0.028), (hand, 0.034)], (wrist, hand), fore, skin),
    ]


def _around_head(head: Head) -> list[Hull]:
    """Create nose, long or tied hair, and brim of the cap."""
    outfit = head.outfit
    hulls = [_head_hull(head, "nose", [(0, 0.02, 0.95), (0, -0.18, 1.12)], 0.05, outfit.skin * 0.95)]
    if outfit.hair_kind == "long":
        places = [(-0.5, 0.3, -0.6), (0.5, 0.3, -0.6), (-0.6, -1.1, -0.6), (0.6, -1.1, -0.6)]
        hulls.append(_head_hull(head, "hair", places, 0.14, outfit.hair))
    elif outfit.hair_kind == "tied":
        hulls.append(_head_hull(head, "hair", [(0, 0.4, -1.0), (0, 0.2, -1.4), (0, -0.7, -1.3)], 0.11, outfit.hair))
    if outfit.hat_kind == "cap":
        places = [(-0.6, 0.45, 0.7), (0.6, 0.45, 0.7), (-0.4, 0.4, 1.5), (0.4, 0.4, 1.5)]
        hulls.append(_head_hull(head, "brim", places, 0.035, outfit.hat))
    return hulls


def _head_hull(head: Head, name: str, places: list[tuple], radius: float, colour: np.ndarray) -> Hull:
    """Create a hull at the head: `places` in units of its half axes (left, up, forward), `radius` as a share of its length."""
    scale = np.array([HEAD_WIDTH, 0.5, HEAD_DEPTH]) * head.length
    centres = np.array([head.centre + head.frame @ (scale * place) for place in places])
    up = head.frame[:, 1]
    axis = np.stack([centres[0] + 0.05 * up, centres[0] - 0.05 * up])
    radii = np.full(len(places), radius * head.length)
    return Hull(name, centres, radii, axis, head.frame[:, 2], _plain_texture(colour))


def _extras(body: Body, outfit: Outfit) -> list[Hull]:
    """Create skirt and backpack, if the person has them."""
    extras = []
    joints = body.joints
    if outfit.skirt:
        left = 0.5 * (joints["left_hip"] + joints["left_knee"])
        right = 0.5 * (joints["right_hip"] + joints["right_knee"])
        skirt: list[tuple[Place, float]] = [("left_hip", 0.085), ("right_hip", 0.085), (left, 0.1), (right, 0.1)]
        forward = body.frames["pelvis"][:, 2]
        extras.append(_hull(body, "skirt", skirt, ("pelvis", (left + right) / 2), forward, outfit.pelvis))
    if outfit.backpack:
        chest = body.frames["chest"]
        corners = [(-0.08, -0.05, -0.17), (-0.08, -0.36, -0.17), (0.08, -0.05, -0.17), (0.08, -0.36, -0.17)]
        backpack: list[tuple[Place, float]] = [(joints["thorax"] + chest @ corner, 0.07) for corner in corners]
        top = joints["thorax"] + chest @ (0, 0, -0.17)
        bottom = joints["thorax"] + chest @ (0, -0.4, -0.17)
        extras.append(_hull(body, "backpack", backpack, (top, bottom), chest[:, 2], _plain_texture(outfit.hat)))
    return extras
