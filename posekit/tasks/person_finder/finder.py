"""Find bounding boxes of people in an image with a network trained by `tools/train_detector.py`."""

import math
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from posekit.geometry import Box
from posekit.images import cv2
from posekit.metrics import square_iou
from posekit.models import load_weights, normalise
from posekit.prediction.backends import find_device
from posekit.prediction.detect import BOX_MARGIN
from posekit.prediction.pose import distinct
from posekit.tasks.person_finder.centres import decode_centres
from posekit.tasks.person_finder.model import CentresInfo
from posekit.weights import PEOPLE

# Scale factor between the resized images. The network finds people in a wider range of sizes, so most are found at two scales.
_STEP = 2.0
# Non-maximum suppression: of boxes with at least this IoU, only the box with the highest peak is kept.
_SAME_IOU = 0.7
# Only the highest peaks are compared with each other: in an image with thousands of peaks, all pairs would take half a minute.
_MAX_PEAKS = 2000


class CentreFinder:
    """Person finder: returns boxes that may contain a person.

    The network is applied to the whole image at several resolutions; the lowest resolution is for the largest people.

    Parameters
    ----------
    weights : str or Path
        Weights file written by ``tools/train_detector.py``, or the name of bundled weights.
    smallest : float
        Size of the smallest people to find, as a fraction of the image's longer side. Halving this value makes the search four
        times as slow.
    least : float
        Lowest heatmap peak of a returned box.
    device : str
        "auto" (a GPU if there is one), "cpu", "cuda", "cuda:1", …

    Raises
    ------
    WeightsError
        If the weights file cannot be used.
    """

    def __init__(self, weights: str | Path = PEOPLE, *, smallest: float = 0.06, least: float = 0.05, device: str = "auto"):
        self._device = find_device(device)
        self._model, self._info = load_weights(weights, self._device, info_class=CentresInfo)
        self._smallest = smallest
        self._least = least

    @torch.inference_mode()
    def __call__(self, image: np.ndarray) -> list[tuple[Box, float]]:
        """Return boxes with their heatmap peaks, the highest peak first; a person may have several boxes.

        Parameters
        ----------
        image : (H, W, 3) uint8
            BGR image.
        """
        longest = max(image.shape[:2])
        people = np.concatenate([self._find_at(image, side / longest) for side in self._sides()])
        people = people[np.argsort(-people[:, 3], kind="stable")][:_MAX_PEAKS]
        kept = people[distinct(square_iou(people[:, :3], people[:, :3]) >= _SAME_IOU)]
        return [(Box((x, y), BOX_MARGIN * side), peak) for x, y, side, peak in kept.tolist()]

    def _sides(self) -> list[float]:
        """Return the longer sides of the resized images, in pixels.

        In the first, people as long as the image have the network's largest size; in the last, the smallest people to find have
        at least the network's smallest size.
        """
        first = self._info.sizes[-1]
        last = self._info.sizes[0] / self._smallest
        steps = max(0, math.ceil(math.log(last / first, _STEP)))
        return [first * _STEP**step for step in range(steps + 1)]

    def _find_at(self, image: np.ndarray, scale: float) -> np.ndarray:
        """Return an (N, 4) array: centre x, y and side in pixels of the original image, and the heatmap peak."""
        image_height, image_width = image.shape[:2]
        width = max(1, round(image_width * scale))
        height = max(1, round(image_height * scale))
        resized = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
        pixels = torch.from_numpy(np.ascontiguousarray(resized[None, ..., ::-1])).to(self._device)
        inputs = normalise(pixels, self._info.mean, self._info.std)
        padding = (0, -width % self._model.multiple, 0, -height % self._model.multiple)  # right and bottom
        maps = self._model.activate(self._model(F.pad(inputs, padding))[-1])[0]
        people = decode_centres(maps, self._info.sizes, least=self._least)
        factors = np.array([image_width / width, image_height / height])
        people[:, :2] = (people[:, :2] + 0.5) * factors - 0.5
        people[:, 2] *= factors.mean()
        inside = people[:, :2] <= np.array([image_width, image_height]) - 0.5  # discard people in the padding
        return people[inside.all(1)]
