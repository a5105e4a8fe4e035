"""`posekit compare`: train several models, each with several seeds, and compare their scores."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from posekit.command_line import DEBUG_HELP, guarded, new_parser
from posekit.errors import ConfigError
from posekit.files import writable_folder

if TYPE_CHECKING:
    from posekit.lab.compare.plan import Comparison, Plan, Run

_DESCRIPTION = """\
Train several models that differ in one respect, usually the loss, each with several seeds. Then evaluate the weights of each
run's last epoch on the same people or images, and report score differences with confidence intervals.

The comparison is described by a YAML file with these keys:
  base      path of a configuration of train or train-classifier
  shared    settings that override the base configuration in all runs
  models    for each model name: the settings in which the model differs from the base configuration
  seeds     list of random seeds
  against   names of the baselines, the models with which all other models are compared
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
  OUT/MODEL/seed-N/    one folder per run; the subfolder final/ (pose models: final-DECODE/) contains the scores of the last
                       epoch's weights"""


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Run the command and return the exit status."""
    parser = new_parser(prog, _DESCRIPTION, _EPILOG)
    parser.allow_abbrev = False  # all other options are configuration keys
    parser.usage = "%(prog)s --config FILE [--out OUT] [--dry-run] [--KEY VALUE …]"
    add = parser.add_argument
    add("--config", required=True, type=Path, metavar="FILE", help="YAML file of the comparison; for examples see configs/compare/")
    add("--out", type=Path, help="output folder for runs and results (default: runs/compare-NAME)")
    add("--dry-run", action="store_true", help="list the runs with a time estimate, without training")
    add("--debug", action="store_true", help=DEBUG_HELP)
    args, overrides = parser.parse_known_args(argv)
    return guarded(parser.prog, lambda: _run(args, overrides), debug=args.debug)


def _run(args: argparse.Namespace, overrides: Sequence[str]) -> None:
    """Train and evaluate all unfinished runs; `overrides` are settings for all runs, such as ``--train.epochs 5``."""
    from posekit.lab.compare import execute
    from posekit.lab.compare.plan import read_plan
    from posekit.lab.compare.results import write_results

    if "TORCHELASTIC_RUN_ID" in os.environ:
        raise ConfigError(
            "torchrun cannot run posekit compare; start the command once per GPU without torchrun: the processes share the runs"
        )
    plan = read_plan(args.config, args.out, overrides)
    comparison = plan.comparison_class(plan.comparison_class.open(plan.runs[0].config))
    print(f"{len(plan.runs)} runs: {comparison.summary}")
    if args.dry_run:
        _print_plan(plan)
        return
    writable_folder(plan.out)
    tables = ""
    failed = []
    for run in plan.runs:
        try:
            if _finish(plan, run, comparison):
                tables = write_results(plan, comparison)
        except execute.TrainingFailed:
            print(f"{run.name}: training failed, see the message above; continuing with the other runs", file=sys.stderr)
            failed.append(run)
    if any(run.done for run in plan.runs):
        tables = tables or write_results(plan, comparison)
        print(f"\n{tables}\nwrote {plan.out}/results.md, .csv, .yaml, comparison.png, curves.png")
    if not all(run.done or run in failed for run in plan.runs):
        print("another process is still training the other runs, and will write the complete tables")
    if failed:
        raise execute.TrainingFailed("failed runs: " + "; ".join(run.name for run in failed))


def _finish(plan: "Plan", run: "Run", comparison: "Comparison") -> bool:
    """Train and evaluate a run; return False if the run is finished already or belongs to another process."""
    from posekit.lab.compare import execute

    with execute.claim(run) as claimed:
        if not claimed or run.done:
            return False
        n_left = sum(not other.done for other in plan.runs)
        print(f"\n{run.name} ({n_left} of {len(plan.runs)} runs left)", flush=True)
        execute.train(plan, run)
        execute.evaluate(plan, run, comparison)
        return True


def _print_plan(plan: "Plan") -> None:
    """Print the state of each run, and an estimate of the time left."""
    from posekit.lab.compare import execute

    epoch_seconds = {}
    for model in plan.models:
        epoch_seconds[model] = execute.seconds_per_epoch(plan.runs_of(model), plan.comparison_class.open)
    width = max(len(run.name) for run in plan.runs)
    total = 0.0
    for run in plan.runs:
        n_done = len(run.rows())
        n_epochs = run.config.train.epochs
        state = "done"
        if not run.done:
            seconds = epoch_seconds[run.model] * (n_epochs - n_done)
            total += seconds
            state = f"{n_done} of {n_epochs} epochs, about {_duration(seconds)} left"
        print(f"  {run.name:<{width}}  {state}")
    print(f"estimated time left for all runs, at this machine's current load: {_duration(total)}; output folder: {plan.out}")


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes >= 90:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes} min" if minutes else f"{seconds:.0f} s"
