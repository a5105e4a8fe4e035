"""`posekit compare`: train several models with several seeds each, and tell which is better, and by how much."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from posekit.command_line import DEBUG_HELP, guarded
from posekit.errors import ConfigError
from posekit.files import writable_folder

if TYPE_CHECKING:
    from posekit.lab.compare.comparison import Comparison
    from posekit.lab.compare.plan import Plan
    from posekit.lab.compare.run import Run

_DESCRIPTION = """\
Train models that differ in something (the loss, mostly), each with several seeds, everything else being equal; score the last
epoch's weights of each on the same people or images, and tell which is better and whether that is more than luck.

What is compared stands in a YAML file: `base`, a configuration of train or of train-classifier, and `shared`, what all have
instead of it; `models`, by name, what sets each apart; `seeds`; `against`, the models to which differences are told. Every key
of the configuration can be set for all of them on the command line too: --data.root DIR --train.epochs 5.

A run that was cut off goes on from its checkpoint when the same command is given again; finished ones are not repeated. Started
several times at once (for each GPU: CUDA_VISIBLE_DEVICES=1 …), the commands share the runs among them."""

_EPILOG = """\
examples:
  what would be trained, and how long it would take
    %(prog)s --config configs/compare/lspet_losses.yaml --data.root DIR --dry-run
  the losses of the paper's tables on LSPET, three seeds each
    %(prog)s --config configs/compare/lspet_losses.yaml --data.root DIR
  those of the classifiers on CIFAR
    %(prog)s --config configs/compare/cifar_losses.yaml --data.root DIR

what is written into OUT, anew after each run:
  results.md, comparison.png   tables: PCK of each joint group or errors, mean and deviation over seeds; paired differences
                               with intervals over persons or images and seeds; of pose models also inversions of left and
                               right, double counting; time
  results.csv, results.yaml    a row for each run; its numbers, configuration, machine and commit
  curves.png                   learning curves, means over the seeds
  MODEL/seed-N/                the runs; final/ or, of pose models, final-DECODE/: scores of the last epoch's weights"""


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
    parser.add_argument("--dry-run", action="store_true", help="tell the plan, and about how long it takes; train nothing")
    parser.add_argument("--debug", action="store_true", help=DEBUG_HELP)
    args, overrides = parser.parse_known_args(argv)
    return guarded(parser.prog, lambda: _run(args, overrides), debug=args.debug)


def _run(args: argparse.Namespace, overrides: list[str]) -> None:
    from posekit.lab.compare import execute
    from posekit.lab.compare.plan import read_plan
    from posekit.lab.compare.results import write_results

    if "TORCHELASTIC_RUN_ID" in os.environ:
        raise ConfigError("torchrun cannot start a comparison: start it once for each GPU, and they share the runs")
    plan = read_plan(args.config, args.out, overrides)
    comparison = plan.comparison_class(plan.comparison_class.open(plan.runs[0].config))
    print(f"{len(plan.runs)} runs: {comparison.summary}")
    if args.dry_run:
        _print_plan(plan)
        return
    writable_folder(plan.out)
    tables = None
    failed = []
    for run in plan.runs:
        try:
            if _finish(plan, run, comparison):
                tables = write_results(plan, comparison)
        except execute.TrainingFailed:
            print(f"{run.name}: failed, see the line above; the other runs go on", file=sys.stderr)
            failed.append(run)
    if any(run.done for run in plan.runs):
        tables = tables or write_results(plan, comparison)
        print(f"\n{tables}\nwrote {plan.out}/results.md, .csv, .yaml, comparison.png, curves.png")
    if not all(run.done or run in failed for run in plan.runs):
        print("another process is training the other runs; it will write the complete table")
    if failed:
        raise execute.TrainingFailed("failed: " + "; ".join(run.name for run in failed))


def _finish(plan: "Plan", run: "Run", comparison: "Comparison") -> bool:
    """Train and score a run; returns False if that is already done, or another process is doing it."""
    from posekit.lab.compare import execute

    with execute.claim(run) as claimed:
        if not claimed or run.done:
            return False
        left = sum(not other.done for other in plan.runs)
        print(f"\n{run.name} ({left} of {len(plan.runs)} runs left)", flush=True)
        execute.train(plan, run)
        execute.evaluate(plan, run, comparison)
        return True


def _print_plan(plan: "Plan") -> None:
    """Print how far each run is, and an estimate of the time left."""
    from posekit.lab.compare.execute import seconds_per_epoch

    epoch_s = {model: seconds_per_epoch(plan.runs_of(model), plan.comparison_class.open) for model in plan.models}
    width = max(len(run.name) for run in plan.runs)
    total = 0.0
    for run in plan.runs:
        done, epochs = len(run.rows()), run.config.train.epochs
        if run.done:
            state = "done"
        else:
            seconds = epoch_s[run.model] * (epochs - done)
            total += seconds
            state = f"{done} of {epochs} epochs, about {_duration(seconds)} left"
        print(f"  {run.name:<{width}}  {state}")
    print(f"about {_duration(total)} in all, on this machine as it is now; into {plan.out}")


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes >= 90:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes} min" if minutes else f"{seconds:.0f} s"


if __name__ == "__main__":
    sys.exit(main())
