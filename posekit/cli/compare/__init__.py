"""`posekit compare`: train several models, each with several seeds, and compare their scores."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from posekit.command_line import DEBUG_HELP, guarded

_DESCRIPTION = """\
Train several models that differ in one respect, usually the loss, each with several seeds. Then evaluate the weights of each
run's last epoch on the same people or images, and report score differences with confidence intervals.

The comparison is described by a YAML file with these keys:
  base      path of a configuration of train or train-classifier
  shared    settings that override the base configuration in all runs
  models    for each model, by name: the settings that distinguish the model
  seeds     list of random seeds
  against   baselines: names of the models with which all other models are compared
  decode    method to read joint positions from heatmaps in the evaluation (default: quarter)
Any configuration key can also be set for all runs on the command line, for example: --data.root DIR --train.epochs 5

Repeat the command after an interruption: unfinished runs resume from their checkpoints, finished runs are skipped. To use
several GPUs, start the command once per GPU (CUDA_VISIBLE_DEVICES=1 …): the processes share the runs."""

_EPILOG = """\
examples:
  list the runs, with an estimate of their training time
    %(prog)s --config configs/compare/lspet_losses.yaml --data.root DIR --dry-run
  compare the losses of the paper's tables on LSPET, with three seeds each
    %(prog)s --config configs/compare/lspet_losses.yaml --data.root DIR
  compare the losses of image classifiers on CIFAR
    %(prog)s --config configs/compare/cifar_losses.yaml --data.root DIR

what is written (all files in OUT are updated after each run):
  OUT/results.md       tables: PCK per joint group (classifiers: error), as mean and standard deviation over the seeds; paired
                       differences with confidence intervals over people (or images) and seeds; training time; for pose
                       models also left-right inversions and double counting
  OUT/comparison.png   the scores as a figure
  OUT/results.csv      one row per run
  OUT/results.yaml     scores, configuration, machine and commit of each run
  OUT/curves.png       learning curves, averaged over the seeds
  OUT/MODEL/seed-N/    the folder of each run; the scores of the last epoch's weights are in its subfolder final/ (pose
                       models: final-DECODE/)"""


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Run the command and return the exit status."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        usage="%(prog)s --config FILE [--out OUT] [--dry-run] [--KEY VALUE …]",
    )
    parser.add_argument(
        "--config", required=True, type=Path, metavar="FILE", help="YAML file of the comparison; for examples see configs/compare/"
    )
    parser.add_argument("--out", type=Path, help="output folder for runs and results (default: runs/compare-NAME)")
    parser.add_argument("--dry-run", action="store_true", help="list the runs with a time estimate, without training")
    parser.add_argument("--debug", action="store_true", help=DEBUG_HELP)
    args, overrides = parser.parse_known_args(argv)
    return guarded(parser.prog, lambda: _run(args, overrides), debug=args.debug)


def _run(args: argparse.Namespace, overrides: Sequence[str]) -> None:
    from posekit.cli.compare.run import run  # imports torch; imported here so that --help is fast

    run(args, overrides)
