"""Training of a single run in a separate process, scoring of the trained weights, and an estimate of the training time."""

import math
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from posekit.command_line import handle_signals
from posekit.errors import PosekitError
from posekit.lab.compare.plan import Comparison, Plan, Run
from posekit.machine import describe_machine, describe_software
from posekit.scoring.metrics_file import write_metrics
from posekit.training.build import build_accelerator
from posekit.training.command import Training
from posekit.training.config_files import free_options

# Numbers of timed and of warm-up training steps, for the estimate of an epoch's time.
_STEPS = 6
_WARM_UP_STEPS = 2
_FORWARD_SHARE = 1 / 3  # time of a forward pass, as a fraction of a training step


class TrainingFailed(PosekitError):
    """One run failed on its own, for example because its loss became NaN; the other runs can continue."""


class TrainingStopped(PosekitError):
    """One run was interrupted or could not start; the other runs would stop for the same reason."""

    def __init__(self, message: str, exit_status: int):
        super().__init__(message)
        self.exit_status = exit_status


@contextmanager
def claim(run: Run) -> Iterator[bool]:
    """Lock a run for this process; yield False if another process holds the lock, otherwise True."""
    run.folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(run.folder / "lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def train(plan: Plan, run: Run) -> None:
    """Train a run to its last epoch, or resume it. Raises `TrainingFailed` or `TrainingStopped` if training did not finish."""
    arguments = ["--resume", *free_options(run.config)] if run.started else run.arguments
    command = [sys.executable, "-m", "posekit.cli.main", plan.command, *arguments, "--out", str(run.folder)]
    status = _call_and_forward_signals(command)
    if status == TrainingFailed.exit_status:
        raise TrainingFailed(run.name)
    if status:
        raise TrainingStopped(f"{run.name}: training stopped, see the line above; run the same command again to resume", status)


def _call_and_forward_signals(command: list[str]) -> int:
    """Run a command and return its exit status. SIGINT and SIGTERM are forwarded, so that the command stops cleanly."""
    process = subprocess.Popen(command)
    with handle_signals(lambda signum, frame: process.send_signal(signum), signal.SIGINT, signal.SIGTERM):
        status = process.wait()
    return status if status >= 0 else 128 - status


def evaluate(plan: Plan, run: Run, comparison: Comparison) -> None:
    """Score the last epoch's weights, and write metrics.json: scores, training time, configuration, machine and software."""
    weights = run.folder / "final.safetensors"
    rows = run.rows()
    evaluation = comparison.evaluate(run.config, weights, run.results, plan.decode)
    settings = asdict(run.config)
    del settings["data"]["root"]  # the user's folder
    sections = {
        "comparison": {"model": run.model, "seed": run.seed},
        "training": {
            "seconds": sum(row["seconds"] for row in rows),
            "images_per_s": float(np.mean([row["images_per_s"] for row in rows])),
            f"{comparison.metric_column}_by_epoch": [row.get(comparison.metric_column, math.nan) for row in rows],
            "parameters": evaluation.parameters,
        },
        **evaluation.sections,
        "config": settings,
        "machine": describe_machine(),
        "software": describe_software(),
    }
    write_metrics(run.results, evaluation.scores, weights=str(weights), choices=evaluation.choices, sections=sections)


def seconds_per_epoch(runs: Sequence[Run], open_training: Callable[[Any], Training]) -> float:
    """Estimate one model's seconds per epoch from finished epochs or, if none, from training steps; 0 if all runs are done."""
    if all(run.done for run in runs):
        return 0.0
    rows = [row for run in runs for row in run.rows()]
    if rows:
        return float(np.mean([row["seconds"] for row in rows]))
    return _measure_epoch(open_training(runs[0].config))


def _measure_epoch(training: Training) -> float:
    """Estimate the seconds per epoch from training steps on one batch. Image loading is not timed: workers load in parallel."""
    accelerator = build_accelerator(training.config)
    with tempfile.TemporaryDirectory() as folder:
        engine = training.build_engine(out=Path(folder), accelerator=accelerator, resume=False)
        if engine.log is not None:
            engine.log.close()
        batch = next(iter(engine.task.loader))
        times = []
        for _ in range(_WARM_UP_STEPS + _STEPS):
            start = time.perf_counter()
            engine.try_step(batch)
            times.append(time.perf_counter() - start)
    seconds_per_sample = float(np.median(times[_WARM_UP_STEPS:])) / len(batch)
    train_samples = len(engine.task.loader.dataset)  # type: ignore[arg-type]  # torch's type stubs lack Dataset.__len__
    valid_samples = len(engine.task.valid_loader.dataset)  # type: ignore[arg-type]  # as above
    return seconds_per_sample * (train_samples + _FORWARD_SHARE * valid_samples)
