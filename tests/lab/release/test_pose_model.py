"""`posekit prepare release`."""

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file

from posekit.cli.prepare import main
from posekit.data import open_people
from posekit.errors import DataError
from posekit.lab.release.card import run_settings
from posekit.models import ModelInfo, load_weights, read_info, save_weights
from posekit.prediction.predictor import Predictor
from posekit.prediction.test_time import PYRAMID
from posekit.scoring.score import score
from posekit.skeletons import LSP14
from posekit.synthetic.write import write_synthetic


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rendered") / "set"
    write_synthetic(folder, people=12, seed=0, format="lspet", workers=1, progress=False)
    return folder


@pytest.fixture
def run_folder(tmp_path):
    """Folder of a run: random weights and a configuration."""
    info = ModelInfo(LSP14, 64, 1, 8, 2, "sigmoid", (0.5, 0.5, 0.5), (0.2, 0.2, 0.2), notes={"trained_on": "nothing", "epochs": 3})
    torch.manual_seed(0)
    save_weights(tmp_path / "run" / "best.safetensors", info.build(), info)
    (tmp_path / "run" / "config.yaml").write_text(
        "data: {root: /users/home, train: []}\nmodel: {start_from: /users/runs/first/final.safetensors}\nseed: 7\n"
    )
    return tmp_path / "run"


def release(run_folder, rendered, out, *options):
    source = ["--data", "lsp", "--root", str(rendered), "--split", "all", "--terms", "For research use."]
    return main(
        ["release", "--weights", str(run_folder / "best.safetensors"), "--name", "tiny", "--out", str(out), *source, *options]
    )


@pytest.mark.slow
def test_weights_are_in_half_precision_and_the_card_has_their_scores(run_folder, rendered, tmp_path, monkeypatch):
    monkeypatch.setattr("posekit.lab.release.card._TIMING_SECONDS", 0.1)
    out = tmp_path / "out"
    assert release(run_folder, rendered, out) == 0
    assert sorted(path.name for path in out.iterdir()) == ["tiny.md", "tiny.png", "tiny.safetensors"]
    weights = out / "tiny.safetensors"
    assert {tensor.dtype for tensor in load_file(weights).values()} == {torch.float16, torch.int64}
    card = (out / "tiny.md").read_text(encoding="utf-8")
    people = open_people("lsp", rendered)
    for options in ({}, {"views": PYRAMID}):
        scores = score(people, Predictor(weights, **options).predict_people(people, progress=False))
        assert f"**{scores.pooled_mean:.2f}** ({scores.interval95[0]:.2f} to {scores.interval95[1]:.2f})" in card
    assert "For research use." in card and "people/s on one core" in card and "![failures](tiny.png)" in card
    assert read_info(weights).notes["terms"] == "For research use."
    settings = yaml.safe_load(card.split("```yaml")[1].split("```")[0])
    assert settings == {"data": {"train": []}, "model": {"start_from": "first/final.safetensors"}, "seed": 7}
    assert "| started from | first/final.safetensors |" in card and "users" not in card
    # Calibrated with each test-time augmentation, so that scores are no longer the heights of the peaks.
    assert sorted(read_info(weights).calibrations) == sorted(["1", "1 mirrored", PYRAMID.key])
    assert scores.predictions.scores == pytest.approx(scores.predictions.heights[:, :, 0], abs=1)
    assert "calibration error" in card


def test_half_precision_changes_the_maps_by_a_thousandth(run_folder, tmp_path):
    model, info = load_weights(run_folder / "best.safetensors")
    save_weights(tmp_path / "half.safetensors", model, info, half=True)
    half_model, _ = load_weights(tmp_path / "half.safetensors")
    images = torch.from_numpy(np.random.default_rng(0).normal(size=(2, 3, 64, 64)).astype(np.float32))
    with torch.inference_mode():
        maps = model.activate(model(images)[-1])
        half_maps = half_model.activate(half_model(images)[-1])
    assert next(half_model.parameters()).dtype == torch.float32
    assert 0 < (maps - half_maps).abs().max() < 1e-3


def test_weights_beyond_half_precision_are_an_error(run_folder, rendered, tmp_path, capsys):
    model, info = load_weights(run_folder / "best.safetensors")
    with torch.no_grad():
        model.stem[0].bias[0] = 1e6
    save_weights(run_folder / "best.safetensors", model, info)
    assert release(run_folder, rendered, tmp_path / "out") == 1
    error = capsys.readouterr().err
    assert str(run_folder / "best.safetensors") in error and "stem.0.bias" in error and "1e+06" in error
    assert not (tmp_path / "out" / "tiny.safetensors").exists()


def test_a_name_with_other_characters_is_an_error(run_folder, rendered, tmp_path, capsys):
    assert release(run_folder, rendered, tmp_path / "out", "--name", "../x") == 2
    assert "--name ../x" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["data: 3\n", "- [", "seed: 7\n"])
def test_another_file_in_place_of_the_configuration_is_an_error(tmp_path, text):
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(DataError, match=r"config\.yaml"):
        run_settings(tmp_path / "best.safetensors")
