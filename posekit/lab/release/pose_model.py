"""`posekit prepare release`: write trained pose weights as a small file with a model card."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch.utils.benchmark import set_torch_threads

from posekit.data import open_people
from posekit.drawing.pose import prediction_sheet
from posekit.errors import DataError
from posekit.geometry import Crop
from posekit.images import write_image
from posekit.lab.release.card import (
    release_path,
    run_settings,
    seconds_per_call,
    size_facts,
    training_facts,
    training_section,
    write_card,
)
from posekit.models import ModelInfo, load_weights, save_weights
from posekit.prediction.predictor import Predictor
from posekit.prediction.test_time import PLAIN, PYRAMID, TestTimeAugmentation
from posekit.scoring.analysis import DIRECTIONS, EVERYBODY, by_direction, calibrate, limb_joints, torso_angles
from posekit.scoring.score import Scores, score
from posekit.tables import markdown_table

_VIEWS = {"one view": PLAIN, "one view, mirrored": TestTimeAugmentation(flip=True), "six scales, mirrored": PYRAMID}
_DECODE = "dark"
_TIMED_CROPS = 8
_EXAMPLES = 4  # people shown for each kind of failure
_TILE = 200  # side of an example in pixels
_INVERTED_DEG = 135.0  # angle between torso and vertical above which a person is upside down
_BACKGROUND = 70  # grey level on which both the skeletons and the marks are visible


def run(args: argparse.Namespace) -> None:
    """Write the half-precision weights, the model card and an image of failures; score and calibrate the weights as written.

    Raises
    ------
    DataError
        If a weight is too large for half precision, or the people cannot be scored.
    """
    path = release_path(args.out, args.name)
    model, info = load_weights(args.weights)
    people = open_people(args.data, args.root, args.split, skeleton=info.skeleton)
    info = info.with_notes(name=args.name, terms=args.terms)
    scores = {}
    calibrations = {}
    calibration_errors = []
    try:
        save_weights(path, model, info, half=True)
        for name, views in _VIEWS.items():
            print(f"scoring: {name}")
            scores[name] = score(people, Predictor(path, views=views, decode=_DECODE).predict_people(people))
        for name, views in _VIEWS.items():
            calibrations[views.key], calibration_error = calibrate(scores[name])
            calibration_errors.append(f"{calibration_error:.3f} {name}")
        save_weights(path, model, replace(info, calibrations=calibrations), half=True)
    except ValueError as error:
        raise DataError(f"{args.weights}: cannot be released ({error})") from error
    settings = run_settings(args.weights)
    start_from = settings.get("model", {}).get("start_from")
    facts = {
        **_model_facts(info),
        **({"started from": start_from} if start_from else {}),
        **size_facts(model, path),
        "speed": _speed(path),
        "decoding": f"{_DECODE}, for the scores below",
        "scores of joints": f"probabilities of being correct; calibration error on other people {'; '.join(calibration_errors)}",
    }
    plain = next(iter(scores.values()))
    sections = _score_sections(scores)
    sheet = _failures_sheet(plain)
    if sheet is not None:
        write_image(path.with_suffix(".png"), sheet)
        sections += [
            f"![failures]({args.name}.png)",
            "People with at least half of their joints wrong, chosen at random and drawn without their images: the prediction, "
            "with wrong joints ringed, and the true pose.",
        ]
    if settings:
        sections += training_section("train", settings)
    write_card(args, path, facts, sections, plain.table())


def _model_facts(info: ModelInfo) -> dict[str, str]:
    stacks = "1 stack" if info.stacks == 1 else f"{info.stacks} stacks"
    encoder = f"; the encoder of the first is {info.encoder}, pretrained on ImageNet" if info.encoder else ""
    return {
        "joints": f"{len(info.skeleton)} ({info.skeleton.name}): " + ", ".join(info.skeleton.joints),
        "network": f"stacked hourglass, {stacks} of {info.features} features, {info.head} head{encoder}",
        "input": f"crops of {info.input_size} x {info.input_size} pixels around one person",
        **training_facts(info.notes),
    }


def _speed(path: Path) -> str:
    """Measure the speed from crops to joints in people per second, on one thread of this machine."""
    with set_torch_threads(1):  # must enclose the predictor's creation, at which ONNX Runtime fixes the number of threads
        predictor = Predictor(path, device="cpu", decode=_DECODE)
        size = predictor.info.input_size
        crops = torch.randint(256, (_TIMED_CROPS, size, size, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
        seconds = seconds_per_call(lambda: predictor.predict_crops(crops))
    return f"{_TIMED_CROPS / seconds:.0f} people/s on one core ({predictor.backend.name}), from crops to joints"


def _score_sections(scores: Mapping[str, Scores]) -> list[str]:
    """Return the sections on scores and failures; `scores` has one entry per test-time augmentation, first the single view."""
    plain = next(iter(scores.values()))
    people = plain.people
    left_out = f" ({plain.pck.n_left_out:,} more people lack the {plain.reference})" if plain.pck.n_left_out else ""
    return [
        "## Scores",
        f"{plain.metric} in percent, {plain.n_persons:,} people of {people.name} {people.split}{left_out}; "
        f"boxes: {people.box_source}. In brackets: 95 % intervals of a bootstrap over people.",
        _group_table(scores, plain),
        f"The {len(limb_joints(plain))} limb joints alone, by the direction of the true torso:",
        _direction_table(scores, plain),
        "## Known failures",
        _failure_list(plain),
    ]


def _group_table(scores: Mapping[str, Scores], plain: Scores) -> str:
    rows = []
    for name, augmented in scores.items():
        mean = f"**{_two_digits(augmented.pooled_mean)}** {_interval(augmented.interval95)}"
        rows.append([name, *map(_two_digits, augmented.groups.values()), mean])
    return markdown_table(["", *plain.groups, "mean, pooled"], rows)


def _direction_table(scores: Mapping[str, Scores], plain: Scores) -> str:
    persons = {column: result.persons for column, result in by_direction(plain).items()}
    columns = [column for column in (*DIRECTIONS, EVERYBODY) if persons[column]]
    rows = []
    for name, augmented in scores.items():
        results = by_direction(augmented)
        cells = [f"{_two_digits(results[column].percent)} {_interval(results[column].interval95)}" for column in columns]
        rows.append([name, *cells])
    return markdown_table(["", *(f"{column} ({persons[column]:,})" for column in columns)], rows)


def _failure_list(scores: Scores) -> str:
    cost = scores.diagnosis.cost(scores.mean_joints)
    lines = [
        f"- inversions (a joint predicted on the person's opposite joint) cost {cost['inversion']:.1f} percentage points",
        f"- misses (predicted elsewhere, e.g. on another person or on the background) cost {cost['miss']:.1f} percentage points",
        f"- jitter (predicted near the joint, but not near enough) costs {cost['jitter']:.1f} percentage points",
        f"- {scores.diagnosis.n_mirrored:,} of {scores.n_persons:,} people would score higher with left and right exchanged",
    ]
    if scores.double_counting is not None:
        lines.append(f"- {scores.double_counting.total('double', scores.mean_joints):.0f} % of the heatmaps have several peaks")
    return "\n".join(lines)


def _failures_sheet(scores: Scores) -> np.ndarray | None:
    """Draw randomly chosen failures, a few of each kind, without the images of the people; return None if no person failed."""
    people = scores.people
    chosen = []
    crops = []
    titles = []
    for failure, persons in _failures(scores).items():
        for i in persons:
            chosen.append(i)
            crops.append(Crop(people[i].box, _TILE))
            titles.append(f"{Path(people[i].image_path).name}, {failure}")
    if not chosen:
        return None

    def to_crops(joints: np.ndarray) -> np.ndarray:
        return np.array([crop.forward(joints[i]) for crop, i in zip(crops, chosen, strict=True)])

    return prediction_sheet(
        [np.full((_TILE, _TILE, 3), _BACKGROUND, np.uint8)] * len(chosen),
        {"prediction": (to_crops(scores.predictions.joints), scores.pck.correct[chosen])},
        to_crops(people.joints),
        people.labelled[chosen],
        people.skeleton,
        counted=scores.pck.counted[chosen],
        titles=titles,
        tile=_TILE,
        columns=_EXAMPLES // 2,
    )


def _failures(scores: Scores) -> dict[str, list[int]]:
    """Choose people with at least half of their joints wrong, and return kind of failure -> indices of people."""
    n_counted = scores.pck.counted.sum(1)
    n_correct = (scores.pck.correct & scores.pck.counted).sum(1)
    failed = (n_counted > 0) & (2 * n_correct <= n_counted)
    exchanged = failed & scores.diagnosis.mirrored_N
    inverted = failed & ~exchanged & (torso_angles(scores.people) > _INVERTED_DEG)
    failures = {"sides exchanged": exchanged, "upside down": inverted, "other": failed & ~exchanged & ~inverted}
    rng = np.random.default_rng(0)
    return {failure: rng.permutation(np.flatnonzero(mask))[:_EXAMPLES].tolist() for failure, mask in failures.items()}


def _two_digits(value: float) -> str:
    return f"{value:.2f}" if np.isfinite(value) else "-"


def _interval(interval: Sequence[float]) -> str:
    low, high = interval
    return f"({_two_digits(low)} to {_two_digits(high)})"
