"""The bounding box of a person, and the crop of an image around the box.

All coordinates in posekit are (x, y) in pixels, 0-based, with x to the right and y down. Integer coordinates are pixel centres, so
an image W pixels wide spans x from -0.5 to W - 0.5, and mirroring the image maps x to W - 1 - x.
"""

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from posekit.errors import BoxError
from posekit.images import cv2


@dataclass(frozen=True)
class Box:
    """A square bounding box around a person.

    Parameters
    ----------
    centre : (float, float)
        (x, y) in image pixels.
    side : float
        Length of a side in image pixels, greater than 0.

    Raises
    ------
    BoxError
        If a number is not finite or the side is not greater than 0.
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
        """Return the square box around a rectangle; the side of the box is the longer side of the rectangle times `margin`.

        (`x`, `y`) is the top left corner. As in COCO's ``bbox``, coordinates start at the outer edge of the first pixel, so the
        whole image is ``(0, 0, W, H)``.
        """
        if not (width > 0 and height > 0):
            raise BoxError(f"box {x:g},{y:g},{width:g},{height:g} has no area: width and height must be above 0")
        return cls((x + width / 2 - 0.5, y + height / 2 - 0.5), margin * max(width, height))

    @classmethod
    def of_image(cls, image: np.ndarray) -> "Box":
        """Return the square box around the whole `image`, an (H, W, …) array."""
        height, width = image.shape[:2]
        return cls.from_xywh(0, 0, width, height, margin=1.0)

    @classmethod
    def around(cls, points: np.ndarray, margin: float = 1.25) -> "Box":
        """Return the square box around points, (N, 2).

        The side of the box is the longer side of the points' tight bounding box times `margin`, at least 1 px.
        """
        low = np.min(points, axis=0)
        high = np.max(points, axis=0)
        x, y = (low + high) / 2
        return cls((x, y), max(margin * float((high - low).max()), 1.0))

    def scaled(self, factor: float) -> "Box":
        """Return a box with the same centre and `factor` times the side."""
        return replace(self, side=self.side * factor)

    def overlaps(self, width: int, height: int) -> bool:
        """Return True if part of the box lies inside an image of `width` × `height` pixels."""
        x, y = self.centre
        half = self.side / 2
        return x + half > -0.5 and y + half > -0.5 and x - half < width - 0.5 and y - half < height - 0.5

    def require_overlap(self, width: int, height: int) -> None:
        """Raise `BoxError` unless the box overlaps an image of `width` × `height` pixels."""
        if not self.overlaps(width, height):
            raise BoxError(f"{self} lies completely outside the image of {width}x{height} pixels")

    def __str__(self) -> str:
        x, y = self.centre
        return f"box with centre ({x:g}, {y:g}) and side {self.side:g}"


@dataclass(frozen=True)
class Crop:
    """Affine transform between an image and the square crop of one person.

    Parameters
    ----------
    box : Box
        Part of the image that the crop shows if `rotation` is 0, in image pixels.
    size : int
        Side of the crop in crop pixels.
    rotation : float
        Rotation of the image content about the centre of the box, in degrees, clockwise.
    mirror : bool
        Whether to mirror the crop left to right, after the rotation.
    """

    box: Box
    size: int
    rotation: float = 0.0
    mirror: bool = False

    @cached_property
    def matrix(self) -> np.ndarray:
        """(2, 3) float64 array: affine transform from image pixels to crop pixels, including the mirroring."""
        (a, b), (c, d) = self._turn(self.size / self.box.side)
        x, y = self.box.centre
        middle = (self.size - 1) / 2
        return np.array([[a, b, middle - a * x - b * y], [c, d, middle - c * x - d * y]])

    @cached_property
    def inverse_matrix(self) -> np.ndarray:
        """(2, 3) float64 array: affine transform from crop pixels to image pixels."""
        # The inverse of a rotation matrix, mirrored or not, is the transposed matrix.
        (a, c), (b, d) = self._turn(self.box.side / self.size)
        x, y = self.box.centre
        middle = (self.size - 1) / 2
        return np.array([[a, b, x - (a + b) * middle], [c, d, y - (c + d) * middle]])

    def _turn(self, scale: float) -> tuple[tuple[float, float], tuple[float, float]]:
        angle = math.radians(self.rotation)
        sign = -1.0 if self.mirror else 1.0
        cos = scale * math.cos(angle)
        sin = scale * math.sin(angle)
        return (sign * cos, -sign * sin), (sin, cos)

    def forward(self, points: np.ndarray) -> np.ndarray:
        """Map points (..., 2) from image pixels to crop pixels; float64, without swapping left and right joints."""
        return points @ self.matrix[:, :2].T + self.matrix[:, 2]

    def inverse(self, points: np.ndarray) -> np.ndarray:
        """Map points (..., 2) from crop pixels to image pixels; float64, without swapping left and right joints."""
        return points @ self.inverse_matrix[:, :2].T + self.inverse_matrix[:, 2]

    def joint_order(self, flip_order: np.ndarray) -> np.ndarray:
        """Return (K,) indices that reorder per-joint arrays for the crop: left and right are swapped if the crop is mirrored.

        The same indices convert from the crop's order back to the skeleton's order.
        """
        return flip_order if self.mirror else np.arange(len(flip_order))

    def warp(self, image: np.ndarray) -> np.ndarray:
        """Cut the crop out of an image, with a single bilinear ``cv2.warpAffine``.

        The image is (H, W) or (H, W, C) uint8 or float32; the crop is (size, size) or (size, size, C), with the dtype of the image,
        and is 0 outside the image.
        """
        if image.dtype == np.uint8 and image.shape[2:] == (3,):
            return self._warp_colour(image, cv2.COLOR_BGRA2BGR)
        return self._warp(image, self.inverse_matrix)

    def warp_rgb(self, image_bgr: np.ndarray) -> np.ndarray:
        """Cut the crop out of an image, (H, W, 3) uint8 BGR, as (size, size, 3) uint8 RGB; 0 outside the image."""
        return self._warp_colour(image_bgr, cv2.COLOR_BGRA2RGB)

    def _warp_colour(self, image: np.ndarray, order: int) -> np.ndarray:
        columns, rows = self._window(image.shape[1], image.shape[0])
        window = image[rows, columns]
        if not window.size:
            return np.zeros((self.size, self.size, 3), np.uint8)
        into_window = self.inverse_matrix.copy()
        into_window[:, 2] -= columns.start, rows.start
        # OpenCV warps four channels twice as fast as three.
        warped = self._warp(cv2.cvtColor(window, cv2.COLOR_BGR2BGRA), into_window)
        return cv2.cvtColor(warped, order)

    def _warp(self, image: np.ndarray, inverse_matrix: np.ndarray) -> np.ndarray:
        # Pass the inverse transform, so that OpenCV need not invert the matrix.
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return cv2.warpAffine(image, inverse_matrix, (self.size, self.size), flags=flags)

    def _window(self, width: int, height: int) -> tuple[slice, slice]:
        """Return the columns and rows that the crop needs from an image of `width` × `height` pixels."""
        (a, b, x), (c, d, y) = self.inverse_matrix.tolist()
        middle = (self.size - 1) / 2
        columns = _span(x + (a + b) * middle, (abs(a) + abs(b)) * middle, width)
        rows = _span(y + (c + d) * middle, (abs(c) + abs(d)) * middle, height)
        return columns, rows


def _span(middle: float, half: float, length: int) -> slice:
    """Return the pixels from `middle` - `half` to `middle` + `half`, plus one pixel on either side for interpolation."""
    first = max(math.floor(middle - half) - 1, 0)
    return slice(first, max(min(math.ceil(middle + half) + 2, length), first))
