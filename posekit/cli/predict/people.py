"""Predict the people in one image; very large images are read at a lower resolution."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from posekit.geometry import Box
from posekit.images import LARGE, ReducedImage, read_reduced_image, reduce_image
from posekit.prediction.pose import Pose
from posekit.prediction.predictor import Predictor

# Resolution at which people are detected in a large image: side length in model input sizes.
_DETECTION_SCALE = 8


@dataclass(frozen=True)
class ImagePrediction:
    """The people predicted in one image.

    Parameters
    ----------
    path : Path
    reduced : ReducedImage
        The image as it was read, possibly at a lower resolution than the file's.
    poses : tuple of Pose
        With coordinates in pixels of `reduced.image`.
    """

    path: Path
    reduced: ReducedImage
    poses: tuple[Pose, ...]

    def poses_in_file(self) -> list[Pose]:
        """Return the poses with coordinates in pixels of the image file."""
        return [_reduced_pose(pose, 1 / self.reduced.reduction) for pose in self.poses]

    def reduced_to_limit(self) -> "ImagePrediction":
        """Return the prediction with image and poses downscaled to at most `LARGE` pixels."""
        height, width = self.reduced.image.shape[:2]
        reduced = reduce_image(self.reduced, 2 ** max(0, math.ceil(math.log2(height * width / LARGE) / 2)))
        reduction = reduced.reduction / self.reduced.reduction
        poses = tuple(_reduced_pose(pose, reduction) for pose in self.poses)
        return replace(self, reduced=reduced, poses=poses)


def predict_image(
    predictor: Predictor,
    path: Path,
    boxes: Sequence[Box] | None,
    *,
    detect: Callable[[np.ndarray], Sequence[Box]] | None = None,
    refine: int = 0,
) -> ImagePrediction:
    """Read an image and predict the joints of each person in it.

    Parameters
    ----------
    predictor : Predictor
    path : Path
    boxes : sequence of Box, optional
        The people's boxes, in pixels of the image file.
    detect : callable, optional
        Function from an image to the boxes of its people, called if `boxes` is None. If both are None, the whole image is
        the box of one person.
    refine : int
        Number of refinements, see `Predictor`.

    Raises
    ------
    ImageError
        If the image cannot be read.
    BoxError
        If a box lies wholly outside the image.
    """
    size = predictor.info.input_size
    if boxes is not None:
        smallest = min((box.side for box in boxes), default=math.sqrt(LARGE))
        reduced = read_reduced_image(path, size / smallest)
        for box in boxes:
            box.require_overlap(reduced.width, reduced.height)
        boxes = [_reduced_box(box, reduced.reduction) for box in boxes]
    elif detect is not None:
        reduced = read_reduced_image(path, _DETECTION_SCALE * size / math.sqrt(LARGE))
        boxes = detect(reduced.image)
    else:
        reduced = read_reduced_image(path, size / math.sqrt(LARGE))
    poses = predictor(reduced.image, boxes, refine=refine)
    return ImagePrediction(path, reduced, tuple(poses))


def _reduced_pose(pose: Pose, reduction: float) -> Pose:
    if reduction == 1:
        return pose
    return replace(pose, keypoints=_reduced_points(pose.keypoints, reduction), box=_reduced_box(pose.box, reduction))


def _reduced_box(box: Box, reduction: float) -> Box:
    x, y = _reduced_points(np.array(box.centre), reduction)
    return Box((x, y), box.side / reduction)


def _reduced_points(points: np.ndarray, reduction: float) -> np.ndarray:
    """Convert points to an image downscaled by the factor `reduction`; integer coordinates are pixel centres."""
    return (points - (reduction - 1) / 2) / reduction
