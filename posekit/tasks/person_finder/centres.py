"""People in whole pictures as heatmaps, one for every size of person, and back.

A person is the middle and the longer side of the tight box of their joints: a Gaussian along x, y and the logarithm of the side.
Maps are `posekit.heatmaps.STRIDE` times smaller than their picture, and pixels are counted as there.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from posekit.heatmaps import STRIDE

_SPREAD = 0.08  # deviation along x and y, in sides of the person; a map pixel at least
_SPREAD_SIZES = 0.5  # deviation from one size to the next, in sizes: between two sizes both maps are above one half
_CUT = math.exp(-(3.0**2) / 2)


def sizes_between(least: float, most: float, per_octave: int = 2) -> tuple[float, ...]:
    """Sides in pixels, `per_octave` of them for every doubling, from `least` up to the first that is `most` or more."""
    count = math.ceil(per_octave * math.log2(most / least) - 1e-9) + 1
    return tuple(least * 2 ** (place / per_octave) for place in range(count))


def encode_centres(people_BP3: Tensor, sizes: Sequence[float], *, size: int) -> Tensor:
    """Draw target heatmaps: of each person a Gaussian of peak 1, exactly zero beyond 3 deviations; where two meet, the higher.

    Parameters
    ----------
    people_BP3 : (B, P, 3) float
        Middle x, y and longer side, in pixels of the picture; NaN for none.
    sizes : sequence of K floats
        At least 2, as of `sizes_between`: sides in pixels that the maps are of.
    size : int
        Side of the maps in map pixels.

    Returns
    -------
    (B, K, size, size) float32, on the people's device.
    """
    people = people_BP3.float()
    centres = ((people[..., :2] + 0.5) / STRIDE - 0.5).round()
    octaves = torch.log2(torch.tensor(sizes, device=people.device))
    between = math.log2(sizes[1] / sizes[0])
    off_sizes = (people[..., 2, None].log2() - octaves) / (_SPREAD_SIZES * between)  # (B, P, K)
    spread = (_SPREAD * torch.tensor(sizes, device=people.device) / STRIDE).clamp_min(1)  # (K,)
    grid = torch.arange(size, device=people.device, dtype=torch.float32)
    off = ((grid - centres[..., None])[:, :, None] / spread[:, None, None]).square()  # (B, P, K, 2, size)
    exponent = off[..., 1, :, None] + off[..., 0, None, :] + off_sizes.square()[..., None, None]
    maps = torch.exp(exponent / -2).nan_to_num(0.0)
    return F.threshold_(maps.amax(1), _CUT, 0.0)


def decode_centres(maps_KHW: Tensor, sizes: Sequence[float], *, least: float) -> np.ndarray:
    """Find the people in a picture's maps: peaks along x, y and size.

    Parameters
    ----------
    maps_KHW : (K, H, W) float
        Probabilities.
    sizes : sequence of K floats
        As of `encode_centres`.
    least : float
        Lowest peak.

    Returns
    -------
    (N, 4) float64 : x, y, side in pixels of the picture and the peak, the highest first. The side is that of the parabola through
        the logarithms of the peak and its neighbours of other sizes.
    """
    maps = maps_KHW.float()
    peaks = (maps >= least) & (maps == F.max_pool3d(maps[None], 3, stride=1, padding=1)[0])
    places = peaks.nonzero().cpu()
    heights = maps[peaks].cpu().double().numpy()
    size, row, column = places.numpy().T
    logs = maps.clamp_min(1e-6).log().cpu().double().numpy()
    side = sizes[0] * (sizes[1] / sizes[0]) ** (size + _between_sizes(logs, size, row, column))
    found = np.column_stack([(column + 0.5) * STRIDE - 0.5, (row + 0.5) * STRIDE - 0.5, side, heights])
    return found[np.argsort(-heights, kind="stable")]


def _between_sizes(logs_KHW: np.ndarray, size: np.ndarray, row: np.ndarray, column: np.ndarray) -> np.ndarray:
    """How far above a peak's size its parabola through three sizes has its vertex, in sizes, at most one half."""
    below, at, above = (logs_KHW[(size + step).clip(0, len(logs_KHW) - 1), row, column] for step in (-1, 0, 1))
    # A neighbour that there is not is where it would be on a Gaussian.
    curvature = -1 / _SPREAD_SIZES**2
    below = np.where(size == 0, 2 * at - above + curvature, below)
    above = np.where(size == len(logs_KHW) - 1, 2 * at - below + curvature, above)
    bent = below - 2 * at + above
    return np.divide(below - above, 2 * bent, out=np.zeros_like(at), where=bent < 0).clip(-0.5, 0.5)
