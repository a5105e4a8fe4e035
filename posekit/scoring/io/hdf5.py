"""posekit's own ``predictions.h5``, and the stacked hourglass authors' form of it.

Ours holds ``preds`` (N, K, 2), ``scores`` (N, K) and ``index`` (N), where they are known also ``peaks``
(N, K, P, 2) and ``heights`` (N, K, P), and says in its attributes which data set, split, skeleton and
coordinate base they belong to. The hourglass authors' files hold ``preds`` alone, and count pixels from 1.
"""

import io
import json
from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np

from posekit import __version__
from posekit.errors import DataError, PredictionsError
from posekit.scoring.io.predictions import Predictions, checked_index, checked_joints, known_base
from posekit.skeletons import Skeleton

_KINDS = {"preds": "fiu", "scores": "fiu", "index": "iu", "peaks": "fiu", "heights": "fiu"}


def write_hdf5(path: Path, predictions: Predictions, *, beside: Mapping[str, np.ndarray] | None = None) -> None:
    """Write ``predictions.h5``; peaks and heights, as float32, to a thousandth of a pixel below 8,192.

    `beside` are further arrays by name, which `read_hdf5` passes over.
    """
    content = io.BytesIO()  # HDF5 crashes where a disk is full
    with h5py.File(content, "w") as file:
        file.update({"preds": predictions.joints, "scores": predictions.scores, "index": predictions.index})
        for name in ("peaks", "heights") if predictions.peaks is not None else ():
            array = getattr(predictions, name)
            file.create_dataset(name, data=array, dtype=np.float32, compression="gzip" if array.size else None)
        file.attrs.update(
            dataset=predictions.dataset,
            split=predictions.split,
            skeleton=json.dumps(predictions.skeleton.to_dict()),
            coordinate_base=0,
            posekit=__version__,
        )
        file.update(beside or {})
    path.write_bytes(content.getvalue())


def read_hdf5(path: Path, *, base: int | None, skeleton: Skeleton) -> Predictions:
    """Read ours or the hourglass authors' file.

    Raises
    ------
    PredictionsError
        If it cannot be read, holds no ``preds`` (N, K, 2), or its base is not known.
    """
    attributes, arrays = _contents(path)
    skeleton = _own_skeleton(path, attributes) or skeleton
    if "preds" not in arrays:
        raise PredictionsError(f"{path}: holds no array 'preds' of predicted joints (N, K, 2)")
    joints = checked_joints(path, arrays["preds"], skeleton)
    first = known_base(path, _stated(path, attributes), base)
    peaks, heights = _peaks(path, arrays, joints.shape[:2])
    return Predictions(
        joints=joints - first,
        scores=_column(path, arrays, "scores", np.full(joints.shape[:2], np.nan)),
        index=checked_index(path, _column(path, arrays, "index", np.arange(len(joints)))),
        skeleton=skeleton,
        dataset=str(attributes.get("dataset", "")),
        split=str(attributes.get("split", "")),
        peaks=None if peaks is None else peaks - first,
        heights=heights,
    )


def hdf5_base(path: Path) -> int | None:
    """The coordinate base that the file states.

    Raises
    ------
    PredictionsError
        If the file cannot be read or states anything but 0 or 1.
    """
    return _stated(path, _contents(path, ())[0])


def _contents(path: Path, names: tuple[str, ...] = tuple(_KINDS)) -> tuple[dict, dict[str, np.ndarray]]:
    """Attributes and arrays."""
    try:
        with h5py.File(path) as file:
            return dict(file.attrs), {name: _numbers(file, name) for name in names if name in file}
    except (OSError, KeyError, RuntimeError, TypeError, ValueError) as error:  # what h5py raises for damaged files
        raise PredictionsError(f"{path}: not a prediction file in HDF5 that can be read ({error})") from error


def _numbers(file: h5py.File, name: str) -> np.ndarray:
    data, kinds = file[name], _KINDS[name]
    if not isinstance(data, h5py.Dataset) or data.dtype.kind not in kinds:
        raise ValueError(f"{name} is not an array of {'numbers' if 'f' in kinds else 'whole numbers'}")
    return data[()]


def _own_skeleton(path: Path, attributes: Mapping) -> Skeleton | None:
    if "skeleton" not in attributes:
        return None
    try:
        return Skeleton.from_dict(json.loads(attributes["skeleton"]))
    except (DataError, TypeError, ValueError) as error:
        raise PredictionsError(f"{path}: its attribute 'skeleton' cannot be read ({error})") from error


def _stated(path: Path, attributes: Mapping) -> int | None:
    base = attributes.get("coordinate_base")
    bases = {"None": None, "0": 0, "1": 1}
    if str(base) not in bases:
        raise PredictionsError(f"{path}: coordinate base {base}: expected 0 or 1")
    return bases[str(base)]


def _column(path: Path, arrays: Mapping[str, np.ndarray], name: str, default: np.ndarray) -> np.ndarray:
    column = arrays.get(name, default)
    if column.shape != default.shape:
        raise PredictionsError(f"{path}: {name}: expected {default.shape}, got {column.shape}")
    return column.astype(default.dtype)


def _peaks(path: Path, arrays: Mapping[str, np.ndarray], shape: tuple[int, int]) -> tuple[np.ndarray | None, np.ndarray | None]:
    peaks, heights = arrays.get("peaks"), arrays.get("heights")
    if peaks is None and heights is None:
        return None, None
    count = heights.shape[-1] if heights is not None and heights.ndim else 0
    if peaks is None or not count or heights.shape != (*shape, count) or peaks.shape != (*shape, count, 2):
        found = " and ".join("none" if array is None else str(array.shape) for array in (peaks, heights))
        n, k = shape
        raise PredictionsError(f"{path}: peaks and heights: expected ({n}, {k}, P, 2) and ({n}, {k}, P), got {found}")
    if (heights[..., 1:] > heights[..., :-1]).any():
        raise PredictionsError(f"{path}: heights: expected each map's highest peak first, then in descending order")
    return peaks.astype(np.float64), heights.astype(np.float64)
