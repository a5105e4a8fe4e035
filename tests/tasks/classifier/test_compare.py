"""Comparison of classifiers; `posekit compare` recognises the task from the base configuration."""

import csv
import re

import pytest
import yaml

from posekit.cli.compare import main
from posekit.data.labelled_images import open_images
from posekit.lab.compare.plan import read_plan
from posekit.tasks.classifier.score import read_classes

COMPARISON = """
base: tiny.yaml
seeds: [0, 1]
models:
  CE: {loss: {name: ce, warmup_epochs: 0}}
  anchor: {loss: {name: anchor, gamma: 2.0}}
against: [CE]
"""


@pytest.fixture(scope="module")
def folder(colours):
    (colours / "losses.yaml").write_text(COMPARISON)
    return colours


@pytest.mark.slow
def test_classifiers_are_trained_scored_and_reported(folder, tmp_path):
    out = tmp_path / "out"
    assert main(["--config", str(folder / "losses.yaml"), "--out", str(out)]) == 0
    rows = list(csv.DictReader((out / "results.csv").read_text().splitlines()))
    assert [(row["model"], row["seed"]) for row in rows] == [("CE", "0"), ("anchor", "0"), ("CE", "1"), ("anchor", "1")]
    images = open_images("folder", folder / "colours", "valid")
    for row in rows:
        scores = read_classes(out / row["model"].lower() / f"seed-{row['seed']}" / "final" / "predictions.csv", images)
        assert float(row["error"]) == pytest.approx(scores.figures["error"], abs=1e-3)
    raw = yaml.safe_load((out / "results.yaml").read_text())["runs"]
    assert [run["config"]["loss"]["name"] for run in raw] == ["ce", "anchor"] * 2
    assert all(len(run["training"]["error_by_epoch"]) == 2 and run["training"]["parameters"] > 2e5 for run in raw)
    report = (out / "results.md").read_text()
    assert "15 images (folder valid), resnet20" in report and "images and seeds" in report
    assert "| anchor | 2 |" in report and "| minus CE | top-1 error |" in report
    assert all((out / name).stat().st_size > 5000 for name in ("comparison.png", "curves.png"))


def test_the_dry_run_trains_nothing(folder, tmp_path, capsys):
    assert main(["--config", str(folder / "losses.yaml"), "--out", str(tmp_path / "new"), "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert "4 runs: " in shown and "36 images" in shown and "folder valid" in shown and "anchor, seed 1  0 of 2 epochs" in shown
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("{name: ce, warmup_epochs: 0}", "{name: anchors}", "model 'CE': loss.name.*anchor, .*anchors"),
        ("{name: ce, warmup_epochs: 0}", "{ohkm: 1}", "model 'CE': .*ohkm"),
        ("loss: {name: ce, warmup_epochs: 0}", "data: {test: train}", "data.test"),
    ],
)
def test_wrong_comparisons_are_reported_in_one_line(folder, tmp_path, capsys, old, new, message):
    config = tmp_path / "losses.yaml"
    config.write_text(COMPARISON.replace(old, new).replace("tiny.yaml", str(folder / "tiny.yaml")))
    assert main(["--config", str(config), "--out", str(tmp_path / "out")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(message, line), line


def test_runs_keep_their_scores_beside_their_weights(folder, tmp_path):
    run = read_plan(folder / "losses.yaml", tmp_path, ["--train.epochs", "7"]).runs[1]
    assert run.results == tmp_path / "anchor" / "seed-0" / "final" and run.config.train.epochs == 7
    assert run.config.loss.gamma == 2.0 and not run.done
