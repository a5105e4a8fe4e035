"""Render solids: convex hulls of spheres, wrapped in a texture.

Solids are painted from far to near on a canvas with `SUPERSAMPLING` times the width and height of the image. The canvas also
stores which solid is visible at each pixel; the occlusion of joints is derived from these numbers.
"""

from dataclasses import dataclass

import numpy as np

from posekit.opencv import cv2
from posekit.synthetic.clothes import AROUND

SUPERSAMPLING = 2
_FRACTION_BITS = 4
_ANGLES = np.linspace(0, 2 * np.pi, 16, endpoint=False)
_CIRCLE = np.column_stack([np.cos(_ANGLES), np.sin(_ANGLES)])
_ACROSS = np.linspace(-1, 1, 20)  # positions across the visible half of a cylinder, from edge to edge
_BULGE = np.sqrt(1 - (0.98 * _ACROSS) ** 2)
_EDGE = 1 - 0.3 * _ACROSS**6  # dark edges make overlapping limbs distinguishable


def cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the (3,) cross product of two vectors, faster than numpy.cross."""
    (ax, ay, az), (bx, by, bz) = a.tolist(), b.tolist()
    return np.array([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx])


@dataclass(frozen=True)
class Camera:
    """Perspective camera on the z axis, looking at the origin.

    Parameters
    ----------
    distance : float
        Distance from the origin of the viewer's space, metres.
    focal : float
        Focal length in canvas pixels.
    centre : (float, float)
        Principal point (image of the z axis) in canvas pixels.
    """

    distance: float
    focal: float = 1.0
    centre: tuple[float, float] = (0.0, 0.0)

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Project (N, 3) points in metres to (N, 2) canvas pixels; also return the (N,) scales in pixels per metre."""
        scale = self.focal / np.maximum(self.distance - points[:, 2], 0.3)
        return points[:, :2] * (1, -1) * scale[:, None] + self.centre, scale


@dataclass(frozen=True)
class Light:
    """Directional light and ambient light.

    Parameters
    ----------
    direction : (3,) float64
        Unit vector toward the light source, in the viewer's space.
    ambient, diffuse : float
        Brightness of the ambient light and of the directional light.
    """

    direction: np.ndarray
    ambient: float
    diffuse: float

    def shade(self, normals: np.ndarray) -> np.ndarray:
        """Return (...) brightness factors for (..., 3) unit normals."""
        return self.ambient + self.diffuse * np.maximum(normals @ self.direction, 0)


@dataclass(frozen=True)
class Canvas:
    """Image, with the number of the solid that is visible at each pixel.

    Parameters
    ----------
    image : (H, W, 3) uint8
        BGR.
    owners : (H, W) uint8
        Number of the visible solid; 0 for the background.
    """

    image: np.ndarray
    owners: np.ndarray

    def region(self, low: np.ndarray, high: np.ndarray) -> tuple[slice, slice] | None:
        """Return rows and columns of the rectangle from `low` to `high` (x, y), clipped to the canvas; None if empty."""
        height, width = self.owners.shape
        x0, y0 = np.maximum(np.floor(low).astype(int), 0)
        x1, y1 = np.minimum(np.ceil(high).astype(int) + 1, (width, height))
        return (slice(y0, y1), slice(x0, x1)) if x0 < x1 and y0 < y1 else None


@dataclass(frozen=True)
class Hull:
    """Convex hull of spheres, with a texture around the axis of the hull.

    Parameters
    ----------
    name : str
        Name of the body part.
    centres : (N, 3) float64
        Centres of the spheres in metres, in the viewer's space.
    radii : (N,) float64
        Radii of the spheres in metres.
    axis : (2, 3) float64
        Upper and lower end of the texture.
    forward : (3,) float64
        Unit vector in the direction of the texture's middle column.
    texture : (rows, AROUND, 3) uint8
        BGR texture, see `posekit.synthetic.clothes`.
    """

    name: str
    centres: np.ndarray
    radii: np.ndarray
    axis: np.ndarray
    forward: np.ndarray
    texture: np.ndarray

    @property
    def depth(self) -> float:
        """Mean z of the spheres' centres; larger is nearer to the viewer."""
        return float(self.centres[:, 2].mean())

    def paint(self, canvas: Canvas, camera: Camera, light: Light, owner: int) -> None:
        """Paint the solid on the canvas, and set `canvas.owners` to `owner` in the solid's pixels."""
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
        """Return the (M, 2) corners of the hull's outline, in canvas pixels."""
        xy, scale = camera.project(self.centres)
        circles = xy[:, None] + (self.radii * scale)[:, None, None] * _CIRCLE
        return cv2.convexHull(circles.reshape(-1, 2).astype(np.float32))[:, 0]

    def _directions(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return three unit vectors: across the axis in the image plane, toward the viewer, and down the axis."""
        down = self.axis[1] - self.axis[0]
        down = down / np.linalg.norm(down)
        length = np.hypot(down[0], down[1])
        across = np.array([down[1], -down[0], 0]) / length if length > 1e-6 else np.array([1.0, 0, 0])
        return across, cross(across, down), down

    def _patch(self, across: np.ndarray, toward: np.ndarray, down: np.ndarray, light: Light) -> np.ndarray:
        """Return the visible half of the texture, unrolled and shaded, as a (rows, 20, 3) uint8 image."""
        normals = np.outer(_ACROSS, across) + np.outer(_BULGE, toward)
        left = cross(self.forward, down)
        angles = np.arctan2(normals @ left, normals @ self.forward)
        columns = np.floor(angles / (2 * np.pi) * AROUND + AROUND / 2).astype(int) % AROUND
        brightness = light.shade(normals) * _EDGE
        return np.minimum(self.texture[:, columns] * brightness[:, None].astype(np.float32), 255).astype(np.uint8)

    def _placement(self, outline: np.ndarray, camera: Camera, corner: np.ndarray, across: np.ndarray, rows: int) -> np.ndarray:
        """Return the (2, 3) matrix of the affine transform from patch pixels to region pixels."""
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
