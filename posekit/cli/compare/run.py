"""Implementation of `posekit compare`: train and evaluate the runs of a comparison that are not finished yet."""

import argparse
import os
import sys
from collections.abc import Sequence

from posekit.errors import ConfigError
from posekit.files import writable_folder
from posekit.lab.compare import execute
from posekit.lab.compare.plan import Comparison, Plan, Run, read_plan
from posekit.lab.compare.results import write_results


def run(args: argparse.Namespace, overrides: Sequence[str]) -> None:
    """Run the command; `overrides` are command line settings such as ``--train.epochs 5``, applied to all runs.

    Raises
    ------
    TrainingFailed
        If a run failed; raised after all other runs are finished.
    """
    if "TORCHELASTIC_RUN_ID" in os.environ:
        raise ConfigError(
            "do not start a comparison with torchrun: start the command once per GPU, and the processes share the runs"
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
        print("other runs are still being trained by another process, which will write the complete tables")
    if failed:
        raise execute.TrainingFailed("failed runs: " + "; ".join(run.name for run in failed))


def _finish(plan: Plan, run: Run, comparison: Comparison) -> bool:
    """Train and evaluate a run; return False if the run is already finished or another process is working on it."""
    with execute.claim(run) as claimed:
        if not claimed or run.done:
            return False
        n_left = sum(not other.done for other in plan.runs)
        print(f"\n{run.name} ({n_left} of {len(plan.runs)} runs left)", flush=True)
        execute.train(plan, run)
        execute.evaluate(plan, run, comparison)
        return True


def _print_plan(plan: Plan) -> None:
    """Print the state of each run, and an estimate of the remaining time."""
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
    print(f"estimated time in total: {_duration(total)}, at this machine's current load; output folder: {plan.out}")


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes >= 90:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes} min" if minutes else f"{seconds:.0f} s"
