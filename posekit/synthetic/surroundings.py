"""Sample everything but the people: background, clutter, light, and imperfections of the camera."""

import numpy as np

from posekit.opencv import cv2
from posekit.synthetic.clothes import cloth_colour, pattern
from posekit.synthetic.render import SUPERSAMPLING, Camera, Canvas, Hull, Light

CLUTTER_OWNER = 255
# Lookup table from a uniform random byte to a normal random number, in units of 1/32 of the standard deviation.
_NORMAL = np.sort(np.clip(np.random.default_rng(0).normal(0, 32, 256), -100, 100))


def draw_background(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """Sample a (height, width, 3) uint8 background: cloudy noise, ground, parallel lines and shapes, usually blurred."""
    small = (width // SUPERSAMPLING, height // SUPERSAMPLING)
    image = _clouds(rng, small)
    if rng.random() < 0.6:
        horizon = int(rng.uniform(0.35, 0.9) * small[1])
        image[horizon:] = _clouds(rng, small)[horizon:]
    if rng.random() < 0.25:
        _draw_parallel_lines(rng, image)
    for _ in range(rng.integers(0, 10)):
        _draw_shape(rng, image)
    if rng.random() < 0.7:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.8, 3))
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)


def _muted_colour(rng: np.random.Generator) -> np.ndarray:
    """Sample a (3,) float64 colour, mostly greyish like the colours of walls, ground and leaves."""
    return np.clip(rng.uniform(25, 225) + rng.uniform(2, 26) * rng.standard_normal(3), 5, 250)


def _clouds(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """Sample noise of three scales around a base colour; the finer the noise, the less its hue varies."""
    image: np.ndarray = np.empty((size[1], size[0], 3), np.uint8)
    image[:] = _muted_colour(rng)
    contrast = rng.uniform(5, 32)
    for cells, hue in ((3, 0.4), (12, 0.2), (int(rng.integers(30, 100)), 0)):
        grey = rng.standard_normal((cells, cells, 1)) + hue * rng.standard_normal((cells, cells, 3))
        grid = np.clip(128 + contrast * grey, 0, 255).astype(np.uint8)
        image = cv2.addWeighted(image, 1, cv2.resize(grid, size, interpolation=cv2.INTER_LINEAR), 1, -128)
        contrast *= rng.uniform(0.4, 0.9)
    return image


def _draw_parallel_lines(rng: np.random.Generator, image: np.ndarray) -> None:
    """Draw lines like those of bricks, boards and fences."""
    height, width = image.shape[:2]
    colour = _muted_colour(rng).tolist()
    step = int(rng.integers(8, 40))
    thickness = int(rng.integers(1, max(2, step // 3)))
    slant = int(rng.normal(0, 12))
    if rng.random() < 0.7:
        for x in range(int(rng.integers(step)), width, step):
            cv2.line(image, (x, 0), (x + slant, height), colour, thickness)
    if rng.random() < 0.6:
        for y in range(int(rng.integers(step)), height, step):
            cv2.line(image, (0, y), (width, y + slant), colour, thickness)


def _draw_shape(rng: np.random.Generator, image: np.ndarray) -> None:
    """Draw a polygon, an ellipse or a line of random colour."""
    height, width = image.shape[:2]
    middle = rng.uniform(0, 1, 2) * (width, height)
    reach = rng.uniform(8, 60)
    colour = (cloth_colour(rng) if rng.random() < 0.4 else _muted_colour(rng)).tolist()
    shape = rng.integers(4)
    if shape < 2:
        corners = (middle + rng.normal(0, reach / 1.5, (int(rng.integers(3, 7)), 2))).astype(np.int32)
        cv2.fillConvexPoly(image, cv2.convexHull(corners), colour)
    elif shape == 2:
        axes = (reach * rng.uniform(0.2, 0.9, 2)).astype(int).tolist()
        cv2.ellipse(image, middle.astype(int).tolist(), axes, rng.uniform(0, 180), 0, 360, colour, -1)
    else:
        end = middle + rng.normal(0, 2 * reach, 2)
        cv2.line(image, middle.astype(int).tolist(), end.astype(int).tolist(), colour, int(rng.integers(1, 9)))


def draw_bars(rng: np.random.Generator, camera: Camera, canvas: Canvas, textures: list[np.ndarray]) -> list[Hull]:
    """Sample distractors: poles, and bars that resemble limbs in thickness and texture."""
    size = np.array(canvas.owners.shape[::-1])
    return [_draw_bar(rng, camera, rng.uniform(0, 1, 2) * size, textures) for _ in range(rng.integers(0, 4))]


def _draw_bar(rng: np.random.Generator, camera: Camera, canvas_px: np.ndarray, textures: list[np.ndarray]) -> Hull:
    """Sample a bar behind the subject; the middle of the bar is projected to `canvas_px`."""
    if rng.random() < 0.3:  # a pole
        length = rng.uniform(1.2, 3)
        angle = rng.normal(0, 0.08)
        radii = np.full(2, rng.uniform(0.02, 0.07))
    else:
        length = rng.uniform(0.25, 0.55)
        angle = rng.uniform(0, np.pi)
        radii = rng.uniform(0.03, 0.08) * rng.uniform(0.6, 1, 2)
    depth = rng.uniform(-1.5, -0.4)
    middle = (canvas_px - camera.centre) * (1, -1) * (camera.distance - depth) / camera.focal
    half = 0.5 * length * np.array([np.sin(angle), np.cos(angle), 0])
    ends = np.append(middle, depth) + np.stack([half, -half])
    texture = textures[rng.integers(len(textures))] if rng.random() < 0.5 else pattern(rng)
    return Hull("bar", ends, radii, ends, np.array([0.0, 0, 1]), texture)


def draw_light(rng: np.random.Generator) -> Light:
    """Sample a light source on the viewer's side, usually above the person."""
    direction = np.array([rng.normal(0, 0.8), rng.normal(0.6, 0.5), rng.uniform(0.15, 1)])
    ambient = rng.uniform(0.5, 0.85)
    return Light(direction / np.linalg.norm(direction), ambient, 1.15 - ambient + rng.uniform(-0.1, 0.2))


def imitate_camera(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Add uneven brightness, a colour cast, a contrast curve, blur and noise, as in images of real cameras."""
    height, width = image.shape[:2]
    cast = rng.uniform(0.85, 1.12) * rng.uniform(0.88, 1.1, 3)
    field = np.clip(128 * cast * (1 + rng.uniform(0, 0.2) * rng.standard_normal((3, 3, 1))), 20, 255).astype(np.uint8)
    image = cv2.multiply(image, cv2.resize(field, (width, height), interpolation=cv2.INTER_LINEAR), scale=1 / 128)
    curve = 255 * np.linspace(0, 1, 256) ** rng.uniform(0.7, 1.35)
    image = cv2.LUT(image, curve.astype(np.uint8))
    if rng.random() < 0.35:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.0))
    noise = np.clip(128 + _NORMAL * (rng.uniform(0, 7) / 32), 0, 255).round().astype(np.uint8)
    random_bytes = np.frombuffer(rng.bytes(image.size), np.uint8).reshape(image.shape)
    return cv2.addWeighted(image, 1, cv2.LUT(random_bytes, noise), 1, -128)
