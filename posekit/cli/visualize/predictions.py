"""`posekit visualize` `predictions` and `heatmaps`: what models predict for the same people."""

import argparse
import re
import sys
from collections.abc import Sequence

import numpy as np

from posekit.cli.visualize import SAMPLE_SIZE
from posekit.cli.visualize.people import (
    joint_indices,
    load_models,
    open_split,
    person_views,
    require_persons,
    shared_skeleton,
    write_png,
)  # fmt: skip
from posekit.drawing.maps import CROP_SIZE, heatmap_figure
from posekit.drawing.pose import prediction_sheet, rescaled
from posekit.errors import ConfigError
from posekit.files import writable_folder
from posekit.geometry import Crop
from posekit.images import write_image
from posekit.people import People
from posekit.prediction.person_view import run_model
from posekit.prediction.predictor import Predictor
from posekit.scoring.score import Scores, score

_TILES_PER_ROW = 6


def predictions(args: argparse.Namespace) -> None:
    """Draw the predictions of all chosen people on one sheet."""
    models = load_models(args.weights, args.device)
    people = open_split(args)
    out = writable_folder(args.out)
    skeleton = shared_skeleton(models)
    joints = joint_indices(args.joints, skeleton) or list(range(len(skeleton)))
    shown_K = np.isin(np.arange(len(skeleton)), joints)
    if (args.pick or args.count) and (people is None or args.persons):
        raise ConfigError("--pick and --count apply only to a data set without --person")
    if args.pick == "difference" and len(models) == 1:
        raise ConfigError("--pick difference needs at least two models in --weights")
    if people is None:
        path = out / "predictions.png"
        sheet = _sheet_of_images(args, models, shown_K)
    else:
        if args.images or args.box:
            raise ConfigError("images and --box cannot be combined with a data set")
        path = out / f"predictions-{_file_name(people.name)}.png"
        sheet = _sheet_of_people(args, models, people.mapped_to(skeleton), shown_K)
    write_image(path, sheet)
    print(f"wrote {path}")


def _sheet_of_images(args: argparse.Namespace, models: dict[str, Predictor], shown_K: np.ndarray) -> np.ndarray:
    skeleton = shared_skeleton(models)
    views = [view for _, view in person_views(args, None, skeleton)]
    unknown = np.zeros((len(views), len(skeleton)), bool)
    predictions = {}
    for name, model in models.items():
        joints = [rescaled(run_model(model, view).predicted, model.info.input_size, CROP_SIZE) for view in views]
        predictions[name] = np.where(shown_K[:, None], joints, np.nan), unknown
    crops = [view.cropped(CROP_SIZE) for view in views]
    titles = [view.title for view in views]
    truth = np.full((*unknown.shape, 2), np.nan)
    columns = max(1, _TILES_PER_ROW // len(models))
    return prediction_sheet(crops, predictions, truth, unknown, skeleton, titles=titles, columns=columns)


def _sheet_of_people(args: argparse.Namespace, models: dict[str, Predictor], people: People, shown_K: np.ndarray) -> np.ndarray:
    count = args.count or SAMPLE_SIZE
    if args.persons:
        require_persons(args.persons, people)
        numbers = np.array(args.persons)
    elif args.pick == "difference":
        numbers = np.arange(len(people))
    else:
        numbers = np.sort(np.random.default_rng(0).permutation(len(people))[:count])
    people = people.select(numbers)
    scores = {}
    for name, model in models.items():
        scores[name] = score(people, model.predict_people(people, progress=sys.stderr.isatty()))
    predicted = next(iter(scores.values())).predictions.joints
    rows = np.flatnonzero(np.isfinite(predicted).any(axis=(1, 2)))  # without unreadable images, which have already been reported
    if args.pick == "difference":
        rows = rows[_most_different([result.pck.correct[rows] for result in scores.values()], count)]
    return _draw_people(people, numbers, rows.tolist(), scores, shown_K)


def _most_different(correct: Sequence[np.ndarray], count: int) -> np.ndarray:
    """Choose the `count` people with the largest difference between the models' numbers of correct joints.

    `correct` holds an (N, K) bool array per model. Returns the row indices in ascending order.
    """
    n_correct = np.array([model_correct.sum(1) for model_correct in correct])
    return np.sort(np.argsort(n_correct.min(0) - n_correct.max(0), kind="stable")[:count])


def _draw_people(
    people: People, numbers: np.ndarray, rows: list[int], scores: dict[str, Scores], shown_K: np.ndarray
) -> np.ndarray:
    any_scores = next(iter(scores.values()))
    counted = any_scores.pck.counted[rows]
    reference, _, _ = any_scores.reference.partition(" (")
    crops = [Crop(people[row].box, CROP_SIZE) for row in rows]
    titles = [f"person {numbers[row]}" for row in rows]
    for i in np.flatnonzero(~counted.any(1)):
        titles[i] += f" (no {reference}: not scored)"

    def to_crops(joints: np.ndarray) -> np.ndarray:
        return np.array([crop.forward(joints[row]) for crop, row in zip(crops, rows, strict=True)])

    predictions = {}
    for name, result in scores.items():
        joints = np.where(shown_K[:, None], to_crops(result.predictions.joints), np.nan)
        predictions[name] = joints, result.pck.correct[rows]
    return prediction_sheet(
        [people[row].cut(crop) for crop, row in zip(crops, rows, strict=True)],
        predictions,
        to_crops(people.joints),
        people.labelled[rows] & shown_K,
        people.skeleton,
        counted=counted & shown_K,
        titles=titles,
        columns=max(1, _TILES_PER_ROW // (len(scores) + 1)),
    )


def heatmaps(args: argparse.Namespace) -> None:
    """Draw all heatmaps as a contact sheet, one per person and model."""
    models = load_models(args.weights, args.device)
    people = open_split(args)
    out = writable_folder(args.out)
    skeleton = shared_skeleton(models)
    joints = joint_indices(args.joints, skeleton)
    for name, view in person_views(args, people, skeleton):
        for model, predictor in models.items():
            suffix = f".{_file_name(model)}" if len(models) > 1 else ""
            figure = heatmap_figure(run_model(predictor, view), joints, model=model)
            write_png(figure, out, f"{name}{suffix}.heatmaps")


def _file_name(text: str) -> str:
    """Replace characters that are unsafe in file names by hyphens."""
    return re.sub(r"[^\w.]+", "-", text)
