"""Heatmaps of people in whole images, one map for every size of person.

A person is given by the centre and the longer side of the tight box of their joints, and drawn as a Gaussian along x, y and the
logarithm of the side. Maps are `posekit.heatmaps.STRIDE` times smaller than their image, with the same pixel coordinates as there.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from posekit.heatmaps import STRIDE

_SIGMA = 0.08  # standard deviation along x and y, in sides of the person; at least one map pixel
_SIGMA_SIZES = 0.5  # standard deviation along the sizes, in sizes: between two sizes both maps are above one half
_LOWEST = math.exp(-(3.0**2) / 2)  # 3 standard deviations


def sizes_between(least: float, most: float, per_octave: int = 2) -> tuple[float, ...]:
    """Return sides in pixels, `per_octave` for every doubling, from `least` to the first that is at least `most`."""
    count = math.ceil(per_octave * math.log2(most / least) - 1e-9) + 1
    return tuple(least * 2 ** (step / per_octave) for step in range(count))


def encode_centres(people_BP3: Tensor, sizes: Sequence[float], *, size: int) -> Tensor:
    """Draw target heatmaps: a Gaussian of peak 1 for each person, zero beyond 3 standard deviations; the highest where they meet.

    Parameters
    ----------
    people_BP3 : (B, P, 3) float
        Centre x, y and longer side, in image pixels; NaN for none.
    sizes : sequence of K floats
        Sides in pixels of the people that each map is for, at least 2, see `sizes_between`.
    size : int
        Side of the maps in map pixels.

    Returns
    -------
    (B, K, size, size) float32, on the device of `people_BP3`.
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
    """Find the people in an image's maps: peaks along x, y and size.

    Parameters
    ----------
    maps_KHW : (K, H, W) float
        Probabilities.
    sizes : sequence of K floats
        As for `encode_centres`.
    least : float
        Lowest peak.

    Returns
    -------
    (N, 4) float64
        x, y and side in image pixels, and the peak, the highest first. The side is at the vertex of the parabola through the
        logarithms of the peak and its neighbours of other sizes.
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
    """Offset of the vertex of the parabola through three sizes from the peak's size, in sizes, at most one half."""
    last = len(logs_KHW) - 1
    below = logs_KHW[(size - 1).clip(0, last), row, column]
    at = logs_KHW[size, row, column]
    above = logs_KHW[(size + 1).clip(0, last), row, column]
    # A missing neighbour is put where it would be on a Gaussian.
    curvature = -1 / _SIGMA_SIZES**2
    below = np.where(size == 0, 2 * at - above + curvature, below)
    above = np.where(size == last, 2 * at - below + curvature, above)
    bend = below - 2 * at + above
    return np.divide(below - above, 2 * bend, out=np.zeros_like(at), where=bend < 0).clip(-0.5, 0.5)
