"""Read and write posekit's ``predictions.h5``, and read the HDF5 predictions of the stacked hourglass authors.

posekit's file contains ``preds`` (N, K, 2), ``scores`` (N, K) and ``index`` (N), and, if known, ``peaks`` (N, K, P, 2) and
``heights`` (N, K, P). The file's attributes are the data set, split, skeleton and coordinate base. The hourglass authors' files
contain only ``preds``, with 1-based pixel coordinates.
"""

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np

from posekit import __version__
from posekit.errors import DataError, PredictionsError
from posekit.scoring.io.predictions import ImagePeople, Predictions, checked_index, checked_joints, resolve_base
from posekit.skeletons import Skeleton

_DTYPE_KINDS = {"preds": "fiu", "scores": "fiu", "index": "iu", "peaks": "fiu", "heights": "fiu"}


def write_hdf5(path: Path, predictions: Predictions, *, beside: Mapping[str, np.ndarray] | None = None) -> None:
    """Write ``predictions.h5``. Peaks and heights are stored as float32, exact to 0.001 pixel for coordinates below 8,192.

    `beside` contains additional arrays by name, which `read_hdf5` ignores.
    """
    content = io.BytesIO()  # write to memory first: HDF5 crashes if the disk is full
    with h5py.File(content, "w") as file:
        file.update({"preds": predictions.joints, "scores": predictions.scores, "index": predictions.index})
        for name, array in (("peaks", predictions.peaks), ("heights", predictions.heights)):
            if array is not None:
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


def write_images_hdf5(path: Path, images: Sequence[ImagePeople], skeleton: Skeleton) -> None:
    """Write posekit's ``predictions.h5`` with the additional arrays ``image``, ``person``, ``size`` and ``box``.

    The N rows are the people of all images in order: ``image`` (N,) is the image's path, ``person`` (N,) the person's number in the
    image, ``size`` (N, 2) the image's width and height, and ``box`` (N, 3) the centre x, centre y and side of the person's box.
    ``index`` is 0 to N - 1, and the attribute ``dataset`` is ``photographs``, because the people are in no annotated data set.
    `read_predictions` reads the file, without the additional arrays.
    """
    joints = [np.empty((0, len(skeleton), 2))]
    scores = [np.empty((0, len(skeleton)))]
    paths = []
    numbers = []
    sizes = []
    boxes = []
    for people in images:
        joints.append(people.joints)
        scores.append(people.scores)
        for number, box in enumerate(people.boxes, 1):
            paths.append(people.image)
            numbers.append(number)
            sizes.append((people.width, people.height))
            boxes.append((*box.centre, box.side))
    beside = {
        "image": np.array(paths, h5py.string_dtype()),
        "person": np.array(numbers, np.int64),
        "size": np.array(sizes, np.int64).reshape(-1, 2),
        "box": np.array(boxes, np.float64).reshape(-1, 3),
    }
    index = np.arange(len(paths))
    predictions = Predictions(np.concatenate(joints), np.concatenate(scores), index, skeleton, dataset="photographs")
    write_hdf5(path, predictions, beside=beside)


def read_hdf5(path: Path, *, base: int | None, skeleton: Skeleton) -> Predictions:
    """Read an HDF5 prediction file of posekit or the hourglass authors; see `posekit.scoring.io.files.read_predictions`."""
    attributes, arrays = _read(path)
    skeleton = _stated_skeleton(path, attributes) or skeleton
    if "preds" not in arrays:
        raise PredictionsError(f"{path}: expected an array 'preds' of predicted joints (N, K, 2), found none")
    joints = checked_joints(path, arrays["preds"], skeleton)
    base = resolve_base(path, _stated_base(path, attributes), base)
    peaks, heights = _peaks(path, arrays, joints.shape[:2])
    return Predictions(
        joints=joints - base,
        scores=_column(path, arrays, "scores", np.full(joints.shape[:2], np.nan)),
        index=checked_index(path, _column(path, arrays, "index", np.arange(len(joints)))),
        skeleton=skeleton,
        dataset=str(attributes.get("dataset", "")),
        split=str(attributes.get("split", "")),
        peaks=None if peaks is None else peaks - base,
        heights=heights,
    )


def hdf5_base(path: Path) -> int | None:
    """Return the coordinate base that an HDF5 prediction file states; None if the file states none."""
    attributes, _ = _read(path, ())
    return _stated_base(path, attributes)


def _read(path: Path, names: Sequence[str] = tuple(_DTYPE_KINDS)) -> tuple[dict, dict[str, np.ndarray]]:
    """Return the file's attributes, and the arrays in `names` that the file contains."""
    try:
        with h5py.File(path) as file:
            return dict(file.attrs), {name: _array(file[name], name) for name in names if name in file}
    except (OSError, KeyError, RuntimeError, TypeError, ValueError) as error:  # h5py raises all of these for damaged files
        raise PredictionsError(f"{path}: not a readable HDF5 prediction file ({error})") from error


def _array(data: h5py.Dataset | h5py.Group, name: str) -> np.ndarray:
    kinds = _DTYPE_KINDS[name]
    if not isinstance(data, h5py.Dataset) or data.dtype.kind not in kinds:
        raise ValueError(f"{name} is not an array of {'numbers' if 'f' in kinds else 'whole numbers'}")
    return data[()]


def _stated_skeleton(path: Path, attributes: Mapping) -> Skeleton | None:
    if "skeleton" not in attributes:
        return None
    try:
        return Skeleton.from_dict(json.loads(attributes["skeleton"]))
    except (DataError, TypeError, ValueError) as error:
        raise PredictionsError(f"{path}: attribute 'skeleton' cannot be parsed ({error})") from error


def _stated_base(path: Path, attributes: Mapping) -> int | None:
    base = attributes.get("coordinate_base")
    bases = {"None": None, "0": 0, "1": 1}
    if str(base) not in bases:
        raise PredictionsError(f"{path}: attribute 'coordinate_base': expected 0 or 1, got base {base}")
    return bases[str(base)]


def _column(path: Path, arrays: Mapping[str, np.ndarray], name: str, default: np.ndarray) -> np.ndarray:
    column = arrays.get(name, default)
    if column.shape != default.shape:
        raise PredictionsError(f"{path}: {name}: expected {default.shape}, got {column.shape}")
    return column.astype(default.dtype)


def _peaks(path: Path, arrays: Mapping[str, np.ndarray], shape: tuple[int, int]) -> tuple[np.ndarray | None, np.ndarray | None]:
    peaks = arrays.get("peaks")
    heights = arrays.get("heights")
    if peaks is None and heights is None:
        return None, None
    count = heights.shape[-1] if heights is not None and heights.ndim else 0
    if peaks is None or heights is None or not count or heights.shape != (*shape, count) or peaks.shape != (*shape, count, 2):
        actual = " and ".join("none" if array is None else str(array.shape) for array in (peaks, heights))
        n, k = shape
        raise PredictionsError(f"{path}: peaks and heights: expected ({n}, {k}, P, 2) and ({n}, {k}, P), got {actual}")
    if (heights[..., 1:] > heights[..., :-1]).any():
        raise PredictionsError(f"{path}: heights: expected each heatmap's peaks in descending order of height")
    return peaks.astype(np.float64), heights.astype(np.float64)
