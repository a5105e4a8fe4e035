"""Render solids: convex hulls of spheres with a texture wrapped around them.

Solids are painted from far to near on a canvas of `SUPERSAMPLING` times the image's size. The canvas
also stores which solid each pixel shows, from which occlusion follows.
"""

from dataclasses import dataclass

import numpy as np

from posekit.opencv import cv2
from posekit.synthetic.clothes import AROUND

SUPERSAMPLING = 2
_FRACTION_BITS = 4
_ANGLES = np.linspace(0, 2 * np.pi, 16, endpoint=False)
_CIRCLE = np.column_stack([np.cos(_ANGLES), np.sin(_ANGLES)])
_ACROSS = np.linspace(-1, 1, 20)  # across the visible half of a cylinder, from edge to edge
_BULGE = np.sqrt(1 - (0.98 * _ACROSS) ** 2)
_EDGE = 1 - 0.3 * _ACROSS**6  # darker edges separate limbs that overlap


def cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(3,) cross product; numpy's is slow for single vectors."""
    (ax, ay, az), (bx, by, bz) = a.tolist(), b.tolist()
    return np.array([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx])


@dataclass(frozen=True)
class Camera:
    """Perspective camera on the z axis.

    Parameters
    ----------
    distance : float
        From the origin of the viewer's space, metres.
    focal : float
        Focal length in canvas pixels.
    centre : (float, float)
        Where the axis meets the canvas, canvas pixels.
    """

    distance: float
    focal: float = 1.0
    centre: tuple[float, float] = (0.0, 0.0)

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(N, 3) metres to (N, 2) canvas pixels, and (N,) pixels per metre there."""
        scale = self.focal / np.maximum(self.distance - points[:, 2], 0.3)
        return points[:, :2] * (1, -1) * scale[:, None] + self.centre, scale


@dataclass(frozen=True)
class Light:
    """A distant lamp, and ambient light.

    Parameters
    ----------
    direction : (3,) float64
        Unit vector toward the lamp, viewer's space.
    ambient, diffuse : float
    """

    direction: np.ndarray
    ambient: float
    diffuse: float

    def shade(self, normals: np.ndarray) -> np.ndarray:
        """(..., 3) unit normals to (...) factors of brightness."""
        return self.ambient + self.diffuse * np.maximum(normals @ self.direction, 0)


@dataclass(frozen=True)
class Canvas:
    """An image, and the solid that each of its pixels shows.

    Parameters
    ----------
    image : (H, W, 3) uint8
        Blue, green, red.
    owners : (H, W) uint8
        Number of the visible solid; 0 for the background.
    """

    image: np.ndarray
    owners: np.ndarray

    def region(self, low: np.ndarray, high: np.ndarray) -> tuple[slice, slice] | None:
        """Rows and columns of a rectangle (x, y), clipped to the canvas; None if it lies outside."""
        height, width = self.owners.shape
        x0, y0 = np.maximum(np.floor(low).astype(int), 0)
        x1, y1 = np.minimum(np.ceil(high).astype(int) + 1, (width, height))
        return (slice(y0, y1), slice(x0, x1)) if x0 < x1 and y0 < y1 else None


@dataclass(frozen=True)
class Hull:
    """The convex hull of spheres, with a texture around its axis.

    Parameters
    ----------
    name : str
    centres : (N, 3) float64
        Metres, viewer's space.
    radii : (N,) float64
        Metres.
    axis : (2, 3) float64
        Upper and lower end of the texture.
    forward : (3,) float64
        Direction that the texture's middle column faces; unit vector.
    texture : (rows, AROUND, 3) uint8
    """

    name: str
    centres: np.ndarray
    radii: np.ndarray
    axis: np.ndarray
    forward: np.ndarray
    texture: np.ndarray

    @property
    def depth(self) -> float:
        """Mean z; larger is nearer."""
        return float(self.centres[:, 2].mean())

    def paint(self, canvas: Canvas, camera: Camera, light: Light, owner: int) -> None:
        """Paint the solid over the canvas."""
        outline = self._outline(camera)
        region = canvas.region(outline.min(0), outline.max(0))
        if region is None:
            return
        rows, columns = region
        image = canvas.image[region]
        size = image.shape[1::-1]
        mask = np.zeros(image.shape[:2], np.uint8)
        corner = np.array([columns.start, rows.start])
        polygon = np.round((outline - corner) * 2**_FRACTION_BITS).astype(np.int32)
        cv2.fillConvexPoly(mask, polygon, 255, cv2.LINE_8, _FRACTION_BITS)
        across, toward, down = self._directions()
        patch = self._patch(across, toward, down, light)
        matrix = self._placement(outline - corner, camera, corner, across, len(patch))
        wrapped = cv2.warpAffine(patch, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        cv2.copyTo(wrapped, mask, image)
        cv2.fillConvexPoly(canvas.owners[region], polygon, owner, cv2.LINE_8, _FRACTION_BITS)

    def _outline(self, camera: Camera) -> np.ndarray:
        """(M, 2) corners, canvas pixels."""
        xy, scale = camera.project(self.centres)
        circles = xy[:, None] + (self.radii * scale)[:, None, None] * _CIRCLE
        return cv2.convexHull(circles.reshape(-1, 2).astype(np.float32))[:, 0]

    def _directions(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Unit vectors: across the axis in the image plane, toward the viewer, and down the axis."""
        down = self.axis[1] - self.axis[0]
        down = down / np.linalg.norm(down)
        length = np.hypot(down[0], down[1])
        across = np.array([down[1], -down[0], 0]) / length if length > 1e-6 else np.array([1.0, 0, 0])
        return across, cross(across, down), down

    def _patch(self, across: np.ndarray, toward: np.ndarray, down: np.ndarray, light: Light) -> np.ndarray:
        """(rows, 20, 3) uint8: the visible half of the texture, unrolled and lit."""
        normals = np.outer(_ACROSS, across) + np.outer(_BULGE, toward)
        left = cross(self.forward, down)
        angles = np.arctan2(normals @ left, normals @ self.forward)
        columns = np.floor(angles / (2 * np.pi) * AROUND + AROUND / 2).astype(int) % AROUND
        brightness = light.shade(normals) * _EDGE
        return np.minimum(self.texture[:, columns] * brightness[:, None].astype(np.float32), 255).astype(np.uint8)

    def _placement(self, outline: np.ndarray, camera: Camera, corner: np.ndarray, across: np.ndarray, rows: int) -> np.ndarray:
        """(2, 3) matrix from the patch's pixels to the region's."""
        ends = camera.project(self.axis)[0] - corner
        across_px = across[:2] * (1, -1)
        along_px = ends[1] - ends[0]
        if np.hypot(*along_px) < 1:
            along_px = np.array([-across_px[1], across_px[0]])
        reach = (outline - ends[0]) @ across_px
        middle = (reach.min() + reach.max()) / 2
        half = (reach.max() - reach.min()) / 2
        column = across_px * 2 * half / (len(_ACROSS) - 1)
        row = along_px / (rows - 1)
        return np.column_stack([column, row, ends[0] + across_px * (middle - half)])
