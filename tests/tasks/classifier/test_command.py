"""`posekit train-classifier`, end to end on a few coloured images and on images of CIFAR-10."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from posekit.cli.main import main as posekit
from posekit.data.labelled_images import open_images
from posekit.images import read_image
from posekit.tasks.classifier.cli import main
from posekit.tasks.classifier.predict import classify_images
from posekit.tasks.classifier.score import score_classes
from tests.fixtures.runs import assert_same_run, metrics_rows

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def finished(colours, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "run"
    assert main(["--config", str(colours / "tiny.yaml"), "--out", str(out)]) == 0
    return out


def test_run_writes_all_its_files(finished):
    for name in ("config.yaml", "metrics.csv", "last", "best.safetensors", "final.safetensors", "figures/training.png",
                 "metrics.json", "predictions.csv", "epochs/epoch-0001.safetensors"):  # fmt: skip
        assert (finished / name).exists(), name
    metrics = json.loads((finished / "metrics.json").read_text())
    # Validation and test images are the same here, so both give the same error.
    assert metrics["error"] == pytest.approx(min(float(row["error"]) for row in metrics_rows(finished)), abs=1e-4)
    assert all(0 <= float(row["hard_images"]) <= 100 for row in metrics_rows(finished))
    assert metrics["n_images"] == 15 and len(metrics["error_of_classes"]) == 3


def test_weights_give_the_written_predictions(colours, finished):
    images = open_images("folder", colours / "colours", "valid")
    scores = score_classes(images, classify_images(finished / "best.safetensors", images, device="cpu"))
    with (finished / "predictions.csv").open() as file:
        assert [row["predicted"] for row in csv.DictReader(file)] == [images.classes[i] for i in scores.predicted]


def test_mistakes_are_drawn(colours, tmp_path):
    """After one step at a tiny learning rate, the network predicts nearly the same class for all images."""
    out = tmp_path / "run"
    options = ["--train.epochs", "1", "--train.batch_size", "36", "--optimizer.lr", "1e-6"]
    assert main(["--config", str(colours / "tiny.yaml"), "--out", str(out), *options]) == 0
    wrong = sum(row["label"] != row["predicted"] for row in csv.DictReader((out / "predictions.csv").read_text().splitlines()))
    sheet = read_image(out / "figures" / "mistakes.png")
    assert wrong >= 8 and sheet.shape[1] > 8 * 160 and np.ptp(sheet) > 200


@pytest.mark.slow
def test_a_terminated_run_resumes_bit_for_bit(colours, tmp_path):
    command = [sys.executable, "-m", "posekit.cli.main", "train-classifier"]
    start = [*command, "--config", colours / "tiny.yaml", "--train.epochs", "6"]
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    subprocess.run([*start, "--out", whole], check=True, env=ENVIRONMENT, capture_output=True)
    process = subprocess.Popen([*start, "--out", cut], env=ENVIRONMENT, stderr=subprocess.PIPE, text=True)
    while not (cut / "metrics.csv").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 143, stderr
    assert f"; resume with: posekit train-classifier --resume --out {cut}\n" in stderr
    subprocess.run([*command, "--resume", "--out", cut], check=True, env=ENVIRONMENT, capture_output=True)
    assert_same_run(whole, cut)


@pytest.mark.slow
def test_it_learns_real_images(real_data, tmp_path):
    """Four epochs of 2,000 images of CIFAR-10; guessing has an error of 90 %."""
    config = Path(__file__).parents[3] / "configs" / "cifar" / "cpu_small.yaml"
    splits = ["--data.train", "random:0.04:1", "--data.valid", "random:0.004:2", "--data.test", "random:0.01:3"]
    options = ["--data.root", str(real_data), *splits, "--train.epochs", "4", "--train.batch_size", "32"]
    assert main(["--config", str(config), "--out", str(tmp_path), *options]) == 0
    assert json.loads((tmp_path / "metrics.json").read_text())["error"] < 75


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (["--data.path", "nowhere"], 1, "nowhere"),
        (["--data.images", "cifar10", "--data.size", "32"], 1, "cifar10"),
        (["--data.images", "cifar10"], 2, "data.size.*32.*got 8"),
        (["--data.images", "pictures"], 2, "data.images.*cifar10, .*pictures"),
        (["--data.pad", "8"], 2, "data.pad.*data.size, got 8"),
        (["--data.train", "train:1"], 2, "train:1"),
        (["--loss.name", "bce"], 2, "loss.warmup_epochs.*loss.name.*got 1"),
        (["--loss.anchor", "best"], 2, "loss.anchor.*background, target, both.*best"),
        (["--loss.anchor", "1.5"], 2, "loss.anchor.*0 to 1, got 1.5"),
        (["--loss.ohem", "0"], 2, "loss.ohem.*got 0"),
        (["--model.name", "resnet18"], 2, "model.name.*resnet20.*resnet18"),
        (["--optimizer.milestones", "[]"], 2, r"optimizer.milestones.*steps.*got \[\]"),
        (["--optimizer.momentum", "1"], 2, "optimizer.momentum.*below 1, got 1"),
        (["--loss.gama", "1"], 2, "loss.gama.*loss.gamma"),
    ],
)
def test_wrong_options_are_reported_in_one_line(colours, tmp_path, capsys, options, status, message):
    assert main(["--config", str(colours / "tiny.yaml"), "--out", str(tmp_path / "run"), *options]) == status
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(message, line), line


def test_resnet50_without_torchvision(colours, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision.models", None)
    assert main(["--config", str(colours / "tiny.yaml"), "--out", str(tmp_path), "--model.name", "resnet50"]) == 2
    assert 'pip install "posekit[imagenet]"' in capsys.readouterr().err


def test_commands_refuse_each_others_configurations(colours, tmp_path, capsys):
    assert posekit(["train", "--config", str(colours / "tiny.yaml"), "--out", str(tmp_path / "a")]) == 2
    assert re.search("tiny.yaml: .*posekit train-classifier, .*train\n", capsys.readouterr().err)
    pose = Path(__file__).parents[3] / "configs" / "quickstart.yaml"
    assert posekit(["train-classifier", "--config", str(pose), "--out", str(tmp_path / "b")]) == 2
    assert re.search("quickstart.yaml: .*posekit train, .*train-classifier\n", capsys.readouterr().err)


def test_help_lists_every_key(capsys):
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    for key in ("--data.images", "--loss.anchor", "--loss.ohem", "--optimizer.milestones", "--resume"):
        assert key in shown
