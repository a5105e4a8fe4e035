"""Finding people in a whole picture with nothing but what comes with posekit.

A detector is whatever goes from a picture to the boxes of its people: `PoseDetector`, or
`posekit.prediction.detect.onnx_detector.OnnxDetector`.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from posekit.geometry import Box
from posekit.metrics import square_iou
from posekit.prediction.pose import Pose
from posekit.prediction.pose_similarity import body_oks, distinct
from posekit.prediction.predictor import Predictor, picture

BOX_MARGIN = 1.25
"""A proposed box is so much larger than the tight box of the joints."""
CANDIDATES = 100
"""So many of the boxes proposed are looked into at most."""
# A proposed box of this intersection over union with the square about a pose speaks for it, with half of its score.
_ABOUT, _SAY = 0.5, 0.5
# What a person is worth at least, where scores are probabilities, and where they are peaks: settled on scenes pasted together from
# people whom neither network had seen, so that five of six are, and in every third scene one who is not there.
_PROBABLE, _PEAK = 0.65, 0.25
# Poses of this OKS and more are of the same person: of those who stand close together, one is lost rather than one counted twice.
_SAME = 0.2


class PoseDetector:
    """Finds people: a network that knows where people are proposes boxes, the pose model looks whether it sees someone there.

    It looks into each box proposed and at the whole picture. A pose is worth its mean score, and half the score of the box that was
    proposed where it lies: the one tells whether there are joints, the other whether they are a body's. Of poses that are much
    alike the one worth most is kept.

    Parameters
    ----------
    predictor : Predictor
    candidates : callable
        From an image, (H, W, 3) uint8, blue, green, red, to boxes with their scores, the highest first: for example a
        `posekit.tasks.person_finder.finder.CentreFinder`.
    """

    def __init__(self, predictor: Predictor, candidates: Callable[[np.ndarray], Sequence[tuple[Box, float]]]):
        self._predictor = predictor
        self._candidates = candidates
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
        candidates = [(Box.of_picture(image), 0.0), *self._candidates(image)[:CANDIDATES]]
        poses = self._predictor(image, [box for box, _ in candidates])
        worth = np.array([pose.scores.mean() for pose in poses]) + _SAY * _support(poses, candidates)
        order = np.argsort(-worth, kind="stable")[: (worth >= self._least).sum()]
        people = [poses[index] for index in order]
        return [people[index].box for index in distinct(_agreement(people) >= _SAME)]


def _support(poses: Sequence[Pose], candidates: Sequence[tuple[Box, float]]) -> np.ndarray:
    """(N,) highest score of the boxes that were proposed where each pose lies; 0 where none was."""
    points = np.array([pose.keypoints for pose in poses])
    low, high = points.min(1), points.max(1)
    tight = np.column_stack([(low + high) / 2, (high - low).max(1)])
    proposed = np.array([(*box.centre, box.side / BOX_MARGIN) for box, _ in candidates])
    return ((square_iou(tight, proposed) >= _ABOUT) * [score for _, score in candidates]).max(1)


def _agreement(poses: Sequence[Pose]) -> np.ndarray:
    """(N, N) OKS of each with each, or where it is higher, that with left and right exchanged: a front may be taken for a back."""
    if not poses:
        return np.zeros((0, 0))
    count, skeleton = len(poses), poses[0].skeleton
    points = np.array([pose.keypoints for pose in poses])
    ones, others = points.repeat(count, 0), np.tile(points, (count, 1, 1))
    extents, compared = np.ptp(others, axis=1).max(1), np.ones(ones.shape[:2], bool)
    both = (body_oks(ones, each, compared, extents, skeleton) for each in (others, others[:, skeleton.flip_order]))
    return np.maximum(*both).reshape(count, count)
