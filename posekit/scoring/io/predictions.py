"""Predicted joints of annotated people or of the people in one image, and checks used by all file formats."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from posekit.errors import PredictionsError, require_array
from posekit.geometry import Box
from posekit.people import People
from posekit.skeletons import Skeleton, joint_mapping


@dataclass(frozen=True)
class Predictions:
    """Predicted joints of N people.

    Parameters
    ----------
    joints : (N, K, 2) float64
        Joint positions (x, y) in image pixels, 0-based; NaN where nothing could be predicted.
    scores : (N, K) float64
        Score of each joint: height of the heatmap's highest peak; NaN if unknown.
    index : (N,) int64
        Each person's index in the split.
    skeleton : Skeleton
        Skeleton of the K joints.
    dataset, split : str
        Data set and split of the people; "" if unknown.
    peaks : (N, K, P, 2) float64, optional
        Local maxima of each joint's heatmap, highest first: (x, y) in image pixels, 0-based, padded with NaN.
    heights : (N, K, P) float64, optional
        Heatmap values at the peaks; required if `peaks` is given.

    Raises
    ------
    ValueError
        If an array has the wrong shape, or only one of `peaks` and `heights` is given.
    """

    joints: np.ndarray
    scores: np.ndarray
    index: np.ndarray
    skeleton: Skeleton
    dataset: str = ""
    split: str = ""
    peaks: np.ndarray | None = None
    heights: np.ndarray | None = None

    def __post_init__(self):
        n, k = len(self.index), len(self.skeleton)
        require_array("joints", self.joints, (n, k, 2))
        require_array("scores", self.scores, (n, k))
        require_array("index", self.index, (n,))
        if self.peaks is not None and self.heights is not None:
            count = self.heights.shape[-1:]
            require_array("heights", self.heights, (n, k, *count))
            require_array("peaks", self.peaks, (n, k, *count, 2))
        elif self.peaks is not None or self.heights is not None:
            raise ValueError("peaks and heights: expected both or neither")

    def __len__(self):
        return len(self.index)

    @property
    def person_scores(self) -> np.ndarray:
        """(N,) float64 array: mean of each person's finite joint scores; 0 for people without finite scores."""
        finite = np.isfinite(self.scores)
        return np.where(finite, self.scores, 0.0).sum(1) / np.maximum(finite.sum(1), 1)

    def select(self, rows: np.ndarray) -> "Predictions":
        """Return the predictions selected by row indices (in that order) or by a boolean mask."""
        columns = {name: getattr(self, name)[rows] for name in ("index", *self._joint_columns)}
        return replace(self, **columns)

    def mapped_to(self, skeleton: Skeleton) -> "Predictions":
        """Return the predictions with another skeleton's joints, matched by name; NaN for joints without a match."""
        if skeleton == self.skeleton:
            return self
        source = joint_mapping(self.skeleton, skeleton)
        columns = {name: getattr(self, name)[:, source] for name in self._joint_columns}
        for column in columns.values():
            column[:, source < 0] = np.nan
        return replace(self, skeleton=skeleton, **columns)

    @property
    def _joint_columns(self) -> tuple[str, ...]:
        """Names of the arrays that have a joint axis."""
        return ("joints", "scores") if self.peaks is None else ("joints", "scores", "peaks", "heights")


@dataclass(frozen=True)
class ImagePeople:
    """People predicted in one image without annotations.

    The people are numbered from 1 in the order of their boxes.

    Parameters
    ----------
    image : str
        Path of the image, as given by the user.
    width, height : int
        Size in pixels of the image as displayed.
    joints : (P, K, 2) float64
        Image pixels, 0-based; NaN where nothing could be predicted.
    scores : (P, K) float64
        Score of each joint.
    boxes : tuple of Box
        The P boxes in which the joints were predicted.

    Raises
    ------
    ValueError
        If the arrays' shapes do not match.
    """

    image: str
    width: int
    height: int
    joints: np.ndarray
    scores: np.ndarray
    boxes: tuple[Box, ...]

    def __post_init__(self):
        require_array("joints", self.joints, (len(self.boxes), "K", 2))
        require_array("scores", self.scores, self.joints.shape[:2])

    def rounded(self) -> np.ndarray:
        """(P, K, 3) float64 array: x, y and score of each joint, rounded to 4 decimal places."""
        return np.concatenate([self.joints, self.scores[..., None]], -1).round(4)


def mean_pose(train: People, people: People) -> Predictions:
    """Predict the mean pose of the training people for each person: a baseline that ignores the image.

    The labelled joints of the training people are averaged in coordinates relative to each person's box, and scaled to the boxes of
    `people`. Joints that are not labelled for any training person are NaN.

    Raises
    ------
    DataError
        If the skeletons of `train` and `people` have no joint in common.
    """
    train = train.mapped_to(people.skeleton)
    relative = (train.joints - train.centres[:, None]) / train.sides[:, None, None]
    total = (relative * train.labelled[..., None]).sum(0)
    count = train.labelled.sum(0)[:, None]
    mean = np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)
    joints = people.centres[:, None] + mean * people.sides[:, None, None]
    scores = np.full(people.labelled.shape, np.nan)
    return Predictions(joints, scores, np.arange(len(people)), people.skeleton, people.name, people.split)


def checked_joints(path: str | Path, array: np.ndarray, skeleton: Skeleton, *, sizes: tuple[int, ...] = (2,)) -> np.ndarray:
    """Return ``preds`` as float64; raise `PredictionsError` if its shape is not (N, K, S) with S in `sizes`."""
    expected = [(len(skeleton), size) for size in sizes]
    if array.ndim != 3 or array.shape[1:] not in expected:
        shapes = " or ".join(f"(N, {k}, {size})" for k, size in expected)
        raise PredictionsError(f"{path}: preds: expected {shapes} for skeleton {skeleton.name}, got {array.shape}")
    return array.astype(np.float64)


def checked_index(path: str | Path, index: np.ndarray) -> np.ndarray:
    """Return the (N,) indices of people as int64; raise `PredictionsError` if an index is below 0 or occurs twice."""
    index = index.astype(np.int64)
    values, times = np.unique(index, return_counts=True)
    wrong = values[(times > 1) | (values < 0)]
    if len(wrong):
        problem = "occurs several times" if wrong[0] >= 0 else "is below 0"
        raise PredictionsError(
            f"{path}: index: expected unique indices of people in the split (0 or above), but {wrong[0]} {problem}; "
            f"{len(wrong)} indices are wrong"
        )
    return index


def resolve_base(path: str | Path, stated: int | None, given: int | None) -> int:
    """Return the coordinate base that the file or its format states; if `stated` is None, the base given by the caller.

    Raise `PredictionsError` if `stated` and `given` are both None or differ, or the base is not 0 or 1.
    """
    base = given if stated is None else stated
    if base is None:
        raise PredictionsError(
            f"{path}: the coordinate base is unknown; add --base 1 if the file was made for the MATLAB evaluation (like the "
            "hourglass authors' files), or --base 0 for Python; if unsure, score with both bases: the right one has the higher AUC"
        )
    if given not in (None, base):
        raise PredictionsError(f"{path}: the file or its format states base {base}, but base {given} was given; remove --base")
    if base not in (0, 1):
        raise PredictionsError(f"{path}: coordinate base {base}: expected 0 or 1")
    return base


def file_names(people: People) -> list[str]:
    """Return the file name of each person's image, without folders."""
    return [Path(image).name for image in people.image_paths.tolist()]
