"""Implementation of `posekit eval`. Only evaluating a model imports torch; a prediction file is scored without torch."""

import argparse
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from posekit.cli.eval import MODEL_DEFAULTS
from posekit.cli.naming import short_names
from posekit.data import open_people
from posekit.errors import ConfigError, PredictionsError
from posekit.files import writable_folder
from posekit.people import People
from posekit.scoring.analysis import analysis_numbers, analysis_tables, write_analysis
from posekit.scoring.compare import PairedComparison
from posekit.scoring.coordinate_base import detect_base
from posekit.scoring.io.files import read_predictions, require_writable_kind, stated_base, write_predictions
from posekit.scoring.io.predictions import Predictions
from posekit.scoring.metrics_file import write_metrics
from posekit.scoring.oks import keypoint_ap, require_sigmas
from posekit.scoring.protocols import conventions, conventions_table
from posekit.scoring.score import TORSO_SIZE, Scores, score

if TYPE_CHECKING:
    from posekit.prediction.predictor import Predictor


def run(args: argparse.Namespace) -> None:
    """Evaluate, print the results and write the files."""
    _require_effective_options(args)
    all_people = open_people(args.data, args.root, args.split)
    people = _limited(all_people, args.limit)
    out = args.out or _default_out(args)
    prediction_files = _prediction_files(args, out)
    _require_possible(args, people, prediction_files)
    for folder in (out, args.report):
        if folder:
            writable_folder(folder)
    predictor = _load_predictor(args) if args.weights else None
    if predictor:
        predictions = predictor.predict_people(people, progress=sys.stderr.isatty())
        choices = predictor.choices
        _write_all(prediction_files, predictions, people)  # before scoring, so that a long prediction is never lost
    else:
        predictions, choices = _read(args, args.predictions, all_people)
    scores = score(people, predictions, normalise=args.normalise, threshold=args.threshold)
    if not predictor:
        _write_all(prediction_files, predictions, people)  # after scoring: only predictions that can be scored are written
    print(scores.table() + "\n")
    if args.data == "mpii" and args.normalise == "auto" and scores.reference == TORSO_SIZE:
        print("the annotation has no head boxes: scored by torso size; for PCKh, put detections_our_format.mat next to it\n")
    names = short_names([Path(path) for path in (args.weights or args.predictions, args.against) if path])
    models = {names[0]: scores}
    sections = {}
    if args.against:
        models[names[1]], sections["comparison"] = _compare(args, scores, names, all_people)
    sections |= _optional_sections(args, models)
    details: dict[str, Any] = {
        "weights": args.weights,
        "choices": {"root": str(args.root), "limit": args.limit, **choices},
        "sections": sections,
    }
    written = list(prediction_files)
    if out:
        written.append(write_metrics(out, scores, **details))
        if args.analyse:
            written += write_analysis(out / "analysis", models)
    if args.report:
        written.append(_write_report(args.report, models, predictor, scores.to_dict(**details)))
    print("wrote " + ", ".join(map(str, written)) if written else "nothing written; to write files, give --out")


def _limited(people: People, limit: int | None) -> People:
    return people.select(np.arange(min(limit, len(people)))) if limit else people


def _require_effective_options(args: argparse.Namespace) -> None:
    """Refuse options that would have no effect."""
    if args.weights and args.base is not None and not args.against:
        raise ConfigError("--base applies only with --predictions or --against: a model's coordinates are always 0-based")
    if args.protocols and (args.threshold or args.normalise != "auto"):
        raise ConfigError("--protocols sets its own thresholds and reference sizes; remove --threshold and --normalise")
    options = [name for name in MODEL_DEFAULTS if getattr(args, name) is not None]
    options += _view_options(args)
    if args.predictions and options:
        names = ", ".join("--" + name.replace("_", "-") for name in options)
        raise ConfigError(f"{names}: no effect with --predictions; remove the named options")


def _view_options(args: argparse.Namespace) -> list[str]:
    return [name for name in ("flip", "pyramid") if getattr(args, name) not in (None, False)]


def _require_possible(args: argparse.Namespace, people: People, prediction_files: Sequence[Path]) -> None:
    """Raise early if the evaluation could not be finished."""
    inputs = [path for path in (args.predictions, args.against) if path]
    bases = [stated_base(path) for path in inputs]  # raises if a file does not exist
    if args.base is not None and None not in bases:
        names = " and ".join(map(str, inputs))
        raise ConfigError(f"--base {args.base} has no effect: {names}: the file or its format states the base; remove --base")
    if args.against and args.predictions and args.against.resolve() == args.predictions.resolve():
        raise ConfigError(f"--against {args.against} is the same file as --predictions; give a different file")
    for path in prediction_files:
        require_writable_kind(path)
        if args.against and path.resolve() == args.against.resolve():
            raise ConfigError(f"{path}: would overwrite the file given with --against; choose another --out or --save")
    if args.oks:
        require_sigmas(people)


def _default_out(args: argparse.Namespace) -> Path | None:
    if not args.weights:
        return None
    weights = Path(args.weights)
    words = [weights.resolve().parent.name, weights.stem] if weights.suffix else [args.weights]
    root = args.root.resolve().stem
    words += [args.data, root] if root != args.data else [root]
    words.append(args.split)
    for name in ("decode", "backend", "precision", "threshold", "limit"):
        value = getattr(args, name)
        if value:
            words.append(f"{name}-{value}")
    if args.normalise != "auto":
        words.append(args.normalise)
    words += _view_options(args)
    words += [f"{scale:g}" for scale in args.pyramid or ()]
    return Path("runs") / ("eval-" + re.sub(r"[^\w.]+", "-", "-".join(words)))


def _prediction_files(args: argparse.Namespace, out: Path | None) -> list[Path]:
    paths = [out / "predictions.h5", *args.save] if out else args.save
    if not args.predictions:
        return paths
    # Never overwrite the input: with --limit, the remaining people would be lost.
    return [path for path in paths if path.resolve() != args.predictions.resolve()]


def _load_predictor(args: argparse.Namespace) -> "Predictor":
    from posekit.prediction.predictor import load
    from posekit.prediction.test_time import PYRAMID, TestTimeAugmentation

    options = {}
    for name, default in MODEL_DEFAULTS.items():
        value = getattr(args, name)
        options[name] = default if value is None else value
    if args.pyramid is None:
        views = TestTimeAugmentation(flip=args.flip)
    else:
        views = TestTimeAugmentation(args.pyramid or PYRAMID.scales, flip=True)
    return load(args.weights, views=views, **options)


def _write_all(paths: Sequence[Path], predictions: Predictions, people: People) -> None:
    for path in paths:
        write_predictions(path, predictions, people=people)


def _read(args: argparse.Namespace, path: Path, all_people: People) -> tuple[Predictions, dict]:
    """Read a prediction file that covers all people of a split; with `--limit`, keep only the first people.

    Returns
    -------
    predictions : Predictions
    choices : dict
        Entries for metrics.json: the file, its base, and whether the base was stated by the file, given or detected.
    """

    def read(base: int | None) -> Predictions:
        predictions = read_predictions(path, base=base, skeleton=all_people.skeleton, people=all_people)
        if not args.limit:
            return predictions
        beyond = predictions.index[predictions.index >= len(all_people)]
        if len(beyond):  # check here, because `score` gets only the first people
            raise PredictionsError(
                f"{path}: has person number {beyond[0]}, but {all_people.name} {all_people.split} has {len(all_people)} people"
            )
        return predictions.select(predictions.index < args.limit)

    stated = stated_base(path)
    if stated is None and args.base is None:
        detected = detect_base(_limited(all_people, args.limit), read, str(path))
        base = detected.base
        source = "detected on the truth"
        print(f"{path}: {detected}\n")
    else:
        base = args.base if stated is None else stated
        source = "given" if stated is None else "stated by the file or its format"
        print(f"{path}: pixels count from {base}, {source}\n")
    choices = {
        "predictions": str(path),
        "predictions_base": base,
        "predictions_base_source": source,
        "box_source": "unknown: the predictions are read from a file",
    }
    return read(None if base == stated else base), choices


def _compare(args: argparse.Namespace, first: Scores, names: Sequence[str], all_people: People) -> tuple[Scores, dict]:
    """Score the file given with `--against` and print the comparison; return its scores and the section for metrics.json."""
    predictions, choices = _read(args, args.against, all_people)
    second = score(first.people, predictions, normalise=args.normalise, threshold=args.threshold)
    comparison = PairedComparison(first, second)
    pair = (names[0], names[1])
    print(comparison.table(pair) + "\n")
    section = {**choices, "first_minus_second": comparison.to_dict()}
    if args.analyse and comparison.on_double_maps:
        print(comparison.double_table(pair) + "\n")
        section["on_double_maps"] = comparison.double_dict()
    return second, section


def _optional_sections(args: argparse.Namespace, models: dict[str, Scores]) -> dict[str, Any]:
    """Print the results of `--oks`, `--protocols` and `--analyse`, and return their sections for metrics.json."""
    scores = next(iter(models.values()))
    sections: dict[str, Any] = {}
    if args.oks or (args.data == "coco" and scores.people.skeleton.sigmas):
        sections["oks"] = _average_precision(scores)
    if args.protocols:
        root = args.root if args.data == "mpii" and not args.limit else None
        results = conventions(scores.people, scores.predictions, root=root)
        print(conventions_table(results, scores) + "\n")
        sections["conventions"] = [asdict(result) for result in results]
    if args.analyse:
        print(analysis_tables(models) + "\n")
        sections["analysis"] = {name: analysis_numbers(model_scores) for name, model_scores in models.items()}
    return sections


def _average_precision(scores: Scores) -> dict:
    section = keypoint_ap(scores)
    values = "   ".join(f"{name} {value:.2f}" for name, value in section.items() if isinstance(value, float))
    print(f"COCO's average precision (AP) of {section['persons']:,} people, with given boxes\n  {values}")
    for name in ("area", "sigmas", "scores"):
        print(f"  {name}: {section[name]}")
    print()
    return section


def _write_report(folder: Path, models: dict[str, Scores], predictor: "Predictor | None", details: dict) -> Path:
    from posekit.lab.report.write import write_report

    if predictor is None:
        return write_report(folder, models, details=details)
    return write_report(folder, models, details=details, heatmaps=predictor.heatmaps, heatmap_skeleton=predictor.info.skeleton)
