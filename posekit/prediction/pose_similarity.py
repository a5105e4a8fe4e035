"""Similarity of poses, to decide whether two poses show the same person."""

import numpy as np

from posekit.metrics import oks
from posekit.skeletons import Skeleton

DOUBLE = 0.6
"""Two poses in one image with a higher OKS are the same person, found in two boxes."""
# For skeletons without sigmas: COCO's sigma of a shoulder.
_SIGMA = 0.079


def distinct(similar_NN: np.ndarray) -> list[int]:
    """Go through the N items in order and keep each item that is similar to none of the items kept so far.

    Parameters
    ----------
    similar_NN : (N, N) bool
        True where two items are similar.

    Returns
    -------
    list of int : indices of the items that are kept, ascending.
    """
    kept: list[int] = []
    for place, similar in enumerate(similar_NN):
        if not similar[kept].any():
            kept.append(place)
    return kept


def body_oks(
    pred_NK2: np.ndarray, truth_NK2: np.ndarray, compared_NK: np.ndarray, extent_N: np.ndarray, skeleton: Skeleton
) -> np.ndarray:
    """Return the OKS (N,) of people without segmentation masks (see `oks`).

    Each person's area is estimated from `extent_N`, the longer side of the person's tight box in pixels.
    """
    # Half the area of the square around the person. Unlike the area of the tight box, it does not shrink in a side view.
    areas = np.maximum(extent_N**2 / 2, 1.0)
    return oks(pred_NK2, truth_NK2, compared_NK, area_N=areas, sigmas_K=skeleton.sigmas or [_SIGMA] * len(skeleton))
