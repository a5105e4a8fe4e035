"""Finding the people in one photograph, however large it is."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from posekit.geometry import Box
from posekit.images import LARGE, Photograph, read_photograph, shrunk
from posekit.prediction.pose import Pose
from posekit.prediction.predictor import Predictor
from posekit.scoring.io.image_poses import PhotographPeople
from posekit.skeletons import Skeleton

# Of a large photograph, so many times more pixels are kept along each side when people are yet to be found in it.
_SMALLER = 8


@dataclass(frozen=True)
class Found:
    """The people found in a photograph.

    Parameters
    ----------
    path : Path
    photograph : Photograph
    poses : tuple of Pose
        In the photograph's own pixels.
    """

    path: Path
    photograph: Photograph
    poses: tuple[Pose, ...]

    def as_people(self, skeleton: Skeleton) -> PhotographPeople:
        """What tables keep, without the picture."""
        k = len(skeleton)
        return PhotographPeople(
            image=str(self.path),
            width=self.photograph.width,
            height=self.photograph.height,
            joints=np.array([pose.keypoints for pose in self.poses], np.float64).reshape(-1, k, 2),
            scores=np.array([pose.scores for pose in self.poses], np.float64).reshape(-1, k),
            boxes=tuple(pose.box for pose in self.poses),
        )

    @property
    def shown(self) -> list[Pose]:
        """The poses in pixels of the photograph's image, which may be a smaller one."""
        return [_reduced_pose(pose, self.photograph.reduction) for pose in self.poses]

    def no_larger(self) -> "Found":
        """The same with an image of at most `LARGE` pixels."""
        height, width = self.photograph.image.shape[:2]
        reduction = 2 ** max(0, math.ceil(math.log2(height * width / LARGE) / 2))
        return replace(self, photograph=shrunk(self.photograph, reduction))


def find_people(
    predictor: Predictor,
    path: Path,
    boxes: Sequence[Box] | None,
    *,
    detect: Callable[[np.ndarray], Sequence[Box]] | None = None,
    refine: int = 0,
) -> Found:
    """Read a photograph and find the joints of each boxed person; without boxes, of those that `detect` finds.

    Parameters
    ----------
    predictor : Predictor
    path : Path
    boxes : sequence of Box, optional
        The photograph's own pixels.
    detect : callable, optional
        From a picture to the boxes of its people. Without it and without boxes, one person is taken to fill the photograph.
    refine : int
        As `Predictor` takes it.

    Raises
    ------
    ImageError
        If the photograph cannot be read.
    BoxError
        If a box lies wholly outside it.
    """
    seen = predictor.info.input_size * (_SMALLER if boxes is None and detect is not None else 1)
    photograph = read_photograph(path, _resolution(seen, boxes))
    if boxes is not None:
        for box in boxes:
            box.require_overlap(photograph.width, photograph.height)
        boxes = [_reduced(box, photograph.reduction) for box in boxes]
    elif detect is not None:
        boxes = detect(photograph.image)
    poses = predictor(photograph.image, boxes, refine=refine)
    return Found(path, photograph, tuple(_reduced_pose(pose, 1 / photograph.reduction) for pose in poses))


def _resolution(size: int, boxes: Sequence[Box] | None) -> float:
    """Pixels that the model sees of each of the photograph's; one that it sees whole is large, or else this does not matter."""
    return size / min((box.side for box in boxes or ()), default=math.sqrt(LARGE))


def _reduced(box: Box, reduction: float) -> Box:
    return Box(tuple(_reduced_points(np.array(box.centre), reduction)), box.side / reduction)


def _reduced_pose(pose: Pose, reduction: float) -> Pose:
    if reduction == 1:
        return pose
    return replace(pose, keypoints=_reduced_points(pose.keypoints, reduction), box=_reduced(pose.box, reduction))


def _reduced_points(points: np.ndarray, reduction: float) -> np.ndarray:
    return (points - (reduction - 1) / 2) / reduction  # an integer is a pixel's centre
