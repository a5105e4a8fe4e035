"""COCO keypoints: the door for people's own data, with the skeleton that the file describes.

Keypoints are taken as they stand: COCO's are whole 0-based pixel indices, which is this package's frame.
Boxes (``bbox``) are measured from pixel edges, half a pixel from there; `Box.from_xywh` converts them.
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
    """Read the people (or other beings) of a keypoint annotation in COCO's format.

    Crowds, persons without a labelled keypoint and persons whose box has no area are left out and counted. An annotation
    may hold PCKh's ``head_size`` in pixels, as ``posekit prepare convert`` writes it.

    Parameters
    ----------
    root : str or Path
        The annotation file, or a folder with ``annotations/person_keypoints_*.json``, or with a single
        JSON file in it or in its ``annotations/``. Photographs are found in ``images/``, in the folder
        itself or in any folder in these (``train2017/``, ``val2017/``).
    split : str
        ``train``, ``valid`` or ``test`` where the file's name says that it holds it; ``all``,
        ``random:FRACTION:SEED`` or ``random-rest:FRACTION:SEED``.

    Returns
    -------
    People
        The skeleton is a built-in one if the category's keypoints are its joints in its order; else it
        is made of the category's, and ``Left Elbow``, ``leftElbow``, ``l_elbow`` become ``left_elbow``.

    Raises
    ------
    ConfigError
        If the split is malformed or the files do not have it.
    DataError
        If there is no annotation file or several to choose from, or it cannot be read.
    """
    wanted = parse_split(split)
    root = Path(root)
    paths = [root] if root.is_file() else _annotation_files(root, wanted)
    return join([_annotations(path, root) for path in paths]).choose(wanted)


def joint_name(name: str) -> str:
    """A keypoint's name in this package's spelling: lower case, with ``left_`` or ``right_`` in front."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    words = [word for word in re.split(r"[\W_]+", spaced.lower()) if word]
    if len(words) > 1 and words[-1] in _SIDES:
        words = [words[-1], *words[:-1]]
    if len(words) > 1:
        words[0] = _SIDES.get(words[0], words[0])
    return "_".join(words)


def _annotation_files(root: Path, split: Split) -> list[Path]:
    folders = [folder for folder in (root / "annotations", root) if folder.is_dir()]
    official = [path for folder in folders for path in sorted(folder.glob("person_keypoints_*.json"))]
    if split.kind in OFFICIAL_SPLITS:
        official = [path for path in official if split_of_file(path) == split.kind] or official
    if official:
        return official
    found = next(filter(None, (sorted(folder.glob("*.json")) for folder in folders)), [])
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise DataError(f"{root}: expected one COCO annotation (.json) there or in its annotations/, found {names}; name the file")
    return found


def _annotations(path: Path, root: Path) -> Annotations:
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            coco = COCO(str(path))
        skeleton, categories = _skeleton(coco, path)
        persons = [a for a in coco.dataset["annotations"] if a["category_id"] in categories]
        names = [Path(coco.imgs[person["image_id"]]["file_name"]) for person in persons]
        points = np.array([_keypoints(person, len(skeleton), path) for person in persons], dtype=np.float64)
        boxes = [_box(person) for person in persons]
        areas = _positive_numbers(persons, "area")
        head_sizes = _positive_numbers(persons, "head_size")
        image_ids = np.array([person["image_id"] for person in persons], dtype=np.int64)
    except (OSError, AssertionError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: not a COCO keypoint annotation that can be read ({error!r})") from error
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
    reasons = [_reason(*each) for each in zip(persons, labelled.any(1), boxes, strict=True)]
    split = split_of_file(path)
    official = {split: np.arange(len(persons))} if split in OFFICIAL_SPLITS else {}
    return Annotations(people, np.array(reasons, dtype=str), path.name, official)


def _skeleton(coco: COCO, path: Path) -> tuple[Skeleton, set[int]]:
    """The file's skeleton, and the categories that have it."""
    described = {c["id"]: c for c in coco.dataset.get("categories", []) if c.get("keypoints")}
    kinds = {tuple(map(joint_name, c["keypoints"])): c for c in described.values()}
    if len(kinds) != 1:
        names = ", ".join(str(c["name"]) for c in kinds.values()) or "none"
        raise DataError(f"{path}: expected one kind of keypoints among the categories, found {names}; keep one category")
    (joints, category), *_ = kinds.items()
    known = next((skeleton for skeleton in SKELETONS.values() if skeleton.joints == joints), None)
    return known or _described(category, joints, path), set(described)


def _described(category: dict, joints: tuple[str, ...], path: Path) -> Skeleton:
    pairs = category.get("skeleton") or []
    if not all(1 <= end <= len(joints) for pair in pairs for end in pair):
        raise DataError(f"{path}: skeleton of category {category['name']}: the pairs count keypoints from 1 to {len(joints)}")
    limbs = tuple((joints[a - 1], joints[b - 1]) for a, b in pairs)
    return Skeleton(name=str(category["name"]), joints=joints, limbs=limbs)


def _keypoints(person: dict, count: int, path: Path) -> list[list[float]]:
    flat = person.get("keypoints") or [0] * (3 * count)
    if len(flat) != 3 * count:
        raise DataError(f"{path}: annotation {person.get('id')}: {len(flat)} keypoint numbers, expected {3 * count} (x, y, v each)")
    return [flat[i : i + 3] for i in range(0, len(flat), 3)]


def _positive_numbers(persons: list[dict], key: str) -> np.ndarray:
    """NaN where there is none, or one that is not above 0."""
    numbers = np.array([float(person.get(key) or "nan") for person in persons], dtype=np.float64)
    return np.where(numbers > 0, numbers, np.nan)


def _box(person: dict) -> Box | None:
    try:
        return Box.from_xywh(*person.get("bbox") or (0, 0, 0, 0))
    except BoxError:
        return None


def _reason(person: dict, labelled: bool, box: Box | None) -> str:
    if person.get("iscrowd"):
        return "crowd"
    if not labelled:
        return "no labelled joint"
    return "" if box else "box without area"


def _images_folder(path: Path, root: Path, names: list[Path]) -> Path:
    """The first folder that has the first photograph."""
    folder = path.parent if root.is_file() else root
    root = folder.parent if folder.name == "annotations" else folder
    tops = [root / "images", root]
    inner = (folder for top in tops if top.is_dir() for folder in sorted(top.iterdir()) if folder.is_dir())
    return next((folder for folder in itertools.chain(tops, inner) if names and (folder / names[0]).is_file()), tops[0])
