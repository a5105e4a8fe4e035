import json

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from posekit.cli import eval as eval_command
from posekit.cli import export, predict
from posekit.models import ModelInfo, StackedHourglass, save_weights
from posekit.skeletons import LSP14


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def weights(tmp_path):
    torch.manual_seed(0)
    model = StackedHourglass(joints=14, stacks=1, features=8, depth=2).eval()
    nn.init.normal_(model.outputs[-1].weight, std=0.1)
    info = ModelInfo(LSP14, 64, stacks=1, features=8, depth=2, head="sigmoid", mean=(0.4, 0.4, 0.4), std=(0.25, 0.25, 0.25))
    save_weights(tmp_path / "w.safetensors", model, info)
    return "w.safetensors"


def test_the_file_predicts_as_the_weights_do(weights, real_data, tmp_path, capsys):
    assert export.main(["--weights", weights, "--out", "new/w.onnx", "--decode", "argmax"]) == 0
    printed = capsys.readouterr().out
    assert "heatmaps as torch's to" in printed
    assert "wrote new/w.onnx (0." in printed
    described = {entry.key: entry.value for entry in onnx.load("new/w.onnx").metadata_props}
    assert described["posekit_decode"] == "argmax"
    photo = str(real_data / "photos" / "man_running.jpg")
    found = []
    for name, options in ((weights, ("--backend", "torch")), (weights, ("--backend", "onnx")), ("new/w.onnx", ())):
        assert predict.main([photo, "--weights", name, "--out", "out", *options]) == 0
        found.append(json.loads((tmp_path / "out" / "predictions.json").read_text())["annotations"][0]["keypoints"])
    np.testing.assert_allclose(found[1:], [found[0]] * 2, atol=1e-3)


def test_weights_that_come_with_posekit_are_known_by_name(capsys):
    assert export.main(["--weights", "lspet-small", "--out", "small.onnx"]) == 0
    described = {entry.key: entry.value for entry in onnx.load("small.onnx").metadata_props}
    assert json.loads(described["posekit"])["input_size"] == 192


@pytest.mark.parametrize("backend", ["torch", "onnx"])
def test_eval_tells_what_ran(weights, real_data, tmp_path, capsys, backend):
    options = ["--data", "lsp", "--root", str(real_data / "lspet"), "--split", "random:0.001:0", "--limit", "4", "--out", "out"]
    assert eval_command.main(["--weights", weights, "--backend", backend, *options]) == 0
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["protocol"]["backend"] == backend


def test_backend_goes_with_weights(tmp_path, capsys):
    assert eval_command.main(["--predictions", "p.h5", "--backend", "onnx", "--data", "lsp", "--root", ".", "--split", "test"]) == 2
    assert "--backend" in capsys.readouterr().err


def test_a_name_without_onnx_is_refused(weights, tmp_path, capsys):
    assert export.main(["--weights", weights, "--out", "w.pt"]) == 2
    assert "must end in .onnx" in capsys.readouterr().err
    assert not (tmp_path / "w.pt").exists()


def test_missing_weights_are_one_line(tmp_path, capsys):
    assert export.main(["--weights", "gone.safetensors", "--out", "w.onnx"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "error: gone.safetensors: no such weights file" in line


def test_what_differs_from_torch_is_not_written(weights, tmp_path, monkeypatch, capsys):
    right = export.to_onnx

    def wrong(model, info, **options):
        model.outputs[-1].bias.data += 0.01
        data = right(model, info, **options)
        model.outputs[-1].bias.data -= 0.01
        return data

    monkeypatch.setattr(export, "to_onnx", wrong)
    assert export.main(["--weights", weights, "--out", "w.onnx"]) == 1
    assert "differs from torch by" in capsys.readouterr().err
    assert not (tmp_path / "w.onnx").exists()
