"""Render images of people: sample the people, camera, background and light, and determine which joints are visible."""

from dataclasses import dataclass, replace

import numpy as np

from posekit.images import cv2
from posekit.synthetic.body import turn
from posekit.synthetic.clothes import cloth_colour, pattern
from posekit.synthetic.person import Actor, draw_actor
from posekit.synthetic.render import SUPERSAMPLING, Camera, Canvas, Hull, Light

_SIDES_PX = (224, 256, 288)
_OWNERS_PER_PERSON = 40  # larger than the number of solids of a person
_CLUTTER_OWNER = 255
# Lookup table from a uniform random byte to a normal random number, in units of 1/32 of the standard deviation.
_NORMAL = np.sort(np.clip(np.random.default_rng(0).normal(0, 32, 256), -100, 100))


@dataclass(frozen=True)
class RenderedPerson:
    """Annotation of a person in a rendered image. All coordinates are 0-based image pixels.

    Parameters
    ----------
    joints : (16, 2) float64
        Joints in MPII's order, including joints outside the image.
    inside : (16,) bool
        True where the joint is inside the image.
    visible : (16,) bool
        True where the joint is inside the image and not occluded.
    head_box : (4,) float64
        Bounding box (x1, y1, x2, y2) of the head, from the upper neck to the head top.
    stance : str
        Name of the stance, see `posekit.synthetic.body.STANCES`.
    """

    joints: np.ndarray
    inside: np.ndarray
    visible: np.ndarray
    head_box: np.ndarray
    stance: str


@dataclass(frozen=True)
class Scene:
    """Rendered image with its people.

    Parameters
    ----------
    image : (H, W, 3) uint8
        BGR.
    people : tuple of RenderedPerson
        The subjects, then the bystanders.
    jpeg_quality : int
        Quality with which to save the image.
    """

    image: np.ndarray
    people: tuple[RenderedPerson, ...]
    jpeg_quality: int


def render_scene(rng: np.random.Generator, *, subjects: int = 1, whole: bool = False) -> Scene:
    """Sample and render an image of people.

    Parameters
    ----------
    rng : numpy.random.Generator
    subjects : int
        Number of people for whom the image is framed: 1, or 2 side by side. There may be bystanders around the subjects.
    whole : bool
        If True, subjects are always inside the image from head to foot. Otherwise, some images are close-ups that cut off the
        subject.

    Returns
    -------
    Scene : about 256 × 256 pixels.
    """
    width, height = (int(side) for side in rng.choice(_SIDES_PX, 2))
    actors = _draw_actors(rng, subjects)
    size = SUPERSAMPLING * np.array([width, height])
    camera = _frame_subjects(rng, actors[:subjects], size, whole)
    canvas = Canvas(draw_background(rng, *size.tolist()), np.zeros((size[1], size[0]), np.uint8))
    light = draw_light(rng)
    textures = []
    for actor in actors:
        textures += actor.limb_textures
    for bar in draw_bars(rng, camera, canvas, textures):
        bar.paint(canvas, camera, light, _CLUTTER_OWNER)
    first_owners = [1 + _OWNERS_PER_PERSON * index for index in range(len(actors))]
    for actor, owner in sorted(zip(actors, first_owners, strict=True), key=lambda pair: pair[0].body.joints["pelvis"][2]):
        actor.paint(canvas, camera, light, owner)
    people = tuple(_describe(actor, canvas, camera, owner) for actor, owner in zip(actors, first_owners, strict=True))
    image = cv2.resize(canvas.image, (width, height), interpolation=cv2.INTER_AREA)
    return Scene(imitate_camera(rng, image), people, int(rng.integers(55, 96)))


def _draw_actors(rng: np.random.Generator, subjects: int) -> list[Actor]:
    """Sample the subjects, and in some images one or two bystanders."""
    camera = turn(2, rng.normal(0, 4)) @ turn(0, float(np.clip(rng.normal(7, 9), -15, 40)))
    beside = rng.uniform(0.7, 1.1) * (1 if rng.random() < 0.5 else -1)
    places = [np.zeros(3), np.array([beside, 0, rng.uniform(-0.4, 0.3)])][:subjects]
    for _ in range(rng.choice(3, p=[0.72, 0.22, 0.06])):
        places.append(_bystander_place(rng))
    return [draw_actor(rng, camera=camera, position=camera @ place) for place in places]


def _bystander_place(rng: np.random.Generator) -> np.ndarray:
    """Sample a bystander's position: usually behind the subject; sometimes in front, but to the side, to occlude little."""
    side = 1 if rng.random() < 0.5 else -1
    if rng.random() < 0.15:
        return np.array([side * rng.uniform(0.55, 0.9), 0, rng.uniform(0.2, 0.7)])
    depth = -rng.uniform(0.4, 4)
    return np.array([side * rng.uniform(0.35, 1.2) * (1 - depth / 4), 0, depth])


def _frame_subjects(rng: np.random.Generator, subjects: list[Actor], size: np.ndarray, whole: bool) -> Camera:
    """Sample a camera whose zoom and shift make the subjects fill a large part of the image."""
    camera = Camera(rng.uniform(3.2, 8))
    points = np.concatenate([camera.project(actor.joints)[0] for actor in subjects])
    low = points.min(0)
    high = points.max(0)
    share = rng.uniform(0.55, 0.86)
    focal = share * (size / (high - low)).min()
    close_up = not whole and len(subjects) == 1 and rng.random() < 0.1
    if close_up:
        focal *= rng.uniform(1.2, 1.7)
        middle = subjects[0].joints[[7, 8]].mean(0)
        target = size * (rng.uniform(0.35, 0.65), rng.uniform(0.25, 0.45))
        return replace(camera, focal=focal, centre=tuple(target - focal * camera.project(middle[None])[0][0]))
    spare = (size - focal * (high - low)) - 0.1 * size
    corner = 0.05 * size + rng.beta(2, 2, 2) * np.maximum(spare, 0)
    return replace(camera, focal=focal, centre=tuple(corner - focal * low))


def _describe(actor: Actor, canvas: Canvas, camera: Camera, first_owner: int) -> RenderedPerson:
    joints = _to_image_pixels(camera.project(actor.joints)[0])
    height = canvas.owners.shape[0] // SUPERSAMPLING
    width = canvas.owners.shape[1] // SUPERSAMPLING
    inside: np.ndarray = np.all((joints >= 0) & (joints <= (width - 1, height - 1)), axis=1)
    return RenderedPerson(
        joints=joints,
        inside=inside,
        visible=inside & actor.visible(canvas, camera, first_owner),
        head_box=_to_image_pixels(actor.head.extent(camera)).ravel(),
        stance=actor.stance,
    )


def _to_image_pixels(canvas_px: np.ndarray) -> np.ndarray:
    """Convert canvas pixels to image pixels; in both, 0 is the centre of the first pixel."""
    return (canvas_px + 0.5) / SUPERSAMPLING - 0.5


# Background, distractors, light and image quality


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
    """Sample noise of three scales around a base colour; the hue varies most at the coarsest scale."""
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
    """Draw parallel lines that resemble bricks, boards or fences."""
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
