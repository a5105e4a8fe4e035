"""Finding people in a whole picture by the pose model alone.

A detector is whatever goes from a picture to the boxes of its people: `PoseDetector`, or
`posekit.inference.onnx_detection.OnnxDetector`.
"""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from posekit.geometry import Box
from posekit.inference.pose import Pose
from posekit.inference.predictor import Predictor, picture, refined_boxes
from posekit.inference.similarity import DOUBLE, body_oks
from posekit.skeletons import Skeleton

# From one size of windows to the next.
_STEP = math.sqrt(2)
# Windows lie so closely that everybody who fits one is within the inner part of some; and how far apart they are, in sides.
_INNER, _APART = 0.8, 0.5
# How many are looked at again, in each round.
_KEPT = (30, 20)
# What is left of them are people, if one pose is worth that much: of scores that are probabilities, and of peaks.
_PROBABLE, _PEAK = 0.5, 0.2
# Poses of this OKS and more are of the same person: of those who stand close together, one is lost rather than one counted twice.
_SAME = 0.2


class PoseDetector:
    """Finds people by looking for their joints everywhere.

    The model looks into windows of several sizes all over the picture. The poses that score best are looked at again, twice, each
    in the box of the joints found before. A pose is worth its mean score times its OKS with the pose before: a body is found
    again where it was, whereas joints that the model believes to see in the background move about. Of poses that are much alike
    the one worth most is kept.

    Parameters
    ----------
    predictor : Predictor
    smallest : float
        Side of the smallest windows, in longer sides of the picture: people of about 0.8 times that are found, and smaller ones
        hardly. Half of it takes four times as long.
    """

    def __init__(self, predictor: Predictor, *, smallest: float = 0.3):
        self._predictor, self._smallest = predictor, smallest
        self._least = _PROBABLE if predictor.calibrated else _PEAK

    def __call__(self, image: str | Path | np.ndarray) -> list[Box]:
        """Boxes of people, image pixels, those first who are worth most.

        Parameters
        ----------
        image : path or array
            As `Predictor` takes it.

        Raises
        ------
        ImageError
            If the image cannot be read or is no picture.
        """
        image = picture(image)
        height, width = image.shape[:2]
        poses = self._predictor(image, windows(width, height, self._predictor.info.input_size / 2, self._smallest))
        worth = np.array([pose.scores.mean() for pose in poses])
        for count in _KEPT:
            before = [poses[index] for index in _distinct(poses, worth, DOUBLE)[:count]]
            poses = self._predictor(image, refined_boxes(before, width, height))
            joints = (np.array([pose.keypoints for pose in each]) for each in (poses, before))
            worth = np.array([pose.scores.mean() for pose in poses]) * _agreement(*joints, poses[0].skeleton)
        return [poses[index].box for index in _distinct(poses, worth, _SAME) if worth[index] >= self._least]


def windows(width: int, height: int, least_px: float, smallest: float) -> list[Box]:
    """Square windows of several sizes that cover a picture, the largest first.

    Parameters
    ----------
    width, height : int
        Image pixels.
    least_px, smallest : float
        Least side in image pixels, and in longer sides of the picture. The largest windows are there in any case.
    """
    longest = max(width, height)
    sides = [longest / _INNER]
    while sides[-1] / _STEP >= max(least_px, smallest * longest):
        sides.append(sides[-1] / _STEP)
    return [Box((x, y), side) for side in sides for y in _places(height, side) for x in _places(width, side)]


def _places(length: int, side: float) -> np.ndarray:
    """Middles of windows along an axis."""
    inner = _INNER * side
    if inner >= length:
        return np.array([(length - 1) / 2])
    count = math.ceil((length - inner) / (_APART * side)) + 1
    return np.linspace(inner / 2, length - inner / 2, count) - 0.5


def _distinct(poses: Sequence[Pose], worth_N: np.ndarray, same: float) -> list[int]:
    """Places of the poses that no better one resembles (OKS below `same`), the best first."""
    count, kept = len(poses), []
    every = np.array([pose.keypoints for pose in poses])
    alike = _agreement(every.repeat(count, 0), np.tile(every, (count, 1, 1)), poses[0].skeleton).reshape(count, count)
    for index in np.argsort(-worth_N).tolist():
        if (alike[index, kept] < same).all():
            kept.append(index)
    return kept


def _agreement(points_NK2: np.ndarray, others_NK2: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """OKS (N,), or where it is higher, that with left and right exchanged: the model may take someone's front for their back."""
    extents, compared = np.ptp(others_NK2, axis=1).max(1), np.ones(points_NK2.shape[:2], bool)
    turned = others_NK2[:, skeleton.flip_order]
    return np.maximum(*(body_oks(points_NK2, other, compared, extents, skeleton) for other in (others_NK2, turned)))
