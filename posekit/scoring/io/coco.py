"""COCO results: a JSON list of ``{image_id, category_id, keypoints, score}``, pixels counted from 0.

The format does not say which annotated person a result belongs to, and evaluations pair the two by how
well they fit, which for PCK would be to look at the answer. So ours add ``index``, the person's place in
the split, and ``image``, the photograph's file name, which other readers ignore. Results of others need
an ``index`` too, or must be one for each person in the annotation's order.

``keypoints`` are x, y and score of each joint; 0, 0, 0 is a joint that was not predicted. An ``image_id``
is the annotation's own; where it has none (MPII, LSP), the last number in the photograph's file name, or,
where such numbers are lacking or occur twice, the photograph's place among the people's, counted from 0.
"""

import json
import re
from pathlib import Path

import numpy as np

from posekit.errors import PredictionsError
from posekit.people import People
from posekit.scoring.io.predictions import Predictions, checked_index, file_names, known_base
from posekit.skeletons import Skeleton

COCO_BASE = 0
_CATEGORY = 1  # COCO's "person"
_NEED = "give one result for each person in the annotation's order, or each result an 'index': the person's place in the split"


def image_ids(people: People) -> np.ndarray:
    """(N,) int64: the number of each person's photograph in COCO results."""
    if (people.image_ids >= 0).all():
        return people.image_ids
    places = {image: place for place, image in enumerate(dict.fromkeys(people.image_paths.tolist()))}
    numbers = {image: re.findall(r"\d{1,18}(?!\d)", Path(image).stem)[-1:] for image in places}
    named = {image: int(number[0]) for image, number in numbers.items() if number}
    ids = named if len(set(named.values())) == len(places) else places
    return np.array([ids[image] for image in people.image_paths.tolist()], dtype=np.int64)


def write_results(path: Path, predictions: Predictions, people: People) -> None:
    """Write COCO results; a score that is not finite becomes 0, which COCO has no other word for.

    `people` has a person at every index.
    """
    names, index = file_names(people), predictions.index.tolist()
    ids = image_ids(people).tolist()
    known = np.isfinite(predictions.joints).all(-1)
    scores = np.where(known & np.isfinite(predictions.scores), predictions.scores, 0.0)
    points = np.concatenate([np.where(known[..., None], predictions.joints, 0.0), scores[..., None]], -1)
    rows = zip(
        index,
        points.reshape(len(points), 3 * len(predictions.skeleton)).tolist(),
        _means_of_finite(predictions.scores),
        strict=True,
    )
    results = [
        {"image_id": ids[i], "category_id": _CATEGORY, "keypoints": flat, "score": score, "index": i, "image": names[i]}
        for i, flat, score in rows
    ]
    path.write_text(json.dumps(results, allow_nan=False), encoding="utf-8")


def read_results(path: Path, *, base: int | None, skeleton: Skeleton, people: People | None) -> Predictions:
    """Read COCO results, ours or those of others.

    Raises
    ------
    PredictionsError
        If the file is not a list of results for this skeleton, or it is not clear whose they are.
    """
    known_base(path, COCO_BASE, base)
    results = _results(path)
    points = _points(path, results, skeleton)
    points[(points == 0).all(-1)] = np.nan
    return Predictions(points[..., :2], points[..., 2], _index(path, results, people), skeleton)


def _means_of_finite(scores: np.ndarray) -> list[float]:
    finite = np.isfinite(scores)
    return (np.where(finite, scores, 0.0).sum(1) / np.maximum(finite.sum(1), 1)).tolist()


def _results(path: Path) -> list[dict]:
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise PredictionsError(f"{path}: not JSON that can be read ({error})") from error
    if not isinstance(results, list) or not all(isinstance(result, dict) for result in results):
        raise PredictionsError(f"{path}: expected COCO results: a list of {{image_id, category_id, keypoints, score}}")
    return results


def _points(path: Path, results: list[dict], skeleton: Skeleton) -> np.ndarray:
    """(N, K, 3) float64: x, y, score."""
    flat, count = [result.get("keypoints") for result in results], 3 * len(skeleton)
    wrong = next((i for i, numbers in enumerate(flat) if not isinstance(numbers, list) or len(numbers) != count), None)
    if wrong is not None:
        found = f"{len(flat[wrong])} numbers" if isinstance(flat[wrong], list) else "none"
        raise PredictionsError(
            f"{path}: keypoints: expected {count} numbers (x, y, score of the {len(skeleton)} joints of {skeleton.name}) "
            f"in each result, got {found} in result {wrong}"
        )
    try:
        return np.array(flat, dtype=np.float64).reshape(-1, len(skeleton), 3)
    except (OverflowError, TypeError, ValueError) as error:
        raise PredictionsError(f"{path}: keypoints: expected numbers ({error})") from error


def _index(path: Path, results: list[dict], people: People | None) -> np.ndarray:
    if not any("index" in result for result in results):
        return _index_of_order(path, results, people)
    places = [result.get("index") for result in results]
    wrong = next((i for i, place in enumerate(places) if type(place) is not int or abs(place) >= 2**63), None)
    if wrong is not None:
        raise PredictionsError(f"{path}: index: expected a whole number in each result, got {places[wrong]!r} in result {wrong}")
    if people is not None:
        _require_images(path, results, places, people)
    return checked_index(path, np.array(places))


def _require_images(path: Path, results: list[dict], places: list[int], people: People) -> None:
    """Where a result names its photograph, it is the person's."""
    names = dict(enumerate(file_names(people)))
    for result, place in zip(results, places, strict=True):
        said, name = result.get("image"), names.get(place)
        if None not in (said, name) and said != name:
            raise PredictionsError(
                f"{path}: person {place} of {people.name} {people.split} is in {name}, but the result with this index "
                f"is of {said}; name the data set and split that the results were made for"
            )


def _index_of_order(path: Path, results: list[dict], people: People | None) -> np.ndarray:
    if people is None:
        raise PredictionsError(f"{path}: does not say which person each result belongs to; {_NEED}")
    whose = f"{people.name} {people.split}"
    if len(results) != len(people):
        raise PredictionsError(f"{path}: {len(results)} results for the {len(people)} persons of {whose}; {_NEED}")
    for place, (result, id_, name) in enumerate(zip(results, image_ids(people).tolist(), file_names(people), strict=True)):
        said = result.get("image_id")
        if said not in (id_, name):  # some write the file name
            raise PredictionsError(
                f"{path}: result {place} has image_id {said!r}, but person {place} of {whose} is in {name}, "
                f"which would be {id_}; {_NEED}"
            )
    return np.arange(len(people))
