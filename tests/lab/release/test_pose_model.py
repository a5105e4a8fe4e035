"""`posekit prepare release`: small weights with a card that tells the truth about them."""

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file

from posekit.cli.prepare import main
from posekit.data import open_people
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
    """A run's best weights, of a model that knows nothing, and its configuration."""
    info = ModelInfo(LSP14, 64, 1, 8, 2, "sigmoid", (0.5, 0.5, 0.5), (0.2, 0.2, 0.2), notes={"trained_on": "nothing", "epochs": 3})
    torch.manual_seed(0)
    save_weights(tmp_path / "run" / "best.safetensors", info.build(), info)
    (tmp_path / "run" / "config.yaml").write_text(
        "data: {root: /somebodys/home, train: []}\nmodel: {start_from: /somebodys/runs/first/final.safetensors}\nseed: 7\n"
    )
    return tmp_path / "run"


def release(run_folder, rendered, out, *options):
    source = ["--data", "lsp", "--root", str(rendered), "--split", "all", "--terms", "For research use."]
    return main(
        ["release", "--weights", str(run_folder / "best.safetensors"), "--name", "tiny", "--out", str(out), *source, *options]
    )


@pytest.mark.slow
def test_the_file_is_in_half_precision_and_the_card_tells_its_scores(run_folder, rendered, tmp_path, capsys):
    out = tmp_path / "out"
    assert release(run_folder, rendered, out) == 0
    assert sorted(path.name for path in out.iterdir()) == ["tiny.md", "tiny.png", "tiny.safetensors"]
    assert {tensor.dtype for tensor in load_file(out / "tiny.safetensors").values()} == {torch.float16, torch.int64}
    card = (out / "tiny.md").read_text(encoding="utf-8")
    people = open_people("lsp", rendered)
    for views in ({}, {"views": PYRAMID}):
        found = score(people, Predictor(out / "tiny.safetensors", **views).predict_people(people, progress=False))
        assert f"**{found.pooled_mean:.2f}** ({found.interval95[0]:.2f} to {found.interval95[1]:.2f})" in card
    assert "**Terms of use.** For research use." in card and "people/s on one core" in card
    assert "somebodys" not in card and yaml.safe_load(card.split("```yaml")[1].split("```")[0]) == {
        "data": {"train": []},
        "model": {"start_from": "first/final.safetensors"},
        "seed": 7,
    }
    assert "| went on from | first/final.safetensors |" in card
    assert read_info(out / "tiny.safetensors").notes["terms"] == "For research use."
    assert "![failures](tiny.png)" in card
    # One look, the mirrored one too, six scales with each: all know what their peaks are worth.
    assert sorted(read_info(out / "tiny.safetensors").calibrations) == sorted(["1", "1 mirrored", PYRAMID.key])
    assert found.predictions.scores == pytest.approx(found.predictions.heights[:, :, 0], abs=1) and "calibration error" in card


def test_half_precision_changes_the_maps_by_a_thousandth(run_folder, tmp_path):
    model, info = load_weights(run_folder / "best.safetensors")
    save_weights(tmp_path / "half.safetensors", model, info, half=True)
    halved, _ = load_weights(tmp_path / "half.safetensors")
    images = torch.from_numpy(np.random.default_rng(0).normal(size=(2, 3, 64, 64)).astype(np.float32))
    with torch.inference_mode():
        maps, of_half = (each.activate(each(images)[-1]) for each in (model, halved))
    assert next(halved.parameters()).dtype == torch.float32
    assert 0 < (maps - of_half).abs().max() < 1e-3


def test_what_half_precision_cannot_hold_is_refused(run_folder, rendered, tmp_path, capsys):
    model, info = load_weights(run_folder / "best.safetensors")
    with torch.no_grad():
        model.stem[0].bias[0] = 1e6
    save_weights(run_folder / "best.safetensors", model, info)
    assert release(run_folder, rendered, tmp_path / "out") == 1
    assert "stem.0.bias goes beyond half precision, up to 1e+06" in capsys.readouterr().err
    assert not (tmp_path / "out" / "tiny.safetensors").exists()


def test_a_name_that_is_no_name_is_refused(run_folder, rendered, tmp_path, capsys):
    assert release(run_folder, rendered, tmp_path / "out", "--name", "../x") == 2
    assert "letters, digits and hyphens only" in capsys.readouterr().err
