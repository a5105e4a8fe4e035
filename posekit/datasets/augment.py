"""Augmentation: the parameters are drawn apart from applying them, and all geometry is one affine warp."""

from dataclasses import dataclass

import numpy as np

from posekit.geometry import Crop
from posekit.sample import Person, Sample


@dataclass(frozen=True)
class Ranges:
    """How far augmentation may go. The defaults are those of the stacked hourglass.

    Parameters
    ----------
    scale : float
        The box's side is multiplied by 1 - scale … 1 + scale.
    rotation : float
        Degrees; uniform in -rotation … rotation.
    rotation_probability : float
    mirror_probability : float
    colour : float
        Each channel is multiplied by 1 - colour … 1 + colour.
    """

    scale: float = 0.25
    rotation: float = 30.0
    rotation_probability: float = 0.6
    mirror_probability: float = 0.5
    colour: float = 0.2


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
    """

    scale: float = 1.0
    rotation: float = 0.0
    mirror: bool = False
    gains: tuple[float, float, float] = (1.0, 1.0, 1.0)


PLAIN = View()


def draw(rng: np.random.Generator, ranges: Ranges) -> View:
    """Draw one view; the same generator state gives the same view."""
    scale, angle, rotated, mirrored, *colours = rng.random(7).tolist()  # one call takes a fraction of seven calls' time
    return View(
        scale=_between(1 - ranges.scale, 1 + ranges.scale, scale),
        rotation=_between(-ranges.rotation, ranges.rotation, angle) * (rotated < ranges.rotation_probability),
        mirror=mirrored < ranges.mirror_probability,
        gains=tuple(_between(1 - ranges.colour, 1 + ranges.colour, share) for share in colours),
    )


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
    order = crop.joint_order(flip_order)
    return Sample(
        image=crop.warp_rgb(image),
        joints=crop.forward(person.joints[order]).astype(np.float32),
        labelled=person.labelled[order],
        crop=crop,
        index=index,
        gains=view.gains,
    )
