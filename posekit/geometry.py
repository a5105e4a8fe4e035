"""A person's box, and the crop made from it.

The coordinate frame, everywhere in posekit: (x, y), x to the right, y down, in pixels, 0-based, an
integer is a pixel's centre. A picture of W pixels thus spans -0.5 … W - 0.5, and mirroring it sends
x to W - 1 - x.
"""

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from posekit.errors import BoxError
from posekit.opencv import cv2


@dataclass(frozen=True)
class Box:
    """A square around a person.

    Parameters
    ----------
    centre : (float, float)
        (x, y) in image pixels.
    side : float
        Length of a side in image pixels, greater than 0.

    Raises
    ------
    BoxError
        If a number is not finite or the box has no area.
    """

    centre: tuple[float, float]
    side: float

    def __post_init__(self):
        object.__setattr__(self, "centre", (float(self.centre[0]), float(self.centre[1])))
        object.__setattr__(self, "side", float(self.side))
        if not all(map(math.isfinite, (*self.centre, self.side))):
            raise BoxError(f"box with centre {self.centre} and side {self.side}: the numbers must be finite")
        if self.side <= 0:
            raise BoxError(f"box with centre {self.centre} and side {self.side} has no area")

    @classmethod
    def from_xywh(cls, x: float, y: float, width: float, height: float, margin: float = 1.25) -> "Box":
        """Square box around a rectangle: its longer side times `margin`.

        `x`, `y` is the rectangle's top left corner, as COCO's ``bbox`` has it: edges of pixels,
        so that the whole picture is ``(0, 0, W, H)``.
        """
        if not (width > 0 and height > 0):
            raise BoxError(f"box {x:g},{y:g},{width:g},{height:g} has no area: width and height must be above 0")
        return cls((x + width / 2 - 0.5, y + height / 2 - 0.5), margin * max(width, height))

    @classmethod
    def of_picture(cls, image: np.ndarray) -> "Box":
        """Square box around the whole of a picture (H, W, …)."""
        height, width = image.shape[:2]
        return cls.from_xywh(0, 0, width, height, margin=1.0)

    @classmethod
    def around(cls, points: np.ndarray, margin: float = 1.25) -> "Box":
        """Square box around points (N, 2): the longer side of their tight box times `margin`.

        The side is at least one pixel, so that a single point has a box too.
        """
        low, high = np.min(points, axis=0), np.max(points, axis=0)
        return cls(tuple((low + high) / 2), max(margin * float((high - low).max()), 1.0))

    def scaled(self, factor: float) -> "Box":
        """The same centre, `factor` times the side."""
        return replace(self, side=self.side * factor)

    def overlaps(self, width: int, height: int) -> bool:
        """Whether part of the box lies in a picture of `width` × `height` pixels."""
        (x, y), half = self.centre, self.side / 2
        return x + half > -0.5 and y + half > -0.5 and x - half < width - 0.5 and y - half < height - 0.5

    def require_overlap(self, width: int, height: int) -> None:
        """Raise `BoxError` unless the box overlaps a picture of `width` × `height` pixels."""
        if not self.overlaps(width, height):
            (x, y), side = self.centre, self.side
            raise BoxError(
                f"box with centre ({x:g}, {y:g}) and side {side:g} lies wholly outside the picture of {width}x{height} pixels"
            )


@dataclass(frozen=True)
class Crop:
    """Transform between an image and the square crop of one person, with its inverse.

    Parameters
    ----------
    box : Box
        What the crop shows (before rotation), in image pixels.
    size : int
        Side of the crop in crop pixels.
    rotation : float
        Degrees by which the crop's content turns clockwise, as seen.
    mirror : bool
        Whether the crop is mirrored left to right, after the rotation.
    """

    box: Box
    size: int
    rotation: float = 0.0
    mirror: bool = False

    @cached_property
    def matrix(self) -> np.ndarray:
        """(2, 3) float64, image pixels to crop pixels; the mirror is folded in."""
        (a, b), (c, d) = self._turn(self.size / self.box.side)
        (x, y), middle = self.box.centre, (self.size - 1) / 2
        return np.array([[a, b, middle - a * x - b * y], [c, d, middle - c * x - d * y]])

    @cached_property
    def inverse_matrix(self) -> np.ndarray:
        """(2, 3) float64, crop pixels to image pixels."""
        (a, c), (b, d) = self._turn(self.box.side / self.size)  # a turn's inverse is its transpose, and so is a mirrored one's
        (x, y), middle = self.box.centre, (self.size - 1) / 2
        return np.array([[a, b, x - (a + b) * middle], [c, d, y - (c + d) * middle]])

    def _turn(self, scale: float) -> tuple[tuple[float, float], tuple[float, float]]:
        angle, sign = math.radians(self.rotation), -1.0 if self.mirror else 1.0
        cos, sin = scale * math.cos(angle), scale * math.sin(angle)
        return (sign * cos, -sign * sin), (sin, cos)

    def forward(self, points: np.ndarray) -> np.ndarray:
        """(..., 2) image pixels to crop pixels, float64. Order of the points is kept."""
        return points @ self.matrix[:, :2].T + self.matrix[:, 2]

    def inverse(self, points: np.ndarray) -> np.ndarray:
        """(..., 2) crop pixels to image pixels, float64. Order of the points is kept."""
        return points @ self.inverse_matrix[:, :2].T + self.inverse_matrix[:, 2]

    def joint_order(self, flip_order: np.ndarray) -> np.ndarray:
        """(K,) order in which per-joint arrays stand in the crop: left and right exchanged if mirrored.

        It is its own inverse, so the same order leads back to the image.
        """
        return flip_order if self.mirror else np.arange(len(flip_order))

    def warp(self, image: np.ndarray) -> np.ndarray:
        """Cut the crop out of an image, in one bilinear ``cv2.warpAffine``.

        Parameters
        ----------
        image : (H, W) or (H, W, C) uint8 or float32

        Returns
        -------
        (size, size) or (size, size, C), dtype of the image; 0 outside the image.
        """
        if image.dtype == np.uint8 and image.shape[2:] == (3,):
            return self._warp_colour(image, cv2.COLOR_BGRA2BGR)
        return self._warp(image, self.inverse_matrix)

    def warp_rgb(self, image_bgr: np.ndarray) -> np.ndarray:
        """Cut the crop out of a photograph and order its colours as networks take them.

        Parameters
        ----------
        image_bgr : (H, W, 3) uint8
            Blue, green, red.

        Returns
        -------
        (size, size, 3) uint8 : red, green, blue; 0 outside the photograph.
        """
        return self._warp_colour(image_bgr, cv2.COLOR_BGRA2RGB)

    def _warp_colour(self, image: np.ndarray, order: int) -> np.ndarray:
        columns, rows = self._window(image.shape[1], image.shape[0])
        window = image[rows, columns]
        if not window.size:
            return np.zeros((self.size, self.size, 3), np.uint8)
        into_window = self.inverse_matrix.copy()
        into_window[:, 2] -= columns.start, rows.start
        # cv2 warps four channels in half the time of three.
        return cv2.cvtColor(self._warp(cv2.cvtColor(window, cv2.COLOR_BGR2BGRA), into_window), order)

    def _warp(self, image: np.ndarray, inverse_matrix: np.ndarray) -> np.ndarray:
        # Given the inverse, cv2 need not invert the matrix again.
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return cv2.warpAffine(image, inverse_matrix, (self.size, self.size), flags=flags)

    def _window(self, width: int, height: int) -> tuple[slice, slice]:
        """Columns and rows of an image of that size that the crop is made of."""
        (a, b, x), (c, d, y) = self.inverse_matrix.tolist()
        middle = (self.size - 1) / 2
        return _span(x + (a + b) * middle, (abs(a) + abs(b)) * middle, width), _span(
            y + (c + d) * middle, (abs(c) + abs(d)) * middle, height
        )


def _span(middle: float, half: float, length: int) -> slice:
    """Pixels from middle - half to middle + half, and one beyond on either side for the interpolation."""
    first = max(math.floor(middle - half) - 1, 0)
    return slice(first, max(min(math.ceil(middle + half) + 2, length), first))
