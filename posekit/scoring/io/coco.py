"""COCO results: a JSON list of ``{image_id, category_id, keypoints, score}``, pixels counted from 0.

The format does not link a result to an annotated person. COCO's evaluation matches the two by similarity,
which would favour the predictions in PCK. Therefore posekit adds ``index``, the person's index in the
split, and ``image``, the image's file name, which other readers ignore. Results of other programs need
an ``index`` as well, or must be one for each person in the annotation's order.

``keypoints`` are x, y and score of each joint; 0, 0, 0 is a joint that was not predicted. ``image_id`` is
the annotation's; where it has none (MPII, LSP), the last number in the image's file name, or, where such
numbers are missing or not unique, the image's position among the people's images, counted from 0.
"""

import json
import re
from pathlib import Path

import numpy as np

from posekit.errors import PredictionsError
from posekit.people import People
from posekit.scoring.io.predictions import Predictions, checked_index, file_names, resolve_base
from posekit.skeletons import Skeleton

COCO_BASE = 0
_CATEGORY = 1  # COCO's "person"
_EXPECTED = "give one result for each person in the annotation's order, or each result an 'index', the person's index in the split"


def image_ids(people: People) -> np.ndarray:
    """(N,) int64: id of each person's image in COCO results."""
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
    """Write COCO results; a score that is not finite becomes 0, as COCO requires a number.

    `people` has a person at every index.
    """
    names = file_names(people)
    ids = image_ids(people).tolist()
    predicted = np.isfinite(predictions.joints).all(-1)
    finite = np.isfinite(predictions.scores)
    joints = np.where(predicted[..., None], predictions.joints, 0.0)
    scores = np.where(predicted & finite, predictions.scores, 0.0)
    keypoints = np.concatenate([joints, scores[..., None]], -1).reshape(len(joints), 3 * len(predictions.skeleton))
    means = np.where(finite, predictions.scores, 0.0).sum(1) / np.maximum(finite.sum(1), 1)
    results = []
    for i, flat, mean in zip(predictions.index.tolist(), keypoints.tolist(), means.tolist(), strict=True):
        result = {
            "image_id": ids[i],
            "category_id": _CATEGORY,
            "keypoints": flat,
            "score": mean,
            "index": i,
            "image": names[i],
        }
        results.append(result)
    path.write_text(json.dumps(results, allow_nan=False), encoding="utf-8")


def read_results(path: Path, *, base: int | None, skeleton: Skeleton, people: People | None) -> Predictions:
    """Read COCO results, of posekit or of other programs.

    Raises
    ------
    PredictionsError
        If the file is not a list of results for this skeleton, or the results cannot be assigned to people.
    """
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
    """(N, K, 3) float64: x, y, score."""
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
    if people is not None:
        _require_images(path, results, index, people)
    return checked_index(path, np.array(index))


def _require_images(path: Path, results: list[dict], index: list[int], people: People) -> None:
    """Raise `PredictionsError` if a result names another image than its person's."""
    names = dict(enumerate(file_names(people)))
    for result, i in zip(results, index, strict=True):
        image = result.get("image")
        if image is not None and i in names and image != names[i]:
            raise PredictionsError(
                f"{path}: person {i} of {people.name} {people.split} is in {names[i]}, but the result with this index "
                f"is of {image}; name the data set and split that the results were made for"
            )


def _index_by_order(path: Path, results: list[dict], people: People | None) -> np.ndarray:
    if people is None:
        raise PredictionsError(f"{path}: the results do not name their people; {_EXPECTED}")
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
