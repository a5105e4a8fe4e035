"""Training in two processes, started by torchrun: gloo, on the CPU."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from posekit.synthetic.write import write_synthetic
from posekit.training.checkpoint import load_checkpoint
from tests.fixtures.runs import metrics_rows

pytestmark = pytest.mark.slow

CONFIG = """
data:
  root: {root}
  train: [{{data: lsp, path: synthetic, split: "random-rest:0.3:0"}}]
  valid: [{{data: lsp, path: synthetic, split: "random:0.3:0"}}]
model: {{stacks: 2, features: 8, depth: 2, input_size: 32}}
loss: {{ohkm: 13}}
optimizer: {{name: adamw, lr: 0.003, schedule: constant}}
train: {{epochs: 2, batch_size: 2, accumulate: 2, ema: 0.9, device: cpu, workers: 0}}
"""
TRAIN = ["-m", "posekit.cli.main", "train"]
TOGETHER = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
# The second process exits if it writes into the run's folder; testing whether it could write is allowed.
ONE_WRITER = """
import os, sys
from posekit.cli.main import main

def watch(event, arguments):
    changes = event in ("os.mkdir", "os.rename", "os.remove") or (
        event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR))
    if changes and str(arguments[0]).startswith(out + "/") and not arguments[2] & os.O_TMPFILE == os.O_TMPFILE:
        os.write(2, f"second writer: {event} {arguments}\\n".encode())
        os._exit(9)

out = sys.argv[sys.argv.index("--out") + 1]
if os.environ["RANK"] == "1":
    sys.addaudithook(watch)
sys.exit(main(["train", *sys.argv[1:]]))
"""
# The first process receives a signal in the second batch of the second epoch; all processes check at every batch.
STOPPED = """
import os, signal, sys
from posekit.cli.main import main
from posekit.training import engine

def step(self, batch):
    plain_step(self, batch)
    if os.environ["RANK"] == "0" and (self.progress.epoch, self.progress.batch) == (1, 1):
        os.kill(os.getpid(), signal.SIGTERM)

plain_step = engine.Engine._step
engine.Engine._step = step
engine._SHOW_EVERY = 1
sys.exit(main(["train", *sys.argv[1:]]))
"""


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_synthetic(folder / "synthetic", people=24, seed=0, format="lspet", workers=1, progress=False)
    path = folder / "tiny.yaml"
    path.write_text(CONFIG.format(root=folder))
    return path


def start(command, *options):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[3])}
    return subprocess.Popen(
        [sys.executable, *command, *map(str, options)], env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def finish(process, status=0):
    """Wait for a process; returns the output."""
    stdout, stderr = process.communicate(timeout=120)
    assert process.returncode == status, stderr
    return stdout + stderr


def numbers(out):
    return [{name: float(value) for name, value in row.items()} for row in metrics_rows(out)]


def assert_same_curve(out, other):
    """The order of summation changes the loss by 1e-8; every step amplifies the difference, more at higher learning rates.

    Unweighted losses of the processes would differ by 1e-6, statistics that are not shared by 1e-4. A percentage may change
    by the share of one joint.
    """
    assert len(numbers(out)) == len(numbers(other)) == 2
    for row, expected in zip(numbers(out), numbers(other), strict=True):
        assert row["loss"] == pytest.approx(expected["loss"], rel=3e-7)
        assert row == pytest.approx(expected, rel=1e-6, abs=2.0)


@pytest.fixture(scope="module")
def alone(config, tmp_path_factory):
    """Four people per batch in one process."""
    out = tmp_path_factory.mktemp("alone") / "run"
    finish(start(TRAIN, "--config", config, "--out", out, "--train.batch_size", 4))
    return out


def test_two_processes_have_the_curve_of_one_and_only_the_first_writes(config, alone, tmp_path):
    """The halves of a batch have different numbers of labelled joints; the number of validation people, seven, is odd."""
    script = tmp_path / "script.py"
    script.write_text(ONE_WRITER)
    output = finish(start([*TOGETHER, script], "--config", config, "--out", tmp_path / "run"))
    assert "7 people of lspet" in output
    assert output.count("baseline:") == 1
    assert_same_curve(tmp_path / "run", alone)
    assert len(list((tmp_path / "run" / "tensorboard").iterdir())) == 1
    assert (tmp_path / "run" / "final.safetensors").exists()


def test_fewer_validation_people_than_processes(config, tmp_path):
    text = config.read_text().replace("random:0.3:0", "random:0.03:2")
    (tmp_path / "one.yaml").write_text(text)
    options = ("--config", tmp_path / "one.yaml", "--train.epochs", 1, "--out", tmp_path / "run")
    assert "valid: 1 people of lspet" in finish(start([*TOGETHER, *TRAIN], *options))
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["pooled_mean"] == pytest.approx(numbers(tmp_path / "run")[0]["pck"], abs=1e-4)  # evaluated in one process


def test_fewer_training_people_than_processes_are_refused_in_one_line(config, tmp_path):
    (tmp_path / "one.yaml").write_text(config.read_text().replace("random-rest:0.3:0", "random:0.03:2"))
    output = finish(start([*TOGETHER, *TRAIN], "--config", tmp_path / "one.yaml", "--out", tmp_path / "run"), status=1)
    assert len(re.findall(r"data\.train: .*\b1\b.*\b2 processes", output)) == 1


def worker(launcher, rank):
    """Process id of the training process with this rank, a child of torchrun."""
    for child in Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children").read_text().split():
        if f"\0RANK={rank}\0".encode() in Path(f"/proc/{child}/environ").read_bytes():
            return int(child)
    raise AssertionError(f"no process of rank {rank}")


@pytest.mark.parametrize("killed", [0, 1])
def test_a_killed_process_ends_the_run_in_one_line_with_a_complete_checkpoint(config, tmp_path, killed):
    out = tmp_path / "run"
    process = start([*TOGETHER, *TRAIN], "--config", config, "--out", out, "--train.epochs", 200)
    while not (out / "metrics.csv").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    os.kill(worker(process, killed), signal.SIGKILL)
    output = finish(process, status=1)
    assert output.count("stopped: ") == 1
    assert f"resume with: posekit train --resume --out {out} (start it with torchrun" in output
    progress = load_checkpoint(out / "last")[0]
    assert progress.epoch or progress.batch == 4  # all batches of the first epoch, if the epoch was not finished


def test_a_signal_to_one_process_stops_all_at_the_same_batch_and_they_resume(config, alone, tmp_path):
    script = tmp_path / "script.py"
    out = tmp_path / "run"
    script.write_text(STOPPED)
    output = finish(start([*TOGETHER, script], "--config", config, "--out", out), status=1)
    assert output.count("stopped: received SIGTERM; ") == 1
    progress = load_checkpoint(out / "last")[0]
    assert (progress.epoch, progress.batch, progress.people) == (1, 2, 8)
    finish(start([*TOGETHER, *TRAIN], "--resume", "--out", out))
    assert_same_curve(out, alone)
