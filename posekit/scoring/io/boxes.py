"""Read people's boxes from a detector's file: COCO detection results, a COCO annotation, or a CSV table.

COCO results name an image by its ``image_id``. Its file name comes from the list ``images`` of the same
file or of the one annotation in the same folder; without either it is COCO's, 12 digits and ``.jpg``. An
entry may also have a ``file_name``.
"""

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from posekit.errors import BoxError, DataError
from posekit.geometry import Box

_PERSON = 1  # COCO's category
_COLUMNS = ("image", "x", "y", "w", "h")
_CSV = f"a CSV table that begins with {','.join(_COLUMNS)} or {','.join(_COLUMNS)},score"
_JSON = "COCO detection results: a list of {image_id or file_name, category_id, bbox, score}"


@dataclass(frozen=True)
class DetectedBox:
    """A person's box in a detector's file.

    Parameters
    ----------
    image : str
        The image's name, with or without folders.
    box : Box
        Image pixels; a quarter larger than the detector's rectangle, as in training.
    score : float
        The detector's; 1 if it gives none.
    """

    image: str
    box: Box
    score: float


def read_boxes(path: str | Path, *, min_score: float = 0.0) -> list[DetectedBox]:
    """Read the boxes of people from a .json or a .csv file.

    Parameters
    ----------
    path : str or Path
    min_score : float
        Boxes of lower score are left out.

    Returns
    -------
    list of DetectedBox : in the file's order; entries of categories other than people are left out.

    Raises
    ------
    DataError
        If the file cannot be read or has another format; the message names the wrong line or entry.
    """
    path = Path(path)
    readers = {".json": _from_json, ".csv": _from_csv}
    if path.suffix.lower() not in readers:
        raise DataError(f"{path}: boxes are read from .json ({_JSON}) and .csv ({_CSV}); choose one of these")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise DataError(f"{path}: no such file with boxes") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from error
    return [box for box in readers[path.suffix.lower()](path, text) if box.score >= min_score]


def boxes_of(images: Sequence[Path], boxes: Sequence[DetectedBox], name: str) -> list[list[Box]]:
    """Return each image's boxes, matched by file name and by as many folders as the boxes name.

    Parameters
    ----------
    images : sequence of Path
    boxes : sequence of DetectedBox
    name : str
        Name of the boxes' file in errors.

    Raises
    ------
    DataError
        If a box matches several of the images, or no box matches any.
    """
    image_parts = [image.absolute().parts for image in images]
    by_name: dict[str, list[int]] = {}
    for i, image in enumerate(images):
        by_name.setdefault(image.name, []).append(i)
    boxes_by_image: list[list[Box]] = [[] for _ in images]
    for box in boxes:
        parts = PurePosixPath(box.image.replace("\\", "/")).parts
        candidates = by_name.get(parts[-1], []) if parts else []
        matches = [i for i in candidates if image_parts[i][-len(parts) :] == parts]
        if len(matches) > 1:
            both = " or ".join(str(images[i]) for i in matches[:2])
            raise DataError(f"{name}: {box.image} may be {both}; write the folder before the name, or predict one folder at a time")
        if matches:
            boxes_by_image[matches[0]].append(box.box)
    if not any(boxes_by_image):
        reason = f"the first is in {boxes[0].image}" if boxes else "no box has a sufficient score"
        raise DataError(f"{name}: no box matches any of the {len(images)} images ({reason}); the names must be equal")
    return boxes_by_image


def _from_csv(path: Path, text: str) -> Iterator[DetectedBox]:
    table = csv.DictReader(io.StringIO(text), strict=True)
    try:
        lacking = set(_COLUMNS) - set(table.fieldnames or ())
        if lacking:
            raise DataError(f"{path}: line 1: expected {_CSV}, got {','.join(table.fieldnames or ())[:80]!r}")
        for row in table:
            rectangle = [row[column] for column in _COLUMNS[1:]]
            yield _checked_box(f"{path}: line {table.line_num}", row["image"], rectangle, row.get("score") or 1.0)
    except csv.Error as error:
        raise DataError(f"{path}: after line {table.line_num}: not valid CSV ({error})") from error


def _from_json(path: Path, text: str) -> Iterator[DetectedBox]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not valid JSON ({error})") from error
    annotation = content if isinstance(content, dict) else {}
    entries = annotation.get("annotations") if annotation else content
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise DataError(f"{path}: expected {_JSON}, or a COCO annotation")
    categories = _dicts(annotation, "categories")
    people = [category.get("id") for category in categories if category.get("name") == "person"] or [_PERSON]
    names = _image_names(annotation) or _names_in_folder(path, entries)
    for i, entry in enumerate(entries):
        if "category_id" not in entry or entry["category_id"] in people:
            where = f"{path}: entry {i}"
            yield _checked_box(where, _entry_image(where, entry, names), entry.get("bbox"), entry.get("score", 1.0))


def _dicts(annotation: object, key: str) -> list[dict]:
    """The dictionaries of a COCO annotation's list; none if there is no such list."""
    items = annotation.get(key) if isinstance(annotation, dict) else None
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def _image_names(annotation: object) -> dict[int, str]:
    """File names by id in a COCO annotation; empty if it is none."""
    names = {}
    for image in _dicts(annotation, "images"):
        if isinstance(image.get("id"), int) and isinstance(image.get("file_name"), str):
            names[image["id"]] = image["file_name"]
    return names


def _names_in_folder(path: Path, entries: Sequence[Mapping]) -> dict[int, str]:
    """File names from the annotation in the folder of detection results that has all their images."""
    ids = {entry["image_id"] for entry in entries if isinstance(entry.get("image_id"), int)}
    if not ids:
        return {}
    names_by_file: dict[str, dict[int, str]] = {}
    for annotation in sorted(path.parent.glob("*.json")):
        try:
            names = _image_names(json.loads(annotation.read_text(encoding="utf-8")))
        except (OSError, ValueError, RecursionError):
            continue  # not a file of these detections
        if names and ids <= names.keys():
            names_by_file[annotation.name] = {id_: names[id_] for id_ in ids}
    first = next(iter(names_by_file.values()), {})
    if any(names != first for names in names_by_file.values()):
        files = ", ".join(names_by_file)
        raise DataError(f"{path}: {files} in its folder name the images differently; keep only the one that belongs to the boxes")
    return first


def _entry_image(where: str, entry: Mapping, names: Mapping[int, str]) -> str:
    image = entry.get("file_name", entry.get("image_id"))
    if type(image) is int and image >= 0:
        return names.get(image, f"{image:012d}.jpg")
    if not isinstance(image, str):
        raise DataError(f"{where}: expected an image_id (a number) or a file_name, got {image!r}")
    return image


def _checked_box(where: str, image: str | None, rectangle: object, score: Any) -> DetectedBox:
    if not image:
        raise DataError(f"{where}: no image named")
    if not isinstance(rectangle, list) or len(rectangle) != 4:
        raise DataError(f"{where}: bbox: expected x, y, width, height, got {rectangle!r}")
    try:
        x, y, width, height = map(float, rectangle)
        score = float(score)
        box = Box.from_xywh(x, y, width, height)
    except (OverflowError, TypeError, ValueError) as error:
        raise DataError(f"{where}: expected numbers: x, y, width, height, score ({error})") from error
    except BoxError as error:
        raise DataError(f"{where}: {error}") from error
    if not math.isfinite(score):
        raise DataError(f"{where}: score: expected a number, got {score}")
    return DetectedBox(image, box, score)
