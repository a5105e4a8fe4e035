"""Where people may be in a picture, by a network that has learned their middles (`tools/train_detector.py`)."""

import math
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from posekit.geometry import Box
from posekit.metrics import square_iou
from posekit.models import load_weights, normalise
from posekit.opencv import cv2
from posekit.prediction.backends import find_device
from posekit.prediction.detect.pose_detector import BOX_MARGIN
from posekit.prediction.pose_similarity import distinct
from posekit.tasks.person_finder.centres import decode_centres
from posekit.tasks.person_finder.model import CentresInfo
from posekit.weights import PEOPLE

# From one size of the picture to the next, within the sizes that the network knows: each person is looked at in two of them.
_STEP = 2.0
# Of boxes that have so much in common, the highest is kept: most people are seen in two sizes of the picture.
_SAME = 0.7


class CentreFinder:
    """Finds candidates: boxes that may show someone.

    The network sees the whole picture in several sizes, the smallest with the largest people.

    Parameters
    ----------
    weights : str or Path
        As ``tools/train_detector.py`` writes them; by default those that come with posekit.
    smallest : float
        People to be found, in longer sides of the picture. Half of it takes four times as long.
    least : float
        Lowest peak of a candidate.
    device : str
        "auto" (a GPU if there is one), "cpu", "cuda", "cuda:1", …

    Raises
    ------
    WeightsError
        If the file cannot be used.
    """

    def __init__(self, weights: str | Path = PEOPLE, *, smallest: float = 0.06, least: float = 0.05, device: str = "auto"):
        self._device = find_device(device)
        self._model, self._info = load_weights(weights, self._device, info_class=CentresInfo)
        self._smallest, self._least = smallest, least

    @torch.inference_mode()
    def __call__(self, image: np.ndarray) -> list[tuple[Box, float]]:
        """Boxes and their peaks, the highest first; someone may have several, of different sizes or places.

        Parameters
        ----------
        image : (H, W, 3) uint8
            Blue, green, red.
        """
        longest = max(image.shape[:2])
        found = np.concatenate([self._look(image, side / longest) for side in self._sides(longest)])
        found = found[np.argsort(-found[:, 3], kind="stable")]
        kept = found[distinct(square_iou(found[:, :3], found[:, :3]) >= _SAME)]
        return [(Box((x, y), BOX_MARGIN * side), score) for x, y, side, score in kept.tolist()]

    def _sides(self, longest: int) -> list[float]:
        """Longer sides in which the picture is looked at: from where the largest people fill it to where the smallest are known."""
        most, least = self._info.sizes[-1], self._info.sizes[0] / self._smallest
        return [most * _STEP**step for step in range(max(0, math.ceil(math.log(least / most, _STEP))) + 1)]

    def _look(self, image: np.ndarray, scale: float) -> np.ndarray:
        """(N, 4) middle x, y, side in pixels of the picture, and peak."""
        width, height = (max(1, round(length * scale)) for length in image.shape[1::-1])
        seen = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
        pixels = torch.from_numpy(np.ascontiguousarray(seen[None, ..., ::-1])).to(self._device)
        inputs = normalise(pixels, self._info.mean, self._info.std)
        missing = (-length % self._model.multiple for length in (width, height))
        right, below = missing
        maps = self._model.activate(self._model(F.pad(inputs, (0, right, 0, below)))[-1])[0]
        found = decode_centres(maps, self._info.sizes, least=self._least)
        along = np.array([image.shape[1] / width, image.shape[0] / height])
        found[:, :2] = (found[:, :2] + 0.5) * along - 0.5
        found[:, 2] *= along.mean()
        return found[(found[:, :2] <= np.array(image.shape[1::-1]) - 0.5).all(1)]  # not in what was added on the right and below
