"""`posekit compare`: train several models with several seeds each, and compare their scores."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from posekit.command_line import DEBUG_HELP, guarded

_DESCRIPTION = """\
Train models that differ in something, mostly the loss, each with several seeds and everything else equal; score the last
epoch's weights of each on the same people or images, and compare the scores: differences with confidence intervals.

The comparison is a YAML file: `base`, a configuration of train or of train-classifier; `shared`, settings that replace the
base's in all runs; `models`, by name, the settings that distinguish each; `seeds`; `against`, the models that the others are
compared with. Every key of the configuration can also be set for all runs on the command line: --data.root DIR --train.epochs 5.

The same command resumes interrupted runs from their checkpoints and does not repeat finished ones. Started several times at
once (for each GPU: CUDA_VISIBLE_DEVICES=1 …), the commands share the runs among them."""

_EPILOG = """\
examples:
  the runs and how long they would take
    %(prog)s --config configs/compare/lspet_losses.yaml --data.root DIR --dry-run
  the losses of the paper's tables on LSPET, three seeds each
    %(prog)s --config configs/compare/lspet_losses.yaml --data.root DIR
  the losses of the classifiers on CIFAR
    %(prog)s --config configs/compare/cifar_losses.yaml --data.root DIR

what is written into OUT, again after each run:
  results.md, comparison.png   tables: PCK of each joint group or errors, mean and deviation over seeds; paired differences
                               with intervals over people or images and seeds; for pose models also inversions of left and
                               right, double counting; time
  results.csv, results.yaml    a row for each run; its numbers, configuration, machine and commit
  curves.png                   learning curves, means over the seeds
  MODEL/seed-N/                the runs; final/ or, for pose models, final-DECODE/: scores of the last epoch's weights"""


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Run the command; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        usage="%(prog)s --config FILE [--out OUT] [--dry-run] [--KEY VALUE …]",
    )
    parser.add_argument("--config", required=True, type=Path, metavar="FILE", help="the comparison, see configs/compare/")
    parser.add_argument("--out", type=Path, help="folder of all runs and results (default: runs/compare-NAME)")
    parser.add_argument("--dry-run", action="store_true", help="print the runs and an estimate of their time; train nothing")
    parser.add_argument("--debug", action="store_true", help=DEBUG_HELP)
    args, overrides = parser.parse_known_args(argv)
    return guarded(parser.prog, lambda: _run(args, overrides), debug=args.debug)


def _run(args: argparse.Namespace, overrides: Sequence[str]) -> None:
    from posekit.cli.compare.run import run  # loads torch, which --help does without

    run(args, overrides)
