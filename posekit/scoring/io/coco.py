"""COCO results and COCO data sets of predicted people.

COCO results are a JSON list of ``{image_id, category_id, keypoints, score}`` with 0-based pixel coordinates.

The format does not link a result to an annotated person. COCO's evaluation matches results and people by similarity, which would
make PCK too high. Therefore posekit adds ``index``, the person's index in the split, and ``image``, the image's file name; other
readers ignore these two keys. Results from other programs need an ``index`` as well, or must contain exactly one result for each
person, in the annotation's order.

``keypoints`` contains x, y and score of each joint; 0, 0, 0 means that the joint was not predicted. ``image_id`` is the
annotation's image id. If the annotation has no ids (MPII, LSP), ``image_id`` is the last number in the image's file name, or, if
these numbers are missing or not unique, the 0-based position of the image in the list of images.
"""

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from posekit.errors import PredictionsError
from posekit.people import People
from posekit.scoring.io.predictions import ImagePeople, Predictions, checked_index, file_names, resolve_base
from posekit.skeletons import Skeleton

COCO_BASE = 0
_CATEGORY = 1  # COCO's "person"
_EXPECTED = (
    "write one result for each person in the annotation's order, or add an 'index' (the person's index in the split) to each"
)


def image_ids(people: People) -> np.ndarray:
    """(N,) int64 array: the ``image_id`` that each person has in COCO results."""
    if (people.image_ids >= 0).all():
        return people.image_ids
    paths = people.image_paths.tolist()
    positions = {path: position for position, path in enumerate(dict.fromkeys(paths))}
    numbers = {}
    for path in positions:
        digits = re.findall(r"\d{1,18}(?!\d)", Path(path).stem)
        if digits:
            numbers[path] = int(digits[-1])
    ids = numbers if len(set(numbers.values())) == len(positions) else positions
    return np.array([ids[path] for path in paths], dtype=np.int64)


def write_results(path: Path, predictions: Predictions, people: People) -> None:
    """Write COCO results. Scores that are not finite are written as 0, because COCO requires a number.

    `people` must contain every person to whom `predictions.index` refers.
    """
    names = file_names(people)
    ids = image_ids(people).tolist()
    predicted = np.isfinite(predictions.joints).all(-1)
    joints = np.where(predicted[..., None], predictions.joints, 0.0)
    scores = np.where(predicted & np.isfinite(predictions.scores), predictions.scores, 0.0)
    keypoints = np.concatenate([joints, scores[..., None]], -1).reshape(len(joints), 3 * len(predictions.skeleton))
    means = predictions.person_scores.tolist()
    results = []
    for i, flat, mean in zip(predictions.index.tolist(), keypoints.tolist(), means, strict=True):
        person = {"image_id": ids[i], "category_id": _CATEGORY, "keypoints": flat, "score": mean}
        results.append({**person, "index": i, "image": names[i]})
    path.write_text(json.dumps(results, allow_nan=False), encoding="utf-8")


def read_results(path: Path, *, base: int | None, skeleton: Skeleton, people: People | None) -> Predictions:
    """Read COCO results written by posekit or other programs; see `posekit.scoring.io.files.read_predictions`."""
    resolve_base(path, COCO_BASE, base)
    results = _read(path)
    points = _points(path, results, skeleton)
    points[(points == 0).all(-1)] = np.nan
    return Predictions(points[..., :2], points[..., 2], _index(path, results, people), skeleton)


def _read(path: Path) -> list[dict]:
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise PredictionsError(f"{path}: not valid JSON ({error})") from error
    if not isinstance(results, list) or not all(isinstance(result, dict) for result in results):
        raise PredictionsError(f"{path}: expected COCO results: a list of {{image_id, category_id, keypoints, score}}")
    return results


def _points(path: Path, results: list[dict], skeleton: Skeleton) -> np.ndarray:
    """(N, K, 3) float64 array: x, y and score of each joint."""
    count = 3 * len(skeleton)
    keypoints = [result.get("keypoints") for result in results]
    for i, numbers in enumerate(keypoints):
        if not isinstance(numbers, list) or len(numbers) != count:
            actual = f"{len(numbers)} numbers" if isinstance(numbers, list) else "none"
            raise PredictionsError(
                f"{path}: keypoints: expected {count} numbers (x, y, score of the {len(skeleton)} joints of {skeleton.name}) "
                f"in each result, got {actual} in result {i}"
            )
    try:
        return np.array(keypoints, dtype=np.float64).reshape(-1, len(skeleton), 3)
    except (OverflowError, TypeError, ValueError) as error:
        raise PredictionsError(f"{path}: keypoints: expected numbers ({error})") from error


def _index(path: Path, results: list[dict], people: People | None) -> np.ndarray:
    if not any("index" in result for result in results):
        return _index_by_order(path, results, people)
    index: list[int] = []
    for i, result in enumerate(results):
        value = result.get("index")
        if type(value) is not int or abs(value) >= 2**63:
            raise PredictionsError(f"{path}: index: expected a whole number in each result, got {value!r} in result {i}")
        index.append(value)
    names = {} if people is None else dict(enumerate(file_names(people)))
    for result, i in zip(results, index, strict=True):
        image = result.get("image")
        if people is not None and image is not None and image != names.get(i, image):
            raise PredictionsError(
                f"{path}: person {i} of {people.name} {people.split} is in {names[i]}, but the result with this index "
                f"is for {image}; choose the data set and split for which the results were made"
            )
    return checked_index(path, np.array(index))


def _index_by_order(path: Path, results: list[dict], people: People | None) -> np.ndarray:
    if people is None:
        raise PredictionsError(
            f"{path}: the results have no 'index', and the people are unknown; add an 'index' (the person's index in the split)"
        )
    split = f"{people.name} {people.split}"
    if len(results) != len(people):
        raise PredictionsError(f"{path}: {len(results)} results for the {len(people)} people of {split}; {_EXPECTED}")
    for i, (result, id_, name) in enumerate(zip(results, image_ids(people).tolist(), file_names(people), strict=True)):
        image = result.get("image_id")
        if image not in (id_, name):  # some programs write the file name
            raise PredictionsError(
                f"{path}: result {i} has image_id {image!r}, but person {i} of {split} is in {name} (image_id {id_}); {_EXPECTED}"
            )
    return np.arange(len(people))


def write_dataset(path: Path, images: Sequence[ImagePeople], skeleton: Skeleton, min_score: float) -> None:
    """Write a COCO data set with ``images``, ``annotations`` and ``categories``, which annotation tools can import.

    The third number of each joint is a score in COCO results, but a visibility flag (0, 1 or 2) in COCO data sets. Here, the flag
    of a joint is 2; joints with a score below `min_score` are written as 0, 0, 0. The scores are written to the additional key
    ``keypoint_scores``, which other readers ignore.

    File names are relative to the common folder of all images; annotation tools ask for that folder when they import the file.
    People without a joint that scores at least `min_score` are left out.
    """
    image_paths = [Path(people.image).absolute() for people in images]
    folder = os.path.commonpath([image_path.parent for image_path in image_paths]) if images else ""
    listing = []
    annotations: list[dict] = []
    for image_id, (image_path, people) in enumerate(zip(image_paths, images, strict=True), 1):
        name = image_path.relative_to(folder).as_posix()
        listing.append({"id": image_id, "file_name": name, "width": people.width, "height": people.height})
        for joints, scores in zip(people.joints, people.scores, strict=True):
            visible = np.isfinite(joints).all(1) & (scores >= min_score)
            if visible.any():
                person = {"id": len(annotations) + 1, "image_id": image_id, "category_id": _CATEGORY}
                annotations.append({**person, **_visible_keypoints(joints, scores, visible)})
    content = {"images": listing, "annotations": annotations, "categories": [skeleton.coco_category]}
    path.write_text(json.dumps(content, indent=1, allow_nan=False), encoding="utf-8")


def _visible_keypoints(joints: np.ndarray, scores: np.ndarray, visible: np.ndarray) -> dict:
    keypoints: list[float] = []
    for (x, y), is_visible in zip(joints.round(4).tolist(), visible.tolist(), strict=True):
        keypoints += [x, y, 2] if is_visible else [0.0, 0.0, 0]
    known_scores = np.where(np.isfinite(scores), scores, 0.0).round(4).tolist()
    return {"keypoints": keypoints, "keypoint_scores": known_scores, **joints_extent(joints[visible])}


def joints_extent(joints: np.ndarray) -> dict:
    """Compute ``bbox`` (tight around the joints), ``area`` of the box, ``num_keypoints`` and ``iscrowd`` (0) from (K, 2) joints.

    Joints that are not finite are ignored.
    """
    known = joints[np.isfinite(joints).all(1)]
    low = known.min(0) if len(known) else np.zeros(2)
    size = known.max(0) - low if len(known) else np.zeros(2)
    return {
        "bbox": [*low.round(4).tolist(), *size.round(4).tolist()],
        "area": round(float(size.prod()), 4),
        "num_keypoints": len(known),
        "iscrowd": 0,
    }
