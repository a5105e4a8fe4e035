"""Render images of people: place people, frame the image, and determine which joints are visible."""

from dataclasses import dataclass, replace

import numpy as np

from posekit.opencv import cv2
from posekit.synthetic.body import turn
from posekit.synthetic.person import Actor, draw_actor
from posekit.synthetic.render import SUPERSAMPLING, Camera, Canvas
from posekit.synthetic.surroundings import CLUTTER_OWNER, draw_background, draw_bars, draw_light, imitate_camera

_SIDES_PX = (224, 256, 288)
_OWNERS_PER_PERSON = 40  # larger than the number of solids of a person


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
        Name of the stance, see `posekit.synthetic.poses.STANCES`.
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
        Source of all randomness.
    subjects : int
        Number of people for whom the image is framed: 1, or 2 side by side. There may be bystanders around the subjects.
    whole : bool
        If True, subjects are always inside the image from head to foot. Otherwise, some images are close-ups that cut off the
        subject.

    Returns
    -------
    Scene
        About 256 × 256 pixels.
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
        bar.paint(canvas, camera, light, CLUTTER_OWNER)
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
