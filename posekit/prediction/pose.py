"""`Pose`: what the predictor says about one person."""

from dataclasses import dataclass

import numpy as np

from posekit.drawing.pose import draw_pose
from posekit.geometry import Box
from posekit.skeletons import Skeleton

# Of a box around joints that the model found: wider than around true ones, since some limbs end farther out than it saw.
_MARGIN = 1.4


@dataclass(frozen=True)
class Pose:
    """One person's predicted joints.

    Parameters
    ----------
    keypoints : (K, 2) float64
        Image pixels.
    scores : (K,) float64
        0 to 1. Of a model whose weights hold a calibration for these views, the probability that the joint is right: within 0.2
        torsos on people like those that it was calibrated on. Of others the peak, up to 1.
    box : Box
        Where the model looked, image pixels.
    skeleton : Skeleton
    peaks : (K,) float64, optional
        Height of each joint's heatmap at its peak, after the head's activation: within 0 … 1 for a sigmoid head, near that for a
        linear one.

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
        """Where to look for this person once more: around the joints that score enough; `box` where these are fewer than half."""
        sure = (self.scores >= min_score) & np.isfinite(self.keypoints).all(1)
        return Box.around(self.keypoints[sure], _MARGIN) if sure.mean() >= 0.5 else self.box

    def top(self, min_score: float = 0.0) -> tuple[float, float]:
        """Where a number can stand, image pixels: above the joints that score enough, or the box where there are none."""
        shown = self.keypoints[(self.scores >= min_score) & np.isfinite(self.keypoints).all(1)]
        if len(shown):
            return float(shown[:, 0].mean()), float(shown[:, 1].min())
        (x, y), side = self.box.centre, self.box.side
        return x, y - side / 2

    def draw(self, image_bgr: np.ndarray, *, min_score: float = 0.0, show_box: bool = False) -> np.ndarray:
        """A new picture with the skeleton on it; joints that score less than `min_score` are left out."""
        shown = self.scores >= min_score
        return draw_pose(image_bgr, self.keypoints, self.skeleton, shown_K=shown, box=self.box if show_box else None)

    def to_coco(self, image_id: int, category_id: int = 1) -> dict:
        """The pose as an entry of a COCO keypoint result file.

        ``keypoints`` holds x, y, score for each joint: COCO's evaluation does not read the third number
        of a result, so it carries what would be lost otherwise. A joint without finite coordinates
        is 0, 0, 0. ``score`` is the mean of the joints' scores. The person's box stands under ``box``
        (x, y, width, height): under ``bbox`` pycocotools would take the person's area from it
        instead of from the joints.

        Returns
        -------
        dict : nothing but numbers, strings and lists, as JSON takes it.
        """
        triples = np.column_stack([self.keypoints, self.scores])
        triples[~np.isfinite(triples).all(1)] = 0.0
        (x, y), side = self.box.centre, self.box.side
        corner = x - side / 2 + 0.5, y - side / 2 + 0.5
        return {
            "image_id": image_id,
            "category_id": category_id,
            "keypoints": triples.round(4).ravel().tolist(),
            "score": round(float(triples[:, 2].mean()), 6),
            "box": [round(value, 4) for value in (*corner, side, side)],
        }
