"""`posekit eval`: score a model or a prediction file."""

import argparse
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from posekit.choices import BACKENDS, PRECISIONS
from posekit.cli.naming import short_names
from posekit.command_line import above_zero, add_source_options, not_negative, positive, run_command
from posekit.data import DATASETS, open_people
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

_DESCRIPTION = """\
Score a model, or predictions that are stored in a file.

The metric follows the data: PCKh@0.5 where people have head sizes (MPII), otherwise PCK@0.2 of the
torso (LSP, LSPET, COCO). Both means in use are printed and named: pooled over the labelled joints (without pelvis and thorax),
and the plain mean over the kinds of joint."""

_EPILOG = """\
examples:
  a model on MPII's validation set, with the paper's six-scale pyramid and flipping
    %(prog)s --weights runs/mpii/best.safetensors --data mpii --root data/mpii --split valid --pyramid
  a model on a tenth of LSPET, drawn with seed 0, with a page to click through
    %(prog)s --weights runs/lspet/best.safetensors --data lsp --root data/lspet --split random:0.1:0 --report report
  predictions published by the hourglass authors, whose pixels count from 1, under every convention in use
    %(prog)s --predictions valid-ours.h5 --base 1 --data mpii --root data/mpii --split valid --protocols
  is A better than B, or is it luck
    %(prog)s --predictions a.h5 --against b.h5 --data mpii --root data/mpii --split valid

prediction files that are read:
  .h5    posekit's, or the hourglass authors'
  .mat   pytorch-pose's preds.mat, HRNet's pred.mat, detections_our_format.mat (Tompson et al.'s)
  .json  COCO results, one for each person
Where a file or its format does not say whether pixels count from 0 or 1, it is found out on the truth, and told.

what is written:
  OUT/metrics.json     the scores in percent, with every choice of the protocol
  OUT/predictions.h5   preds (0-based image pixels), scores, index, the heatmaps' peaks; it can be
                       scored again with --predictions
  OUT/analysis/        with --analyse: tables and pictures"""

# Options that only a model has use for, and what they are when not given.
_MODEL_DEFAULTS = {"decode": "quarter", "device": "auto", "batch_size": 32, "workers": 0, "backend": "auto", "precision": "no"}
_VIEW_OPTIONS = ("flip", "pyramid")


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Run the command; returns the exit status."""
    return run_command(_parser(prog), _run, argv)


def _parser(prog: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=prog, description=_DESCRIPTION, epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--weights",
        metavar="W",
        help="score the model of this weights file (.safetensors, .onnx), or of a name of what comes with posekit",
    )
    what.add_argument("--predictions", type=Path, metavar="FILE", help="score this prediction file (.h5, .mat, .json)")
    add_source_options(parser, DATASETS)
    parser.add_argument(
        "--split", required=True, metavar="NAME", help="train, valid, test, all, random:FRACTION:SEED or random-rest:FRACTION:SEED"
    )
    parser.add_argument("--limit", type=positive, metavar="N", help="score the first N people only")
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="folder to write (default: runs/eval-WEIGHTS-DATA-SPLIT for a model, nothing is written for a prediction file)",
    )
    _add_metric_options(parser.add_argument_group("what is told"))
    _add_model_options(parser.add_argument_group("with --weights"))
    group = parser.add_argument_group("with --predictions")
    group.add_argument(
        "--base",
        type=int,
        choices=(0, 1),
        help="number of the first pixel in files that do not say it (default: detected on the truth, and told)",
    )
    return parser


def _add_metric_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--normalise", choices=("auto", "head", "torso"), default="auto", help="PCKh or PCK (default: as the data has)"
    )
    group.add_argument("--threshold", type=above_zero, metavar="T", help="in heads or torsos (default: 0.5 heads, 0.2 torsos)")
    group.add_argument("--against", type=Path, metavar="FILE", help="compare with this prediction file, person by person")
    group.add_argument("--protocols", action="store_true", help="the same predictions under every convention in use, side by side")
    group.add_argument(
        "--analyse",
        action="store_true",
        help="kinds of error, scores by the torso's direction, double counting (with --against also in the same joints): tables, "
        "and files in OUT/analysis",
    )
    group.add_argument("--oks", action="store_true", help="COCO's AP too (with --data coco and known sigmas it is told anyway)")
    group.add_argument(
        "--report", type=Path, metavar="DIR", help="write DIR/index.html: everything on one page, persons to click through"
    )
    group.add_argument(
        "--save", type=Path, action="append", default=[], metavar="FILE",
        help="write the predictions there too: .h5, .json (COCO results), .csv, .mat (MPII's submission); repeatable",
    )  # fmt: skip


def _add_model_options(group: argparse._ArgumentGroup) -> None:
    default = {name: f"(default: {value})" for name, value in _MODEL_DEFAULTS.items()}
    group.add_argument("--flip", action="store_true", help="average with the mirrored crop")
    group.add_argument(
        "--pyramid", nargs="?", type=_scales, const=(), metavar="S,S,…",
        help="average over crops at several scales, each also mirrored (default scales: 0.8,0.9,1.0,1.1,1.2,1.3)",
    )  # fmt: skip
    group.add_argument("--decode", choices=("quarter", "dark", "argmax"), help=f"heatmap to point {default['decode']}")
    group.add_argument("--device", metavar="D", help=f"auto, cpu, cuda, cuda:N {default['device']}")
    group.add_argument("--batch-size", type=positive, metavar="N", help=f"crops at once {default['batch_size']}")
    group.add_argument("--workers", type=not_negative, metavar="N", help=f"processes that read photographs {default['workers']}")
    group.add_argument("--backend", choices=BACKENDS, help=f"what runs the model {default['backend']}")
    group.add_argument("--precision", choices=PRECISIONS, help=f"what torch multiplies in; no: float32 {default['precision']}")


def _scales(text: str) -> tuple[float, ...]:
    return tuple(map(above_zero, text.split(",")))


def _run(args: argparse.Namespace) -> None:
    _require_consistent(args)
    everyone = open_people(args.data, args.root, args.split)
    people = _limited(args, everyone)
    out = args.out or _default_out(args)
    to_write = _prediction_files(args, out)
    _require_possible(args, people, to_write)
    for folder in filter(None, (out, args.report)):
        writable_folder(folder)
    predictor = _predictor(args) if args.weights else None
    predictions, choices = _predict(predictor, people) if predictor else _read(args, args.predictions, everyone)
    # What a model took long to predict is kept even if it cannot be scored; of a file, only what can be.
    written = _write(to_write, predictions, people) if predictor else []
    scores = score(people, predictions, normalise=args.normalise, threshold=args.threshold)
    written += [] if predictor else _write(to_write, predictions, people)
    print(scores.table() + "\n")
    if args.data == "mpii" and args.normalise == "auto" and scores.reference == TORSO_SIZE:
        print(
            "This annotation holds no head boxes, so the torso is the measure. For PCKh put detections_our_format.mat beside it.\n"
        )
    details = {"weights": args.weights, "choices": {"root": str(args.root), "limit": args.limit, **choices}}
    models = {_names(args)[0]: scores}
    sections = _compare(args, models, everyone) if args.against else {}
    more, files = _more(args, models, out)
    details["sections"] = sections | more
    if out:
        written.append(write_metrics(out, scores, **details))
    if args.report:
        files.append(_report(args.report, models, predictor, scores.to_dict(**details)))
    written += files
    print("wrote " + ", ".join(map(str, written)) if written else "nothing written; see --out")


def _limited(args: argparse.Namespace, people: People) -> People:
    return people.select(np.arange(min(args.limit, len(people)))) if args.limit else people


def _require_consistent(args: argparse.Namespace) -> None:
    """Refuse options that would have no effect."""
    if args.weights and args.base is not None and not args.against:
        raise ConfigError("--base goes with --predictions or --against: a model's coordinates are 0-based")
    if args.protocols and (args.threshold or args.normalise != "auto"):
        raise ConfigError("--protocols has thresholds and sizes of its own; leave out --threshold and --normalise")
    idle = [name for name in _MODEL_DEFAULTS if getattr(args, name) is not None]
    idle += [name for name in _VIEW_OPTIONS if getattr(args, name) not in (None, False)]
    if args.predictions and idle:
        names = ", ".join("--" + name.replace("_", "-") for name in idle)
        raise ConfigError(f"{names} would have no effect with --predictions; leave out")


def _require_possible(args: argparse.Namespace, people: People, to_write: Sequence[Path]) -> None:
    """Find out before long work what cannot be done."""
    read = [path for path in (args.predictions, args.against) if path]
    unsaid = [path for path in read if stated_base(path) is None]  # which fails if there is no such file
    if args.base is not None and not unsaid:
        names = " and ".join(map(str, read))
        raise ConfigError(f"--base {args.base} would have no effect: {names} or the format says the base; leave it out")
    if args.against and args.predictions and args.against.resolve() == args.predictions.resolve():
        raise ConfigError(f"--against {args.against} is the file that is scored; name another")
    for path in to_write:
        require_writable_kind(path)
        if args.against and path.resolve() == args.against.resolve():
            raise ConfigError(f"{path} would be overwritten before it is compared with (--against); choose another --out or --save")
    if args.oks:
        require_sigmas(people)


def _default_out(args: argparse.Namespace) -> Path | None:
    if not args.weights:
        return None
    weights, root = Path(args.weights), args.root.resolve().stem
    model = [weights.resolve().parent.name, weights.stem] if weights.suffix else [args.weights]  # of our own the name is enough
    data = [args.data, root] if root != args.data else [root]
    changes = [
        f"{name}-{value}" for name in ("decode", "backend", "precision", "threshold", "limit") if (value := getattr(args, name))
    ]
    changes += [args.normalise] * (args.normalise != "auto")
    changes += [name for name in _VIEW_OPTIONS if getattr(args, name) not in (None, False)]
    changes += [f"{scale:g}" for scale in args.pyramid or ()]
    words = "-".join([*model, *data, args.split, *changes])
    return Path("runs") / ("eval-" + re.sub(r"[^\w.]+", "-", words))


def _prediction_files(args: argparse.Namespace, out: Path | None) -> list[Path]:
    paths = [out / "predictions.h5", *args.save] if out else args.save
    # With --limit, writing the file that was read would lose the rest.
    return [path for path in paths if args.predictions is None or path.resolve() != args.predictions.resolve()]


def _write(paths: Sequence[Path], predictions: Predictions, people: People) -> list[Path]:
    for path in paths:
        write_predictions(path, predictions, people=people)
    return list(paths)


def _predictor(args: argparse.Namespace):
    # torch takes a second to load, and a prediction file does not need it
    from posekit.prediction.predictor import load
    from posekit.prediction.test_time import PYRAMID, TestTimeAugmentation

    given = {name: getattr(args, name) for name in _MODEL_DEFAULTS}
    options = {name: _MODEL_DEFAULTS[name] if value is None else value for name, value in given.items()}
    views = (
        TestTimeAugmentation(flip=args.flip)
        if args.pyramid is None
        else TestTimeAugmentation(args.pyramid or PYRAMID.scales, flip=True)
    )
    return load(args.weights, views=views, **options)


def _predict(predictor, people: People) -> tuple[Predictions, dict]:
    return predictor.predict_people(people, progress=sys.stderr.isatty()), predictor.choices


def _read(args: argparse.Namespace, path: Path, everyone: People) -> tuple[Predictions, dict]:
    """Read a prediction file; its base is stated by the file, or given, or detected; it is told."""

    def read(base: int | None) -> Predictions:
        predictions = read_predictions(path, base=base, skeleton=everyone.skeleton, people=everyone)
        if not args.limit:
            return predictions
        beyond = predictions.index[predictions.index >= len(everyone)]
        if len(beyond):  # without --limit, `score` would tell
            raise PredictionsError(f"{path}: has a person {beyond[0]}, but {everyone.name} {everyone.split} has {len(everyone)}")
        return predictions.select(predictions.index < args.limit)

    stated = stated_base(path)
    base, source = (args.base, "given") if stated is None else (stated, "stated by the file or its format")
    if base is None:
        found = detect_base(_limited(args, everyone), read, str(path))
        base, source = found.base, "detected on the truth"
        print(f"{path}: {found}\n")
    else:
        print(f"{path}: pixels count from {base}, {source}\n")
    choices = {
        "predictions": str(path),
        "predictions_base": base,
        "predictions_base_source": source,
        "box_source": "that of whoever predicted; the predictions are read from a file",
    }
    return read(None if base == stated else base), choices


def _more(args: argparse.Namespace, models: dict[str, Scores], out: Path | None) -> tuple[dict, list[Path]]:
    """Whatever was asked for beyond the table: printed, and for metrics.json; and the files written on the way."""
    scores, *_ = models.values()
    sections, files = {}, []
    if args.oks or (args.data == "coco" and scores.people.skeleton.sigmas):
        sections["oks"] = _oks(scores)
    if args.protocols:
        sections["conventions"] = _protocols(args, scores)
    if args.analyse:
        print(analysis_tables(models) + "\n")
        sections["analysis"] = {name: analysis_numbers(found) for name, found in models.items()}
        files += write_analysis(out / "analysis", models) if out else []
    return sections, files


def _compare(args: argparse.Namespace, models: dict[str, Scores], everyone: People) -> dict:
    """Add the scores of --against to the models; print the comparison, and return it for metrics.json."""
    (first,) = models.values()
    predictions, choices = _read(args, args.against, everyone)
    second = score(first.people, predictions, normalise=args.normalise, threshold=args.threshold)
    models[_names(args)[1]] = second
    comparison = PairedComparison(first, second)
    print(comparison.table(tuple(models)) + "\n")
    found = {**choices, "first_minus_second": comparison.to_dict()}
    if args.analyse and comparison.on_double_maps:
        print(comparison.double_table(tuple(models)) + "\n")
        found["on_double_maps"] = comparison.double_dict()
    return {"comparison": found}


def _names(args: argparse.Namespace) -> list[str]:
    """What tables call what is scored, and what it is compared with."""
    return short_names([Path(path) for path in (args.weights or args.predictions, args.against) if path])


def _oks(scores: Scores) -> dict:
    found = keypoint_ap(scores)
    figures = "   ".join(f"{name} {value:.2f}" for name, value in found.items() if isinstance(value, float))
    facts = "".join(f"  {name}: {found[name]}\n" for name in ("area", "sigmas", "scores"))
    print(f"COCO's average precision, {found['persons']:,} persons, boxes given\n  {figures}\n{facts}")
    return found


def _protocols(args: argparse.Namespace, scores: Scores) -> list[dict]:
    rows = conventions(scores.people, scores.predictions, root=args.root if args.data == "mpii" and not args.limit else None)
    print(conventions_table(rows, scores) + "\n")
    return [asdict(row) for row in rows]


def _report(folder: Path, models: dict[str, Scores], predictor, details: dict) -> Path:
    from posekit.lab.report.write import write_report

    maps = {"heatmaps": predictor.heatmaps, "heatmap_skeleton": predictor.info.skeleton} if predictor else {}
    return write_report(folder, models, details=details, **maps)
