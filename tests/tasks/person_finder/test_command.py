"""The command that trains networks to find people, end to end on a few synthetic people."""

import csv

import pytest

from posekit.cli.main import main as posekit
from posekit.images import read_image
from posekit.models import load_weights
from posekit.synthetic.write import write_synthetic
from posekit.tasks.person_finder.cli import main
from posekit.tasks.person_finder.model import CentresInfo

TINY = """
data:
  root: {root}
  people: [{{data: mpii, path: synthetic, split: "random-rest:0.3:0"}}]
  valid: [{{data: mpii, path: synthetic, split: "random:0.3:0"}}]
model: {{stacks: 1, features: 8, depth: 2, input_size: 64}}
sizes: {{least: 8, most: 64, per_octave: 1}}
optimizer: {{name: adamw, schedule: onecycle}}
train: {{epochs: 2, batch_size: 4, device: cpu, workers: 0}}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("detector")
    write_synthetic(folder / "synthetic", people=24, seed=0, workers=1, progress=False)
    (folder / "tiny.yaml").write_text(TINY.format(root=folder))
    return folder


def rows(out):
    return list(csv.DictReader((out / "metrics.csv").read_text().splitlines()))


def test_run_writes_what_it_says(folder, tmp_path, capsys):
    out = tmp_path / "run"
    assert main(["--config", str(folder / "tiny.yaml"), "--out", str(out)]) == 0
    for name in ("config.yaml", "last", "best.safetensors", "final.safetensors", "figures/training.png"):
        assert (out / name).exists(), name
    assert read_image(out / "figures" / "scenes.png").shape[1] > 6 * 64
    told = capsys.readouterr().out
    assert "people of 8, 16, 32, 64 px in scenes of 64 px" in told and "backgrounds: drawn\n" in told and "IoU 0.5: AP" in told
    assert all(0 <= float(row["AP50"]) <= 100 and 0 <= float(row["recall"]) <= 100 for row in rows(out))
    _, info = load_weights(out / "best.safetensors", info_class=CentresInfo)
    assert info.sizes == (8, 16, 32, 64) and info.notes["loss"] == "anchor" and info.notes["trained_on"].startswith("mpii random")


def test_a_run_goes_on_as_if_it_had_not_been_cut_off(folder, tmp_path):
    whole, cut, same = (
        tmp_path / "whole",
        tmp_path / "cut",
        ["--config", str(folder / "tiny.yaml"), "--optimizer.schedule", "constant"],
    )
    assert main([*same, "--out", str(whole)]) == 0
    assert main([*same, "--out", str(cut), "--train.epochs", "1"]) == 0
    (cut / "config.yaml").write_text((cut / "config.yaml").read_text().replace("epochs: 1", "epochs: 2"))
    assert main(["--resume", "--out", str(cut)]) == 0
    learned = ("epoch", "loss", "hard_pixels", "AP50", "recall")
    assert [[row[name] for name in learned] for row in rows(cut)] == [[row[name] for name in learned] for row in rows(whole)]


@pytest.mark.slow
def test_it_learns_where_people_are(folder, tmp_path):
    """A network of nobody knows nothing; after some steps it finds some of those it has seen."""
    options = ["--model.features", "16", "--train.epochs", "60", "--optimizer.lr", "0.003"]
    assert main(["--config", str(folder / "tiny.yaml"), "--out", str(tmp_path / "run"), *options]) == 0
    scores = [float(row["AP50"]) for row in rows(tmp_path / "run")]
    assert max(scores) > scores[0] + 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--model.stacks", "2"], "model.stacks: expected 1, got 2"),
        (["--sizes.least", "90"], "sizes.least: expected a number above 0 and below sizes.most, got 90"),
        (["--loss.name", "mse"], "loss.name: expected one of anchor, bce, focal, got"),
        (["--data.backgrounds.images", "mp3"], "data.backgrounds.images: expected one of cifar10, cifar100, folder, got"),
    ],
)
def test_what_is_wrong_is_told_in_a_line(folder, tmp_path, capsys, options, message):
    assert main(["--config", str(folder / "tiny.yaml"), "--out", str(tmp_path / "run"), *options]) == 2
    assert message in capsys.readouterr().err


def test_other_commands_say_whose_configuration_it_is(folder, tmp_path, capsys):
    assert posekit(["train", "--config", str(folder / "tiny.yaml"), "--out", str(tmp_path / "run")]) == 2
    assert "tiny.yaml: this file configures posekit train-detector, not train\n" in capsys.readouterr().err
    comparison = f"base: {folder}/tiny.yaml\nseeds: [0]\nmodels: {{a: {{}}, b: {{loss: {{name: bce}}}}}}\nagainst: [a]\n"
    (tmp_path / "compare.yaml").write_text(comparison)
    assert posekit(["compare", "--config", str(tmp_path / "compare.yaml"), "--out", str(tmp_path / "out")]) == 2
    assert "posekit train-detector trains models that cannot be compared" in capsys.readouterr().err
