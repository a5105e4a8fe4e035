"""`posekit eval`: score a model or a prediction file."""

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from posekit.cli.command import run_command
from posekit.datasets import DATASETS, open_people
from posekit.errors import ConfigError
from posekit.evaluation import score, write_metrics
from posekit.files import writable_folder
from posekit.predictions import Predictions, read_predictions, write_predictions
from posekit.sample import People

_DESCRIPTION = """\
Score a model, or predictions that are stored in a file.

The metric follows the data: PCKh@0.5 where people have head sizes (MPII), otherwise PCK@0.2 of the
torso (LSP, LSPET, COCO). Both means in use are printed and named: pooled over the labelled joints (without pelvis and thorax),
and the plain mean over the kinds of joint."""

_EPILOG = """\
examples:
  a model on MPII's validation set
    %(prog)s --weights runs/mpii/best.safetensors --data mpii --root data/mpii --split valid
  a model on a tenth of LSPET, drawn with seed 0; its first 200 people are enough for a look
    %(prog)s --weights runs/lspet/best.safetensors --data lsp --root data/lspet --split random:0.1:0 --limit 200
  predictions published by the hourglass authors, whose pixels count from 1
    %(prog)s --predictions valid-ours.h5 --base 1 --data mpii --root data/mpii --split valid

what is written:
  OUT/metrics.json     the scores in percent, with every choice of the protocol
  OUT/predictions.h5   preds (0-based image pixels), scores, index; it can be scored again with
                       --predictions"""

# Options that only a model has use for, and what they are when not given.
_MODEL_DEFAULTS = {"decode": "quarter", "device": "auto", "batch_size": 32, "workers": 0}


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Run the command; returns the exit status."""
    return run_command(_parser(prog), _run, argv)


def _parser(prog: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=prog, description=_DESCRIPTION, epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--weights", metavar="W", help="score the model of this weights file (.safetensors)")
    what.add_argument("--predictions", type=Path, metavar="FILE", help="score this prediction file (.h5)")
    parser.add_argument("--data", required=True, choices=tuple(DATASETS), help="kind of data set; lsp reads LSP and LSPET")
    parser.add_argument("--root", required=True, type=Path, metavar="DIR", help="the data set's folder")
    parser.add_argument(
        "--split", required=True, metavar="NAME", help="train, valid, test, all, random:FRACTION:SEED or random-rest:FRACTION:SEED"
    )
    parser.add_argument("--limit", type=_positive, metavar="N", help="score the first N people only")
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="folder to write (default: runs/eval-WEIGHTS-DATA-SPLIT for a model, nothing is written for a prediction file)",
    )
    _add_model_options(parser.add_argument_group("with --weights"))
    group = parser.add_argument_group("with --predictions")
    group.add_argument(
        "--base", type=int, choices=(0, 1), help="number of the file's first pixel; needed where the file does not say it"
    )
    return parser


def _add_model_options(group: argparse._ArgumentGroup) -> None:
    default = {name: f"(default: {value})" for name, value in _MODEL_DEFAULTS.items()}
    group.add_argument("--decode", choices=("quarter", "dark", "argmax"), help=f"heatmap to point {default['decode']}")
    group.add_argument("--device", metavar="D", help=f"auto, cpu, cuda, cuda:N {default['device']}")
    group.add_argument("--batch-size", type=_positive, metavar="N", help=f"crops at once {default['batch_size']}")
    group.add_argument("--workers", type=_not_negative, metavar="N", help=f"processes that read photographs {default['workers']}")


def _positive(text: str) -> int:
    return _at_least(1, text)


def _not_negative(text: str) -> int:
    return _at_least(0, text)


def _at_least(least: int, text: str) -> int:
    if not text.isdecimal() or int(text) < least:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number of at least {least}")
    return int(text)


def _run(args: argparse.Namespace) -> None:
    _require_consistent(args)
    people = open_people(args.data, args.root, args.split)
    if args.limit:
        people = people.select(np.arange(min(args.limit, len(people))))
    out = args.out or _default_out(args)
    if out:
        writable_folder(out)
    predictions, choices = _predict(args, people) if args.weights else _read(args, people)
    written = _write_predictions(out, predictions, args.predictions) if out else []
    scores = score(people, predictions)
    print(scores.table() + "\n")
    if out:
        choices = {"root": str(args.root), "limit": args.limit, **choices}
        written.append(write_metrics(out, scores, weights=args.weights, choices=choices))
    print(f"wrote {' and '.join(map(str, written))}" if written else "nothing written; see --out")


def _require_consistent(args: argparse.Namespace) -> None:
    """Refuse options that would have no effect."""
    if args.weights and args.base is not None:
        raise ConfigError("--base goes with --predictions: a model's coordinates are 0-based")
    idle = [name for name in _MODEL_DEFAULTS if getattr(args, name) is not None]
    if args.predictions and idle:
        names = ", ".join("--" + name.replace("_", "-") for name in idle)
        raise ConfigError(f"{names} would have no effect with --predictions; leave out")


def _default_out(args: argparse.Namespace) -> Path | None:
    if not args.weights:
        return None
    weights = Path(args.weights)
    changes = [f"{name}-{value}" for name in ("decode", "limit") if (value := getattr(args, name))]
    words = "-".join([weights.absolute().parent.name, weights.stem, args.data, args.split, *changes])
    return Path("runs") / ("eval-" + re.sub(r"[^\w.]+", "-", words))


def _write_predictions(out: Path, predictions: Predictions, source: Path | None) -> list[Path]:
    path = out / "predictions.h5"
    if source is not None and path.resolve() == source.resolve():
        return []  # with --limit it would lose the rest
    write_predictions(path, predictions)
    return [path]


def _predict(args: argparse.Namespace, people: People) -> tuple[Predictions, dict]:
    # torch takes a second to load, and a prediction file does not need it
    from posekit.inference import load

    given = {name: getattr(args, name) for name in _MODEL_DEFAULTS}
    options = {name: _MODEL_DEFAULTS[name] if value is None else value for name, value in given.items()}
    predictor = load(args.weights, **options)
    predictions = predictor.predict_people(people, progress=sys.stderr.isatty())
    choices = {"decode": options["decode"], "views": "one, neither mirrored nor scaled", "input_size": predictor.info.input_size}
    return predictions, choices


def _read(args: argparse.Namespace, people: People) -> tuple[Predictions, dict]:
    predictions = read_predictions(args.predictions, base=args.base, skeleton=people.skeleton)
    if args.limit:
        predictions = predictions.select(predictions.index < args.limit)
    choices = {
        "predictions": str(args.predictions),
        "predictions_base": "as the file says" if args.base is None else args.base,
        "box_source": "that of whoever predicted; the predictions are read from a file",
    }
    return predictions, choices
