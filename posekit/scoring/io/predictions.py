"""Predicted joints of N people, and the checks that all file formats share."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from posekit.errors import PredictionsError
from posekit.metrics.pck import require_shape
from posekit.people import People
from posekit.skeletons import Skeleton, joint_mapping


@dataclass(frozen=True)
class Predictions:
    """Predicted joints of N people.

    Parameters
    ----------
    joints : (N, K, 2) float64
        Image pixels, 0-based; NaN where nothing could be predicted.
    scores : (N, K) float64
        Heights of the heatmaps' peaks; NaN where the source has none.
    index : (N,) int64
        Each person's index in the split.
    skeleton : Skeleton
        K joints.
    dataset, split : str
        Data set and split of the people; "" if unknown.
    peaks : (N, K, P, 2) float64, optional
        Local maxima of each joint's heatmap, highest first: image pixels, 0-based; NaN where there are fewer than P.
    heights : (N, K, P) float64, optional
        Heights of the peaks; given with the peaks or not at all.

    Raises
    ------
    ValueError
        If an array has the wrong shape, or only one of peaks and heights is given.
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
        require_shape("joints", self.joints, (n, k, 2))
        require_shape("scores", self.scores, (n, k))
        require_shape("index", self.index, (n,))
        if self.peaks is not None and self.heights is not None:
            count = self.heights.shape[-1:]
            require_shape("heights", self.heights, (n, k, *count))
            require_shape("peaks", self.peaks, (n, k, *count, 2))
        elif self.peaks is not None or self.heights is not None:
            raise ValueError("peaks and heights: expected both or neither")

    def __len__(self):
        return len(self.index)

    def select(self, rows: np.ndarray) -> "Predictions":
        """Select predictions by indices or a mask, in that order."""
        columns = {name: getattr(self, name)[rows] for name in ("index", *self._joint_columns)}
        return replace(self, **columns)

    def mapped_to(self, skeleton: Skeleton) -> "Predictions":
        """Map to another skeleton's joints, matched by name; NaN for joints that are lacking."""
        if skeleton == self.skeleton:
            return self
        source = joint_mapping(self.skeleton, skeleton)
        columns = {name: getattr(self, name)[:, source] for name in self._joint_columns}
        for column in columns.values():
            column[:, source < 0] = np.nan
        return replace(self, skeleton=skeleton, **columns)

    @property
    def _joint_columns(self) -> tuple[str, ...]:
        """Names of the arrays with an axis of joints."""
        return ("joints", "scores") if self.peaks is None else ("joints", "scores", "peaks", "heights")


def checked_joints(path: str | Path, array: np.ndarray, skeleton: Skeleton, *, sizes: tuple[int, ...] = (2,)) -> np.ndarray:
    """Return ``preds``, (N, K, one of `sizes`), as float64.

    Raises
    ------
    PredictionsError
        If it has another shape.
    """
    expected = [(len(skeleton), size) for size in sizes]
    if array.ndim != 3 or array.shape[1:] not in expected:
        shapes = " or ".join(f"(N, {k}, {size})" for k, size in expected)
        raise PredictionsError(f"{path}: preds: expected {shapes} for skeleton {skeleton.name}, got {array.shape}")
    return array.astype(np.float64)


def checked_index(path: str | Path, index: np.ndarray) -> np.ndarray:
    """Return the people's indices in their split, (N,), as int64.

    Raises
    ------
    PredictionsError
        If an index is below 0 or occurs twice.
    """
    index = index.astype(np.int64)
    values, times = np.unique(index, return_counts=True)
    wrong = values[(times > 1) | (values < 0)]
    if len(wrong):
        problem = "occurs several times" if wrong[0] >= 0 else "is below 0"
        raise PredictionsError(
            f"{path}: index: expected each person's index in the split (0 or above) once, but {wrong[0]} {problem}; "
            f"{len(wrong)} indices are wrong"
        )
    return index


def resolve_base(path: str | Path, stated: int | None, given: int | None) -> int:
    """Return the coordinate base that the file or its format states, or else the caller gives.

    Raises
    ------
    PredictionsError
        If the base is unknown, the two differ, or it is not 0 or 1.
    """
    base = given if stated is None else stated
    if base is None:
        raise PredictionsError(
            f"{path}: the coordinate base is unknown; give --base 1 if the file was made for MATLAB's evaluation (the hourglass "
            "authors' files) or --base 0 if for Python's; if unsure, score with both: the right base has the higher AUC"
        )
    if given not in (None, base):
        raise PredictionsError(f"{path}: the file or its format states base {base}, but base {given} was given; leave --base out")
    if base not in (0, 1):
        raise PredictionsError(f"{path}: coordinate base {base}: expected 0 or 1")
    return base


def file_names(people: People) -> list[str]:
    """File name of each person's image, without its folder."""
    return [Path(image).name for image in people.image_paths.tolist()]
