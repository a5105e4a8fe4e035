"""Random augmentation of crops: `draw` draws the parameters, `apply` cuts out a crop with the drawn parameters."""

import math
from dataclasses import dataclass

import numpy as np

from posekit.errors import require, require_array
from posekit.geometry import Box, Crop
from posekit.people import Person


@dataclass(frozen=True)
class AugmentConfig:
    """Ranges and probabilities of the random augmentation.

    Parameters
    ----------
    scale : float
        The side of the box is multiplied by a random factor from 1 - scale to 1 + scale.
    rotation : float
        Largest rotation in degrees, clockwise or anticlockwise.
    rotation_probability : float
        Probability that a crop is rotated.
    mirror_probability : float
        Probability that a crop is mirrored.
    colour : float
        Each colour channel is multiplied by a random factor from 1 - colour to 1 + colour.
    cutout_probability : float
        Probability that a rectangle of the crop is filled with a random colour.
    """

    scale: float = 0.25
    rotation: float = 30.0
    rotation_probability: float = 0.6
    mirror_probability: float = 0.5
    colour: float = 0.2
    cutout_probability: float = 0.0

    @property
    def reach(self) -> float:
        """Side of the smallest upright square that contains every possible crop, relative to the side of the person's box."""
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
    """A rectangle of a crop that is filled with one colour."""

    centre: tuple[float, float]  # x, y, relative to the side of the crop
    sides: tuple[float, float]  # width and height, relative to the side of the crop
    colour: tuple[int, int, int]  # RGB


@dataclass(frozen=True)
class CropParams:
    """Augmentation parameters of one crop; the defaults mean no augmentation."""

    scale: float = 1.0  # factor for the side of the box
    rotation: float = 0.0  # degrees, clockwise
    mirror: bool = False  # whether to mirror the crop left to right
    channel_gains: tuple[float, float, float] = (1.0, 1.0, 1.0)  # factors for the red, green and blue channel
    cutout: Cutout | None = None

    def crop(self, box: Box, size: int) -> Crop:
        """Return the geometry of a `size` × `size` crop around a person's box, scaled, rotated and mirrored."""
        return Crop(box.scaled(self.scale), size, rotation=self.rotation, mirror=self.mirror)


PLAIN = CropParams()
_CUTOUT_SIDES = (0.1, 0.35)  # smallest and largest side of a cutout, relative to the side of the crop


def draw(rng: np.random.Generator, ranges: AugmentConfig) -> CropParams:
    """Draw the augmentation parameters of one crop; the same generator state gives the same parameters."""
    scale, rotation, rotate, mirror, red, green, blue = rng.random(7).tolist()  # one call is much faster than seven
    cutout = None
    if ranges.cutout_probability and rng.random() < ranges.cutout_probability:
        cutout = _draw_cutout(rng)
    gains = (1 - ranges.colour, 1 + ranges.colour)
    return CropParams(
        scale=_interpolate(1 - ranges.scale, 1 + ranges.scale, scale),
        rotation=_interpolate(-ranges.rotation, ranges.rotation, rotation) * (rotate < ranges.rotation_probability),
        mirror=mirror < ranges.mirror_probability,
        channel_gains=(_interpolate(*gains, red), _interpolate(*gains, green), _interpolate(*gains, blue)),
        cutout=cutout,
    )


def _draw_cutout(rng: np.random.Generator) -> Cutout:
    x, y, width, height = rng.random(4).tolist()
    red, green, blue = rng.integers(256, size=3).tolist()
    sides = (_interpolate(*_CUTOUT_SIDES, width), _interpolate(*_CUTOUT_SIDES, height))
    return Cutout((x, y), sides, (red, green, blue))


def _interpolate(low: float, high: float, share: float) -> float:
    return low + (high - low) * share


@dataclass(frozen=True)
class Sample:
    """The crop of one person.

    Parameters
    ----------
    image : (S, S, 3) uint8
        RGB.
    joints : (K, 2) float32
        Joints in crop pixels, in the order of the skeleton; left and right joints are swapped if the crop is mirrored.
    labelled : (K,) bool
        True where the joint is labelled.
    index : int
        Index of the person in the data set.
    channel_gains : (float, float, float)
        Factors for the red, green and blue channel, applied later by `posekit.models.normalise`.
    failure : str, optional
        Reason why the crop could not be made; None if the crop was made. A failed crop is black and has no labelled joint.
    """

    image: np.ndarray
    joints: np.ndarray
    labelled: np.ndarray
    index: int
    channel_gains: tuple[float, float, float] = (1.0, 1.0, 1.0)
    failure: str | None = None

    def __post_init__(self):
        require_array("image", self.image, ("S", "S", 3), "uint8")
        require_array("joints", self.joints, (len(self.labelled), 2), "float32")
        require_array("labelled", self.labelled, (len(self.labelled),), "bool")


def apply(image: np.ndarray, person: Person, params: CropParams, *, size: int, flip_order: np.ndarray, index: int) -> Sample:
    """Cut the crop of one person out of an image, with the given augmentation, in a single affine warp.

    Parameters
    ----------
    image : (H, W, 3) uint8
        BGR.
    person : Person
        Person whose joints and box are in pixels of `image`.
    params : CropParams
    size : int
        Side of the crop in pixels.
    flip_order : (K,) int
        `Skeleton.flip_order`, which swaps left and right joints if the crop is mirrored.
    index : int
        Index of the person in the data set, stored in the sample.

    Raises
    ------
    BoxError
        If the person's box lies completely outside the image.
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
