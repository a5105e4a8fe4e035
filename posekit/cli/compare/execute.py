"""One run after the other: trained by ``posekit train`` in a process of its own, then scored."""

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

from posekit.build import build_accelerator, build_engine, build_people
from posekit.cli.benchmark.machine import describe_machine, describe_software
from posekit.cli.benchmark.training import training_step
from posekit.cli.compare.plan import Run
from posekit.config import Config
from posekit.errors import PosekitError
from posekit.evaluation import score, write_metrics
from posekit.evaluation.analysis import analysis_numbers
from posekit.inference.predictor import Predictor
from posekit.predictions import write_predictions
from posekit.sample import People

_STEPS, _WARM_UP = 6, 2
_FORWARD = 1 / 3  # of a training step's time


class RunFailed(PosekitError):
    """A training of the comparison did not come to its end."""

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
    RunFailed
        If training stopped before its end; its own line says why.
    """
    what = ["--resume"] if run.begun else run.arguments
    status = _attended([sys.executable, "-m", "posekit.cli.main", "train", *what, "--out", str(run.folder)])
    if status:
        raise RunFailed(f"{run.name}: not trained to its end, see the line above; the same command goes on from here", status)


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


def evaluate(run: Run, valid: People) -> None:
    """Score the last epoch's weights, and note what the run took, on which machine and with what."""
    weights = run.folder / "final.safetensors"
    predictor = Predictor(weights, device=run.config.train.device, decode=run.decode, backend="torch")
    predictions = predictor.predict_people(valid)
    write_predictions(run.results / "predictions.h5", predictions)
    scores, rows = score(valid, predictions), run.rows()
    sections = {
        "comparison": {"model": run.model, "seed": run.seed},
        "training": {
            "seconds": sum(row["seconds"] for row in rows),
            "images_per_s": float(np.mean([row["images_per_s"] for row in rows])),
            "pck_by_epoch": [row.get("pck", math.nan) for row in rows],
            "parameters": sum(parameter.numel() for parameter in predictor.model.parameters()),
        },
        "analysis": analysis_numbers(scores),
        "config": _shared(run.config),
        "machine": describe_machine(),
        "software": describe_software(),
    }
    write_metrics(run.results, scores, weights=str(weights), choices=predictor.choices, sections=sections)


def _shared(config: Config) -> dict:
    """A configuration without what is the user's own: where the data lie."""
    settings = asdict(config)
    del settings["data"]["root"]
    return settings


def seconds_per_epoch(runs: Sequence[Run]) -> float:
    """About how long an epoch of these runs of one model takes: by those that there were so far, or else by some steps.

    0 where all runs are done.
    """
    if all(run.done for run in runs):
        return 0.0
    rows = [row for run in runs for row in run.rows()]
    if rows:
        return float(np.mean([row["seconds"] for row in rows]))
    train_people, valid = build_people(runs[0].config.data)
    person_s = _seconds_per_person(runs[0].config, train_people, valid)
    return person_s * (len(train_people) + _FORWARD * len(valid))


def _seconds_per_person(config: Config, train_people: People, valid: People) -> float:
    """Of training steps on one batch; crops are cut beside them, by the workers."""
    accelerator = build_accelerator(config)
    with tempfile.TemporaryDirectory() as folder:
        engine = build_engine(config, train_people, valid, out=Path(folder), accelerator=accelerator, resume=False)
        engine.log.close()
        batch = next(iter(engine.task.loader))
        times = []
        for _ in range(_WARM_UP + _STEPS):
            start = time.perf_counter()
            training_step(engine, engine.model, batch)
            times.append(time.perf_counter() - start)
    return float(np.median(times[_WARM_UP:])) / len(batch)
