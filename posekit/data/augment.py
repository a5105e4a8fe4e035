"""Augmentation: the parameters are drawn apart from applying them, and all geometry is one affine warp."""

import math
from dataclasses import dataclass

import numpy as np

from posekit.data.sample import Sample
from posekit.errors import require
from posekit.geometry import Box, Crop
from posekit.people import Person


@dataclass(frozen=True)
class AugmentConfig:
    """How far the training crops vary.

    Parameters
    ----------
    scale : float
        The box's side is multiplied by 1 - scale … 1 + scale.
    rotation : float
        Degrees, to either side.
    rotation_probability : float
        Share of the crops that are rotated.
    mirror_probability : float
        Share of the crops that are mirrored.
    colour : float
        Each channel is multiplied by 1 - colour … 1 + colour.
    cutout_probability : float
        Share of the crops of which a rectangle is hidden.
    """

    scale: float = 0.25
    rotation: float = 30.0
    rotation_probability: float = 0.6
    mirror_probability: float = 0.5
    colour: float = 0.2
    cutout_probability: float = 0.0

    @property
    def reach(self) -> float:
        """Side of the upright square that holds every crop of these settings, relative to the box's side."""
        angle = math.radians(min(self.rotation, 45))
        return (1 + self.scale) * (math.cos(angle) + math.sin(angle))

    def __post_init__(self):
        require(0 <= self.scale < 1, "augment.scale", self.scale, "0 or more and below 1")
        require(0 <= self.rotation <= 180, "augment.rotation", self.rotation, "0 to 180 degrees")
        for key in ("rotation_probability", "mirror_probability", "cutout_probability"):
            require(0 <= getattr(self, key) <= 1, f"augment.{key}", getattr(self, key), "a probability from 0 to 1")
        require(0 <= self.colour <= 1, "augment.colour", self.colour, "0 to 1")


@dataclass(frozen=True)
class Cutout:
    """What hides a part of a crop.

    Parameters
    ----------
    centre, sides : (float, float)
        x and y, in sides of the crop.
    colour : (int, int, int)
        Red, green, blue.
    """

    centre: tuple[float, float]
    sides: tuple[float, float]
    colour: tuple[int, int, int]


@dataclass(frozen=True)
class CropParams:
    """How one crop differs from the plain one; the default is the plain one.

    Parameters
    ----------
    scale : float
        Factor on the box's side.
    rotation : float
        Degrees, clockwise as seen.
    mirror : bool
    channel_gains : (float, float, float)
        Factors on red, green and blue.
    cutout : Cutout, optional
        What hides a part of it.
    """

    scale: float = 1.0
    rotation: float = 0.0
    mirror: bool = False
    channel_gains: tuple[float, float, float] = (1.0, 1.0, 1.0)
    cutout: Cutout | None = None

    def crop(self, box: Box, size: int) -> Crop:
        """The crop of a person's box with these parameters, `size` pixels wide."""
        return Crop(box.scaled(self.scale), size, rotation=self.rotation, mirror=self.mirror)


PLAIN = CropParams()
_COVERED = 0.1, 0.35


def draw(rng: np.random.Generator, ranges: AugmentConfig) -> CropParams:
    """Draw the parameters of one crop; the same generator state gives the same parameters."""
    scale, angle, rotated, mirrored, *colours = rng.random(7).tolist()  # one call takes a fraction of seven calls' time
    return CropParams(
        scale=_between(1 - ranges.scale, 1 + ranges.scale, scale),
        rotation=_between(-ranges.rotation, ranges.rotation, angle) * (rotated < ranges.rotation_probability),
        mirror=mirrored < ranges.mirror_probability,
        channel_gains=tuple(_between(1 - ranges.colour, 1 + ranges.colour, share) for share in colours),
        cutout=_draw_cutout(rng) if ranges.cutout_probability and rng.random() < ranges.cutout_probability else None,
    )


def _draw_cutout(rng: np.random.Generator) -> Cutout:
    x, y, width, height = rng.random(4).tolist()
    sides = _between(*_COVERED, width), _between(*_COVERED, height)
    return Cutout((x, y), sides, tuple(rng.integers(256, size=3).tolist()))


def _between(low: float, high: float, share: float) -> float:
    return low + (high - low) * share


def apply(image: np.ndarray, person: Person, params: CropParams, *, size: int, flip_order: np.ndarray, index: int) -> Sample:
    """Cut one person's crop out of the photograph, with these parameters.

    Parameters
    ----------
    image : (H, W, 3) uint8
        The person's photograph, blue, green, red.
    person : Person
    params : CropParams
    size : int
        Side of the crop in pixels.
    flip_order : (K,) int
        The skeleton's, to exchange left and right in a mirrored crop.
    index : int
        The person's place in its `People`.

    Raises
    ------
    BoxError
        If the person's box lies wholly outside the photograph.
    """
    person.box.require_overlap(image.shape[1], image.shape[0])
    crop = params.crop(person.box, size)
    order, pixels = crop.joint_order(flip_order), crop.warp_rgb(image)
    if params.cutout is not None:
        _hide(pixels, params.cutout)
    return Sample(
        image=pixels,
        joints=crop.forward(person.joints[order]).astype(np.float32),
        labelled=person.labelled[order],
        index=index,
        channel_gains=params.channel_gains,
    )


def _hide(crop: np.ndarray, cutout: Cutout) -> None:
    (x, y), (width, height), size = cutout.centre, cutout.sides, len(crop)
    rows, columns = (
        slice(max(0, round(size * (middle - side / 2))), max(0, round(size * (middle + side / 2))))
        for middle, side in ((y, height), (x, width))
    )
    crop[rows, columns] = cutout.colour
