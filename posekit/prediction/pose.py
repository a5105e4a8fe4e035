"""`Pose`: the prediction for one person."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from posekit.drawing.pose import draw_pose
from posekit.geometry import Box
from posekit.skeletons import Skeleton

# Of a box around predicted keypoints: wider than around true ones, since some limbs reach farther than predicted.
_MARGIN = 1.4


@dataclass(frozen=True)
class Pose:
    """One person's predicted keypoints.

    Parameters
    ----------
    keypoints : (K, 2) float64
        Image pixels.
    scores : (K,) float64
        0 to 1. If the model's weights hold a calibration for these views, the probability that the keypoint is right, within 0.2
        torsos, for people like those of the calibration. Otherwise the peak, limited to 0 … 1.
    box : Box
        The box that the model was given, image pixels.
    skeleton : Skeleton
    peaks : (K,) float64, optional
        Height of each heatmap's peak, after the head's activation: within 0 … 1 for a sigmoid head, near that for a linear one.

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
        """Return a box around the keypoints that score at least `min_score`; `box` if these are fewer than half."""
        sure = self.sure(min_score)
        return Box.around(self.keypoints[sure], _MARGIN) if sure.mean() >= 0.5 else self.box

    def top(self, min_score: float = 0.0) -> tuple[float, float]:
        """Return the place of a label, image pixels: above the keypoints that score at least `min_score`, or above the box."""
        shown = self.keypoints[self.sure(min_score)]
        if len(shown):
            return float(shown[:, 0].mean()), float(shown[:, 1].min())
        x, y = self.box.centre
        return x, y - self.box.side / 2

    def sure(self, min_score: float) -> np.ndarray:
        """Return which keypoints are finite and score at least `min_score`: (K,) bool."""
        return (self.scores >= min_score) & np.isfinite(self.keypoints).all(1)

    def draw(self, image_bgr: np.ndarray, *, min_score: float = 0.0, show_box: bool = False) -> np.ndarray:
        """Return a copy of the image with the skeleton drawn on it, without keypoints that score less than `min_score`."""
        shown = self.scores >= min_score
        return draw_pose(image_bgr, self.keypoints, self.skeleton, shown_K=shown, box=self.box if show_box else None)

    def to_coco(self, image_id: int, category_id: int = 1) -> dict[str, Any]:
        """Return the pose as an entry of a COCO keypoint result file, ready for JSON.

        ``keypoints`` holds x, y, score for each keypoint: COCO's evaluation ignores the third number of a result, so it is free
        for the score. A keypoint without finite coordinates is 0, 0, 0. ``score`` is the mean of the keypoints' scores. ``box``
        (x, y, width, height) is the person's box; under the key ``bbox`` pycocotools would compute the person's area from it
        instead of from the keypoints.
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
