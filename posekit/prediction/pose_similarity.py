"""How alike two poses are: whether they are of one person; and who is left if all but one of each person go."""

import numpy as np

from posekit.metrics import oks
from posekit.skeletons import Skeleton

DOUBLE = 0.6
"""Two poses of one picture above this OKS are one person, found in two boxes."""
# Of skeletons without sigmas: a shoulder's of COCO.
_SIGMA = 0.079


def distinct(alike_NN: np.ndarray) -> list[int]:
    """Places that are like no kept one before them, in order."""
    kept: list[int] = []
    for place, alike in enumerate(alike_NN):
        if not alike[kept].any():
            kept.append(place)
    return kept


def body_oks(
    pred_NK2: np.ndarray, truth_NK2: np.ndarray, compared_NK: np.ndarray, extent_N: np.ndarray, skeleton: Skeleton
) -> np.ndarray:
    """OKS (N,) of people of whom no segment is known, but the longer side of their tight box (N,) in pixels; see `oks`."""
    # Half of the square about the person: unlike the tight box, it does not shrink when someone is seen from the side.
    areas = np.maximum(extent_N**2 / 2, 1.0)
    return oks(pred_NK2, truth_NK2, compared_NK, area_N=areas, sigmas_K=skeleton.sigmas or [_SIGMA] * len(skeleton))
