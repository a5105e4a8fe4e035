"""Render heads: ellipsoids with face, hair and hat."""

from dataclasses import dataclass

import numpy as np

from posekit.opencv import cv2
from posekit.synthetic.clothes import Outfit
from posekit.synthetic.render import Camera, Canvas, Light, cross

WIDTH, DEPTH = 0.37, 0.43  # half axes / length of the head
_SKIN, _HAIR, _EYE, _WHITE, _MOUTH, _SHADE, _HAT = range(7)


@dataclass(frozen=True)
class Head:
    """Head with face, hair and hat.

    Parameters
    ----------
    centre : (3,) float64
        Centre in metres, in the viewer's space.
    frame : (3, 3) float64
        Orientation: the columns are the head's left, up and forward axes.
    length : float
        Length from upper neck to head top, metres.
    outfit : Outfit
        Colours and kinds of skin, hair, beard and hat.
    """

    centre: np.ndarray
    frame: np.ndarray
    length: float
    outfit: Outfit
    name: str = "head"

    @property
    def depth(self) -> float:
        """z of the centre; larger is nearer to the viewer."""
        return float(self.centre[2])

    @property
    def axes(self) -> np.ndarray:
        """(3, 3) float64 array: the columns are the half axes of the ellipsoid, in metres."""
        return self.frame * (WIDTH * self.length, 0.5 * self.length, DEPTH * self.length)

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
        normals = points @ (self.frame / (WIDTH, 0.5, DEPTH)).T.astype(np.float32)
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
        """(7, 3) float32 array: BGR colour of each label."""
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
