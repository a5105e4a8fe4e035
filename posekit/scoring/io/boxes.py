"""Boxes of people that a detector found, from its file: COCO detection results, a COCO annotation, or a CSV table.

COCO results name a photograph by its ``image_id``. Which file that is says the list ``images``: the file's
own, or that of the one annotation beside it; failing that, COCO's way of naming them holds, 12 digits and
``.jpg``. An entry may also say ``file_name`` itself.
"""

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from posekit.errors import BoxError, DataError
from posekit.geometry import Box

_PERSON = 1  # COCO's category
_COLUMNS = ("image", "x", "y", "w", "h")
_CSV = f"a CSV table that begins with {','.join(_COLUMNS)} or {','.join(_COLUMNS)},score"
_JSON = "COCO detection results: a list of {image_id or file_name, category_id, bbox, score}"


@dataclass(frozen=True)
class FoundBox:
    """A person's box in a detector's file.

    Parameters
    ----------
    image : str
        The photograph's name, with or without folders.
    box : Box
        Image pixels; a quarter larger than the detector's rectangle, as the model is used to.
    score : float
        The detector's; 1 where it gives none.
    """

    image: str
    box: Box
    score: float


def read_boxes(path: str | Path, *, min_score: float = 0.0) -> list[FoundBox]:
    """Read the boxes of people from a .json or a .csv file.

    Parameters
    ----------
    path : str or Path
    min_score : float
        Boxes that score less are left out.

    Returns
    -------
    list of FoundBox : in the file's order; entries of other categories than people are left out.

    Raises
    ------
    DataError
        If the file cannot be read or is none of these; the message names the line or the entry that is wrong.
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
    return [found for found in readers[path.suffix.lower()](path, text) if found.score >= min_score]


def boxes_of(photographs: Sequence[Path], boxes: Sequence[FoundBox], name: str) -> list[list[Box]]:
    """Each photograph's boxes, matched by file name, and by as many folders as the boxes name.

    Parameters
    ----------
    photographs : sequence of Path
    boxes : sequence of FoundBox
    name : str
        What errors call the boxes' file.

    Raises
    ------
    DataError
        If a name may mean several of the photographs, or none means any of them.
    """
    by_name: dict[str, list[tuple[int, tuple[str, ...]]]] = {}
    for place, photograph in enumerate(photographs):
        by_name.setdefault(photograph.name, []).append((place, photograph.absolute().parts))
    found = [[] for _ in photographs]
    for box in boxes:
        wanted = PurePosixPath(box.image.replace("\\", "/")).parts
        places = [place for place, parts in by_name.get(wanted[-1], ()) if parts[-len(wanted) :] == wanted] if wanted else []
        if len(places) > 1:
            both = " or ".join(str(photographs[place]) for place in places[:2])
            raise DataError(f"{name}: {box.image} may be {both}; write the folder before the name, or predict one folder at a time")
        if places:
            found[places[0]].append(box.box)
    if not any(found):
        example = f"its first is in {boxes[0].image}" if boxes else "no box in it scores enough"
        raise DataError(f"{name}: no box belongs to one of the {len(photographs)} photographs ({example}); names must be the same")
    return found


def _from_csv(path: Path, text: str) -> Iterator[FoundBox]:
    table = csv.DictReader(io.StringIO(text), strict=True)
    try:
        lacking = set(_COLUMNS) - set(table.fieldnames or ())
        if lacking:
            raise DataError(f"{path}: line 1: expected {_CSV}, got {','.join(table.fieldnames or ())[:80]!r}")
        for row in table:
            numbers = [row[column] for column in _COLUMNS[1:]]
            yield _checked(f"{path}: line {table.line_num}", row["image"], numbers, row.get("score") or 1.0)
    except csv.Error as error:
        raise DataError(f"{path}: after line {table.line_num}: not CSV that can be read ({error})") from error


def _from_json(path: Path, text: str) -> Iterator[FoundBox]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not JSON that can be read ({error})") from error
    annotation = content if isinstance(content, dict) else {}
    entries = annotation.get("annotations") if annotation else content
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise DataError(f"{path}: expected {_JSON}, or a COCO annotation")
    people = _people_categories(annotation)
    names = _image_names(annotation) or _names_beside(path, entries)
    for place, entry in enumerate(entries):
        if entry.get("category_id", _PERSON) in people or "category_id" not in entry:
            yield _checked(
                f"{path}: entry {place}", _entry_image(path, place, entry, names), entry.get("bbox"), entry.get("score", 1.0)
            )


def _people_categories(annotation: Mapping) -> list:
    listed = annotation.get("categories")
    categories = [c for c in listed if isinstance(c, dict)] if isinstance(listed, list) else []
    return [category.get("id") for category in categories if category.get("name") == "person"] or [_PERSON]


def _image_names(annotation: object) -> dict[int, str]:
    """File names by id, as a COCO annotation lists them; empty if it is none."""
    images = annotation.get("images") if isinstance(annotation, dict) else None
    named = [i for i in images if isinstance(i, dict)] if isinstance(images, list) else []
    return {
        image["id"]: image["file_name"]
        for image in named
        if isinstance(image.get("id"), int) and isinstance(image.get("file_name"), str)
    }


def _names_beside(path: Path, entries: Sequence[Mapping]) -> dict[int, str]:
    """File names from the annotation beside detection results that has all their images."""
    ids = {entry["image_id"] for entry in entries if isinstance(entry.get("image_id"), int)}
    candidates = {}
    for beside in sorted(path.parent.glob("*.json")) if ids else ():
        try:
            names = _image_names(json.loads(beside.read_text(encoding="utf-8")))
        except (OSError, ValueError, RecursionError):
            continue  # none of ours to judge
        if names and ids <= names.keys():
            candidates[beside.name] = {id_: names[id_] for id_ in ids}
    if len({tuple(sorted(names.items())) for names in candidates.values()}) > 1:
        files = ", ".join(candidates)
        raise DataError(f"{path}: {files} beside it name the images differently; keep the boxes beside the one they belong to")
    return next(iter(candidates.values()), {})


def _entry_image(path: Path, place: int, entry: Mapping, names: Mapping[int, str]) -> str:
    image = entry.get("file_name", entry.get("image_id"))
    if type(image) is int and image >= 0:
        return names.get(image, f"{image:012d}.jpg")
    if not isinstance(image, str):
        raise DataError(f"{path}: entry {place}: expected an image_id (a number) or a file_name, got {image!r}")
    return image


def _checked(where: str, image: object, rectangle: object, score: object) -> FoundBox:
    if not isinstance(image, str) or not image:
        raise DataError(f"{where}: no image named")
    if not isinstance(rectangle, list) or len(rectangle) != 4:
        raise DataError(f"{where}: bbox: expected x, y, width, height, got {rectangle!r}")
    try:
        *numbers, score = (float(number) for number in (*rectangle, score))
        box = Box.from_xywh(*numbers)
    except (OverflowError, TypeError, ValueError) as error:
        raise DataError(f"{where}: expected numbers: x, y, width, height, score ({error})") from error
    except BoxError as error:
        raise DataError(f"{where}: {error}") from error
    if not math.isfinite(score):
        raise DataError(f"{where}: score: expected a number, got {score}")
    return FoundBox(image, box, score)
