"""Person finder: the heatmaps of people's centres, the description of the network, and the search for people in an image.

A person is represented by the centre and the longer side (the size) of the bounding box of the joints, and encoded as a Gaussian
in x, y and the logarithm of the size, with one heatmap per size. The resolution of the heatmaps is 1 / `posekit.heatmaps.STRIDE` of
the image resolution, with the same convention for pixel coordinates as in `posekit.heatmaps`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from posekit.geometry import Box
from posekit.heatmaps import STRIDE
from posekit.images import cv2
from posekit.metrics import square_iou
from posekit.models import load_weights, normalise
from posekit.models.hourglass import StackedHourglass, require_encoder
from posekit.models.weights import Note, WeightsInfo
from posekit.prediction.backends import find_device
from posekit.prediction.detect import BOX_MARGIN
from posekit.prediction.pose import distinct
from posekit.weights import PEOPLE

_SIGMA = 0.08  # standard deviation in x and y, as a fraction of the person's size; at least one heatmap pixel
_SIGMA_SIZES = 0.5  # standard deviation in size, in steps between sizes: halfway, both heatmaps are above 0.5
# Scale factor between the resized images. The network finds people in a wider range of sizes, so most are found at two scales.
_STEP = 2.0
# Non-maximum suppression: of boxes with at least this IoU, only the box with the highest peak is kept.
_SAME_IOU = 0.7
# Only the highest peaks are compared with each other: in an image with thousands of peaks, all pairs would take half a minute.
_MAX_PEAKS = 2000


def sizes_between(least: float, most: float, per_octave: int) -> tuple[float, ...]:
    """Return sizes in pixels, `per_octave` per doubling, from `least` to the first size that is at least `most`."""
    count = math.ceil(per_octave * math.log2(most / least) - 1e-9) + 1
    return tuple(least * 2 ** (step / per_octave) for step in range(count))


def encode_centres(people_BP3: Tensor, sizes: Sequence[float], *, size: int) -> Tensor:
    """Draw target heatmaps: a Gaussian with peak 1 for each person, cut off at 3 standard deviations.

    Where several Gaussians overlap, the target is their maximum.

    Parameters
    ----------
    people_BP3 : (B, P, 3) float
        Centre x, y and longer side of each person, in image pixels; rows of NaN are ignored.
    sizes : sequence of K floats
        Size in pixels of the people in each heatmap, at least two sizes, see `sizes_between`.
    size : int
        Side of the heatmaps in heatmap pixels.

    Returns
    -------
    (B, K, size, size) float32
        On the device of `people_BP3`.
    """
    people = people_BP3.float()
    centres = ((people[..., :2] + 0.5) / STRIDE - 0.5).round()
    sizes_K = torch.tensor(sizes, device=people.device)
    octaves_per_size = math.log2(sizes[1] / sizes[0])
    offset_sizes = (people[..., 2, None].log2() - torch.log2(sizes_K)) / (_SIGMA_SIZES * octaves_per_size)  # (B, P, K)
    sigma_K = (_SIGMA * sizes_K / STRIDE).clamp_min(1)
    grid = torch.arange(size, device=people.device, dtype=torch.float32)
    square = ((grid - centres[..., None])[:, :, None] / sigma_K[:, None, None]).square()  # (B, P, K, 2, size)
    exponent = square[..., 1, :, None] + square[..., 0, None, :] + offset_sizes.square()[..., None, None]
    maps = torch.exp(exponent / -2).nan_to_num(0.0).amax(1)
    return F.threshold(maps, math.exp(-(3.0**2) / 2), 0.0, inplace=True)


def decode_centres(maps_KHW: Tensor, sizes: Sequence[float], *, least: float) -> np.ndarray:
    """Find the people in the heatmaps of one image: local maxima in x, y and size.

    Parameters
    ----------
    maps_KHW : (K, H, W) float
        Heatmaps of probabilities.
    sizes : sequence of K floats
        As for `encode_centres`.
    least : float
        Lowest peak to return.

    Returns
    -------
    (N, 4) float64
        Centre x, y and side in image pixels, and the peak value; the highest peak first. The side is interpolated: a
        parabola is fitted to the logarithms of the peak and of the heatmaps of the adjacent sizes at the same pixel.
    """
    maps = maps_KHW.float()
    peaks = (maps >= least) & (maps == F.max_pool3d(maps[None], 3, stride=1, padding=1)[0])
    heights = maps[peaks].cpu().double().numpy()
    size, row, column = peaks.nonzero().cpu().numpy().T
    logs = maps.clamp_min(1e-6).log().cpu().double().numpy()
    side = sizes[0] * (sizes[1] / sizes[0]) ** (size + _vertex_offset(logs, size, row, column))
    people = np.column_stack([(column + 0.5) * STRIDE - 0.5, (row + 0.5) * STRIDE - 0.5, side, heights])
    return people[np.argsort(-heights, kind="stable")]


def _vertex_offset(logs_KHW: np.ndarray, size: np.ndarray, row: np.ndarray, column: np.ndarray) -> np.ndarray:
    """Fit a parabola through each peak and the neighbouring sizes, and return the offset of its vertex in sizes, -0.5 to 0.5."""
    last = len(logs_KHW) - 1
    below = logs_KHW[(size - 1).clip(0, last), row, column]
    at = logs_KHW[size, row, column]
    above = logs_KHW[(size + 1).clip(0, last), row, column]
    # The smallest and the largest size have only one neighbour; extrapolate the other one as on a Gaussian.
    curvature = -1 / _SIGMA_SIZES**2
    below = np.where(size == 0, 2 * at - above + curvature, below)
    above = np.where(size == last, 2 * at - below + curvature, above)
    bend = below - 2 * at + above
    return np.divide(below - above, 2 * bend, out=np.zeros_like(at), where=bend < 0).clip(-0.5, 0.5)


@dataclass(frozen=True)
class CentresInfo(WeightsInfo):
    """Description of a person finder: everything except the weights that is needed to find people.

    The network is a single hourglass that predicts one heatmap per size of people.

    Parameters
    ----------
    sizes : tuple of float
        Size in pixels of the people in each heatmap, ascending; as for `encode_centres`.
    features, depth, encoder
        See `posekit.models.hourglass.StackedHourglass`.
    mean, std : three floats
        RGB statistics for values in [0, 1]: the network's input is ``(x / 255 - mean) / std`` for uint8 images x.
    notes : mapping of str to str, number, bool or None
        Free notes, see `posekit.models.weights.WeightsInfo`.
    """

    sizes: tuple[float, ...]
    features: int
    depth: int
    encoder: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    notes: Mapping[str, Note] = field(default_factory=dict)

    key: ClassVar = "posekit-centres"
    title: ClassVar = "a person finder"
    tuples: ClassVar = ("sizes", "mean", "std")

    def __post_init__(self):
        if len(self.sizes) < 2 or sorted(set(self.sizes)) != list(self.sizes) or not self.sizes[0] > 0:
            raise ValueError(f"sizes: expected at least two numbers, above 0 and in ascending order, got {self.sizes!r}")
        if self.features % 4 or self.features < 4 or self.depth < 1:
            raise ValueError(f"features, depth: expected a multiple of 4 and 1 or more, got {self.features!r} and {self.depth!r}")
        require_encoder(self.encoder, self.depth)

    def build(self, *, prior: float = 0.01) -> StackedHourglass:
        """Build the network with random weights; `prior` as for `StackedHourglass`."""
        return StackedHourglass(
            joints=len(self.sizes), stacks=1, features=self.features, depth=self.depth, prior=prior, encoder=self.encoder
        )


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

        In the smallest resized image, people as long as the image have the network's largest size; in the largest one, the
        smallest people to find have at least the network's smallest size.
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
