"""Find the people in a whole image with posekit's own networks.

A detector is any callable that takes an image and returns the bounding boxes of the people in it, such as `PoseDetector` or
`posekit.prediction.detect.onnx_detector.OnnxDetector`.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from posekit.geometry import Box
from posekit.metrics import square_iou
from posekit.prediction.pose import Pose
from posekit.prediction.pose_similarity import body_oks, distinct
from posekit.prediction.predictor import Predictor, load_image

BOX_MARGIN = 1.25
"""Ratio of a proposed box's side to the longer side of the tight box around the person's keypoints."""
CANDIDATES = 100
"""Maximum number of proposed boxes that are used."""
# A proposed box supports a pose if the box and the pose's tight square have at least this intersection over union. The box's
# score times the weight is then added to the confidence in the pose.
_SUPPORT_IOU = 0.5
_SUPPORT_WEIGHT = 0.5
# Minimum confidence in a person if scores are probabilities, and if scores are peaks. Chosen on scenes composed of people that
# were not in the training data of either network: 5 of 6 people are found, with one false person per 3 scenes.
_MIN_PROBABILITY = 0.65
_MIN_PEAK = 0.25
# Poses with at least this OKS are the same person. Low, since missing one of two close people is better than a double detection.
_SAME_OKS = 0.2


class PoseDetector:
    """Finds people: a network proposes boxes, and the pose model confirms or rejects them.

    The pose model runs in each proposed box and in the whole image. The confidence in a pose is the mean score of the pose plus
    half the score of the proposed box around the pose. The mean score is evidence of joints; the box score is evidence that the
    joints form a body. Of similar poses, only the most confident one is kept.

    Parameters
    ----------
    predictor : Predictor
    candidates : callable
        Takes an image, (H, W, 3) uint8 BGR, and returns proposed boxes with scores, the highest score first; for example a
        `posekit.tasks.person_finder.finder.CentreFinder`.
    """

    def __init__(self, predictor: Predictor, candidates: Callable[[np.ndarray], Sequence[tuple[Box, float]]]):
        self._predictor = predictor
        self._candidates = candidates
        self._min_confidence = _MIN_PROBABILITY if predictor.calibrated else _MIN_PEAK

    def __call__(self, image: str | Path | np.ndarray) -> list[Box]:
        """Return the bounding boxes of people, in image pixels, the most confident first.

        Parameters
        ----------
        image : path or array
            As for `Predictor`.

        Raises
        ------
        ImageError
            If the image cannot be read, or the array is not an image.
        """
        pixels = load_image(image)
        candidates = [(Box.of_image(pixels), 0.0), *self._candidates(pixels)[:CANDIDATES]]
        poses = self._predictor(pixels, [box for box, _ in candidates])
        confidence = np.array([pose.scores.mean() for pose in poses]) + _SUPPORT_WEIGHT * _box_scores(poses, candidates)
        order = np.argsort(-confidence, kind="stable")
        people = [poses[i] for i in order if confidence[i] >= self._min_confidence]
        return [people[i].box for i in distinct(_similarity(people) >= _SAME_OKS)]


def _box_scores(poses: Sequence[Pose], candidates: Sequence[tuple[Box, float]]) -> np.ndarray:
    """Return for each pose the highest score (N,) of the proposed boxes that overlap it enough; 0 without such a box."""
    keypoints = np.array([pose.keypoints for pose in poses])
    low = keypoints.min(1)
    high = keypoints.max(1)
    tight = np.column_stack([(low + high) / 2, (high - low).max(1)])
    proposed = np.array([(*box.centre, box.side / BOX_MARGIN) for box, _ in candidates])
    scores = np.array([score for _, score in candidates])
    return ((square_iou(tight, proposed) >= _SUPPORT_IOU) * scores).max(1)


def _similarity(poses: Sequence[Pose]) -> np.ndarray:
    """Return the OKS (N, N) of all pairs of poses.

    Models confuse front and back views, so each pair is also compared with left and right joints swapped in one of its poses; the
    higher OKS of the two counts.
    """
    if not poses:
        return np.zeros((0, 0))
    count = len(poses)
    skeleton = poses[0].skeleton
    keypoints = np.array([pose.keypoints for pose in poses])
    first = keypoints.repeat(count, 0)
    second = np.tile(keypoints, (count, 1, 1))
    extents = np.ptp(second, axis=1).max(1)
    compared = np.ones(first.shape[:2], bool)
    plain = body_oks(first, second, compared, extents, skeleton)
    mirrored = body_oks(first, second[:, skeleton.flip_order], compared, extents, skeleton)
    return np.maximum(plain, mirrored).reshape(count, count)
