"""Augmentation: the parameters are drawn apart from applying them, and all geometry is one affine warp."""

from dataclasses import dataclass

import numpy as np

from posekit.data.sample import Sample
from posekit.errors import require
from posekit.geometry import Crop
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
    cover_probability : float
        Share of the crops of which a rectangle is hidden.
    """

    scale: float = 0.25
    rotation: float = 30.0
    rotation_probability: float = 0.6
    mirror_probability: float = 0.5
    colour: float = 0.2
    cover_probability: float = 0.0

    def __post_init__(self):
        require(0 <= self.scale < 1, "augment.scale", self.scale, "0 or more and below 1")
        require(0 <= self.rotation <= 180, "augment.rotation", self.rotation, "0 to 180 degrees")
        for key in ("rotation_probability", "mirror_probability", "cover_probability"):
            require(0 <= getattr(self, key) <= 1, f"augment.{key}", getattr(self, key), "a probability from 0 to 1")
        require(0 <= self.colour <= 1, "augment.colour", self.colour, "0 to 1")


@dataclass(frozen=True)
class Cover:
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
class View:
    """How one crop differs from the plain one; the default is the plain one.

    Parameters
    ----------
    scale : float
        Factor on the box's side.
    rotation : float
        Degrees, clockwise as seen.
    mirror : bool
    gains : (float, float, float)
        Factors on red, green and blue.
    cover : Cover, optional
        What hides a part of it.
    """

    scale: float = 1.0
    rotation: float = 0.0
    mirror: bool = False
    gains: tuple[float, float, float] = (1.0, 1.0, 1.0)
    cover: Cover | None = None


PLAIN = View()
_COVERED = 0.1, 0.35


def draw(rng: np.random.Generator, ranges: AugmentConfig) -> View:
    """Draw one view; the same generator state gives the same view."""
    scale, angle, rotated, mirrored, *colours = rng.random(7).tolist()  # one call takes a fraction of seven calls' time
    return View(
        scale=_between(1 - ranges.scale, 1 + ranges.scale, scale),
        rotation=_between(-ranges.rotation, ranges.rotation, angle) * (rotated < ranges.rotation_probability),
        mirror=mirrored < ranges.mirror_probability,
        gains=tuple(_between(1 - ranges.colour, 1 + ranges.colour, share) for share in colours),
        cover=_draw_cover(rng) if ranges.cover_probability and rng.random() < ranges.cover_probability else None,
    )


def _draw_cover(rng: np.random.Generator) -> Cover:
    x, y, width, height = rng.random(4).tolist()
    sides = _between(*_COVERED, width), _between(*_COVERED, height)
    return Cover((x, y), sides, tuple(rng.integers(256, size=3).tolist()))


def _between(low: float, high: float, share: float) -> float:
    return low + (high - low) * share


def apply(image: np.ndarray, person: Person, view: View, *, size: int, flip_order: np.ndarray, index: int) -> Sample:
    """Cut one person's crop out of the photograph, as the view says.

    Parameters
    ----------
    image : (H, W, 3) uint8
        The person's photograph, blue, green, red.
    person : Person
    view : View
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
    crop = Crop(person.box.scaled(view.scale), size, rotation=view.rotation, mirror=view.mirror)
    order, pixels = crop.joint_order(flip_order), crop.warp_rgb(image)
    if view.cover is not None:
        _hide(pixels, view.cover)
    return Sample(
        image=pixels,
        joints=crop.forward(person.joints[order]).astype(np.float32),
        labelled=person.labelled[order],
        crop=crop,
        index=index,
        gains=view.gains,
    )


def _hide(crop: np.ndarray, cover: Cover) -> None:
    (x, y), (width, height), size = cover.centre, cover.sides, len(crop)
    rows, columns = (
        slice(max(0, round(size * (middle - side / 2))), max(0, round(size * (middle + side / 2))))
        for middle, side in ((y, height), (x, width))
    )
    crop[rows, columns] = cover.colour
