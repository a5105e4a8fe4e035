"""`posekit prepare release`: write trained pose weights as a small file with a model card."""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import yaml
from torch.utils.benchmark import Timer, set_torch_threads

from posekit.data import open_people
from posekit.errors import ConfigError, DataError
from posekit.files import atomic_write, writable_folder
from posekit.images import write_image
from posekit.lab.release.card import ModelCard, size_facts
from posekit.models import load_weights, save_weights
from posekit.prediction.predictor import Predictor
from posekit.prediction.test_time import PLAIN, PYRAMID, TestTimeAugmentation
from posekit.scoring.calibrate import calibrate
from posekit.scoring.score import score

TIMING_SECONDS = 4.0
_VIEWS = {"one view": PLAIN, "one view, mirrored": TestTimeAugmentation(flip=True), "six scales, mirrored": PYRAMID}
_DECODE = "dark"
_TIMED_CROPS = 8


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
    facts = {
        **size_facts(model, path),
        "speed": _speed(path),
        "decoding": f"{_DECODE}, for the scores below",
        "scores of joints": f"probabilities of being correct; calibration error on other people {'; '.join(calibration_errors)}",
    }
    start_from = settings.get("model", {}).get("start_from")
    if start_from:
        facts = {"started from": start_from, **facts}
    card = ModelCard(args.name, info, scores, facts, args.terms, yaml.safe_dump(settings, sort_keys=False) if settings else "")
    image_name = ""
    sheet = card.failures_sheet()
    if sheet is not None:
        image_name = f"{args.name}.png"
        write_image(path.with_name(image_name), sheet)
    with atomic_write(path.with_suffix(".md")) as unfinished:
        unfinished.write_text(card.text(image_name), encoding="utf-8")
    print(f"{card.plain.table()}\n\nwrote {path} and its card, {path.with_suffix('.md')}")


def release_path(out: Path, name: str) -> Path:
    """Return the path of the weights file to write, and create the output folder.

    Raises
    ------
    ConfigError
        If the name contains characters other than letters, digits and hyphens.
    """
    if not name.replace("-", "").isalnum():
        raise ConfigError(f"--name {name}: only letters, digits and hyphens are allowed")
    return writable_folder(out) / f"{name}.safetensors"


def _speed(path: Path) -> str:
    """Measure the speed from crops to joints in people per second, on one thread of this machine."""
    with set_torch_threads(1):  # must enclose the creation of the predictor: ONNX Runtime fixes its number of threads at creation
        predictor = Predictor(path, device="cpu", decode=_DECODE)
        size = predictor.info.input_size
        crops = torch.randint(256, (_TIMED_CROPS, size, size, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
        timer = Timer("predict(crops)", globals={"predict": predictor.predict_crops, "crops": crops})
        seconds = timer.blocked_autorange(min_run_time=TIMING_SECONDS).median
    return f"{_TIMED_CROPS / seconds:.0f} people/s on one core ({predictor.backend.name}), from crops to joints"


def run_settings(weights: Path) -> dict[str, Any]:
    """Load config.yaml from the folder of the weights, without the user's paths; empty if the file does not exist.

    Raises
    ------
    DataError
        If config.yaml is not the configuration of a training run.
    """
    path = weights.parent / "config.yaml"
    if not path.is_file():
        return {}
    try:
        settings = yaml.safe_load(path.read_text(encoding="utf-8"))
        del settings["data"]["root"]
        if start_from := settings.get("model", {}).get("start_from"):
            settings["model"]["start_from"] = "/".join(Path(start_from).parts[-2:])
    except (OSError, ValueError, TypeError, KeyError, AttributeError, yaml.YAMLError) as error:
        raise DataError(f"{path}: not the configuration of a training run ({error})") from error
    return settings
