"""Render two kinds of solids: convex hulls of spheres with a texture, and heads (ellipsoids with face, hair and hat).

Solids are painted from far to near on a canvas with `SUPERSAMPLING` times the width and height of the image. The canvas also
stores the number of the solid that is visible at each pixel, which shows whether a joint is occluded.
"""

from dataclasses import dataclass

import numpy as np

from posekit.images import cv2
from posekit.synthetic.clothes import AROUND, Outfit

SUPERSAMPLING = 2
HEAD_WIDTH = 0.37  # half axis of the head's ellipsoid / length of the head
HEAD_DEPTH = 0.43
_FRACTION_BITS = 4
_ANGLES = np.linspace(0, 2 * np.pi, 16, endpoint=False)
_CIRCLE = np.column_stack([np.cos(_ANGLES), np.sin(_ANGLES)])
_ACROSS = np.linspace(-1, 1, 20)  # positions across the visible half of a cylinder, from edge to edge
_BULGE = np.sqrt(1 - (0.98 * _ACROSS) ** 2)
_EDGE = 1 - 0.3 * _ACROSS**6  # dark edges make overlapping limbs distinguishable
_SKIN, _HAIR, _EYE, _WHITE, _MOUTH, _SHADE, _HAT = range(7)  # labels of the head's surface


def cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the (3,) cross product of two vectors, faster than numpy.cross."""
    (ax, ay, az), (bx, by, bz) = a.tolist(), b.tolist()
    return np.array([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx])


@dataclass(frozen=True)
class Camera:
    """Perspective camera on the z axis, looking at the origin."""

    distance: float  # from the origin of the viewer's space, metres
    focal: float = 1.0  # focal length in canvas pixels
    centre: tuple[float, float] = (0.0, 0.0)  # principal point (image of the z axis) in canvas pixels

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Project (N, 3) points in metres to (N, 2) canvas pixels; also return the (N,) scales in pixels per metre."""
        scale = self.focal / np.maximum(self.distance - points[:, 2], 0.3)
        return points[:, :2] * (1, -1) * scale[:, None] + self.centre, scale


@dataclass(frozen=True)
class Light:
    """Directional light and ambient light."""

    direction: np.ndarray  # (3,) float64: unit vector toward the light source, in the viewer's space
    ambient: float  # brightness of the ambient light
    diffuse: float  # brightness of the directional light

    def shade(self, normals: np.ndarray) -> np.ndarray:
        """Return (...) brightness factors for (..., 3) unit normals."""
        return self.ambient + self.diffuse * np.maximum(normals @ self.direction, 0)


@dataclass(frozen=True)
class Canvas:
    """Image, with the number of the solid that is visible at each pixel."""

    image: np.ndarray  # (H, W, 3) uint8, BGR
    owners: np.ndarray  # (H, W) uint8: number of the visible solid; 0 for the background

    def region(self, low: np.ndarray, high: np.ndarray) -> tuple[slice, slice] | None:
        """Return rows and columns of the rectangle from `low` to `high` (x, y), clipped to the canvas; None if empty."""
        height, width = self.owners.shape
        x0, y0 = np.maximum(np.floor(low).astype(int), 0)
        x1, y1 = np.minimum(np.ceil(high).astype(int) + 1, (width, height))
        return (slice(y0, y1), slice(x0, x1)) if x0 < x1 and y0 < y1 else None


@dataclass(frozen=True)
class Hull:
    """Convex hull of spheres, with a texture around the axis of the hull; in metres, in the viewer's space."""

    name: str  # body part
    centres: np.ndarray  # (N, 3) float64: centres of the spheres
    radii: np.ndarray  # (N,) float64
    axis: np.ndarray  # (2, 3) float64: upper and lower end of the texture
    forward: np.ndarray  # (3,) float64: unit vector in the direction of the texture's middle column
    texture: np.ndarray  # (rows, AROUND, 3) uint8, BGR, see `posekit.synthetic.clothes`

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


@dataclass(frozen=True)
class Head:
    """Head with face, hair and hat."""

    centre: np.ndarray  # (3,) float64: centre in metres, in the viewer's space
    frame: np.ndarray  # (3, 3) float64: the columns are the head's left, up and forward axes
    length: float  # from upper neck to head top, metres
    outfit: Outfit
    name: str = "head"

    @property
    def depth(self) -> float:
        """z of the centre; larger is nearer to the viewer."""
        return float(self.centre[2])

    @property
    def axes(self) -> np.ndarray:
        """(3, 3) float64 array: the columns are the half axes of the ellipsoid, in metres."""
        return self.frame * (HEAD_WIDTH * self.length, 0.5 * self.length, HEAD_DEPTH * self.length)

    def extent(self, camera: Camera) -> np.ndarray:
        """Return the upper left and lower right corner of the head's bounding box, (2, 2), in canvas pixels."""
        xy, scale = camera.project(self.centre[None])
        reach = np.linalg.norm(self.axes[:2], axis=1) * scale
        return np.stack([xy[0] - reach, xy[0] + reach])

    def paint(self, canvas: Canvas, camera: Camera, light: Light, owner: int) -> None:
        """Paint the head on the canvas, and set `canvas.owners` to `owner` in the head's pixels."""
        low, high = self.extent(camera)
        region = canvas.region(low, high)
        if region is None:
            return
        xy, scale = camera.project(self.centre[None])
        points, inside = self._surface(region, xy[0], float(scale[0]))
        normals = points @ (self.frame / (HEAD_WIDTH, 0.5, HEAD_DEPTH)).T.astype(np.float32)
        normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
        brightness = light.shade(normals).astype(np.float32)
        labels = self._label_surface(points[..., 0], points[..., 1], points[..., 2])
        colours = self._palette()[labels] * brightness[..., None]
        cv2.copyTo(np.clip(colours, 0, 255).astype(np.uint8), inside, canvas.image[region])
        canvas.owners[region][inside > 0] = owner

    def _surface(self, region: tuple[slice, slice], centre: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray]:
        """Return each pixel's point on the unit sphere, (h, w, 3) float32 (left, up, forward), and a uint8 mask of the head."""
        rows, columns = region
        axes = self.axes * scale
        # Orthonormal basis: two vectors that determine the image's x and y, and one toward the viewer.
        base, triangle = np.linalg.qr(axes[:2].T)
        toward = cross(base[:, 0], base[:, 1])
        toward *= np.sign(axes[2] @ toward)
        inverse = np.linalg.inv(triangle.T)
        x = np.arange(columns.start, columns.stop, dtype=np.float32) - centre[0]
        y = centre[1] - np.arange(rows.start, rows.stop, dtype=np.float32)
        s = inverse[0, 0] * x[None, :]
        t = inverse[1, 0] * x[None, :] + inverse[1, 1] * y[:, None]
        rest = 1 - s**2 - t**2
        w = np.sqrt(np.maximum(rest, 0))
        points = np.stack([s * base[i, 0] + t * base[i, 1] + w * toward[i] for i in range(3)], axis=-1)
        return points.astype(np.float32), (rest > 0).astype(np.uint8)

    def _palette(self) -> np.ndarray:
        """Return the BGR colour of each label, (7, 3) float32."""
        skin = self.outfit.skin
        eye = np.full(3, 30.0)
        white = np.full(3, 225.0)
        mouth = skin * (0.5, 0.45, 0.8)
        return np.array([skin, self.outfit.hair, eye, white, mouth, 0.72 * skin, self.outfit.hat], dtype=np.float32)

    def _label_surface(self, left: np.ndarray, up: np.ndarray, forward: np.ndarray) -> np.ndarray:
        """Return the label of each point, an index into the palette. The face is symmetric."""
        labels = np.full(left.shape, _SKIN, np.uint8)
        side = np.abs(left)
        face = forward > 0.3
        labels[face & (side < 0.14) & (np.abs(up + 0.12) < 0.2) & (side > 0.3 * (0.12 - up))] = _SHADE  # nose
        labels[face & (side < 0.3) & (np.abs(up + 0.5) < 0.075)] = _MOUTH
        if self.outfit.beard:
            labels[(up < -0.28) & (forward > -0.1) & (labels != _MOUTH)] = _HAIR
        eye = (side - 0.36) ** 2 + (1.6 * (up - 0.12)) ** 2
        labels[face & (eye < 0.045)] = _WHITE
        labels[face & (eye < 0.016)] = _EYE
        labels[face & (np.abs(side - 0.36) < 0.2) & (np.abs(up - 0.36) < 0.06)] = _HAIR  # brows
        labels[self._hair(side, up, forward)] = _HAIR
        ear = (forward + 0.05) ** 2 + (up - 0.02) ** 2
        labels[(side > 0.6) & (ear < 0.05)] = _SHADE
        if self.outfit.hat_kind != "none":
            labels[up > 0.42] = _HAT
        return labels

    def _hair(self, side: np.ndarray, up: np.ndarray, forward: np.ndarray) -> np.ndarray:
        hair = self.outfit.hair_kind
        if hair == "bald":
            return (forward < -0.1) & (np.abs(up) < 0.35)
        nape = -0.55 if hair == "short" else -1.0
        sides = 0.05 if hair == "short" else 0.3
        return (up > 0.62) | ((forward < sides + 0.45 * np.maximum(up, 0)) & (up > nape)) | ((up > 0.4) & (side > 0.62))
