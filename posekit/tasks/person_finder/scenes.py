"""Scenes with several people or none, pasted together from photographs of one person each: to learn where people are."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import Dataset

from posekit.data.batch import TensorBatch
from posekit.data.sample import Failure
from posekit.errors import ImageError
from posekit.opencv import cv2
from posekit.people import People
from posekit.synthetic.surroundings import draw_background

MOST = 7
"""People in a scene."""
_COUNTS = (0.05, 0.25, 0.2, 0.2, 0.1, 0.1, 0.06, 0.04)  # how often there are 0, 1, … people
_FILLS = 0.6  # how often the first one's photograph fills the scene, as photographs do
_ZOOM = 0.8, 1.6  # of such a one; 1 just fills the scene
_SIDES = 1 / 8, 0.8  # of the others, in sides of the scene
_SHARP = 0.3  # how often a photograph is pasted with a sharp edge
_SEEN = 0.4  # of someone's joints that must lie in the scene and uncovered, or nobody could find them
_DRAWN = 0.5  # how often the background is drawn, where there are photographs for it too


@dataclass(frozen=True)
class SceneBatch(TensorBatch):
    """Scenes as tensors on one device.

    Parameters
    ----------
    images : (B, S, S, 3) uint8
        Red, green, blue.
    people : (B, `MOST`, 3) float32
        Middle x, y and longer side of the tight box of each one's joints in the scene, in pixels; NaN for none.
    index : (B,) int64
        Places in the data set.
    failures : tuple of Failure
        Scenes that lack someone whose photograph could not be read.
    """

    images: torch.Tensor
    people: torch.Tensor
    index: torch.Tensor
    failures: tuple[Failure, ...] = ()


class SceneDataset(Dataset):
    """Whole batches of scenes, one for each person, who is its first. They depend on seed, epoch and place alone.

    Parameters
    ----------
    people : People
        At best one person in each photograph: others would be taken for background.
    backgrounds : sequence of (H, W, 3) uint8
        Red, green, blue, without people; may be empty. Half of the backgrounds are drawn in any case.
    size : int
        Side of the scenes in pixels.
    seed : int
    """

    def __init__(self, people: People, backgrounds: Sequence[np.ndarray], *, size: int, seed: int = 0):
        self.people, self.backgrounds, self.size, self.seed = people, backgrounds, size, seed

    def __len__(self):
        return len(self.people)

    def __getitems__(self, keys: Sequence[tuple[int, int]]) -> SceneBatch:
        """The batch of these (epoch, index), which may be none."""
        scenes = [_Scene(self, np.random.default_rng([self.seed, *key]), key[1]) for key in keys]
        people = np.full((len(keys), MOST, 3), np.nan, np.float32)
        for row, scene in zip(people, scenes, strict=True):
            row[: len(scene.joints)] = [_middle_and_side(joints, self.size) for joints in scene.joints] or np.empty((0, 3))
        images = np.stack([scene.image for scene in scenes]) if scenes else np.zeros((0, self.size, self.size, 3), np.uint8)
        return SceneBatch(
            torch.from_numpy(np.ascontiguousarray(images[..., ::-1])),
            torch.from_numpy(people),
            torch.tensor([index for _, index in keys], dtype=torch.int64),
            tuple(scene.failure for scene in scenes if scene.failure),
        )


def _middle_and_side(joints: np.ndarray, size: int) -> tuple[float, float, float]:
    """Of what is in the scene."""
    inside = joints.clip(0, size - 1)
    low, high = inside.min(0), inside.max(0)
    return (*((low + high) / 2), (high - low).max())


class _Scene:
    """A scene that is made.

    Attributes
    ----------
    image : (S, S, 3) uint8
        Blue, green, red.
    joints : list of (J, 2) float64
        Everyone's labelled joints, pixels of the scene.
    failure : Failure or None
    """

    def __init__(self, dataset: SceneDataset, rng: np.random.Generator, first: int):
        self.dataset, self.rng, self.size = dataset, rng, dataset.size
        self.joints, self.failure = [], None
        self.image = self._background()
        count = rng.choice(len(_COUNTS), p=_COUNTS)
        others = rng.integers(len(dataset), size=max(count - 1, 0)).tolist()
        for place, index in enumerate([first, *others][:count]):
            self._add(index, fills=place == 0 and rng.random() < _FILLS)
        if rng.random() < 0.7:
            self.image = cv2.convertScaleAbs(self.image, alpha=rng.uniform(0.6, 1.3), beta=rng.uniform(0, 25))

    def _background(self) -> np.ndarray:
        backgrounds, rng, size = self.dataset.backgrounds, self.rng, (self.size, self.size)
        if not len(backgrounds) or rng.random() < _DRAWN:
            return draw_background(rng, *size)
        image = backgrounds[int(rng.integers(len(backgrounds)))][..., ::-1]
        side = min(image.shape[:2])
        y, x = (rng.integers(length - side + 1) for length in image.shape[:2])
        return cv2.resize(image[y : y + side, x : x + side], size, interpolation=cv2.INTER_CUBIC)

    def _add(self, index: int, *, fills: bool) -> None:
        rng, person = self.rng, self.dataset.people[index]
        try:
            image, shown = person.read()
        except ImageError as error:
            self.failure = Failure(index, f"person {index}: {error}")
            return
        joints = shown.joints[person.labelled]
        if len(joints) < 2:
            return
        if rng.random() < 0.5:
            image, joints = image[:, ::-1], joints * (-1, 1) + (image.shape[1] - 1, 0)
        if fills:
            scale = self.size / min(image.shape[:2]) * rng.uniform(*_ZOOM)
        else:
            scale = self.size * 2 ** rng.uniform(*map(math.log2, _SIDES)) / max(np.ptp(joints, axis=0).max(), 1)
        width, height = (max(1, round(length * scale)) for length in image.shape[1::-1])
        room = self.size - np.array([width, height])
        if fills:
            corner = rng.uniform(np.minimum(room, 0), np.maximum(room, 0)).round().astype(int)
        else:
            joints_middle = ((joints.min(0) + joints.max(0)) / 2 + 0.5) * scale
            corner = (rng.uniform(0.05, 0.95, 2) * self.size - joints_middle).round().astype(int)
        self._paste(image, corner, (width, height))
        joints = (joints + 0.5) * scale - 0.5 + corner
        self._cover(corner, (width, height))
        if self._inside(joints).mean() > _SEEN:
            self.joints.append(joints)

    def _paste(self, image: np.ndarray, corner: np.ndarray, size: tuple[int, int]) -> None:
        """Put a picture of that size in pixels of the scene into it, fading out toward its edges."""
        (left, top), (width, height) = corner, size
        if width < image.shape[1]:
            image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        x, y = width / image.shape[1], height / image.shape[0]
        matrix = np.array([[x, 0, left + x / 2 - 0.5], [0, y, top + y / 2 - 0.5]])
        square = (self.size, self.size)
        pasted = cv2.warpAffine(image, matrix, square, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        along = [_fade(np.arange(self.size) - start, length) for start, length in ((left, width), (top, height))]
        weight = np.minimum(along[0][None], along[1][:, None])
        if self.rng.random() < _SHARP:
            weight = (weight > 0.5).astype(np.float32)
        self.image = cv2.blendLinear(pasted, self.image, weight, 1 - weight)

    def _cover(self, corner: np.ndarray, size: tuple[int, int]) -> None:
        """Forget those of whom the picture pasted last leaves too little."""
        self.joints = [
            joints
            for joints in self.joints
            if (self._inside(joints) & ~((joints >= corner) & (joints < corner + size)).all(1)).mean() > _SEEN
        ]

    def _inside(self, joints: np.ndarray) -> np.ndarray:
        return ((joints >= 0) & (joints < self.size)).all(1)


def _fade(place: np.ndarray, length: int) -> np.ndarray:
    """(S,) float32 weights of a picture's columns or rows: from 0 outside to 1 within a margin."""
    return (np.minimum(place + 1, length - place) / (0.06 * length + 2)).clip(0, 1).astype(np.float32)
