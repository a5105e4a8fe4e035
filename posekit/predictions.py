"""Prediction files: posekit's own ``predictions.h5``, and the stacked hourglass authors' form of it.

Ours holds ``preds`` (N, K, 2), ``scores`` (N, K) and ``index`` (N), and says in its attributes which
data set, split, skeleton and coordinate base they belong to. The hourglass authors' files hold
``preds`` alone, and count pixels from 1.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import h5py
import numpy as np

from posekit import __version__
from posekit.errors import DataError, PredictionsError
from posekit.files import replacing
from posekit.skeletons import MPII16, Skeleton


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

    Raises
    ------
    ValueError
        If an array has the wrong shape.
    """

    joints: np.ndarray
    scores: np.ndarray
    index: np.ndarray
    skeleton: Skeleton
    dataset: str = ""
    split: str = ""

    def __post_init__(self):
        shape = len(self.index), len(self.skeleton)
        for name, expected in {"joints": (*shape, 2), "scores": shape, "index": shape[:1]}.items():
            if getattr(self, name).shape != expected:
                raise ValueError(f"{name}: expected {expected}, got {getattr(self, name).shape}")

    def __len__(self):
        return len(self.index)

    def select(self, rows: np.ndarray) -> "Predictions":
        """The predictions at `rows` (integers or a mask), in that order."""
        return replace(self, joints=self.joints[rows], scores=self.scores[rows], index=self.index[rows])


def write_predictions(path: str | Path, predictions: Predictions) -> None:
    """Write ``predictions.h5``; an existing file is replaced only by a whole one.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    with replacing(path) as unfinished, h5py.File(unfinished, "w") as file:
        file.update({"preds": predictions.joints, "scores": predictions.scores, "index": predictions.index})
        file.attrs.update(
            dataset=predictions.dataset,
            split=predictions.split,
            skeleton=json.dumps(predictions.skeleton.to_dict()),
            coordinate_base=0,
            posekit=__version__,
        )


def read_predictions(path: str | Path, *, base: int | None = None, skeleton: Skeleton = MPII16) -> Predictions:
    """Read a prediction file in HDF5, ours or the hourglass authors'.

    Parameters
    ----------
    path : str or Path
    base : {0, 1}, optional
        What the file's first pixel is called. Needed where the file does not say it.
    skeleton : Skeleton
        Of a file that does not say its own.

    Returns
    -------
    Predictions : 0-based, whatever the file's base.

    Raises
    ------
    PredictionsError
        If the file cannot be read, holds no ``preds`` (N, K, 2), or its base is not known.
    """
    try:
        with h5py.File(path) as file:
            attributes = dict(file.attrs)
            kinds = {"preds": "fiu", "scores": "fiu", "index": "iu"}
            arrays = {name: _numbers(file, name, kind) for name, kind in kinds.items() if name in file}
    except FileNotFoundError:
        raise PredictionsError(f"{path}: no such prediction file") from None
    except (OSError, KeyError, RuntimeError, TypeError, ValueError) as error:  # what h5py raises for damaged files
        raise PredictionsError(f"{path}: not a prediction file in HDF5 that can be read ({error})") from error
    skeleton = _own_skeleton(path, attributes) or skeleton
    joints = _joints(path, arrays, skeleton)
    return Predictions(
        joints=joints - _base(path, attributes, base),
        scores=_column(path, arrays, "scores", np.full(joints.shape[:2], np.nan)),
        index=_column(path, arrays, "index", np.arange(len(joints), dtype=np.int64)),
        skeleton=skeleton,
        dataset=str(attributes.get("dataset", "")),
        split=str(attributes.get("split", "")),
    )


def _numbers(file: h5py.File, name: str, kinds: str) -> np.ndarray:
    data = file[name]
    if not isinstance(data, h5py.Dataset) or data.dtype.kind not in kinds:
        raise ValueError(f"{name} is not an array of {'numbers' if 'f' in kinds else 'whole numbers'}")
    return data[()]


def _own_skeleton(path: str | Path, attributes: Mapping) -> Skeleton | None:
    if "skeleton" not in attributes:
        return None
    try:
        return Skeleton.from_dict(json.loads(attributes["skeleton"]))
    except (DataError, TypeError, ValueError) as error:
        raise PredictionsError(f"{path}: its attribute 'skeleton' cannot be read ({error})") from error


def _joints(path: str | Path, arrays: Mapping[str, np.ndarray], skeleton: Skeleton) -> np.ndarray:
    if "preds" not in arrays:
        raise PredictionsError(f"{path}: holds no array 'preds' of predicted joints (N, K, 2)")
    joints = arrays["preds"].astype(np.float64)
    if joints.ndim != 3 or joints.shape[1:] != (len(skeleton), 2):
        raise PredictionsError(f"{path}: preds: expected (N, {len(skeleton)}, 2) for skeleton {skeleton.name}, got {joints.shape}")
    return joints


def _column(path: str | Path, arrays: Mapping[str, np.ndarray], name: str, default: np.ndarray) -> np.ndarray:
    column = arrays.get(name, default)
    if column.shape != default.shape:
        raise PredictionsError(f"{path}: {name}: expected {default.shape}, got {column.shape}")
    return column.astype(default.dtype)


def _base(path: str | Path, attributes: Mapping, given: int | None) -> int:
    own = attributes.get("coordinate_base")
    if own is None and given is None:
        raise PredictionsError(
            f"{path}: does not say whether its pixels count from 0 or from 1. Give --base 1 if it was made for MATLAB's evaluation "
            "(the hourglass authors' files) or --base 0 if for Python's; if you cannot tell, score it with both: the right base "
            "has the higher AUC"
        )
    if own is not None and given is not None and str(own) != str(given):
        raise PredictionsError(f"{path}: says that its pixels count from {own}, but base {given} was given; leave --base out")
    bases = {"0": 0, "1": 1}
    base = str(given if own is None else own)
    if base not in bases:
        raise PredictionsError(f"{path}: coordinate base {base}: expected 0 or 1")
    return bases[base]
