"""One run after the other: trained by its command in a process of its own, then scored."""

import math
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout

from posekit.build import build_accelerator
from posekit.cli.benchmark.machine import describe_machine, describe_software
from posekit.cli.benchmark.training import training_step
from posekit.cli.compare.kind import Kind
from posekit.cli.compare.run import Run
from posekit.cli.configuration import TRAINING_COMMANDS, free_options
from posekit.cli.training import Training
from posekit.config import ClassifierConfig, Config
from posekit.errors import PosekitError
from posekit.evaluation import write_metrics

_STEPS, _WARM_UP = 6, 2
_FORWARD = 1 / 3  # of a training step's time


class TrainingFailed(PosekitError):
    """A training of the comparison failed for what is its own: its loss is no longer finite, say."""


class TrainingStopped(PosekitError):
    """A training of the comparison was stopped, or could not begin; so would the others be."""

    def __init__(self, message: str, exit_status: int):
        super().__init__(message)
        self.exit_status = exit_status


@contextmanager
def claimed(run: Run) -> Iterator[bool]:
    """Keep a run to this process; False where another one has it."""
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


def train(run: Run) -> None:
    """Train to the last epoch, or go on with it.

    Raises
    ------
    TrainingFailed, TrainingStopped
        If training did not come to its end; its own line says why.
    """
    what = ["--resume", *free_options(run.config)] if run.begun else run.arguments
    status = _attended(
        [sys.executable, "-m", "posekit.cli.main", TRAINING_COMMANDS[type(run.config)], *what, "--out", str(run.folder)]
    )
    if status == TrainingFailed.exit_status:
        raise TrainingFailed(run.name)
    if status:
        raise TrainingStopped(f"{run.name}: stopped, see the line above; the same command goes on from here", status)


def _attended(command: list[str]) -> int:
    """A command's exit status. Signals are passed on to it: it ends in good order, and then so do we."""
    process = subprocess.Popen(command)
    before = {
        number: signal.signal(number, lambda number, _: process.send_signal(number)) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        status = process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return status if status >= 0 else 128 - status


def evaluate(run: Run, kind: Kind) -> None:
    """Score the last epoch's weights, and note what the run took, on which machine and with what."""
    weights, rows = run.folder / "final.safetensors", run.rows()
    found = kind.evaluate(run, weights)
    sections = {
        "comparison": {"model": run.model, "seed": run.seed},
        "training": {
            "seconds": sum(row["seconds"] for row in rows),
            "images_per_s": float(np.mean([row["images_per_s"] for row in rows])),
            f"{kind.followed}_by_epoch": [row.get(kind.followed, math.nan) for row in rows],
            "parameters": found.parameters,
        },
        **found.sections,
        "config": _shared(run.config),
        "machine": describe_machine(),
        "software": describe_software(),
    }
    write_metrics(run.results, found.scores, weights=str(weights), choices=found.choices, sections=sections)


def _shared(config: Config | ClassifierConfig) -> dict:
    """A configuration without what is the user's own: where the data lie."""
    settings = asdict(config)
    del settings["data"]["root"]
    return settings


def seconds_per_epoch(runs: Sequence[Run], kind: type[Kind]) -> float:
    """About how long an epoch of these runs of one model takes: by those that there were so far, or else by some steps.

    0 where all runs are done.
    """
    if all(run.done for run in runs):
        return 0.0
    rows = [row for run in runs for row in run.rows()]
    if rows:
        return float(np.mean([row["seconds"] for row in rows]))
    return _measured_epoch(kind.open(runs[0].config))


def _measured_epoch(training: Training) -> float:
    """By training steps on one batch; samples are read beside them, by the workers."""
    accelerator = build_accelerator(training.config)
    with tempfile.TemporaryDirectory() as folder:
        engine = training.build_engine(out=Path(folder), accelerator=accelerator, resume=False)
        engine.log.close()
        batch = next(iter(engine.task.loader))
        times = []
        for _ in range(_WARM_UP + _STEPS):
            start = time.perf_counter()
            training_step(engine, engine.model, batch)
            times.append(time.perf_counter() - start)
    learned, validated = (len(loader.dataset) for loader in (engine.task.loader, engine.task.valid_loader))
    return float(np.median(times[_WARM_UP:])) / len(batch) * (learned + _FORWARD * validated)
