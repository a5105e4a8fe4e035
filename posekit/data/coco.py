"""COCO keypoints: the format for your own data, with the skeleton that the file describes.

Keypoints are used unchanged: COCO's are 0-based pixel indices, which is posekit's frame. Boxes (``bbox``) are measured at
pixel edges, half a pixel away; `Box.from_xywh` converts them.
"""

import contextlib
import io
import itertools
import re
from pathlib import Path

import numpy as np
from pycocotools.coco import COCO

from posekit.data.splits import OFFICIAL_SPLITS, Annotations, Split, join, parse_split, split_of_file
from posekit.errors import BoxError, DataError
from posekit.geometry import Box
from posekit.people import People
from posekit.skeletons import SKELETONS, Skeleton

_SIDES = {"l": "left", "left": "left", "r": "right", "right": "right"}


def open_coco(root: str | Path, split: str = "all") -> People:
    """Read the people (or animals) of a keypoint annotation in COCO's format.

    Crowds, people without a labelled keypoint and people whose box has no area are left out and counted. Annotations may hold
    PCKh's ``head_size`` in pixels, which ``posekit prepare convert`` writes.

    Parameters
    ----------
    root : str or Path
        The annotation file, or a folder with ``annotations/person_keypoints_*.json``, or with a single
        JSON file in it or in its ``annotations/``. Images are found in ``images/``, in the folder
        itself or in any folder inside these (``train2017/``, ``val2017/``).
    split : str
        ``train``, ``valid`` or ``test`` if the file's name contains it; ``all``,
        ``random:FRACTION:SEED`` or ``random-rest:FRACTION:SEED``.

    Returns
    -------
    People
        The skeleton is a built-in one if the category's keypoints equal its joints; otherwise it is made from the
        category, and ``Left Elbow``, ``leftElbow``, ``l_elbow`` become ``left_elbow``.

    Raises
    ------
    ConfigError
        If the split is malformed or not in the files.
    DataError
        If there is no annotation file, more than one, or it cannot be read.
    """
    wanted = parse_split(split)
    root = Path(root)
    paths = [root] if root.is_file() else _annotation_files(root, wanted)
    return join([_annotations(path, root) for path in paths]).choose(wanted)


def joint_name(name: str) -> str:
    """Return a keypoint's name in posekit's spelling: lower case, with ``left_`` or ``right_`` in front."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    words = [word for word in re.split(r"[\W_]+", spaced.lower()) if word]
    if len(words) > 1 and words[-1] in _SIDES:
        words = [words[-1], *words[:-1]]
    if len(words) > 1:
        words[0] = _SIDES.get(words[0], words[0])
    return "_".join(words)


def _annotation_files(root: Path, split: Split) -> list[Path]:
    folders = [folder for folder in (root / "annotations", root) if folder.is_dir()]
    official: list[Path] = []
    for folder in folders:
        official += sorted(folder.glob("person_keypoints_*.json"))
    if split.kind in OFFICIAL_SPLITS:
        official = [path for path in official if split_of_file(path) == split.kind] or official
    if official:
        return official
    paths: list[Path] = []
    for folder in folders:
        paths = paths or sorted(folder.glob("*.json"))
    if len(paths) != 1:
        names = ", ".join(path.name for path in paths) or "none"
        raise DataError(f"{root}: expected one COCO annotation (.json) in it or its annotations/, found {names}; name the file")
    return paths


def _annotations(path: Path, root: Path) -> Annotations:
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            coco = COCO(str(path))
        skeleton, categories = _skeleton(coco, path)
        persons = [person for person in coco.dataset["annotations"] if person["category_id"] in categories]
        names = [Path(coco.imgs[person["image_id"]]["file_name"]) for person in persons]
        points = np.array([_keypoints(person, len(skeleton), path) for person in persons], dtype=np.float64)
        boxes = [_box(person) for person in persons]
        areas = _positive_numbers(persons, "area")
        head_sizes = _positive_numbers(persons, "head_size")
        image_ids = np.array([person["image_id"] for person in persons], dtype=np.int64)
    except (OSError, AssertionError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: not a readable COCO keypoint annotation ({error!r})") from error
    points = points.reshape(-1, len(skeleton), 3)
    labelled = points[..., 2] > 0
    folder = _images_folder(path, root, names)
    people = People(
        name="coco",
        split="all",
        skeleton=skeleton,
        image_paths=np.array([str(folder / name) for name in names], dtype=str),
        joints=np.where(labelled[..., None], points[..., :2], 0.0),
        labelled=labelled,
        visible=points[..., 2] == 2,
        centres=np.array([box.centre if box else (0, 0) for box in boxes], dtype=np.float64).reshape(-1, 2),
        sides=np.array([box.side if box else 1 for box in boxes], dtype=np.float64),
        head_sizes=head_sizes,
        box_source="bbox: its longer side times 1.25",
        areas=areas,
        image_ids=image_ids,
    )
    reasons = np.where([box is not None for box in boxes], "", "box without area")
    reasons = np.where(labelled.any(1), reasons, "no labelled joint")
    reasons = np.where([bool(person.get("iscrowd")) for person in persons], "crowd", reasons)
    split = split_of_file(path)
    official = {split: np.arange(len(persons))} if split in OFFICIAL_SPLITS else {}
    return Annotations(people, reasons.astype(str), path.name, official)


def _skeleton(coco: COCO, path: Path) -> tuple[Skeleton, set[int]]:
    """Return the file's skeleton, and the categories that have it."""
    categories = [category for category in coco.dataset.get("categories", []) if category.get("keypoints")]
    by_joints = {tuple(map(joint_name, category["keypoints"])): category for category in categories}
    if len(by_joints) != 1:
        names = ", ".join(str(category["name"]) for category in by_joints.values()) or "none"
        raise DataError(f"{path}: expected one set of keypoints among the categories, found {names}; keep one category")
    ((joints, category),) = by_joints.items()
    ids = {category["id"] for category in categories}
    for skeleton in SKELETONS.values():
        if skeleton.joints == joints:
            return skeleton, ids
    pairs = category.get("skeleton") or []
    if any(not 1 <= end <= len(joints) for end in itertools.chain(*pairs)):
        raise DataError(f"{path}: skeleton of category {category['name']}: the pairs count keypoints from 1 to {len(joints)}")
    limbs = tuple((joints[a - 1], joints[b - 1]) for a, b in pairs)
    return Skeleton(name=str(category["name"]), joints=joints, limbs=limbs), ids


def _keypoints(person: dict, count: int, path: Path) -> list[list[float]]:
    numbers = person.get("keypoints") or [0] * (3 * count)
    if len(numbers) != 3 * count:
        raise DataError(
            f"{path}: annotation {person.get('id')}: {len(numbers)} keypoint numbers, expected {3 * count} (x, y, v each)"
        )
    return [numbers[i : i + 3] for i in range(0, len(numbers), 3)]


def _positive_numbers(persons: list[dict], key: str) -> np.ndarray:
    """(N,) float64; NaN where the number is missing or not above 0."""
    numbers = np.array([float(person.get(key) or "nan") for person in persons], dtype=np.float64)
    return np.where(numbers > 0, numbers, np.nan)


def _box(person: dict) -> Box | None:
    try:
        return Box.from_xywh(*person.get("bbox") or (0, 0, 0, 0))
    except BoxError:
        return None


def _images_folder(path: Path, root: Path, names: list[Path]) -> Path:
    """Return the first folder that holds the first image."""
    folder = path.parent if root.is_file() else root
    root = folder.parent if folder.name == "annotations" else folder
    candidates = [root / "images", root]
    for parent in (root / "images", root):
        if parent.is_dir():
            candidates += sorted(child for child in parent.iterdir() if child.is_dir())
    for candidate in candidates:
        if names and (candidate / names[0]).is_file():
            return candidate
    return root / "images"
