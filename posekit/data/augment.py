"""Augmentation: drawing parameters is separate from applying them, and all geometry is one affine warp."""

import math
from dataclasses import dataclass

import numpy as np

from posekit.data.sample import Sample
from posekit.errors import require
from posekit.geometry import Box, Crop
from posekit.people import Person


@dataclass(frozen=True)
class AugmentConfig:
    """Ranges and probabilities of the augmentation.

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
        Share of the crops in which a rectangle is hidden.
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
    """A rectangle that hides a part of a crop.

    Parameters
    ----------
    centre, sides : (float, float)
        x and y, relative to the crop's side.
    colour : (int, int, int)
        Red, green, blue.
    """

    centre: tuple[float, float]
    sides: tuple[float, float]
    colour: tuple[int, int, int]


@dataclass(frozen=True)
class CropParams:
    """Augmentation of one crop; the defaults leave it unchanged.

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
        Hidden rectangle.
    """

    scale: float = 1.0
    rotation: float = 0.0
    mirror: bool = False
    channel_gains: tuple[float, float, float] = (1.0, 1.0, 1.0)
    cutout: Cutout | None = None

    def crop(self, box: Box, size: int) -> Crop:
        """Return the crop of a person's box with these parameters, `size` pixels wide."""
        return Crop(box.scaled(self.scale), size, rotation=self.rotation, mirror=self.mirror)


PLAIN = CropParams()
_CUTOUT_SIDES = (0.1, 0.35)


def draw(rng: np.random.Generator, ranges: AugmentConfig) -> CropParams:
    """Draw the parameters of one crop; the same generator state gives the same parameters."""
    scale, rotation, rotate, mirror, red, green, blue = rng.random(7).tolist()  # one call is much faster than seven
    cutout = None
    if ranges.cutout_probability and rng.random() < ranges.cutout_probability:
        cutout = _draw_cutout(rng)
    low_gain = 1 - ranges.colour
    high_gain = 1 + ranges.colour
    return CropParams(
        scale=_interpolate(1 - ranges.scale, 1 + ranges.scale, scale),
        rotation=_interpolate(-ranges.rotation, ranges.rotation, rotation) * (rotate < ranges.rotation_probability),
        mirror=mirror < ranges.mirror_probability,
        channel_gains=(
            _interpolate(low_gain, high_gain, red),
            _interpolate(low_gain, high_gain, green),
            _interpolate(low_gain, high_gain, blue),
        ),
        cutout=cutout,
    )


def _draw_cutout(rng: np.random.Generator) -> Cutout:
    x, y, width, height = rng.random(4).tolist()
    red, green, blue = rng.integers(256, size=3).tolist()
    sides = (_interpolate(*_CUTOUT_SIDES, width), _interpolate(*_CUTOUT_SIDES, height))
    return Cutout((x, y), sides, (red, green, blue))


def _interpolate(low: float, high: float, share: float) -> float:
    return low + (high - low) * share


def apply(image: np.ndarray, person: Person, params: CropParams, *, size: int, flip_order: np.ndarray, index: int) -> Sample:
    """Cut one person's crop out of an image, with these parameters.

    Parameters
    ----------
    image : (H, W, 3) uint8
        Blue, green, red.
    person : Person
    params : CropParams
    size : int
        Side of the crop in pixels.
    flip_order : (K,) int
        The skeleton's `flip_order`, which exchanges left and right in a mirrored crop.
    index : int
        Index of the person in its `People`.

    Raises
    ------
    BoxError
        If the person's box lies wholly outside the image.
    """
    height, width = image.shape[:2]
    person.box.require_overlap(width, height)
    crop = params.crop(person.box, size)
    order = crop.joint_order(flip_order)
    pixels = crop.warp_rgb(image)
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
    x, y = cutout.centre
    width, height = cutout.sides
    rows = _pixels(y, height, len(crop))
    columns = _pixels(x, width, len(crop))
    crop[rows, columns] = cutout.colour


def _pixels(centre: float, side: float, size: int) -> slice:
    first = max(0, round(size * (centre - side / 2)))
    return slice(first, max(0, round(size * (centre + side / 2))))
