"""`posekit train-detector`, end to end on a few synthetic people."""

import re

import pytest

from posekit.cli.main import main as posekit
from posekit.images import read_image
from posekit.models import load_weights
from posekit.synthetic.write import write_synthetic
from posekit.tasks.person_finder.cli import main
from posekit.tasks.person_finder.finder import CentresInfo
from tests.fixtures.runs import assert_same_run, metrics_rows

TINY = """
data:
  root: {root}
  people: [{{data: mpii, path: synthetic, split: "random-rest:0.3:0"}}]
  valid: [{{data: mpii, path: synthetic, split: "random:0.3:0"}}]
model: {{stacks: 1, features: 4, depth: 2, input_size: 64}}
sizes: {{least: 8, most: 64, per_octave: 1}}
optimizer: {{name: adamw, schedule: constant}}
train: {{epochs: 2, batch_size: 4, device: cpu, workers: 0}}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("detector")
    write_synthetic(folder / "synthetic", people=24, seed=0, workers=1, progress=False)
    (folder / "tiny.yaml").write_text(TINY.format(root=folder))
    return folder


@pytest.fixture(scope="module")
def finished(folder):
    out = folder / "run"
    assert main(["--config", str(folder / "tiny.yaml"), "--out", str(out)]) == 0
    return out


def test_run_writes_all_its_files(finished):
    for name in ("config.yaml", "last", "best.safetensors", "final.safetensors", "figures/training.png"):
        assert (finished / name).exists(), name
    assert read_image(finished / "figures" / "scenes.png").shape[1] > 6 * 64
    assert all(0 <= float(row["AP50"]) <= 100 and 0 <= float(row["recall"]) <= 100 for row in metrics_rows(finished))
    _, info = load_weights(finished / "best.safetensors", info_class=CentresInfo)
    assert info.sizes == (8, 16, 32, 64) and info.notes["loss"] == "anchor" and info.notes["trained_on"].startswith("mpii random")


def test_a_resumed_run_equals_an_uninterrupted_one(folder, finished, tmp_path, capsys):
    cut = tmp_path / "cut"
    assert main(["--config", str(folder / "tiny.yaml"), "--out", str(cut), "--train.epochs", "1"]) == 0
    shown = capsys.readouterr().out
    assert "people of 8, 16, 32, 64 px in scenes of 64 px" in shown
    assert "backgrounds: synthetic\n" in shown and "IoU 0.5: AP" in shown
    (cut / "config.yaml").write_text((cut / "config.yaml").read_text().replace("epochs: 1", "epochs: 2"))
    assert main(["--resume", "--out", str(cut)]) == 0
    assert_same_run(cut, finished)


@pytest.mark.slow
def test_it_learns_to_find_people(folder, tmp_path):
    """The average precision rises over the epochs."""
    options = ["--model.features", "16", "--train.epochs", "60", "--optimizer.lr", "0.003", "--optimizer.schedule", "onecycle"]
    assert main(["--config", str(folder / "tiny.yaml"), "--out", str(tmp_path / "run"), *options]) == 0
    scores = [float(row["AP50"]) for row in metrics_rows(tmp_path / "run")]
    assert max(scores) > scores[0] + 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--model.stacks", "2"], "model.stacks.*1, got 2"),
        (["--sizes.least", "90"], "sizes.least.*sizes.most, got 90"),
        (["--loss.name", "anchors"], "loss.name.*anchor, .*anchors"),
        (["--data.backgrounds.images", "mp3"], "data.backgrounds.images.*cifar10, .*mp3"),
    ],
)
def test_wrong_options_are_reported_in_one_line(folder, tmp_path, capsys, options, message):
    assert main(["--config", str(folder / "tiny.yaml"), "--out", str(tmp_path / "run"), *options]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(message, line), line


def test_other_commands_refuse_the_configuration(folder, tmp_path, capsys):
    assert posekit(["train", "--config", str(folder / "tiny.yaml"), "--out", str(tmp_path / "run")]) == 2
    assert re.search("tiny.yaml: .*posekit train-detector, .*train\n", capsys.readouterr().err)
    comparison = f"base: {folder}/tiny.yaml\nseeds: [0]\nmodels: {{a: {{}}, b: {{loss: {{name: bce}}}}}}\nagainst: [a]\n"
    (tmp_path / "compare.yaml").write_text(comparison)
    assert posekit(["compare", "--config", str(tmp_path / "compare.yaml"), "--out", str(tmp_path / "out")]) == 2
    assert "posekit train-detector" in capsys.readouterr().err
