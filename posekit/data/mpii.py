"""Load MPII Human Pose from the original ``.mat``, the HDF5 files of the stacked hourglass authors, or two JSON formats.

All formats have 1-based pixels; posekit has 0-based pixels. The formats differ in their content:

- ``mpii_human_pose_v1_u12_1.mat``: everything, including head boxes, except the validation split.
- ``mpii_annotations.json`` (or ``.json.gz``): one record per person, with ``isValidation``; no head boxes.
- ``train.h5``, ``valid.h5``: with head sizes (``normalize``); upper neck and head top are truncated to whole pixels, and ``center``
  and ``scale`` already include the adjustment for the crop (`_hourglass_boxes`).
- ``train.json``, ``valid.json`` (HRNet) and ``mpii_train.json``, ``mpii_val.json`` (mmpose): ``joints_vis`` means labelled, not
  visible; ``center`` and ``scale`` do not include the adjustment for the crop; no head boxes.

The usual split is that of Tompson et al. (CVPR 2015), which the ``.mat`` does not contain. ``mpii_valid.csv`` lists the 2,958
people of the validation split; the training split consists of the 22,246 annotated people in images without a validation person.
"""

import csv
import gzip
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

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
_HEAD_SHARE = 0.6  # the head size for PCKh is this fraction of the diagonal of the head box


def open_mpii(root: str | Path, split: str = "all") -> People:
    """Load the annotated people of MPII; raises the errors of `posekit.data.open_people`.

    If the folder of the annotation file contains the evaluation file of the validation split (``detections_our_format.mat``; HRNet:
    ``gt_valid.mat``, mmpose: ``mpii_gt_val.mat``), the joints and head sizes of ``valid`` are taken from the evaluation file, so
    that scores are comparable with published scores. The joints of both files agree within rounding, except for 13 joints that lack
    a coordinate in the evaluation file.

    Parameters
    ----------
    root : str or Path
        The folder of the data set (data/README.md describes the layouts), or an annotation file. If a folder contains several
        annotation files, the ``.mat`` takes precedence, then ``mpii_annotations.json``, then the files per split. For ``valid``
        only, a ``valid.h5`` in the same folder as an evaluation file takes precedence over all other files, because it is
        fast to load. `People.box_source` names the loaded file.
    split : str
        ``train``, ``valid`` (in the order of ``valid.h5``), ``all``, ``random:FRACTION:SEED`` or ``random-rest:FRACTION:SEED``;
        the last three refer to all annotated people of the file.

    Returns
    -------
    People : with the boxes of the hourglass authors: the centre is 15 * scale px below ``objpos``, and the side is
        1.25 * 200 * scale px.
    """
    root = Path(root)
    wanted = parse_split(split)
    paths = _annotation_files(root, wanted)
    people = join([_annotations(path, _images_folder(root)) for path in paths]).choose(wanted)
    return _with_evaluation(people, paths[0].parent) if wanted.kind == "valid" else people


def validation_truths(root: str | Path) -> dict[str, People]:
    """Load the ground truth of the official validation split from each file of a folder that contains this split.

    The joints differ slightly between files. For files without head sizes (JSON), the head sizes of the first file are used.
    `root` is the folder of the data set, or an annotation file in this folder. The keys of the result are the paths of the files
    relative to the folder; the evaluation file comes first if present.
    """
    root = Path(root)
    wanted = parse_split("valid")
    first = open_mpii(root, "valid")
    top = root.parent if root.is_file() else root
    truths = {}
    evaluation = _evaluation_file(_annotation_files(root, wanted)[0].parent)
    if evaluation is not None:
        truths[str(evaluation.relative_to(top))] = first
    for path in _find_files(top, *_WHOLE, *_BY_SPLIT["valid"]):
        annotations = _annotations(path, _images_folder(root))
        if "valid" not in annotations.official:
            continue
        people = annotations.choose(wanted)
        if np.array_equal(people.image_paths, first.image_paths):
            head_sizes = np.where(np.isfinite(people.head_sizes), people.head_sizes, first.head_sizes)
            truths[str(path.relative_to(top))] = replace(people, head_sizes=head_sizes)
    return truths


@cache
def official_validation() -> tuple[tuple[str, int], ...]:
    """Return (image name, 0-based index of the person's rectangle) of the 2,958 validation people, in the order of ``valid.h5``."""
    lines = files("posekit.data").joinpath("mpii_valid.csv").read_text(encoding="utf-8").splitlines()
    return tuple((row["image"], int(row["rectangle"])) for row in csv.DictReader(lines))


def _annotation_files(root: Path, split: Split) -> list[Path]:
    if root.is_file():
        return [root]
    if split.kind == "valid":
        for path in _find_files(root, "valid.h5"):
            if _evaluation_file(path.parent):
                return [path]
    whole = _find_files(root, *_WHOLE)
    if whole:
        return whole[:1]
    kinds = (split.kind,) if split.kind in _BY_SPLIT else tuple(_BY_SPLIT)
    paths = []
    names = list(_WHOLE)
    for kind in kinds:
        names += _BY_SPLIT[kind]
        paths += _find_files(root, *_BY_SPLIT[kind])[:1]
    if not paths:
        raise DataError(
            f"{root}: no MPII annotation file in this folder, annot/ or annotations/; expected one of {', '.join(names)}"
        )
    return paths


def _find_files(root: Path, *patterns: str) -> list[Path]:
    """Find the files in the usual folders that match any pattern, sorted by the order of the patterns."""
    paths = []
    for pattern in patterns:
        for folder in _FOLDERS:
            paths += sorted(path for path in (root / folder).glob(pattern) if path.is_file())
    return paths


def _images_folder(root: Path) -> Path:
    folder = root.parent if root.is_file() else root
    root = folder.parent if folder.name in _FOLDERS[1:] else folder
    return root / "images" if (root / "images").is_dir() else root


@dataclass(frozen=True)
class _FilePeople:
    """N people as stored in a file, in 1-based pixels."""

    image_names: Sequence[str]
    rectangles: Sequence[int]  # 0-based index of the person's rectangle in the image; -1 where unknown
    joints: ArrayLike  # (N, 16, 2)
    labelled: ArrayLike  # (N, 16)
    visible: ArrayLike  # (N, 16)
    centres: ArrayLike  # (N, 2)
    sides: ArrayLike
    head_sizes: ArrayLike | None = None
    reasons: ArrayLike = ""  # why a person with labelled joints is left out; empty if the person is used
    is_valid: Sequence[bool] | None = None  # True for validation people; None if the file does not mark them


def _hourglass_boxes(positions: ArrayLike, scales: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Return the centres and sides of the boxes, shifted down from the annotated position and enlarged to include all limbs."""
    positions = np.array(positions, np.float64).reshape(-1, 2)
    scales = np.array(scales, np.float64)
    return positions + np.outer(15 * scales, (0, 1)), 1.25 * 200 * scales


def _annotations(path: Path, images_folder: Path) -> Annotations:
    try:
        content = _reader(path)(path)
        labelled = np.array(content.labelled, dtype=bool).reshape(-1, _K)
        joints = np.array(content.joints, dtype=np.float64).reshape(-1, _K, 2)
        head_sizes = np.full(len(joints), np.nan) if content.head_sizes is None else content.head_sizes
        people = People(
            name="mpii",
            split="all",
            skeleton=MPII16,
            image_paths=np.array([str(images_folder / name) for name in content.image_names], dtype=str),
            joints=np.where(labelled[..., None], joints - 1, 0.0),
            labelled=labelled,
            visible=labelled & np.array(content.visible, dtype=bool).reshape(-1, _K),
            centres=np.array(content.centres, dtype=np.float64).reshape(-1, 2) - 1,
            sides=np.array(content.sides, dtype=np.float64),
            head_sizes=np.array(head_sizes, dtype=np.float64),
            box_source=f"position and scale of {path.name}",
        )
    except (OSError, EOFError, KeyError, IndexError, TypeError, ValueError) as error:
        raise DataError(f"{path}: not a readable MPII annotation ({error!r})") from error
    reasons = np.where(labelled.any(1), content.reasons, "no labelled joint")
    return Annotations(people, reasons, path.name, _official_splits(content, path))


def _reader(path: Path) -> Callable[[Path], _FilePeople]:
    suffix = path.name.removesuffix(".gz").rsplit(".", 1)[-1].lower()
    readers = {"mat": _read_mat, "h5": _read_h5, "hdf5": _read_h5, "json": _read_json}
    if suffix not in readers:
        raise DataError(f"{path}: unknown type of MPII annotation file; expected .mat, .h5, .hdf5, .json or .json.gz")
    return readers[suffix]


def _official_splits(content: _FilePeople, path: Path) -> dict[str, np.ndarray]:
    """Return the indices of the people in each official split that the file contains, by split name."""
    persons = zip(content.image_names, map(int, content.rectangles), strict=True)
    index_of = {person: index for index, person in enumerate(persons)}
    valid = [index_of[person] for person in official_validation() if person in index_of]
    if len(valid) == len(official_validation()):
        valid_images = {image for image, _ in official_validation()}
        train = [index for index, image in enumerate(content.image_names) if image not in valid_images]
    elif content.is_valid is not None:
        valid = np.flatnonzero(content.is_valid).tolist()
        train = np.flatnonzero(~np.array(content.is_valid)).tolist()
    else:
        split = split_of_file(path)
        return {split: np.arange(len(content.image_names))} if split in _BY_SPLIT else {}
    splits = {"train": np.array(train, np.int64), "valid": np.array(valid, np.int64)}
    return {name: indices for name, indices in splits.items() if len(indices)}


# The original .mat: nested structs, in which any field may be missing or empty.


def _read_mat(path: Path) -> _FilePeople:
    release = load_variables(path, "RELEASE")["RELEASE"][0, 0]
    image_names = []
    rectangles = []
    structs = []
    for image, is_train in zip(release["annolist"].ravel(), release["img_train"].ravel(), strict=True):
        if is_train:
            name = str(_structs(image, "image")[0]["name"].item())
            for index, struct in enumerate(_structs(image, "annorect")):
                image_names.append(name)
                rectangles.append(index)
                structs.append(struct)
    joints = np.zeros((len(structs), _K, 2))
    labelled = np.zeros((len(structs), _K), bool)
    visible = np.zeros((len(structs), _K), bool)
    for i, struct in enumerate(structs):
        joints[i], labelled[i], visible[i] = _read_points(struct, image_names[i])
    positions = np.array([_position_and_scale(struct) for struct in structs], np.float64).reshape(-1, 3)
    has_position = np.isfinite(positions).all(1)
    positions[~has_position] = 1  # an arbitrary valid box, because these people are left out
    centres, sides = _hourglass_boxes(positions[:, :2], positions[:, 2])
    return _FilePeople(
        image_names=image_names,
        rectangles=rectangles,
        joints=joints,
        labelled=labelled,
        visible=visible,
        centres=centres,
        sides=sides,
        head_sizes=[_head_size(struct) for struct in structs],
        reasons=np.where(has_position, "", "no position or scale"),
    )


def _structs(parent: np.void, name: str) -> list[np.void]:
    """Return the structs in the field `name`; an empty list if the field is missing or empty."""
    if name not in (parent.dtype.names or ()):
        return []
    return list(parent[name].ravel()) if parent[name].dtype.names else []


def _number(parent: np.void, name: str) -> float:
    """Return the number in the field `name`, which may store a string; NaN if the field is missing or empty."""
    if name not in (parent.dtype.names or ()):
        return np.nan
    values = np.ravel(parent[name])
    return float(values[0]) if values.size and values[0] != "" else np.nan


def _read_points(rectangle: np.void, image: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the joints (16, 2), labelled (16,) and visible (16,) of one person."""
    joints = np.zeros((_K, 2))
    labelled = np.zeros(_K, bool)
    visible = np.zeros(_K, bool)
    for group in _structs(rectangle, "annopoints"):
        for point in _structs(group, "point"):
            joint = int(_number(point, "id"))
            if not 0 <= joint < _K:
                raise DataError(f"{image}: joint id {joint} is not in the range 0 to {_K - 1}; correct the annotation file")
            joints[joint] = (_number(point, "x"), _number(point, "y"))
            labelled[joint] = True
            visible[joint] = _number(point, "is_visible") != 0  # neck and head top have no flag and count as visible
    return joints, labelled, visible


def _position_and_scale(rectangle: np.void) -> tuple[float, float, float]:
    """Return x, y and scale of one person; NaN where missing."""
    scale = _number(rectangle, "scale")
    for position in _structs(rectangle, "objpos"):
        return _number(position, "x"), _number(position, "y"), scale
    return np.nan, np.nan, scale


def _head_size(rectangle: np.void) -> float:
    width = _number(rectangle, "x2") - _number(rectangle, "x1")
    height = _number(rectangle, "y2") - _number(rectangle, "y1")
    return _HEAD_SHARE * float(np.hypot(width, height))


# The HDF5 format


def _read_h5(path: Path) -> _FilePeople:
    with h5py.File(path) as file:
        image_names = _h5_image_names(file, path)
        joints = file["part"][()]
        return _FilePeople(
            image_names=image_names,
            rectangles=file["person"][()].astype(int).tolist() if "person" in file else [-1] * len(image_names),
            joints=joints,
            labelled=(joints != 0).any(-1),
            visible=file["visible"][()],
            centres=file["center"][()],  # already adjusted for the crop
            sides=200 * file["scale"][()],
            head_sizes=file["normalize"][()] if "normalize" in file else None,
        )


def _h5_image_names(file: h5py.File, path: Path) -> list[str]:
    """Read the image names from the HDF5 file, or from NAME_images.txt if the HDF5 file has none.

    In the HDF5 file, the names are strings or, if the file was written in Lua, rows of character codes.
    """
    if "imgname" not in file:
        return path.with_name(f"{path.stem}_images.txt").read_text(encoding="utf-8").split()
    names = file["imgname"][()]
    if names.ndim == 2:
        return [bytes(row[row > 0].astype(np.uint8)).decode() for row in names]
    return [name.decode() for name in names]


# The two JSON formats


def _read_json(path: Path) -> _FilePeople:
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
        records = json.load(file)
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise DataError(f"{path}: expected a list of records, one per person")
    if records and "joint_self" in records[0]:
        return _from_hourglass_records(records)
    if records and "joints" not in records[0]:
        raise DataError(f"{path}: the records have no joints, as in a test set; training and scoring need a file with joints")
    return _from_hrnet_records(records)


def _from_hourglass_records(records: list[dict[str, Any]]) -> _FilePeople:
    points = np.array([record["joint_self"] for record in records], np.float64)
    centres, sides = _hourglass_boxes([record["objpos"] for record in records], [record["scale_provided"] for record in records])
    return _FilePeople(
        image_names=[record["img_paths"] for record in records],
        rectangles=[int(record["people_index"]) - 1 for record in records],
        joints=points[..., :2],
        labelled=(points[..., :2] != 0).any(-1),
        visible=points[..., 2] > 0,
        centres=centres,
        sides=sides,
        is_valid=[bool(record["isValidation"]) for record in records],
    )


def _from_hrnet_records(records: list[dict[str, Any]]) -> _FilePeople:
    labelled = np.array([record["joints_vis"] for record in records]).reshape(-1, _K) > 0
    centres, sides = _hourglass_boxes([record["center"] for record in records], [record["scale"] for record in records])
    return _FilePeople(
        image_names=[record["image"] for record in records],
        rectangles=[-1] * len(records),
        joints=[record["joints"] for record in records],
        labelled=labelled,
        visible=labelled,
        centres=centres,
        sides=sides,
    )


# The evaluation file of the validation split


def _evaluation_file(folder: Path) -> Path | None:
    return next((folder / name for name in _EVALUATION if (folder / name).is_file()), None)


def _with_evaluation(people: People, folder: Path) -> People:
    path = _evaluation_file(folder)
    if path is None:
        return people
    if [Path(image).name for image in people.image_paths] != [image for image, _ in official_validation()]:
        raise DataError(
            f"{path}: contains the {len(official_validation())} people of the official validation split, but the annotation file "
            f"in this folder contains other people; to use the annotation file alone, move {path.name} to another folder"
        )
    truth = load_variables(path, "pos_gt_src", "jnt_missing", "headboxes_src")
    labelled = truth["jnt_missing"].T == 0
    top_left, bottom_right = truth["headboxes_src"]
    return replace(
        people,
        joints=np.where(labelled[..., None], truth["pos_gt_src"].transpose(2, 0, 1) - 1, 0.0),
        labelled=labelled,
        visible=people.visible & labelled,
        head_sizes=_HEAD_SHARE * np.linalg.norm(bottom_right - top_left, axis=0),
    )
