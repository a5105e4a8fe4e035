"""Similarity of poses, to see whether two of them are of one person."""

import numpy as np

from posekit.metrics import oks
from posekit.skeletons import Skeleton

DOUBLE = 0.6
"""Two poses of one image above this OKS are one person, found in two boxes."""
# For skeletons without sigmas: COCO's of a shoulder.
_SIGMA = 0.079


def distinct(similar_NN: np.ndarray) -> list[int]:
    """Return the places, in order, that are similar to none of those kept before them; `similar_NN` is bool."""
    kept: list[int] = []
    for place, similar in enumerate(similar_NN):
        if not similar[kept].any():
            kept.append(place)
    return kept


def body_oks(
    pred_NK2: np.ndarray, truth_NK2: np.ndarray, compared_NK: np.ndarray, extent_N: np.ndarray, skeleton: Skeleton
) -> np.ndarray:
    """Return the OKS (N,) of people without segments, from the longer side of their tight box (N,) in pixels; see `oks`."""
    # Half of the square around the person: unlike the tight box, it does not shrink when someone is seen from the side.
    areas = np.maximum(extent_N**2 / 2, 1.0)
    return oks(pred_NK2, truth_NK2, compared_NK, area_N=areas, sigmas_K=skeleton.sigmas or [_SIGMA] * len(skeleton))
