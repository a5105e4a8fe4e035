"""Read people's bounding boxes from a detector's file: COCO detection results, a COCO annotation, or a CSV table.

In COCO detection results, each entry has a ``file_name`` or an ``image_id``. The file name for an ``image_id`` comes from the list
``images`` of the same file or of a COCO annotation in the same folder. Without such a list, the file name is that of the COCO data
set: ``image_id`` as 12 digits, followed by ``.jpg``.
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

_COLUMNS = ("image", "x", "y", "w", "h")
_CSV = f"a CSV table with the header {','.join(_COLUMNS)} or {','.join(_COLUMNS)},score"
_JSON = "COCO detection results: a list of {image_id or file_name, category_id, bbox, score}"


@dataclass(frozen=True)
class DetectedBox:
    """Bounding box of a person, read from a detector's file.

    Parameters
    ----------
    image : str
        File name of the image, with or without folders.
    box : Box
        Square box in image pixels, 25 % larger than the detector's rectangle, as in training.
    score : float
        Score from the detector; 1 if the file contains none.
    """

    image: str
    box: Box
    score: float


def read_boxes(path: str | Path, *, min_score: float = 0.0) -> list[DetectedBox]:
    """Read people's bounding boxes with a score of at least `min_score` from a .json or .csv file, in the file's order.

    Raises
    ------
    DataError
        If the file cannot be read or an entry is invalid; the message names the line or entry.
    """
    path = Path(path)
    readers = {".json": _from_json, ".csv": _from_csv}
    if path.suffix.lower() not in readers:
        raise DataError(f"{path}: boxes can be read from .json ({_JSON}) or .csv ({_CSV}) files; use one of these formats")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; give the path of a file with boxes") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from error
    return [box for box in readers[path.suffix.lower()](path, text) if box.score >= min_score]


def boxes_of(images: Sequence[Path], boxes: Sequence[DetectedBox], name: str) -> list[list[Box]]:
    """Return the boxes of each image, matched by file name, and also by folder if a box's image name includes folders.

    Boxes that match none of the images are ignored. `name` is the name of the file with the boxes, for error messages.

    Raises
    ------
    DataError
        If a box matches several images, or none of the boxes matches an image.
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
            both = " and ".join(str(images[i]) for i in matches[:2])
            raise DataError(f"{name}: {box.image} matches several images, e.g. {both}; add the folder to the name")
        if matches:
            boxes_by_image[matches[0]].append(box.box)
    if not any(boxes_by_image):
        reason = f"the first box is in {boxes[0].image}" if boxes else "no box has a sufficient score"
        raise DataError(f"{name}: no box matches any of the {len(images)} images ({reason}); use the same image file names")
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
    people = [category.get("id") for category in categories if category.get("name") == "person"] or [1]
    names = _image_names(annotation) or _names_in_folder(path, entries)
    for i, entry in enumerate(entries):
        if "category_id" not in entry or entry["category_id"] in people:
            where = f"{path}: entry {i}"
            yield _checked_box(where, _entry_image(where, entry, names), entry.get("bbox"), entry.get("score", 1.0))


def _dicts(annotation: object, key: str) -> list[dict]:
    """Return the dictionaries in the list `key` of a COCO annotation; an empty list if there is no such list."""
    items = annotation.get(key) if isinstance(annotation, dict) else None
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def _image_names(annotation: object) -> dict[int, str]:
    """Map the image ids of a COCO annotation to file names; empty for any other content."""
    names = {}
    for image in _dicts(annotation, "images"):
        if isinstance(image.get("id"), int) and isinstance(image.get("file_name"), str):
            names[image["id"]] = image["file_name"]
    return names


def _names_in_folder(path: Path, entries: Sequence[Mapping]) -> dict[int, str]:
    """Map image ids to file names, from a COCO annotation in the folder of `path` that contains all images of the entries."""
    ids = {entry["image_id"] for entry in entries if isinstance(entry.get("image_id"), int)}
    if not ids:
        return {}
    names_by_file: dict[str, dict[int, str]] = {}
    for annotation in sorted(path.parent.glob("*.json")):
        try:
            names = _image_names(json.loads(annotation.read_text(encoding="utf-8")))
        except (OSError, ValueError, RecursionError):
            continue  # not a COCO annotation
        if names and ids <= names.keys():
            names_by_file[annotation.name] = {id_: names[id_] for id_ in ids}
    first = next(iter(names_by_file.values()), {})
    if any(names != first for names in names_by_file.values()):
        files = ", ".join(names_by_file)
        raise DataError(
            f"{path}: different file names for the same image ids in {files} (same folder); keep only the annotation of the boxes"
        )
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
        raise DataError(f"{where}: expected the name of an image, got none")
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
