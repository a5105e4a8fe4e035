"""`posekit eval`: evaluate a model or a prediction file. Only evaluating a model imports torch."""

import argparse
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from posekit.choices import BACKENDS, DATASETS, DECODE_METHODS, PRECISIONS
from posekit.command_line import above_zero, add_source_options, new_parser, not_negative, positive, run_command, short_names
from posekit.errors import ConfigError, PredictionsError
from posekit.files import writable_folder

if TYPE_CHECKING:
    from posekit.people import People
    from posekit.prediction.predictor import Predictor
    from posekit.scoring.io.predictions import Predictions
    from posekit.scoring.score import Scores

_DESCRIPTION = """\
Evaluate a model, or predictions stored in a file, on a data set.

The metric is the percentage of correct joints: PCKh@0.5 if the data set has head sizes (MPII: a joint is correct
within half a head size), otherwise PCK@0.2 (LSP, LSPET, COCO: within a fifth of the torso length). Two means are
printed, both without pelvis and thorax: the pooled mean counts every labelled joint equally, the plain mean counts
every joint type (left wrist, right wrist, …) equally."""

_EPILOG = """\
examples:
  a model on MPII's validation set, with the paper's test-time augmentation (six scales, each also mirrored)
    %(prog)s --weights runs/mpii/best.safetensors --data mpii --root data/mpii --split valid --pyramid
  a model on a random tenth of LSPET (seed 0); also write an HTML report
    %(prog)s --weights runs/lspet/best.safetensors --data lsp --root data/lspet --split random:0.1:0 --report report
  predictions published by the hourglass authors, with 1-based pixels, scored under every common convention
    %(prog)s --predictions valid-ours.h5 --base 1 --data mpii --root data/mpii --split valid --protocols
  is the difference between two prediction files significant?
    %(prog)s --predictions a.h5 --against b.h5 --data mpii --root data/mpii --split valid

splits (--split NAME):
  train, valid, test             the data set's own splits
  all                            all people
  random:FRACTION:SEED           a random fraction of the images, for example random:0.1:0
  random-rest:FRACTION:SEED      all images that are not in random:FRACTION:SEED

prediction files:
  .h5    files written by posekit or published by the hourglass authors
  .mat   pytorch-pose's preds.mat, HRNet's pred.mat, detections_our_format.mat (Tompson et al.)
  .json  COCO results, one per person
Pixel coordinates may be 0-based or 1-based. If neither the file nor its format states the base, and --base is not
given, posekit detects the base from the ground truth.

output:
  OUT/metrics.json     the scores in percent, and all settings of the evaluation
  OUT/predictions.h5   joint positions (0-based image pixels), scores, person numbers and heatmap peaks; this file can
                       be evaluated again with --predictions
  OUT/analysis/        tables and figures (with --analyse)"""

# Defaults of options that apply only with `--weights`.
_MODEL_DEFAULTS = {"decode": "quarter", "device": "auto", "batch_size": 32, "workers": 0, "backend": "auto", "precision": "no"}


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Run the command and return the exit status."""
    return run_command(_parser(prog), _run, argv)


def _parser(prog: str | None) -> argparse.ArgumentParser:
    parser = new_parser(prog, _DESCRIPTION, _EPILOG)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--weights", metavar="W", help="evaluate this model: a weights file (.safetensors, .onnx) or the name of bundled weights"
    )
    source.add_argument("--predictions", type=Path, metavar="FILE", help="evaluate this prediction file (.h5, .mat, .json)")
    add_source_options(parser, DATASETS)
    add = parser.add_argument
    add(
        "--split", required=True, metavar="NAME",
        help="part of the data set: train, valid, test, all, or a random split (see below)",
    )  # fmt: skip
    add("--limit", type=positive, metavar="N", help="evaluate only the first N people")
    add(
        "--out", type=Path, metavar="DIR",
        help="output folder (default: runs/eval-WEIGHTS-DATA-SPLIT for a model, none for a prediction file)",
    )  # fmt: skip
    _add_metric_options(parser.add_argument_group("metrics and results"))
    _add_model_options(parser.add_argument_group("with --weights"))
    parser.add_argument_group("with --predictions").add_argument(
        "--base", type=int, choices=(0, 1),
        help="base of the pixel coordinates, if the file does not state the base (default: detected from the ground truth)",
    )  # fmt: skip
    return parser


def _add_metric_options(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--normalise", choices=("auto", "head", "torso"), default="auto",
        help="reference size: head (PCKh) or torso (PCK); auto: head if the data set has head sizes (default: auto)",
    )  # fmt: skip
    add(
        "--threshold", type=above_zero, metavar="T",
        help="a joint is correct within T reference sizes (default: 0.5 for head, 0.2 for torso)",
    )  # fmt: skip
    add("--against", type=Path, metavar="FILE", help="also evaluate this prediction file, and compare the two person by person")
    add("--protocols", action="store_true", help="also score the predictions under every common convention")
    add(
        "--analyse", action="store_true",
        help="also analyse kinds of error, scores by torso direction, and double counting; with --against, also compare both on "
        "joints whose heatmaps have several peaks. Prints tables and writes files into OUT/analysis",
    )  # fmt: skip
    add(
        "--oks", action="store_true",
        help="also compute COCO's average precision (AP); with --data coco, AP is computed anyway if the joints have OKS sigmas",
    )  # fmt: skip
    add("--report", type=Path, metavar="DIR", help="write an HTML report with example people to DIR/index.html")
    add(
        "--save", type=Path, action="append", default=[], metavar="FILE",
        help="also write the predictions to FILE: .h5, .json (COCO results), .csv, or .mat (MPII's submission format); repeatable",
    )  # fmt: skip


def _add_model_options(group: argparse._ArgumentGroup) -> None:
    default = {name: f"(default: {value})" for name, value in _MODEL_DEFAULTS.items()}
    add = group.add_argument
    add("--flip", action="store_true", help="average the heatmaps of the crop and of the mirrored crop")
    add(
        "--pyramid", nargs="?", type=_scales, const=(), metavar="S,S,…",
        help="average the heatmaps of crops at several scales, each also mirrored (default scales: 0.8,0.9,1.0,1.1,1.2,1.3)",
    )  # fmt: skip
    add("--decode", choices=DECODE_METHODS, help=f"method to read a joint's position from its heatmap {default['decode']}")
    add("--device", metavar="D", help=f"auto, cpu, cuda, cuda:N {default['device']}")
    add("--batch-size", type=positive, metavar="N", help=f"number of crops per batch {default['batch_size']}")
    add("--workers", type=not_negative, metavar="N", help=f"number of image loading processes {default['workers']}")
    add("--backend", choices=BACKENDS, help=f"inference backend {default['backend']}")
    add("--precision", choices=PRECISIONS, help=f"numeric precision in PyTorch; no means float32 {default['precision']}")


def _scales(text: str) -> tuple[float, ...]:
    return tuple(above_zero(scale) for scale in text.split(","))


def _run(args: argparse.Namespace) -> None:
    """Evaluate, print the results and write the files."""
    from posekit.data import open_people
    from posekit.scoring.analysis import write_analysis
    from posekit.scoring.metrics_file import write_metrics
    from posekit.scoring.score import TORSO_SIZE, score

    _require_effective_options(args)
    all_people = open_people(args.data, args.root, args.split)
    people = _limited(all_people, args.limit)
    out = args.out or _default_out(args)
    prediction_files = _prediction_files(args, out)
    _require_possible(args, people, prediction_files)
    for folder in filter(None, (out, args.report)):
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
        print("annotation without head boxes: scored by torso size; for PCKh, add detections_our_format.mat to the same folder\n")
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


def _limited(people: "People", limit: int | None) -> "People":
    return people.select(np.arange(min(limit, len(people)))) if limit else people


def _require_effective_options(args: argparse.Namespace) -> None:
    """Raise `ConfigError` if an option would have no effect."""
    if args.weights and args.base is not None and not args.against:
        raise ConfigError("--base applies only with --predictions or --against: a model's coordinates are always 0-based")
    if args.protocols and (args.threshold or args.normalise != "auto"):
        raise ConfigError("--protocols sets its own thresholds and reference sizes; remove --threshold and --normalise")
    options = [name for name in _MODEL_DEFAULTS if getattr(args, name) is not None] + _view_options(args)
    if args.predictions and options:
        names = ", ".join("--" + name.replace("_", "-") for name in options)
        raise ConfigError(f"{names}: no effect with --predictions; remove the named options")


def _view_options(args: argparse.Namespace) -> list[str]:
    return [name for name in ("flip", "pyramid") if getattr(args, name) not in (None, False)]


def _require_possible(args: argparse.Namespace, people: "People", prediction_files: Sequence[Path]) -> None:
    """Raise before the evaluation if --base contradicts the files, an output cannot be written, or OKS sigmas are missing."""
    from posekit.scoring.io.files import require_writable_kind, stated_base
    from posekit.scoring.score import require_sigmas

    inputs = [path for path in (args.predictions, args.against) if path]
    bases = [stated_base(path) for path in inputs]  # raises if a file does not exist
    if args.base is not None and None not in bases:
        names = " and ".join(map(str, inputs))
        raise ConfigError(f"--base {args.base} has no effect: {names} or the file format states the base; remove --base")
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
    for name, default in _MODEL_DEFAULTS.items():
        value = getattr(args, name)
        options[name] = default if value is None else value
    if args.pyramid is None:
        views = TestTimeAugmentation(flip=args.flip)
    else:
        views = TestTimeAugmentation(args.pyramid or PYRAMID.scales, flip=True)
    return load(args.weights, views=views, **options)


def _write_all(paths: Sequence[Path], predictions: "Predictions", people: "People") -> None:
    from posekit.scoring.io.files import write_predictions

    for path in paths:
        write_predictions(path, predictions, people=people)


def _read(args: argparse.Namespace, path: Path, all_people: "People") -> tuple["Predictions", dict]:
    """Read a prediction file that covers all people of a split; with `--limit`, keep only the first people.

    Also return entries for metrics.json: the path, the base, and whether the base was stated by the file, given or detected.
    """
    from posekit.scoring.io.files import read_predictions, stated_base
    from posekit.scoring.protocols import detect_base

    def read(base: int | None) -> "Predictions":
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
        print(f"{path}: pixel base {base} ({source})\n")
    choices = {
        "predictions": str(path),
        "predictions_base": base,
        "predictions_base_source": source,
        "box_source": "unknown: the predictions are read from a file",
    }
    return read(None if base == stated else base), choices


def _compare(args: argparse.Namespace, first: "Scores", names: Sequence[str], all_people: "People") -> tuple["Scores", dict]:
    """Score the file given with `--against`, and print the comparison; return the scores and a section of metrics.json."""
    from posekit.scoring.compare import PairedComparison
    from posekit.scoring.score import score

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


def _optional_sections(args: argparse.Namespace, models: dict[str, "Scores"]) -> dict[str, Any]:
    """Print the results of `--oks`, `--protocols` and `--analyse`, and return their sections for metrics.json."""
    from posekit.scoring.analysis import analysis_numbers, analysis_tables
    from posekit.scoring.protocols import conventions, conventions_table

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


def _average_precision(scores: "Scores") -> dict:
    from posekit.scoring.score import keypoint_ap

    section = keypoint_ap(scores)
    values = "   ".join(f"{name} {value:.2f}" for name, value in section.items() if isinstance(value, float))
    print(f"COCO's average precision (AP), {section['persons']:,} people in given boxes (no detector)\n  {values}")
    for name in ("area", "sigmas", "scores"):
        print(f"  {name}: {section[name]}")
    print()
    return section


def _write_report(folder: Path, models: dict[str, "Scores"], predictor: "Predictor | None", details: dict) -> Path:
    from posekit.lab.report.write import write_report

    heatmaps = predictor.heatmaps if predictor else None
    skeleton = predictor.info.skeleton if predictor else None
    return write_report(folder, models, details=details, heatmaps=heatmaps, heatmap_skeleton=skeleton)
