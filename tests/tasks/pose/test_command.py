"""`posekit train`, end to end on a tiny synthetic data set and on a few real images."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from posekit.data import open_people
from posekit.data.packing import Packing, write_pack
from posekit.images import read_image
from posekit.synthetic.write import write_synthetic
from posekit.tasks.pose.build import PoseTraining
from posekit.tasks.pose.cli import main
from posekit.tasks.pose.config import PoseConfig
from posekit.training.command import default_folder
from posekit.training.config_files import ConfigParser
from tests.fixtures.runs import assert_same_run, metrics_rows

CONFIG = """
data:
  root: {root}
  train: [{{data: mpii, path: synthetic, split: "random-rest:0.3:0"}}]
  valid: [{{data: mpii, path: synthetic, split: "random:0.3:0"}}]
model: {{stacks: 1, features: 8, depth: 2, input_size: 32}}
optimizer: {{name: adamw, schedule: onecycle}}
train: {{epochs: 2, batch_size: 4, ema: 0.9, keep_epochs: [1], device: cpu, workers: 0}}
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_synthetic(folder / "synthetic", people=24, seed=0, workers=1, progress=False)
    (folder / "tiny.yaml").write_text(CONFIG.format(root=folder))
    return folder


@pytest.mark.slow
def test_run_writes_all_its_files(root, tmp_path, capsys):
    out = tmp_path / "run"
    assert main(["--config", str(root / "tiny.yaml"), "--out", str(out)]) == 0
    for name in ("config.yaml", "metrics.csv", "last", "best.safetensors", "final.safetensors", "figures/training.png",
                 "figures/validation.png", "metrics.json", "predictions.h5",
                 "epochs/epoch-0001.safetensors"):  # fmt: skip
        assert (out / name).exists(), name
    shown = capsys.readouterr().out
    assert "the mean pose" in shown
    assert str(out / "figures") in shown
    assert all(0 < float(row["hard_pixels"]) < 100 and 0 < float(row["hard_joints"]) <= 100 for row in metrics_rows(out))
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["metric"] == "PCKh@0.5"
    # The best epoch's validation and the final evaluation give the same score; metrics.json has four decimals.
    assert metrics["pooled_mean"] == pytest.approx(max(float(row["pck"]) for row in metrics_rows(out)), abs=1e-4)
    assert main(["--config", str(root / "tiny.yaml"), "--out", str(out)]) == 2
    assert re.search(f"{out} .*--resume", capsys.readouterr().err)
    assert main(["--config", str(root / "tiny.yaml"), "--resume", "--out", str(out)]) == 0  # nothing is left to do
    (tmp_path / "other.yaml").write_text((root / "tiny.yaml").read_text().replace("features: 8", "features: 16"))
    assert main(["--config", str(tmp_path / "other.yaml"), "--resume", "--out", str(out)]) == 2
    assert re.search(f"{out} .*other.yaml", capsys.readouterr().err)


TRAIN = [sys.executable, "-m", "posekit.cli.main", "train"]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def start_six_epochs(root, out):
    """Start a process with a data loading worker, in a process group of its own."""
    command = [*TRAIN, "--config", root / "tiny.yaml", "--train.workers", "1", "--train.epochs", "6", "--out", out]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, env=ENVIRONMENT, start_new_session=True, **streams)


def wait_for(path, process):
    while not path.exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)


@pytest.fixture(scope="module")
def whole(root, tmp_path_factory):
    """An uninterrupted run of six epochs."""
    out = tmp_path_factory.mktemp("whole") / "run"
    process = start_six_epochs(root, out)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 0, stderr
    return out


def assert_resumes_to(whole, cut):
    subprocess.run([*TRAIN, "--resume", "--out", cut], check=True, env=ENVIRONMENT, capture_output=True)
    assert_same_run(whole, cut)


@pytest.mark.slow
def test_terminated_run_resumes_bit_for_bit(root, tmp_path, whole):
    """With real signals; the run prints the command to resume."""
    cut = tmp_path / "cut"
    process = start_six_epochs(root, cut)
    wait_for(cut / "metrics.csv", process)
    os.killpg(process.pid, signal.SIGTERM)  # the whole group, as a scheduler does
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 143, stderr
    assert f"; resume with: posekit train --resume --out {cut}\n" in stderr
    assert "Traceback" not in stderr
    assert_resumes_to(whole, cut)


@pytest.mark.slow
def test_after_a_killed_worker_the_run_resumes_bit_for_bit(root, tmp_path, whole):
    cut = tmp_path / "cut"
    process = start_six_epochs(root, cut)
    wait_for(cut / "metrics.csv", process)
    for worker in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
        os.kill(int(worker), signal.SIGKILL)  # as a system that is out of memory does
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 1, stderr
    last = stderr.splitlines()[-1]
    assert last.startswith("posekit train: stopped: ") and "train.workers" in last
    assert last.endswith(f"; resume with: posekit train --resume --out {cut}")
    assert "Traceback" not in stderr
    assert_resumes_to(whole, cut)


@pytest.mark.slow
def test_trains_on_real_images_of_two_data_sets(real_data, tmp_path):
    """LSPET and COCO together, in LSPET's skeleton: COCO's people have no neck and no head top."""
    path = tmp_path / "both.yaml"
    path.write_text(
        CONFIG.format(root=real_data)
        .replace('[{data: mpii, path: synthetic, split: "random-rest:0.3:0"}]',
                 '[{data: lsp, path: lspet, split: "random:0.004:0"}, {data: coco, path: coco/test_coco.json}]')
        .replace('data: mpii, path: synthetic, split: "random:0.3:0"', 'data: lsp, path: lspet, split: "random:0.002:1"')
    )  # fmt: skip
    assert main(["--config", str(path), "--out", str(tmp_path / "run"), "--train.epochs", "1"]) == 0
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["metric"] == "PCK@0.2"
    assert metrics["n_persons"] + metrics["n_left_out"] > 10


@pytest.mark.slow
def test_a_resumed_run_keeps_its_settings(root, tmp_path, whole, capsys):
    out = shutil.copytree(whole, tmp_path / "run")
    before = (out / "config.yaml").read_bytes()
    for change in (("--loss.name", "mse"), ("--train.batch_size", "8"), ("--seed", "4")):
        assert main(["--resume", "--out", str(out), *change]) == 2
        assert f"{change[0][2:]}: {out} " in capsys.readouterr().err
    assert (out / "config.yaml").read_bytes() == before
    assert main(["--resume", "--out", str(out), "--train.epochs", "7", "--train.workers", "0"]) == 0
    assert len(metrics_rows(out)) == 7


def test_the_summary_warns_of_validation_on_training_images(root):
    split = '[{data: mpii, path: synthetic, split: "random:0.5:1"}]'
    training = PoseTraining(ConfigParser(PoseConfig).read(root / "tiny.yaml", ["--data.train", split]))
    shared_people = int(np.isin(training.valid.image_paths, training.train.image_paths).sum())
    assert 0 < shared_people < len(training.valid)
    engine = SimpleNamespace(plain_model=torch.nn.Linear(1, 1), accelerator=SimpleNamespace(device="cpu"))
    assert f"warning: {shared_people} validation people" in training.summary(engine)


def test_missing_images_stop_the_run(root, tmp_path, capsys):
    copy = tmp_path / "copy"
    (copy / "synthetic").mkdir(parents=True)
    (copy / "synthetic" / "annot").symlink_to(root / "synthetic" / "annot")
    (copy / "synthetic" / "images").mkdir()
    assert main(["--config", str(root / "tiny.yaml"), "--data.root", str(copy), "--out", str(tmp_path / "run")]) == 1
    (error,) = [line for line in capsys.readouterr().err.splitlines() if ": error: " in line]
    assert "training samples" in error and str(copy / "synthetic" / "images") in error


def test_missing_validation_images_stop_the_run_in_its_first_epoch(root, tmp_path, capsys):
    copy = tmp_path / "copy"
    (copy / "blind" / "images").mkdir(parents=True)
    (copy / "blind" / "annot").symlink_to(root / "synthetic" / "annot")
    (copy / "synthetic").symlink_to(root / "synthetic")
    text = (root / "tiny.yaml").read_text().replace('path: synthetic, split: "random:', 'path: blind, split: "random:')
    (tmp_path / "blind.yaml").write_text(text)
    assert main(["--config", str(tmp_path / "blind.yaml"), "--data.root", str(copy), "--out", str(tmp_path / "run")]) == 1
    stderr = capsys.readouterr().err
    assert "validation samples" in stderr and str(copy / "blind" / "images") in stderr
    assert "epoch 2/2" not in stderr


@pytest.mark.parametrize(
    ("path", "folder"),
    [("configs/quickstart.yaml", "quickstart"), ("configs/mpii/hg8_anchor.yaml", "mpii-hg8_anchor"), ("x/my.yaml", "x-my")],
)
def test_default_folders_of_configurations_with_the_same_name_differ(path, folder):
    assert default_folder(Path(path)) == Path("runs") / folder


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "--config FILE"),
        (["--config", "nowhere.yaml"], "nowhere.yaml"),
        (["--resume", "--out", "nowhere"], "nowhere: "),
    ],
)
def test_wrong_command_lines(argv, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(argv) == 2
    assert message in capsys.readouterr().err


def test_output_folder_that_cannot_be_written(root, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["--config", str(root / "tiny.yaml"), "--out", str(tmp_path / "file" / "run")]) == 1
    assert str(tmp_path / "file" / "run") in capsys.readouterr().err


def test_help_lists_every_key(capsys):
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    for key in ("--train.epochs", "--loss.gamma", "--data.root", "--resume", "--model.stacks"):
        assert key in shown


def test_tool_is_the_same_command():
    tool = Path(__file__).parents[3] / "tools" / "train.py"
    shown = subprocess.run([sys.executable, tool, "--help"], check=True, capture_output=True, text=True).stdout
    assert "--config" in shown


@pytest.mark.slow
def test_a_run_on_packed_people_draws_their_crops(root, tmp_path):
    write_pack(tmp_path / "people.h5", open_people("mpii", root / "synthetic", "all"), Packing(side=96), workers=1, progress=False)
    config = (
        (root / "tiny.yaml").read_text().replace("data: mpii, path: synthetic", f"data: packed, path: {tmp_path / 'people.h5'}")
    )
    (tmp_path / "packed.yaml").write_text(config)
    out = tmp_path / "run"
    assert main(["--config", str(tmp_path / "packed.yaml"), "--out", str(out), "--train.epochs", "1"]) == 0
    assert read_image(out / "figures" / "validation.png").max() > 100


@pytest.mark.slow
def test_weights_to_start_from_are_needed_at_the_start_only(root, tmp_path):
    out = tmp_path / "run"
    again = tmp_path / "again"
    assert main(["--config", str(root / "tiny.yaml"), "--train.epochs", "1", "--out", str(out)]) == 0
    weights = tmp_path / "start.safetensors"
    (out / "final.safetensors").rename(weights)
    options = ["--train.epochs", "1", "--model.start_from", str(weights)]
    assert main(["--config", str(root / "tiny.yaml"), *options, "--out", str(again)]) == 0
    assert float(metrics_rows(again)[0]["loss"]) < float(metrics_rows(out)[0]["loss"])
    weights.unlink()
    assert main(["--resume", "--out", str(again)]) == 0
    assert main(["--config", str(root / "tiny.yaml"), *options, "--out", str(tmp_path / "third")]) == 1
