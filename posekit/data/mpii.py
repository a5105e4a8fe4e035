"""MPII Human Pose: the original ``.mat``, the stacked hourglass authors' HDF5, and two JSON forms.

All forms count pixels from 1; here everything is 0-based. They differ in what they keep:

- ``mpii_human_pose_v1_u12_1.mat``: everything, including the head boxes; no validation part.
- ``mpii_annotations.json`` (or ``.json.gz``): one record per person, ``isValidation``; head boxes are lacking.
- ``train.h5``, ``valid.h5``: head sizes (``normalize``); upper neck and head top are cut to whole pixels,
  and ``center`` and ``scale`` are adjusted for the crop already.
- ``train.json``, ``valid.json`` (HRNet) and ``mpii_train.json``, ``mpii_val.json`` (mmpose): ``joints_vis``
  says whether a joint is labelled, not whether it can be seen; ``center`` and ``scale`` are not adjusted.

The usual split is that of Tompson et al. (CVPR 2015), which the ``.mat`` does not hold. Its 2,958
validation persons are listed in ``mpii_valid.csv``; training persons are all annotated persons of the
photographs without a validation person, 22,246.
"""

import csv
import gzip
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import ArrayLike

from posekit.data.splits import Annotations, Split, join, parse_split, split_of_file
from posekit.errors import DataError
from posekit.matlab import load_variables
from posekit.people import People
from posekit.skeletons import MPII16

_K = len(MPII16)
_FOLDERS = ("", "annot", "annotations", "mpii_human_pose_v1_u12_2")
_WHOLE = ("mpii_human_pose*.mat", "mpii_annotations.json", "mpii_annotations.json.gz")
_BY_SPLIT = {"train": ("train.h5", "train.json", "mpii_train.json"), "valid": ("valid.h5", "valid.json", "mpii_val.json")}
_EVALUATION = ("detections_our_format.mat", "gt_valid.mat", "mpii_gt_val.mat")
_HEAD_SHARE = 0.6  # PCKh's head size is this share of the head box's diagonal


def open_mpii(root: str | Path, split: str = "all") -> People:
    """Read MPII's annotated people.

    Where the validation set's evaluation file (``detections_our_format.mat``, HRNet's ``gt_valid.mat``
    or mmpose's ``mpii_gt_val.mat``) lies beside the annotation, the joints and head sizes of ``valid``
    are the evaluation file's, so that scores are comparable with published ones. It agrees with the
    annotation within rounding but for 13 joints, of which it has lost a coordinate.

    Parameters
    ----------
    root : str or Path
        The data set's folder (see data/README.md for the layouts), or an annotation file. A folder's
        ``.mat`` is taken first, then ``mpii_annotations.json``, then one file per split; for ``valid``, ``valid.h5``
        beside an evaluation file goes before them all, as it is read at once. `People.box_source` names the file.
    split : str
        ``train``, ``valid`` (in the order of ``valid.h5``), ``all``, ``random:FRACTION:SEED`` or
        ``random-rest:FRACTION:SEED``; the last three divide all annotated people of the file.

    Returns
    -------
    People
        With the hourglass's boxes: the centre 15 * scale px below ``objpos``, the side 1.25 * 200 * scale px.

    Raises
    ------
    ConfigError
        If the split is malformed or the file does not have it.
    DataError
        If there is no annotation file, or it cannot be read.
    """
    wanted = parse_split(split)
    paths = _annotation_files(Path(root), wanted)
    people = join([_annotations(path, _images_folder(Path(root))) for path in paths]).choose(wanted)
    return _with_evaluation(people, paths[0].parent) if wanted.kind == "valid" else people


def validation_truths(root: str | Path) -> dict[str, People]:
    """The official validation set's truth in every form that a folder holds, by the file's path there; the evaluation file's first.

    They differ in some joints, and the JSON form lacks head sizes: these are then the evaluation file's.

    Parameters
    ----------
    root : str or Path
        The data set's folder, or an annotation file beside the others.

    Raises
    ------
    DataError
        If there is none, or one cannot be read.
    """
    wanted, root = parse_split("valid"), Path(root)
    first, images, top = open_mpii(root, "valid"), _images_folder(root), root.parent if root.is_file() else root
    evaluation = _evaluation_file(_annotation_files(root, wanted)[0].parent)
    truths = {} if evaluation is None else {str(evaluation.relative_to(top)): first}
    for path in (
        path for pattern in (*_WHOLE, *_BY_SPLIT["valid"]) for folder in _folders(top) for path in sorted(folder.glob(pattern))
    ):
        annotations = _annotations(path, images)
        people = annotations.choose(wanted) if "valid" in annotations.official else None
        if people is not None and np.array_equal(people.image_paths, first.image_paths):
            heads = np.where(np.isfinite(people.head_sizes), people.head_sizes, first.head_sizes)
            truths[str(path.relative_to(top))] = replace(people, head_sizes=heads)
    return truths


@cache
def official_validation() -> tuple[tuple[str, int], ...]:
    """(image, rectangle) of the 2,958 validation persons, in the order of ``valid.h5``; rectangles count from 0."""
    with files("posekit.data").joinpath("mpii_valid.csv").open(encoding="utf-8", newline="") as file:
        return tuple((row["image"], int(row["rectangle"])) for row in csv.DictReader(file))


def _annotation_files(root: Path, split: Split) -> list[Path]:
    if root.is_file():
        return [root]
    folders = _folders(root)
    at_once = [folder / "valid.h5" for folder in folders if (folder / "valid.h5").is_file() and _evaluation_file(folder)]
    if split.kind == "valid" and at_once:
        return at_once[:1]
    for pattern in _WHOLE:
        found = [path for folder in folders for path in sorted(folder.glob(pattern))]
        if found:
            return found[:1]
    kinds = (split.kind,) if split.kind in _BY_SPLIT else tuple(_BY_SPLIT)
    found = [next((f / name for name in _BY_SPLIT[kind] for f in folders if (f / name).is_file()), None) for kind in kinds]
    if not any(found):
        names = ", ".join([*_WHOLE, *(name for kind in kinds for name in _BY_SPLIT[kind])])
        raise DataError(f"{root}: no MPII annotation there or in its annot/ or annotations/; expected one of {names}")
    return [path for path in found if path]


def _folders(root: Path) -> list[Path]:
    return [root / name for name in _FOLDERS]


def _images_folder(root: Path) -> Path:
    folder = root.parent if root.is_file() else root
    root = folder.parent if folder.name in _FOLDERS[1:] else folder
    return root / "images" if (root / "images").is_dir() else root


@dataclass(frozen=True)
class _Rows:
    """Persons as a file has them: lists or arrays of N entries, pixels count from 1."""

    images: Sequence[str]
    rectangles: Sequence[int]  # a person's place in its photograph, from 0; -1 where it is not known
    joints: ArrayLike  # (N, 16, 2)
    labelled: ArrayLike  # (N, 16)
    visible: ArrayLike  # (N, 16)
    centres: ArrayLike  # (N, 2)
    sides: ArrayLike
    head_sizes: ArrayLike
    reasons: Sequence[str]
    valid: Sequence[bool] | None = None  # where the file says who is of the validation set


def _hourglass_box(positions: ArrayLike, scales: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Centres and sides of the boxes: lower than the annotated position, and wider, so that no limb is cut off."""
    positions, scales = np.array(positions, np.float64).reshape(-1, 2), np.array(scales, np.float64)
    return positions + np.outer(15 * scales, (0, 1)), 1.25 * 200 * scales


def _annotations(path: Path, images: Path) -> Annotations:
    try:
        rows = _reader(path)(path)
        labelled = np.array(rows.labelled, dtype=bool).reshape(-1, _K)
        joints = np.array(rows.joints, dtype=np.float64).reshape(-1, _K, 2)
        people = People(
            name="mpii",
            split="all",
            skeleton=MPII16,
            image_paths=np.array([str(images / name) for name in rows.images], dtype=str),
            joints=np.where(labelled[..., None], joints - 1, 0.0),
            labelled=labelled,
            visible=labelled & np.array(rows.visible, dtype=bool).reshape(-1, _K),
            centres=np.array(rows.centres, dtype=np.float64).reshape(-1, 2) - 1,
            sides=np.array(rows.sides, dtype=np.float64),
            head_sizes=np.array(rows.head_sizes, dtype=np.float64),
            box_source=f"position and scale of {path.name}",
        )
    except (OSError, EOFError, KeyError, IndexError, TypeError, ValueError) as error:
        raise DataError(f"{path}: not an MPII annotation that can be read ({error!r})") from error
    return Annotations(people, np.array(rows.reasons, dtype=str), path.name, _official(rows, path))


def _reader(path: Path) -> Callable[[Path], _Rows]:
    suffix = path.name.removesuffix(".gz").rsplit(".", 1)[-1].lower()
    readers = {"mat": _read_mat, "h5": _read_h5, "hdf5": _read_h5, "json": _read_json}
    if suffix not in readers:
        raise DataError(f"{path}: an MPII annotation ends in .mat, .h5, .json or .json.gz")
    return readers[suffix]


def _official(rows: _Rows, path: Path) -> dict[str, np.ndarray]:
    """Indices of the official splits, as far as the file has them."""
    place = {(image, int(index)): i for i, (image, index) in enumerate(zip(rows.images, rows.rectangles, strict=True))}
    valid = [place[pair] for pair in official_validation() if pair in place]
    if len(valid) == len(official_validation()):
        photographs = {image for image, _ in official_validation()}
        train = [i for i, image in enumerate(rows.images) if image not in photographs]
    elif rows.valid is not None:
        valid, train = np.flatnonzero(rows.valid), np.flatnonzero(~np.array(rows.valid))
    else:
        split = split_of_file(path)
        return {split: np.arange(len(rows.images))} if split in _BY_SPLIT else {}
    found = {"train": np.array(train, np.int64), "valid": np.array(valid, np.int64)}
    return {name: indices for name, indices in found.items() if len(indices)}


# The original .mat: a struct of structs, in which any field may be missing or empty.


def _read_mat(path: Path) -> _Rows:
    release = load_variables(path, "RELEASE")["RELEASE"][0, 0]
    training = [image for image, flag in zip(release["annolist"].ravel(), release["img_train"].ravel(), strict=True) if flag]
    names = [str(_structs(image, "image")[0]["name"].item()) for image in training]
    found = [
        (name, index, rectangle)
        for name, image in zip(names, training, strict=True)
        for index, rectangle in enumerate(_structs(image, "annorect"))
    ]
    points = [_points(rectangle, name) for name, _, rectangle in found]
    placed = np.array([_placement(rectangle) for _, _, rectangle in found], np.float64).reshape(-1, 3)
    known = np.isfinite(placed).all(1)
    placed[~known] = 1  # any box: they are left out
    centres, sides = _hourglass_box(placed[:, :2], placed[:, 2])
    labelled = np.array([flags for _, flags, _ in points], bool).reshape(-1, _K)
    return _Rows(
        images=[name for name, _, _ in found],
        rectangles=[index for _, index, _ in found],
        joints=[joints for joints, _, _ in points],
        labelled=labelled,
        visible=[visible for _, _, visible in points],
        centres=centres,
        sides=sides,
        head_sizes=[_head_size(rectangle) for _, _, rectangle in found],
        reasons=np.where(labelled.any(1) & ~known, "no position or scale", _unlabelled(labelled)),
    )


def _structs(parent: np.void, name: str) -> np.ndarray:
    """The structs in a field, () where it is missing or empty."""
    value = parent[name] if name in parent.dtype.names else None
    return value.ravel() if value is not None and value.dtype.names else ()


def _number(parent: np.void, name: str) -> float:
    """The number in a field, NaN where it is missing or empty; a string is read as a number."""
    value = parent[name] if name in parent.dtype.names else ()
    return float(np.ravel(value)[0]) if np.size(value) and np.ravel(value)[0] != "" else np.nan


def _points(rectangle: np.void, image: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    joints, labelled, visible = np.zeros((_K, 2)), np.zeros(_K, bool), np.zeros(_K, bool)
    for point in (point for group in _structs(rectangle, "annopoints") for point in _structs(group, "point")):
        joint = int(_number(point, "id"))
        if not 0 <= joint < _K:
            raise DataError(f"{image}: joint id {joint} is not one of 0 to {_K - 1}; correct the annotation")
        joints[joint] = _number(point, "x"), _number(point, "y")
        labelled[joint] = True
        visible[joint] = _number(point, "is_visible") != 0  # not said (neck and head top) means visible
    return joints, labelled, visible


def _placement(rectangle: np.void) -> tuple[float, float, float]:
    """Position (x, y) and scale; NaN where the rectangle has none."""
    x, y = next(((_number(p, "x"), _number(p, "y")) for p in _structs(rectangle, "objpos")), (np.nan, np.nan))
    return x, y, _number(rectangle, "scale")


def _head_size(rectangle: np.void) -> float:
    x1, y1, x2, y2 = (_number(rectangle, name) for name in ("x1", "y1", "x2", "y2"))
    return _HEAD_SHARE * float(np.hypot(x2 - x1, y2 - y1))


# The HDF5 form


def _read_h5(path: Path) -> _Rows:
    with h5py.File(path) as file:
        columns = {name: file[name][()] for name in ("part", "visible", "center", "scale") if name in file}
        names = _h5_images(file, path)
        heads = file["normalize"][()] if "normalize" in file else np.full(len(names), np.nan)
        rectangles = file["person"][()].astype(int) if "person" in file else np.full(len(names), -1)
    labelled = (columns["part"] != 0).any(-1)
    return _Rows(
        images=names,
        rectangles=rectangles,
        joints=columns["part"],
        labelled=labelled,
        visible=columns["visible"],
        centres=columns["center"],  # adjusted already: not a second time
        sides=200 * columns["scale"],
        head_sizes=heads,
        reasons=_unlabelled(labelled),
    )


def _h5_images(file: h5py.File, path: Path) -> list[str]:
    """Image names: bytes, rows of character codes (Lua's files), or beside the file in NAME_images.txt."""
    if "imgname" not in file:
        return path.with_name(f"{path.stem}_images.txt").read_text(encoding="utf-8").split()
    names = file["imgname"][()]
    if names.ndim == 2:
        return [bytes(row[row > 0].astype(np.uint8)).decode() for row in names]
    return [name.decode() for name in names]


# The two JSON forms


def _read_json(path: Path) -> _Rows:
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
        records = json.load(file)
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise DataError(f"{path}: expected a list of records, one per person")
    if records and "joint_self" in records[0]:
        return _rows_of_records(records)
    if records and "joints" not in records[0]:
        raise DataError(f"{path}: the records have no joints (a test set?): nothing to train on or to score")
    return _rows_of_hrnet(records)


def _rows_of_records(records: list[dict]) -> _Rows:
    points = np.array([record["joint_self"] for record in records], np.float64)
    labelled = (points[..., :2] != 0).any(-1)
    centres, sides = _hourglass_box([r["objpos"] for r in records], [r["scale_provided"] for r in records])
    return _Rows(
        images=[record["img_paths"] for record in records],
        rectangles=[int(record["people_index"]) - 1 for record in records],
        joints=points[..., :2],
        labelled=labelled,
        visible=points[..., 2] > 0,
        centres=centres,
        sides=sides,
        head_sizes=np.full(len(records), np.nan),
        reasons=_unlabelled(labelled),
        valid=[bool(record["isValidation"]) for record in records],
    )


def _rows_of_hrnet(records: list[dict]) -> _Rows:
    labelled = np.array([record["joints_vis"] for record in records]).reshape(-1, _K) > 0
    centres, sides = _hourglass_box([r["center"] for r in records], [r["scale"] for r in records])
    return _Rows(
        images=[record["image"] for record in records],
        rectangles=[-1] * len(records),
        joints=[record["joints"] for record in records],
        labelled=labelled,
        visible=labelled,
        centres=centres,
        sides=sides,
        head_sizes=np.full(len(records), np.nan),
        reasons=_unlabelled(labelled),
    )


def _unlabelled(labelled: np.ndarray) -> np.ndarray:
    return np.where(labelled.any(-1), "", "no labelled joint")


# The evaluation file of the validation set


def _evaluation_file(folder: Path) -> Path | None:
    return next((folder / name for name in _EVALUATION if (folder / name).is_file()), None)


def _with_evaluation(people: People, folder: Path) -> People:
    path = _evaluation_file(folder)
    if path is None:
        return people
    if [Path(image).name for image in people.image_paths] != [image for image, _ in official_validation()]:
        raise DataError(
            f"{path}: is for the {len(official_validation())} persons of the official validation set in their order, "
            f"which the annotation beside it does not have; move it elsewhere to do without"
        )
    truth = load_variables(path, "pos_gt_src", "jnt_missing", "headboxes_src")
    labelled = truth["jnt_missing"].T == 0
    corners = truth["headboxes_src"]
    return replace(
        people,
        joints=np.where(labelled[..., None], truth["pos_gt_src"].transpose(2, 0, 1) - 1, 0.0),
        labelled=labelled,
        visible=people.visible & labelled,
        head_sizes=_HEAD_SHARE * np.linalg.norm(corners[1] - corners[0], axis=0),
    )
