"""The predicted joints of N persons, and the checks that every kind of file shares."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from posekit.errors import PredictionsError
from posekit.people import People
from posekit.skeletons import Skeleton, joint_mapping


@dataclass(frozen=True)
class Predictions:
    """Predicted joints of N persons.

    Parameters
    ----------
    joints : (N, K, 2) float64
        Image pixels, 0-based; NaN where nothing could be predicted.
    scores : (N, K) float64
        Peaks of the heatmaps; NaN where the source has none.
    index : (N,) int64
        Each person's place in the split.
    skeleton : Skeleton
        K joints.
    dataset, split : str
        What the persons are from; "" where the source does not say.
    peaks : (N, K, P, 2) float64, optional
        Local maxima of each joint's heatmap, highest first: image pixels, 0-based; NaN where there are fewer than P.
    heights : (N, K, P) float64, optional
        Of the peaks. There are both or neither.

    Raises
    ------
    ValueError
        If an array has the wrong shape, or peaks come without heights or heights without peaks.
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
        shape = len(self.index), len(self.skeleton)
        shapes = {"joints": (*shape, 2), "scores": shape, "index": shape[:1]}
        if (self.peaks is None) != (self.heights is None):
            raise ValueError("peaks and heights: expected both or neither")
        if self.peaks is not None:
            count = self.heights.shape[-1:]
            shapes |= {"heights": (*shape, *count), "peaks": (*shape, *count, 2)}
        for name, expected in shapes.items():
            if getattr(self, name).shape != expected:
                raise ValueError(f"{name}: expected {expected}, got {getattr(self, name).shape}")

    def __len__(self):
        return len(self.index)

    def select(self, rows: np.ndarray) -> "Predictions":
        """The predictions at `rows` (integers or a mask), in that order."""
        names = ("joints", "scores", "index", *(("peaks", "heights") if self.peaks is not None else ()))
        return replace(self, **{name: getattr(self, name)[rows] for name in names})

    def mapped_to(self, skeleton: Skeleton) -> "Predictions":
        """The same with another skeleton's joints, matched by name; NaN for joints that are lacking."""
        if skeleton == self.skeleton:
            return self
        source = joint_mapping(self.skeleton, skeleton)
        names = ("joints", "scores", *(("peaks", "heights") if self.peaks is not None else ()))
        columns = {name: getattr(self, name)[:, source] for name in names}
        for column in columns.values():
            column[:, source < 0] = np.nan
        return replace(self, skeleton=skeleton, **columns)


def checked_joints(path: str | Path, array: np.ndarray, skeleton: Skeleton, *, sizes: tuple[int, ...] = (2,)) -> np.ndarray:
    """``preds`` as (N, K, one of `sizes`) float64.

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
    """The persons' places in their split, (N,) int64.

    Raises
    ------
    PredictionsError
        If a place is below 0 or occurs twice.
    """
    index = index.astype(np.int64)
    places, times = np.unique(index, return_counts=True)
    wrong = places[(times > 1) | (places < 0)]
    if len(wrong):
        raise PredictionsError(
            f"{path}: index: expected each person's place in the split (0 or above) once, but {wrong[0]} is "
            f"{'there several times' if wrong[0] >= 0 else 'below 0'}; {len(wrong)} such places"
        )
    return index


def known_base(path: str | Path, stated: int | None, given: int | None) -> int:
    """What the file's first pixel is called: what it or its format states, or else what the caller says.

    Raises
    ------
    PredictionsError
        If neither says it, the two differ, or it is not 0 or 1.
    """
    if stated is None and given is None:
        raise PredictionsError(
            f"{path}: does not say whether its pixels count from 0 or from 1. Give --base 1 if it was made for MATLAB's evaluation "
            "(the hourglass authors' files) or --base 0 if for Python's; if you cannot tell, score it with both: the right base "
            "has the higher AUC"
        )
    if stated is not None and given is not None and stated != given:
        raise PredictionsError(
            f"{path}: it or its format says that its pixels count from {stated}, but base {given} was given; leave --base out"
        )
    base = given if stated is None else stated
    if base not in (0, 1):
        raise PredictionsError(f"{path}: coordinate base {base}: expected 0 or 1")
    return base


def file_names(people: People) -> list[str]:
    """Name of the photograph that each person is in, without its folder."""
    return [Path(image).name for image in people.image_paths.tolist()]
