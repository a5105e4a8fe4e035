"""`Pose`, the prediction for one person, and the similarity of poses."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from posekit.drawing.pose import draw_pose
from posekit.geometry import Box
from posekit.metrics import oks
from posekit.skeletons import Skeleton

# Margin of a box around predicted keypoints: larger than around true keypoints, since some limbs reach farther than predicted.
_MARGIN = 1.4
DOUBLE = 0.6
"""Two poses in one image with a higher OKS are the same person, found in two boxes."""
# For skeletons without sigmas: COCO's sigma of a shoulder.
_SIGMA = 0.079


@dataclass(frozen=True)
class Pose:
    """One person's predicted keypoints.

    Parameters
    ----------
    keypoints : (K, 2) float64
        x, y in image pixels.
    scores : (K,) float64
        0 to 1. If the weights contain a calibration for the predictor's views, the probability that the keypoint lies within 0.2
        torso lengths of the true joint, valid for people similar to the calibration data. Otherwise the peak, clipped to [0, 1].
    box : Box
        The bounding box given to the model, in image pixels.
    skeleton : Skeleton
    peaks : (K,) float64, optional
        Peak height of each activated heatmap: in [0, 1] for a sigmoid head, approximately in [0, 1] for a linear head.

    Raises
    ------
    ValueError
        If an array has the wrong shape.
    """

    keypoints: np.ndarray
    scores: np.ndarray
    box: Box
    skeleton: Skeleton
    peaks: np.ndarray | None = None

    def __post_init__(self):
        k = len(self.skeleton)
        if self.keypoints.shape != (k, 2) or self.scores.shape != (k,):
            raise ValueError(
                f"pose: expected keypoints ({k}, 2) and scores ({k},), got {self.keypoints.shape}, {self.scores.shape}"
            )

    def refined_box(self, min_score: float = 0.1) -> Box:
        """Return a box around the keypoints that score at least `min_score`; `box` if fewer than half of the keypoints do."""
        sure = self.sure(min_score)
        return Box.around(self.keypoints[sure], _MARGIN) if sure.mean() >= 0.5 else self.box

    def top(self, min_score: float = 0.0) -> tuple[float, float]:
        """Return x, y in image pixels for a label: the top of the keypoints that score at least `min_score`, or of the box."""
        shown = self.keypoints[self.sure(min_score)]
        if len(shown):
            return float(shown[:, 0].mean()), float(shown[:, 1].min())
        x, y = self.box.centre
        return x, y - self.box.side / 2

    def sure(self, min_score: float) -> np.ndarray:
        """(K,) bool array, True where a keypoint is finite and scores at least `min_score`."""
        return (self.scores >= min_score) & np.isfinite(self.keypoints).all(1)

    def draw(self, image_bgr: np.ndarray, *, min_score: float = 0.0, show_box: bool = False) -> np.ndarray:
        """Return a copy of the image with the pose drawn, without keypoints that score less than `min_score`."""
        shown = self.scores >= min_score
        return draw_pose(image_bgr, self.keypoints, self.skeleton, shown_K=shown, box=self.box if show_box else None)

    def to_coco(self, image_id: int, category_id: int = 1) -> dict[str, Any]:
        """Return the pose as an entry of a COCO keypoint result file, ready for JSON.

        ``keypoints`` holds x, y, score for each keypoint; COCO's evaluation ignores the third number. A keypoint without finite
        coordinates is 0, 0, 0. ``score`` is the mean of the keypoints' scores. ``box`` (x, y, width, height) is the person's box.
        The key is not ``bbox``, because pycocotools would then compute the person's area from the box instead of the keypoints.
        """
        triples = np.column_stack([self.keypoints, self.scores])
        triples[~np.isfinite(triples).all(1)] = 0.0
        x, y = self.box.centre
        side = self.box.side
        box = (x - side / 2 + 0.5, y - side / 2 + 0.5, side, side)
        return {
            "image_id": image_id,
            "category_id": category_id,
            "keypoints": triples.round(4).ravel().tolist(),
            "score": round(float(triples[:, 2].mean()), 6),
            "box": [round(value, 4) for value in box],
        }


def distinct(similar_NN: np.ndarray) -> list[int]:
    """Go through the N items in order, keep each item that is similar to none of the items kept so far, and return the indices.

    `similar_NN` (N, N) bool is True where two items are similar.
    """
    kept: list[int] = []
    for i, similar in enumerate(similar_NN):
        if not similar[kept].any():
            kept.append(i)
    return kept


def body_oks(
    pred_NK2: np.ndarray, truth_NK2: np.ndarray, compared_NK: np.ndarray, extent_N: np.ndarray, skeleton: Skeleton
) -> np.ndarray:
    """Return the OKS (N,) of people without segmentation masks (see `oks`).

    Each person's area is estimated from `extent_N`, the longer side of the person's tight box in pixels.
    """
    # Half the area of the square around the person; unlike the tight box, the square does not shrink in a side view.
    areas = np.maximum(extent_N**2 / 2, 1.0)
    return oks(pred_NK2, truth_NK2, compared_NK, area_N=areas, sigmas_K=skeleton.sigmas or [_SIGMA] * len(skeleton))
