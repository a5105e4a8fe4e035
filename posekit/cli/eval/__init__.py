"""`posekit eval`: evaluate a model or a prediction file."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from posekit.choices import BACKENDS, DATASETS, DECODE_METHODS, PRECISIONS
from posekit.command_line import above_zero, add_source_options, not_negative, positive, run_command

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
Pixels may count from 0 or from 1. If neither the file nor its format says which, and --base is not given, posekit
detects the base from the ground truth.

output:
  OUT/metrics.json     the scores in percent, and all settings of the evaluation
  OUT/predictions.h5   preds (0-based image pixels), scores, index, the heatmaps' peaks; this file can be scored
                       again with --predictions
  OUT/analysis/        tables and figures (with --analyse)"""

MODEL_DEFAULTS = {"decode": "quarter", "device": "auto", "batch_size": 32, "workers": 0, "backend": "auto", "precision": "no"}
"""Defaults of the options that apply only with `--weights`."""


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Run the command and return the exit status."""
    return run_command(_parser(prog), _run, argv)


def _run(args: argparse.Namespace) -> None:
    from posekit.cli.eval.run import run

    run(args)


def _parser(prog: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=prog, description=_DESCRIPTION, epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--weights",
        metavar="W",
        help="evaluate this model: a weights file (.safetensors, .onnx) or the name of bundled weights",
    )
    source.add_argument("--predictions", type=Path, metavar="FILE", help="evaluate this prediction file (.h5, .mat, .json)")
    add_source_options(parser, DATASETS)
    parser.add_argument(
        "--split",
        required=True,
        metavar="NAME",
        help="part of the data set: train, valid, test, all, or a random split (see below)",
    )
    parser.add_argument("--limit", type=positive, metavar="N", help="evaluate only the first N people")
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="output folder (default: runs/eval-WEIGHTS-DATA-SPLIT for a model, none for a prediction file)",
    )
    _add_metric_options(parser.add_argument_group("metrics and results"))
    _add_model_options(parser.add_argument_group("with --weights"))
    group = parser.add_argument_group("with --predictions")
    group.add_argument(
        "--base",
        type=int,
        choices=(0, 1),
        help="whether the file's pixels count from 0 or 1, if the file does not say (default: detected from the ground truth)",
    )
    return parser


def _add_metric_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--normalise",
        choices=("auto", "head", "torso"),
        default="auto",
        help="reference size: head (PCKh) or torso (PCK); auto: head if the data set has head sizes (default: auto)",
    )
    group.add_argument(
        "--threshold",
        type=above_zero,
        metavar="T",
        help="a joint is correct within T reference sizes (default: 0.5 for head, 0.2 for torso)",
    )
    group.add_argument(
        "--against",
        type=Path,
        metavar="FILE",
        help="also evaluate this prediction file, and compare the two person by person",
    )
    group.add_argument("--protocols", action="store_true", help="also score the predictions under every common convention")
    group.add_argument(
        "--analyse",
        action="store_true",
        help="also analyse kinds of error, scores by torso direction, and double counting (with --against also on the same "
        "joints); prints tables and writes files into OUT/analysis",
    )
    group.add_argument(
        "--oks",
        action="store_true",
        help="also compute COCO's AP (always computed with --data coco if the joints' sigmas are known)",
    )
    group.add_argument("--report", type=Path, metavar="DIR", help="write an HTML report with example people to DIR/index.html")
    group.add_argument(
        "--save", type=Path, action="append", default=[], metavar="FILE",
        help="also write the predictions to FILE: .h5, .json (COCO results), .csv, or .mat (MPII's submission format); repeatable",
    )  # fmt: skip


def _add_model_options(group: argparse._ArgumentGroup) -> None:
    default = {name: f"(default: {value})" for name, value in MODEL_DEFAULTS.items()}
    group.add_argument("--flip", action="store_true", help="average the heatmaps of the crop and of the mirrored crop")
    group.add_argument(
        "--pyramid", nargs="?", type=_scales, const=(), metavar="S,S,…",
        help="average the heatmaps of crops at several scales, each also mirrored (default scales: 0.8,0.9,1.0,1.1,1.2,1.3)",
    )  # fmt: skip
    group.add_argument(
        "--decode",
        choices=DECODE_METHODS,
        help=f"method to read a joint's position from its heatmap {default['decode']}",
    )
    group.add_argument("--device", metavar="D", help=f"auto, cpu, cuda, cuda:N {default['device']}")
    group.add_argument("--batch-size", type=positive, metavar="N", help=f"number of crops per batch {default['batch_size']}")
    group.add_argument("--workers", type=not_negative, metavar="N", help=f"image loading processes {default['workers']}")
    group.add_argument("--backend", choices=BACKENDS, help=f"inference backend {default['backend']}")
    group.add_argument(
        "--precision",
        choices=PRECISIONS,
        help=f"numeric precision in PyTorch; no means float32 {default['precision']}",
    )


def _scales(text: str) -> tuple[float, ...]:
    return tuple(above_zero(scale) for scale in text.split(","))
