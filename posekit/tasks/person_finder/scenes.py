"""Scenes for training the person finder: images of single people pasted onto a background."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from posekit.data.crops import Failure, TensorBatch
from posekit.errors import ImageError
from posekit.images import cv2
from posekit.people import People
from posekit.synthetic.scene import draw_background

MOST = 7
"""Largest number of people in a scene."""
_COUNT_PROBABILITIES = (0.05, 0.25, 0.2, 0.2, 0.1, 0.1, 0.06, 0.04)  # for 0, 1, … people in a scene
_FILL_PROBABILITY = 0.6  # probability that the image of the first person fills the scene
_ZOOM = (0.8, 1.6)  # range of the scale of an image that fills the scene; at 1, the shorter side equals that of the scene
_LOG2_SIDES = (math.log2(1 / 8), math.log2(0.8))  # range of the size of all other people, relative to the scene's side
_SHARP_PROBABILITY = 0.3  # probability that an image is pasted with a sharp edge
_VISIBLE_SHARE = 0.4  # people are annotated if more than this fraction of their joints is inside the scene and uncovered
_DRAWN_PROBABILITY = 0.5  # probability of a synthetic background if there are background images


@dataclass(frozen=True)
class SceneBatch(TensorBatch):
    """Batch of scenes, as tensors on one device.

    Parameters
    ----------
    images : (B, S, S, 3) uint8
        RGB images.
    people : (B, `MOST`, 3) float32
        Centre x, y and longer side of the bounding box of each person's joints, clipped to the scene, in pixels; rows after the
        last person are NaN.
    index : (B,) int64
        Indices of the scenes in the data set.
    failures : tuple of Failure
        People who are missing from a scene because their image could not be read.
    """

    images: Tensor
    people: Tensor
    index: Tensor
    failures: tuple[Failure, ...] = ()


class SceneDataset(Dataset):
    """Data set that returns whole batches of scenes. Each person has one scene, into which this person is pasted first.

    A scene depends only on the seed, the epoch and the index.

    Parameters
    ----------
    people : People
        People to paste. Ideally each image shows only one person, as any further people would be treated as background.
    backgrounds : sequence of (H, W, 3) uint8
        RGB images without people; may be empty. At least half of the scenes have a synthetic background.
    size : int
        Side of the scenes in pixels.
    seed : int
        Random seed of the scenes.
    """

    def __init__(self, people: People, backgrounds: Sequence[np.ndarray] | np.ndarray, *, size: int, seed: int = 0):
        self.people = people
        self.backgrounds = backgrounds
        self.size = size
        self.seed = seed

    def __len__(self) -> int:
        return len(self.people)

    def __getitems__(self, keys: Sequence[tuple[int, int]]) -> SceneBatch:
        """Return the batch for a sequence of (epoch, index) pairs, which may be empty."""
        images = np.zeros((len(keys), self.size, self.size, 3), np.uint8)
        people = np.full((len(keys), MOST, 3), np.nan, np.float32)
        failures = []
        for row, (epoch, index) in enumerate(keys):
            scene = _Scene(self, np.random.default_rng([self.seed, epoch, index]), index)
            images[row] = scene.image[..., ::-1]
            for place, joints in enumerate(scene.joints):
                inside = joints.clip(0, self.size - 1)
                people[row, place, :2] = (inside.min(0) + inside.max(0)) / 2
                people[row, place, 2] = np.ptp(inside, axis=0).max()
            if scene.failure:
                failures.append(scene.failure)
        indices = torch.tensor([index for _, index in keys], dtype=torch.int64)
        return SceneBatch(torch.from_numpy(images), torch.from_numpy(people), indices, tuple(failures))


def known_people(batch: SceneBatch) -> list[np.ndarray]:
    """Return an (N, 3) array for each scene of the batch: centre x, y and longer side of each person, in pixels."""
    return [people[~np.isnan(people[:, 0])] for people in batch.people.numpy()]


class _Scene:
    """One scene.

    Attributes
    ----------
    image : (S, S, 3) uint8
        BGR image.
    joints : list of (J, 2) float64
        Labelled joints of every visible person, in scene pixels.
    failure : Failure or None
        The last person who is missing because the image could not be read.
    """

    def __init__(self, dataset: SceneDataset, rng: np.random.Generator, first: int):
        self.dataset = dataset
        self.rng = rng
        self.size = dataset.size
        self.joints: list[np.ndarray] = []
        self.failure: Failure | None = None
        self.image = self._background()
        count = rng.choice(len(_COUNT_PROBABILITIES), p=_COUNT_PROBABILITIES)
        others = rng.integers(len(dataset), size=max(count - 1, 0)).tolist()
        for place, index in enumerate([first, *others][:count]):
            self._add(index, fills=place == 0 and rng.random() < _FILL_PROBABILITY)
        if rng.random() < 0.7:
            self.image = cv2.convertScaleAbs(self.image, alpha=rng.uniform(0.6, 1.3), beta=rng.uniform(0, 25))

    def _background(self) -> np.ndarray:
        rng = self.rng
        backgrounds = self.dataset.backgrounds
        if not len(backgrounds) or rng.random() < _DRAWN_PROBABILITY:
            return draw_background(rng, self.size, self.size)
        image = backgrounds[int(rng.integers(len(backgrounds)))][..., ::-1]
        height, width = image.shape[:2]
        side = min(height, width)
        y = rng.integers(height - side + 1)
        x = rng.integers(width - side + 1)
        return cv2.resize(image[y : y + side, x : x + side], (self.size, self.size), interpolation=cv2.INTER_CUBIC)

    def _add(self, index: int, *, fills: bool) -> None:
        """Paste the image of a person at a random scale and position; annotate the person if enough joints are visible."""
        person = self.dataset.people[index]
        try:
            image, shown = person.read()
        except ImageError as error:
            self.failure = Failure(index, f"person {index}: {error}")
            return
        joints = shown.joints[person.labelled]
        if len(joints) < 2:
            return
        if self.rng.random() < 0.5:
            image = image[:, ::-1]
            joints = joints * (-1, 1) + (image.shape[1] - 1, 0)
        scale = self._draw_scale(image, joints, fills=fills)
        height, width = image.shape[:2]
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        centre = ((joints.min(0) + joints.max(0)) / 2 + 0.5) * scale
        corner = self._draw_corner(size, centre, fills=fills)
        self._paste(image, corner, size)
        joints = (joints + 0.5) * scale - 0.5 + corner
        self._remove_covered(corner, size)
        if self._inside(joints).mean() > _VISIBLE_SHARE:
            self.joints.append(joints)

    def _draw_scale(self, image: np.ndarray, joints: np.ndarray, *, fills: bool) -> float:
        if fills:
            return self.size / min(image.shape[:2]) * self.rng.uniform(*_ZOOM)
        return self.size * 2 ** self.rng.uniform(*_LOG2_SIDES) / max(np.ptp(joints, axis=0).max(), 1)

    def _draw_corner(self, size: tuple[int, int], centre: np.ndarray, *, fills: bool) -> np.ndarray:
        """Choose a random position in the scene for the top left corner of an image whose person is at `centre`."""
        if fills:
            room = self.size - np.array(size)
            corner = self.rng.uniform(np.minimum(room, 0), np.maximum(room, 0))
        else:
            corner = self.rng.uniform(0.05, 0.95, 2) * self.size - centre
        return corner.round().astype(int)

    def _paste(self, image: np.ndarray, corner: np.ndarray, size: tuple[int, int]) -> None:
        """Resize an image to `size` and paste it into the scene, fading out towards the edges of the image."""
        left, top = corner
        width, height = size
        if width < image.shape[1]:
            image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        x_scale = width / image.shape[1]
        y_scale = height / image.shape[0]
        matrix = np.array([[x_scale, 0, left + x_scale / 2 - 0.5], [0, y_scale, top + y_scale / 2 - 0.5]])
        square = (self.size, self.size)
        pasted = cv2.warpAffine(image, matrix, square, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        pixels = np.arange(self.size)
        weight = np.minimum(_fade(pixels - left, width)[None], _fade(pixels - top, height)[:, None])
        if self.rng.random() < _SHARP_PROBABILITY:
            weight = (weight > 0.5).astype(np.float32)
        self.image = cv2.blendLinear(pasted, self.image, weight, 1 - weight)

    def _remove_covered(self, corner: np.ndarray, size: tuple[int, int]) -> None:
        """Remove the annotations of people with too few visible joints after pasting an image at `corner`."""
        visible = []
        for joints in self.joints:
            covered = ((joints >= corner) & (joints < corner + size)).all(1)
            if (self._inside(joints) & ~covered).mean() > _VISIBLE_SHARE:
                visible.append(joints)
        self.joints = visible

    def _inside(self, joints: np.ndarray) -> np.ndarray:
        return np.all((joints >= 0) & (joints < self.size), axis=1)


def _fade(pixel: np.ndarray, length: int) -> np.ndarray:
    """Return the (S,) float32 weights of the columns or rows of a pasted image: 0 outside, rising to 1 within a margin."""
    return (np.minimum(pixel + 1, length - pixel) / (0.06 * length + 2)).clip(0, 1).astype(np.float32)
