"""Load keypoint annotations in COCO's format. The annotation file defines the skeleton, so the format suits your own data.

Keypoints are used unchanged, because COCO, like posekit, stores 0-based pixel indices. COCO's bounding boxes (``bbox``) are
measured from the edges of pixels, not from their centres; `Box.from_xywh` converts the boxes.
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
    """Load the people (or animals) in a COCO keypoint annotation; raises the errors of `posekit.data.open_people`.

    Crowds, people without a labelled keypoint and people whose box has no area are left out; `People.left_out` counts them
    by reason. Annotations may contain ``head_size``, the head size for PCKh in pixels, as written by ``posekit prepare convert``.

    Parameters
    ----------
    root : str or Path
        The annotation file, or a folder that contains ``annotations/person_keypoints_*.json``, a single JSON file, or
        ``annotations/`` with a single JSON file. The images are in ``images/``, in the folder itself, or in a subfolder of either
        (such as ``train2017/``).
    split : str
        ``train``, ``valid`` or ``test`` if the name of the annotation file contains this word; ``all``, ``random:FRACTION:SEED`` or
        ``random-rest:FRACTION:SEED``.

    Returns
    -------
    People : the keypoints are renamed, for example ``Left Elbow``, ``leftElbow`` and ``l_elbow`` to ``left_elbow``. If the renamed
        keypoints are the joints of a built-in skeleton, that skeleton is used; otherwise a skeleton is created from the category.
    """
    wanted = parse_split(split)
    root = Path(root)
    paths = [root] if root.is_file() else _annotation_files(root, wanted)
    return join([_annotations(path, root) for path in paths]).choose(wanted)


def joint_name(name: str) -> str:
    """Convert a keypoint name to posekit's spelling: lower case, starting with ``left_`` or ``right_`` for paired joints."""
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
        raise DataError(
            f"{root}: expected one COCO annotation file (.json) in this folder or in annotations/, found {names}; "
            "give the path of the file instead of the folder"
        )
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
    """Return the skeleton that the file defines, and the ids of the categories with this skeleton."""
    categories = [category for category in coco.dataset.get("categories", []) if category.get("keypoints")]
    by_joints = {tuple(map(joint_name, category["keypoints"])): category for category in categories}
    if len(by_joints) != 1:
        names = ", ".join(str(category["name"]) for category in by_joints.values()) or "none"
        raise DataError(f"{path}: expected exactly one category with keypoints, found {len(by_joints)}: {names}; keep only one")
    ((joints, category),) = by_joints.items()
    ids = {category["id"] for category in categories}
    for skeleton in SKELETONS.values():
        if skeleton.joints == joints:
            return skeleton, ids
    pairs = category.get("skeleton") or []
    if any(not 1 <= end <= len(joints) for end in itertools.chain(*pairs)):
        raise DataError(
            f"{path}: category {category['name']}: the pairs in skeleton must be keypoint numbers from 1 to {len(joints)}"
        )
    limbs = tuple((joints[a - 1], joints[b - 1]) for a, b in pairs)
    return Skeleton(name=str(category["name"]), joints=joints, limbs=limbs), ids


def _keypoints(person: dict, count: int, path: Path) -> list[list[float]]:
    numbers = person.get("keypoints") or [0] * (3 * count)
    if len(numbers) != 3 * count:
        raise DataError(
            f"{path}: annotation {person.get('id')}: keypoints has {len(numbers)} numbers, expected {3 * count} "
            f"(x, y, v for each of {count} keypoints)"
        )
    return [numbers[i : i + 3] for i in range(0, len(numbers), 3)]


def _positive_numbers(persons: list[dict], key: str) -> np.ndarray:
    """Return the number `key` of each person, (N,) float64; NaN where the number is missing or not above 0."""
    numbers = np.array([float(person.get(key) or "nan") for person in persons], dtype=np.float64)
    return np.where(numbers > 0, numbers, np.nan)


def _box(person: dict) -> Box | None:
    try:
        return Box.from_xywh(*person.get("bbox") or (0, 0, 0, 0))
    except BoxError:
        return None


def _images_folder(path: Path, root: Path, names: list[Path]) -> Path:
    """Return the first of the possible folders that contains the first image; ``images/`` if none does."""
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
