"""`posekit compare` on a tiny synthetic set."""

import csv
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml

from posekit.cli.compare import main
from posekit.data import open_people
from posekit.lab.compare import execute
from posekit.lab.compare.execute import claim
from posekit.lab.compare.plan import read_plan
from posekit.lab.compare.results import write_results
from posekit.prediction.predictor import Predictor
from posekit.scoring.score import score
from posekit.synthetic.write import write_synthetic

BASE = """
data:
  root: {root}
  train: [{{data: mpii, path: synthetic, split: "random-rest:0.3:0"}}]
  valid: [{{data: mpii, path: synthetic, split: "random:0.3:0"}}]
model: {{stacks: 1, features: 8, depth: 2, input_size: 32}}
optimizer: {{name: adamw, schedule: onecycle}}
train: {{epochs: 2, batch_size: 4, device: cpu, workers: 0}}
"""
COMPARISON = """
base: base.yaml
shared: {targets: {sigma: 1.5}}
seeds: [0, 1]
models:
  BCE: {loss: {name: bce}}
  "anchor, γ = 2": {loss: {name: anchor, gamma: 2.0}, train: {keep_epochs: [1]}}
against: [BCE]
decode: argmax
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compare")
    write_synthetic(folder / "synthetic", people=24, seed=0, workers=1, progress=False)
    (folder / "base.yaml").write_text(BASE.format(root=folder))
    (folder / "losses.yaml").write_text(COMPARISON, encoding="utf-8")
    return folder


def changed(folder, tmp_path, old, new):
    (tmp_path / "base.yaml").write_text((folder / "base.yaml").read_text())
    (tmp_path / "losses.yaml").write_text(COMPARISON.replace(old, new), encoding="utf-8")
    return tmp_path / "losses.yaml"


@pytest.fixture(scope="module")
def finished(folder):
    out = folder / "out"
    assert main(["--config", str(folder / "losses.yaml"), "--out", str(out)]) == 0
    return out


@pytest.mark.slow
def test_every_model_is_trained_with_every_seed_and_tabulated(folder, finished):
    rows = list(csv.DictReader((finished / "results.csv").read_text(encoding="utf-8").splitlines()))
    assert [row["model"] for row in rows] == ["BCE", "anchor, γ = 2"] * 2
    assert [row["seed"] for row in rows] == ["0", "0", "1", "1"]  # every model has its first seed before any has a second
    raw = yaml.safe_load((finished / "results.yaml").read_text(encoding="utf-8"))["runs"]
    assert [run["config"]["loss"]["name"] for run in raw] == ["bce", "anchor"] * 2
    assert [run["config"]["seed"] for run in raw] == [0, 0, 1, 1]
    assert [run["config"]["targets"]["sigma"] for run in raw] == [1.5] * 4
    assert all("root" not in run["config"]["data"] and run["machine"]["cores"] >= 1 for run in raw)
    assert all(run["training"]["seconds"] > 0 and len(run["training"]["pck_by_epoch"]) == 2 for run in raw)
    # The scores are those of the last epoch's weights, decoded by argmax.
    people = open_people("mpii", folder / "synthetic", "random:0.3:0")
    weights = finished / "bce" / "seed-0" / "final.safetensors"
    scores = score(people, Predictor(weights, decode="argmax").predict_people(people, progress=False))
    assert raw[0]["pooled_mean"] == pytest.approx(scores.pooled_mean, abs=1e-3)
    assert float(rows[0]["mean"]) == raw[0]["pooled_mean"]
    tables = (finished / "results.md").read_text(encoding="utf-8")
    assert "| anchor, γ = 2 | 2 |" in tables and "| minus BCE |" in tables and "seed" not in tables.splitlines()[-1]
    assert (finished / "anchor-γ-2" / "seed-1" / "epochs" / "epoch-0001.safetensors").exists()
    assert all((finished / name).stat().st_size > 5000 for name in ("comparison.png", "curves.png"))


@pytest.mark.slow
def test_finished_runs_are_not_trained_again(folder, finished, capsys):
    before = {path: path.stat().st_mtime_ns for path in finished.glob("*/*/final.safetensors")}
    assert main(["--config", str(folder / "losses.yaml"), "--out", str(finished)]) == 0
    assert {path: path.stat().st_mtime_ns for path in finished.glob("*/*/final.safetensors")} == before and len(before) == 4
    assert main(["--config", str(folder / "losses.yaml"), "--out", str(finished), "--dry-run"]) == 0
    output = capsys.readouterr().out
    assert output.count("  done\n") == 4 and "0 s" in output


@pytest.mark.slow
def test_a_run_that_another_process_finishes_meanwhile_is_in_the_next_table(folder, finished, tmp_path, monkeypatch):
    plan = read_plan(folder / "losses.yaml", Path(shutil.copytree(finished, tmp_path / "out")), [])
    comparison = plan.comparison_class(plan.comparison_class.open(plan.runs[0].config))
    metrics = plan.runs[-1].results / "metrics.json"
    hidden = metrics.rename(metrics.with_name("hidden"))
    read_repeats = comparison.repeats

    def finish_run_and_read_repeats(runs):
        shutil.copy(hidden, metrics)
        return read_repeats(runs)

    monkeypatch.setattr(comparison, "repeats", finish_run_and_read_repeats)
    assert "anchor, γ = 2, seed 1" in write_results(plan, comparison)
    assert "anchor, γ = 2, seed 1" not in write_results(plan, comparison)


@pytest.mark.slow
def test_runs_with_other_settings_are_refused(folder, finished, capsys):
    assert main(["--config", str(folder / "losses.yaml"), "--out", str(finished), "--train.epochs", "3"]) == 2
    assert "train.epochs 2, not 3" in capsys.readouterr().err
    # Settings that do not affect the result may change.
    assert main(["--config", str(folder / "losses.yaml"), "--out", str(finished), "--train.workers", "1", "--dry-run"]) == 0


@pytest.mark.slow
def test_an_interrupted_run_can_be_resumed(folder, tmp_path, finished):
    command = [sys.executable, "-m", "posekit.cli.main", "compare", "--config", folder / "losses.yaml", "--out", tmp_path]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen([*command, "--train.epochs", "50"], start_new_session=True, **streams)
    run = tmp_path / "bce" / "seed-0"
    while not (run / "metrics.csv").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGTERM)  # the parent alone, which must stop the training process
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 143, errors
    assert "BCE, seed 0" in errors and "Traceback" not in errors and (run / "last").exists()
    plan = read_plan(folder / "losses.yaml", tmp_path, ["--train.epochs", "50"])
    assert plan.runs[0].started and not plan.runs[0].done and 1 <= len(plan.runs[0].rows()) < 50


@pytest.mark.slow
def test_a_failed_run_does_not_stop_the_others(folder, tmp_path, capfd):
    config = changed(folder, tmp_path, "loss: {name: bce}", "loss: {name: mse}, optimizer: {lr: 1.0e+30}")
    config.write_text(config.read_text(encoding="utf-8").replace("seeds: [0, 1]", "seeds: [0]"), encoding="utf-8")
    out = tmp_path / "out"
    assert main(["--config", str(config), "--out", str(out)]) == 1
    errors = capfd.readouterr().err
    assert "nan" in errors and errors.splitlines()[-1].endswith("BCE, seed 0")
    assert "BCE, seed 0" in (out / "results.md").read_text(encoding="utf-8")
    assert (out / "anchor-γ-2" / "seed-0" / "final-argmax" / "metrics.json").exists()


def test_a_resumed_run_takes_the_current_data_folder_device_and_workers(folder, tmp_path, monkeypatch):
    plan = read_plan(folder / "losses.yaml", tmp_path, ["--data.root", "elsewhere", "--train.workers", "1"])
    run = plan.runs[0]
    (run.folder / "last").mkdir(parents=True)
    commands = []
    monkeypatch.setattr(execute, "_call_and_forward_signals", lambda command: commands.append(command) or 0)
    execute.train(plan, run)
    free = ["--data.root", "elsewhere", "--train.device", "cpu", "--train.workers", "1"]
    assert commands[0][3:] == ["train", "--resume", *free, "--out", str(run.folder)]


def test_the_dry_run_trains_nothing(folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(execute, "_STEPS", 1)
    monkeypatch.setattr(execute, "_WARM_UP_STEPS", 1)
    assert main(["--config", str(folder / "losses.yaml"), "--out", str(tmp_path / "new"), "--dry-run"]) == 0
    output = capsys.readouterr().out
    assert "4 runs: " in output and "17 people" in output and "anchor, γ = 2, seed 1  0 of 2 epochs" in output
    assert not (tmp_path / "new").exists()


def test_runs_claimed_by_other_processes_are_left_to_them(folder, tmp_path, capsys):
    runs = read_plan(folder / "losses.yaml", tmp_path, []).runs
    with ExitStack() as taken:
        for run in runs:
            taken.enter_context(claim(run))
        assert main(["--config", str(folder / "losses.yaml"), "--out", str(tmp_path)]) == 0
    assert "another process" in capsys.readouterr().out
    assert not (tmp_path / "results.md").exists()


def test_a_run_belongs_to_one_process(folder, tmp_path):
    run = read_plan(folder / "losses.yaml", tmp_path, []).runs[0]
    with claim(run) as first, claim(run) as second:
        assert first and not second
    with claim(run) as again:
        assert again


@pytest.mark.parametrize(
    ("old", "new", "facts"),
    [
        ("base: base.yaml", "base: none.yaml", "none.yaml"),
        ("loss: {name: bce}", "loss: {nam: bce}", "'BCE': .*nam.*loss.name"),
        ("seeds: [0, 1]", "seeds: [1, 1]", "seeds: .*1, 1"),
        ("seeds: [0, 1]", "sedes: [0, 1]", "sedes.*seeds"),
        ("decode: argmax", "decode: best", "decode: .*quarter, dark, argmax.*best"),
        ("against: [BCE]", "against: [MSE]", "against: .*BCE, anchor.*MSE"),
        ('"anchor, γ = 2"', '"bce"', "'BCE' and 'bce': .*bce"),
        ('"anchor, γ = 2"', '"--"', "'--'"),
        ("targets: {sigma: 1.5}", "targets: {sigma: 0}", "targets.sigma: .*0"),
        ("shared: {targets: {sigma: 1.5}}", "shared:", "losses.yaml: shared: "),
        ("  BCE:", "  1:", "models: .*1"),
        ("targets: {sigma: 1.5}", "seed: 3", "'BCE': seed: .*seeds"),
        ("loss: {name: bce}", "data: {valid: [{data: lsp, path: x}]}", "data.valid"),
    ],
)
def test_an_error_in_the_file_is_reported_in_one_line(folder, tmp_path, capsys, old, new, facts):
    config = changed(folder, tmp_path, old, new)
    assert main(["--config", str(config), "--out", str(tmp_path / "out")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(facts, line), line


def test_torchrun_is_refused(folder, monkeypatch, capsys):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "1")
    assert main(["--config", str(folder / "losses.yaml")]) == 2
    assert "torchrun" in capsys.readouterr().err
