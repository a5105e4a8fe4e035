"""Encode and decode heatmaps of people in whole images, with one heatmap per size of people.

A person is represented by the centre and the longer side (the size) of the bounding box of the joints, and encoded as a Gaussian
in x, y and the logarithm of the size. The resolution of the heatmaps is 1 / `posekit.heatmaps.STRIDE` of the image resolution, with
the same convention for pixel coordinates as in `posekit.heatmaps`.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from posekit.heatmaps import STRIDE

_SIGMA = 0.08  # standard deviation in x and y, as a fraction of the person's size; at least one heatmap pixel
_SIGMA_SIZES = 0.5  # standard deviation in size, in steps between sizes: halfway, both heatmaps are above 0.5
_LOWEST = math.exp(-(3.0**2) / 2)  # value at 3 standard deviations, below which targets are 0


def sizes_between(least: float, most: float, per_octave: int = 2) -> tuple[float, ...]:
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
    return F.threshold(maps, _LOWEST, 0.0, inplace=True)


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
        Centre x, y and side in image pixels, and the peak value; the highest peak first. The side is interpolated: it is the
        vertex of the parabola through the logarithms of the peak and of the heatmaps of the adjacent sizes at the same pixel.
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
    """Return the offset of the parabola's vertex from the size of the peak, in steps between sizes, from -0.5 to 0.5."""
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
