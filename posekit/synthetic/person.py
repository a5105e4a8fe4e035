"""A person to paint: the body's solids, dressed, and which of them show a joint."""

from dataclasses import dataclass

import numpy as np

from posekit.skeletons import MPII16
from posekit.synthetic.body import SIDES, Body, draw_build, place
from posekit.synthetic.clothes import AROUND, Outfit, draw_outfit
from posekit.synthetic.head import DEPTH, WIDTH, Head
from posekit.synthetic.poses import sample_posture
from posekit.synthetic.render import Camera, Canvas, Hull, Light

_TRUNK = ("chest", "pelvis", "skirt")
# Which solids show a joint (of the joint's own side, for limbs).
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
# A hip or shoulder this much farther than the trunk's middle is hidden behind it.
_BEHIND_M = 0.05


@dataclass(frozen=True)
class Actor:
    """A posed and dressed person.

    Parameters
    ----------
    body : Body
    solids : tuple of Hull or Head
        From far to near.
    head : Head
    stance : str
        Name of the pose's kind.
    """

    body: Body
    solids: tuple[Hull | Head, ...]
    head: Head
    stance: str

    @property
    def joints(self) -> np.ndarray:
        """(16, 3) metres, viewer's space, in MPII's order."""
        return np.stack([self.body.joints[name] for name in MPII16.joints])

    @property
    def limb_textures(self) -> list[np.ndarray]:
        """Of arms and legs, (rows, AROUND, 3) uint8 each."""
        outfit = self.head.outfit
        return [outfit.upper_arm, outfit.forearm, outfit.thigh, outfit.shin]

    def paint(self, canvas: Canvas, camera: Camera, light: Light, first_owner: int) -> None:
        """Paint all solids; their owners' numbers begin at `first_owner`."""
        for number, solid in enumerate(self.solids, first_owner):
            solid.paint(canvas, camera, light, number)

    def visible(self, canvas: Canvas, camera: Camera, first_owner: int) -> np.ndarray:
        """(16,) bool: whether a joint's place shows one of the solids that it belongs to."""
        xy = np.round(camera.project(self.joints)[0]).astype(int)
        height, width = canvas.owners.shape
        shown = []
        for name, (x, y) in zip(MPII16.joints, xy, strict=True):
            around = canvas.owners[max(y - 2, 0) : max(y + 3, 0), max(x - 2, 0) : max(x + 3, 0)]
            inside = 0 <= x < width and 0 <= y < height
            shown.append(inside and bool(np.isin(around, self._owners_showing(name, first_owner)).mean() > 0.35))
        return np.array(shown)

    def _owners_showing(self, joint: str, first_owner: int) -> list[int]:
        part = joint.removeprefix("left_").removeprefix("right_")
        names = {joint.removesuffix(part) + name for name in _SHOWN_BY[part]}
        if part in ("hip", "shoulder") and self._is_near(joint, "pelvis" if part == "hip" else "thorax"):
            names |= set(_TRUNK)
        return [number for number, solid in enumerate(self.solids, first_owner) if solid.name in names]

    def _is_near(self, joint: str, middle: str) -> bool:
        return bool(self.body.joints[joint][2] > self.body.joints[middle][2] - _BEHIND_M)


def draw_actor(rng: np.random.Generator, *, camera: np.ndarray, position: np.ndarray) -> Actor:
    """Draw pose, build and outfit.

    Parameters
    ----------
    rng : numpy.random.Generator
    camera : (3, 3) float64
        Rotation from the world to the viewer's space.
    position : (3,) float64
        Of the pelvis, metres, viewer's space.
    """
    pose = sample_posture(rng)
    body = place(pose, draw_build(rng), camera=camera, position=position)
    outfit = draw_outfit(rng)
    head = _head(body, outfit)
    solids = [*_trunk(body, outfit), head, *_around_head(head), *_extras(body, outfit)]
    for name in SIDES.values():
        solids += [*_leg(body, outfit, name), *_arm(body, outfit, name)]
    return Actor(body, tuple(sorted(solids, key=lambda solid: solid.depth)), head, pose.stance)


def plain_texture(colour: np.ndarray) -> np.ndarray:
    """(4, AROUND, 3) uint8 of one colour."""
    return np.broadcast_to(np.clip(colour, 0, 255).astype(np.uint8), (4, AROUND, 3))


def _hull(body: Body, name: str, spheres: list[tuple], axis: tuple, forward: np.ndarray, texture: np.ndarray) -> Hull:
    """Spheres are (place, radius); a place is a joint's name or a point."""
    at = [body.joints[place] if isinstance(place, str) else place for place, _ in (*spheres, *((end, 0) for end in axis))]
    count = len(spheres)
    radii = np.array([radius for _, radius in spheres]) * body.build.stoutness
    return Hull(name, np.array(at[:count]), radii, np.array(at[count:]), forward, texture)


def _trunk(body: Body, outfit: Outfit) -> list[Hull]:
    joints, chest, pelvis = body.joints, body.frames["chest"], body.frames["pelvis"]
    wide = body.build.shoulder - 0.05
    shoulders = [(joints["thorax"] + chest @ (x, -0.05, 0), 0.06) for x in (-wide, wide)]
    ribs = [(joints["thorax"] + chest @ (x, -0.18, 0.01), 0.098) for x in (-0.055, 0.055)]
    waist = [(joints["waist"] + pelvis @ (x, 0.02, 0), 0.082) for x in (-0.05, 0.05)]
    belt = [(joints["waist"] + pelvis @ (x, -0.06, 0), 0.082) for x in (-0.055, 0.055)]
    hips = [(joints["pelvis"] + pelvis @ (x, 0.0, -0.01), 0.088) for x in (-0.075, 0.075)]
    top = joints["thorax"] + chest @ (0, 0.03, 0)
    bottom = joints["pelvis"] - pelvis @ (0, 0.08, 0)
    neck = [(joints["thorax"] + chest @ (0, -0.02, 0), 0.052), ("upper_neck", 0.046)]
    return [
        _hull(body, "chest", shoulders + ribs + waist, (top, "waist"), chest[:, 2], outfit.trunk),
        _hull(body, "pelvis", belt + hips, ("waist", bottom), pelvis[:, 2], outfit.pelvis),
        _hull(body, "neck", neck, ("upper_neck", "thorax"), chest[:, 2], plain_texture(0.9 * outfit.skin)),
    ]


def _leg(body: Body, outfit: Outfit, side: str) -> list[Hull]:
    hip, knee, ankle, heel, toe = (f"{side}_{part}" for part in ("hip", "knee", "ankle", "heel", "toe"))
    thigh, shin = body.frames[f"{side}_thigh"][:, 2], body.frames[f"{side}_shin"][:, 2]
    loose = outfit.looseness
    shoe = plain_texture(outfit.shoes)
    return [
        _hull(body, f"{side}_thigh", [(hip, 0.08 * loose), (knee, 0.056 * loose)], (hip, knee), thigh, outfit.thigh),
        _hull(body, f"{side}_shin", [(knee, 0.054 * loose), (ankle, 0.038 * loose)], (knee, ankle), shin, outfit.shin),
        _hull(body, f"{side}_foot", [(ankle, 0.04), (heel, 0.038), (toe, 0.03)], (heel, toe), shin, shoe),
    ]


def _arm(body: Body, outfit: Outfit, side: str) -> list[Hull]:
    shoulder, elbow, wrist, hand = (f"{side}_{part}" for part in ("shoulder", "elbow", "wrist", "hand"))
    upper, fore = body.frames[f"{side}_upper_arm"][:, 2], body.frames[f"{side}_forearm"][:, 2]
    loose = outfit.looseness
    skin = plain_texture(outfit.skin)
    return [
        _hull(
            body,
            f"{side}_upper_arm",
            [(shoulder, 0.054 * loose), (elbow, 0.041 * loose)],
            (shoulder, elbow),
            upper,
            outfit.upper_arm,
        ),
        _hull(body, f"{side}_forearm", [(elbow, 0.041 * loose), (wrist, 0.029 * loose)], (elbow, wrist), fore, outfit.forearm),
        _hull(body, f"{side}_hand", [(wrist, 0.028), (hand, 0.034)], (wrist, hand), fore, skin),
    ]


def _head(body: Body, outfit: Outfit) -> Head:
    neck, top = body.joints["upper_neck"], body.joints["head_top"]
    return Head((neck + top) / 2, body.frames["head"], body.build.head, outfit)


def _around_head(head: Head) -> list[Hull]:
    """Nose, long or tied hair, brim: what sticks out."""
    outfit = head.outfit
    nose = [_knob(head, "nose", [(0, 0.02, 0.95), (0, -0.18, 1.12)], 0.05, outfit.skin * 0.95)]
    if outfit.hair_kind == "long":
        nose.append(
            _knob(head, "hair", [(-0.5, 0.3, -0.6), (0.5, 0.3, -0.6), (-0.6, -1.1, -0.6), (0.6, -1.1, -0.6)], 0.14, outfit.hair)
        )
    elif outfit.hair_kind == "tied":
        nose.append(_knob(head, "hair", [(0, 0.4, -1.0), (0, 0.2, -1.4), (0, -0.7, -1.3)], 0.11, outfit.hair))
    if outfit.hat_kind == "cap":
        nose.append(
            _knob(head, "brim", [(-0.6, 0.45, 0.7), (0.6, 0.45, 0.7), (-0.4, 0.4, 1.5), (0.4, 0.4, 1.5)], 0.035, outfit.hat)
        )
    return nose


def _knob(head: Head, name: str, places: list[tuple], radius: float, colour: np.ndarray) -> Hull:
    """Places are in half axes of the head: left, up, forward; the radius in lengths of the head."""
    scale = np.array([WIDTH, 0.5, DEPTH]) * head.length
    centres = np.array([head.centre + head.frame @ (scale * place) for place in places])
    up, forward = head.frame[:, 1], head.frame[:, 2]
    axis = np.stack([centres[0] + 0.05 * up, centres[0] - 0.05 * up])
    return Hull(name, centres, np.full(len(places), radius * head.length), axis, forward, plain_texture(colour))


def _extras(body: Body, outfit: Outfit) -> list[Hull]:
    extras = []
    joints, chest, pelvis = body.joints, body.frames["chest"], body.frames["pelvis"]
    if outfit.skirt:
        middle = [(0.5 * (joints[f"{side}_hip"] + joints[f"{side}_knee"]), 0.1) for side in SIDES.values()]
        hem = (middle[0][0] + middle[1][0]) / 2
        spheres = [("left_hip", 0.085), ("right_hip", 0.085), *middle]
        extras.append(_hull(body, "skirt", spheres, ("pelvis", hem), pelvis[:, 2], outfit.pelvis))
    if outfit.backpack:
        places = [joints["thorax"] + chest @ (x, y, -0.17) for x in (-0.08, 0.08) for y in (-0.05, -0.36)]
        ends = (joints["thorax"] + chest @ (0, 0, -0.17), joints["thorax"] + chest @ (0, -0.4, -0.17))
        extras.append(_hull(body, "backpack", [(place, 0.07) for place in places], ends, chest[:, 2], plain_texture(outfit.hat)))
    return extras
