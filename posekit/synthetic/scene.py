"""A picture of people: who stands where, seen from where, and what of them can be seen."""

from dataclasses import dataclass, replace

import numpy as np

from posekit.opencv import cv2
from posekit.synthetic.body import turn
from posekit.synthetic.person import Actor, draw_actor
from posekit.synthetic.render import SUPERSAMPLING, Camera, Canvas
from posekit.synthetic.surroundings import CLUTTER_OWNER, draw_background, draw_bars, draw_light, photograph

_SIDES_PX = (224, 256, 288)
_OWNERS_EACH = 40  # more than a person has solids


@dataclass(frozen=True)
class Figure:
    """One person in a picture. All coordinates are image pixels, 0-based.

    Parameters
    ----------
    joints : (16, 2) float64
        In MPII's order; also those outside the picture.
    inside, visible : (16,) bool
        Whether the joint lies in the picture; whether it lies there and nothing hides it.
    head_box : (4,) float64
        x1, y1, x2, y2 around the head, from the upper neck to the head top.
    stance : str
        What kind of pose it is.
    """

    joints: np.ndarray
    inside: np.ndarray
    visible: np.ndarray
    head_box: np.ndarray
    stance: str


@dataclass(frozen=True)
class Scene:
    """A rendered picture.

    Parameters
    ----------
    image : (H, W, 3) uint8
        Blue, green, red.
    people : tuple of Figure
        Those whom the picture is about come first; the rest are chance companions.
    jpeg_quality : int
    """

    image: np.ndarray
    people: tuple[Figure, ...]
    jpeg_quality: int


def render_scene(rng: np.random.Generator, *, subjects: int = 1, whole: bool = False) -> Scene:
    """Draw and render a picture of people.

    Parameters
    ----------
    rng : numpy.random.Generator
        The picture depends on nothing else.
    subjects : int
        How many people the picture is framed for: 1, or 2 side by side. Others may stand around them.
    whole : bool
        Whether the subjects fit into the picture from head to foot. Otherwise a few are cut off by its edge.

    Returns
    -------
    Scene : of about 256 × 256 pixels.
    """
    width, height = (int(side) for side in rng.choice(_SIDES_PX, 2))
    actors = _cast(rng, subjects)
    size = SUPERSAMPLING * np.array([width, height])
    camera = _frame(rng, actors[:subjects], size, whole)
    canvas = Canvas(draw_background(rng, *size.tolist()), np.zeros((size[1], size[0]), np.uint8))
    light = draw_light(rng)
    textures = [texture for actor in actors for texture in actor.limb_textures]
    for bar in draw_bars(rng, camera, canvas, textures):
        bar.paint(canvas, camera, light, CLUTTER_OWNER)
    order = sorted(range(len(actors)), key=lambda index: actors[index].body.joints["pelvis"][2])
    for index in order:
        actors[index].paint(canvas, camera, light, 1 + _OWNERS_EACH * index)
    people = tuple(_figure(actor, canvas, camera, 1 + _OWNERS_EACH * index) for index, actor in enumerate(actors))
    image = cv2.resize(canvas.image, (width, height), interpolation=cv2.INTER_AREA)
    return Scene(photograph(rng, image), people, int(rng.integers(55, 96)))


def _cast(rng: np.random.Generator, subjects: int) -> list[Actor]:
    """The subjects, and sometimes others behind, beside or before them."""
    camera = turn(2, rng.normal(0, 4)) @ turn(0, float(np.clip(rng.normal(7, 9), -15, 40)))
    beside = rng.uniform(0.7, 1.1) * (1 if rng.random() < 0.5 else -1)
    places = [np.zeros(3), np.array([beside, 0, rng.uniform(-0.4, 0.3)])][:subjects]
    for _ in range(rng.choice(3, p=[0.72, 0.22, 0.06])):
        places.append(_companion_place(rng))
    return [draw_actor(rng, camera=camera, position=camera @ place) for place in places]


def _companion_place(rng: np.random.Generator) -> np.ndarray:
    """Mostly farther away; now and then nearer, at the side, so that little of the subject is hidden."""
    side = 1 if rng.random() < 0.5 else -1
    if rng.random() < 0.15:
        return np.array([side * rng.uniform(0.55, 0.9), 0, rng.uniform(0.2, 0.7)])
    depth = -rng.uniform(0.4, 4)
    return np.array([side * rng.uniform(0.35, 1.2) * (1 - depth / 4), 0, depth])


def _frame(rng: np.random.Generator, subjects: list[Actor], size: np.ndarray, whole: bool) -> Camera:
    """Zoom and shift so that the subjects fill a good part of the picture."""
    camera = Camera(rng.uniform(3.2, 8))
    points = np.concatenate([camera.project(actor.joints)[0] for actor in subjects])
    low, high = points.min(0), points.max(0)
    share = rng.uniform(0.55, 0.86)
    focal = share * (size / (high - low)).min()
    close = not whole and len(subjects) == 1 and rng.random() < 0.1
    if close:
        focal *= rng.uniform(1.2, 1.7)
        middle = subjects[0].joints[[7, 8]].mean(0)
        target = size * (rng.uniform(0.35, 0.65), rng.uniform(0.25, 0.45))
        return replace(camera, focal=focal, centre=tuple(target - focal * camera.project(middle[None])[0][0]))
    spare = (size - focal * (high - low)) - 0.1 * size
    corner = 0.05 * size + rng.beta(2, 2, 2) * np.maximum(spare, 0)
    return replace(camera, focal=focal, centre=tuple(corner - focal * low))


def _figure(actor: Actor, canvas: Canvas, camera: Camera, first_owner: int) -> Figure:
    joints = _picture_pixels(camera.project(actor.joints)[0])
    height, width = (side // SUPERSAMPLING for side in canvas.owners.shape)
    inside = ((joints >= 0) & (joints <= (width - 1, height - 1))).all(1)
    return Figure(
        joints=joints,
        inside=inside,
        visible=inside & actor.visible(canvas, camera, first_owner),
        head_box=_picture_pixels(actor.head.extent(camera)).ravel(),
        stance=actor.stance,
    )


def _picture_pixels(canvas_px: np.ndarray) -> np.ndarray:
    """Both count from 0 at a pixel's centre."""
    return (canvas_px + 0.5) / SUPERSAMPLING - 0.5
