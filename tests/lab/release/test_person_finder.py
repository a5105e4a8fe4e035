"""`posekit prepare release-detector`."""

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file

from posekit.cli.prepare import main
from posekit.images import read_image
from posekit.models import load_weights, save_weights
from posekit.synthetic.write import write_synthetic
from posekit.tasks.person_finder.finder import CentresInfo

CONFIG = """\
data:
  root: /users/home
  people: [{data: mpii, path: set, split: "random-rest:0.5:0"}]
  valid: [{data: mpii, path: set, split: "random:0.5:0"}]
model: {stacks: 1, features: 8, depth: 2, input_size: 64, start_from: /users/runs/first/final.safetensors}
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("release")
    write_synthetic(folder / "set", people=8, seed=0, workers=1, progress=False)
    return folder


@pytest.fixture
def run_folder(tmp_path):
    info = CentresInfo((16.0, 32.0, 64.0), 8, 2, "", (0.5, 0.5, 0.5), (0.2, 0.2, 0.2), {"trained_on": "nothing", "epochs": 3})
    torch.manual_seed(0)
    (tmp_path / "run").mkdir()
    model = info.build()
    with torch.no_grad():
        model.outputs[0].bias -= 2.0  # fewer boxes, which take less time
    save_weights(tmp_path / "run" / "best.safetensors", model, info)
    (tmp_path / "run" / "config.yaml").write_text(CONFIG)
    return tmp_path / "run"


def release(run_folder, root, out, name="tiny"):
    source = ["--weights", str(run_folder / "best.safetensors"), "--root", str(root), "--name", name]
    return main(["release-detector", *source, "--terms", "For research use.", "--out", str(out)])


@pytest.mark.slow
def test_weights_are_in_half_precision_and_the_card_has_their_scores(run_folder, root, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("posekit.lab.release.card._TIMING_SECONDS", 0.1)
    out = tmp_path / "out"
    assert release(run_folder, root, out) == 0
    assert sorted(path.name for path in out.iterdir()) == ["tiny.md", "tiny.png", "tiny.safetensors"]
    assert {tensor.dtype for tensor in load_file(out / "tiny.safetensors").values()} == {torch.float16, torch.int64}
    _, info = load_weights(out / "tiny.safetensors", info_class=CentresInfo)
    assert info.notes["name"] == "tiny" and info.notes["terms"] == "For research use."
    card = (out / "tiny.md").read_text(encoding="utf-8")
    assert "For research use." in card and "images/s on one core" in card
    assert "4 scenes of 64 x 64 pixels" in card and "16, 32, 64 px" in card
    assert "| trained on | nothing |" in card and "| epochs | 3 |" in card
    assert "users" not in card
    assert yaml.safe_load(card.split("```yaml")[1].split("```")[0])["model"]["start_from"] == "first/final.safetensors"
    assert np.ptp(read_image(out / "tiny.png")) > 100
    (row,) = (line for line in card.splitlines() if line.startswith("| everybody | "))
    assert row in capsys.readouterr().out


def test_weights_without_their_configuration_are_an_error(run_folder, root, tmp_path, capsys):
    (run_folder / "config.yaml").unlink()
    assert release(run_folder, root, tmp_path / "out") == 2
    error = capsys.readouterr().err
    assert str(run_folder / "best.safetensors") in error and "config.yaml" in error
    assert not list((tmp_path / "out").iterdir())


def test_a_name_with_other_characters_is_an_error(run_folder, root, tmp_path, capsys):
    assert release(run_folder, root, tmp_path / "out", "../tiny") == 2
    assert "--name ../tiny" in capsys.readouterr().err
