"""`posekit eval`: score a model or a prediction file."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from posekit.choices import BACKENDS, DATASETS, DECODE_METHODS, PRECISIONS
from posekit.command_line import above_zero, add_source_options, not_negative, positive, run_command

_DESCRIPTION = """\
Score a model, or predictions stored in a file.

The metric depends on the data: PCKh@0.5 where people have head sizes (MPII), otherwise PCK@0.2 of the
torso (LSP, LSPET, COCO). Two means are printed: pooled over the labelled joints (without pelvis and thorax),
and the plain mean over the kinds of joint."""

_EPILOG = """\
examples:
  a model on MPII's validation set, with the paper's six-scale pyramid and flipping
    %(prog)s --weights runs/mpii/best.safetensors --data mpii --root data/mpii --split valid --pyramid
  a model on a tenth of LSPET, drawn with seed 0, with an HTML report
    %(prog)s --weights runs/lspet/best.safetensors --data lsp --root data/lspet --split random:0.1:0 --report report
  predictions published by the hourglass authors, whose pixels count from 1, under every convention in use
    %(prog)s --predictions valid-ours.h5 --base 1 --data mpii --root data/mpii --split valid --protocols
  is the difference between A and B significant
    %(prog)s --predictions a.h5 --against b.h5 --data mpii --root data/mpii --split valid

prediction files:
  .h5    posekit's, or the hourglass authors'
  .mat   pytorch-pose's preds.mat, HRNet's pred.mat, detections_our_format.mat (Tompson et al.)
  .json  COCO results, one for each person
If neither the file nor its format states whether pixels count from 0 or 1, the base is detected from the ground truth.

output:
  OUT/metrics.json     the scores in percent, with every choice of the protocol
  OUT/predictions.h5   preds (0-based image pixels), scores, index, the heatmaps' peaks; can be
                       scored again with --predictions
  OUT/analysis/        with --analyse: tables and figures"""

MODEL_DEFAULTS = {"decode": "quarter", "device": "auto", "batch_size": 32, "workers": 0, "backend": "auto", "precision": "no"}
"""Defaults of the options that have an effect only with --weights."""


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Run the command; returns the exit status."""
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
        help="score the model of this weights file (.safetensors, .onnx), or of weights that come with posekit, by name",
    )
    source.add_argument("--predictions", type=Path, metavar="FILE", help="score this prediction file (.h5, .mat, .json)")
    add_source_options(parser, DATASETS)
    parser.add_argument(
        "--split", required=True, metavar="NAME", help="train, valid, test, all, random:FRACTION:SEED or random-rest:FRACTION:SEED"
    )
    parser.add_argument("--limit", type=positive, metavar="N", help="score the first N people only")
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="output folder (default: runs/eval-WEIGHTS-DATA-SPLIT for a model; for a prediction file nothing is written)",
    )
    _add_metric_options(parser.add_argument_group("metrics and results"))
    _add_model_options(parser.add_argument_group("with --weights"))
    group = parser.add_argument_group("with --predictions")
    group.add_argument(
        "--base",
        type=int,
        choices=(0, 1),
        help="number of the first pixel, for files that do not state it (default: detected from the ground truth)",
    )
    return parser


def _add_metric_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--normalise", choices=("auto", "head", "torso"), default="auto", help="PCKh or PCK (default: PCKh if there are head sizes)"
    )
    group.add_argument("--threshold", type=above_zero, metavar="T", help="in heads or torsos (default: 0.5 heads, 0.2 torsos)")
    group.add_argument("--against", type=Path, metavar="FILE", help="compare with this prediction file, person by person")
    group.add_argument("--protocols", action="store_true", help="score the same predictions under every convention in use")
    group.add_argument(
        "--analyse",
        action="store_true",
        help="kinds of error, scores by the torso's direction, double counting (with --against also on the same joints): tables, "
        "and files in OUT/analysis",
    )
    group.add_argument("--oks", action="store_true", help="COCO's AP too (always with --data coco and known sigmas)")
    group.add_argument("--report", type=Path, metavar="DIR", help="write an HTML report, DIR/index.html, with example people")
    group.add_argument(
        "--save", type=Path, action="append", default=[], metavar="FILE",
        help="also write the predictions to FILE: .h5, .json (COCO results), .csv, .mat (MPII's submission); repeatable",
    )  # fmt: skip


def _add_model_options(group: argparse._ArgumentGroup) -> None:
    default = {name: f"(default: {value})" for name, value in MODEL_DEFAULTS.items()}
    group.add_argument("--flip", action="store_true", help="average with the mirrored crop")
    group.add_argument(
        "--pyramid", nargs="?", type=_scales, const=(), metavar="S,S,…",
        help="average over crops at several scales, each also mirrored (default scales: 0.8,0.9,1.0,1.1,1.2,1.3)",
    )  # fmt: skip
    group.add_argument("--decode", choices=DECODE_METHODS, help=f"how a heatmap becomes a point {default['decode']}")
    group.add_argument("--device", metavar="D", help=f"auto, cpu, cuda, cuda:N {default['device']}")
    group.add_argument("--batch-size", type=positive, metavar="N", help=f"crops per batch {default['batch_size']}")
    group.add_argument("--workers", type=not_negative, metavar="N", help=f"processes that read images {default['workers']}")
    group.add_argument("--backend", choices=BACKENDS, help=f"what runs the model {default['backend']}")
    group.add_argument("--precision", choices=PRECISIONS, help=f"number format in torch; no: float32 {default['precision']}")


def _scales(text: str) -> tuple[float, ...]:
    return tuple(above_zero(scale) for scale in text.split(","))
