import json

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from posekit.cli import eval as eval_command
from posekit.cli import export, predict
from posekit.models import ModelInfo, StackedHourglass, save_weights
from posekit.prediction.onnx import to_onnx
from posekit.skeletons import LSP14


@pytest.fixture(autouse=True)
def work_in_tmp_path(tmp_path, monkeypatch):
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


def read_metadata(path):
    return {entry.key: entry.value for entry in onnx.load(path).metadata_props}


def test_the_exported_file_predicts_as_the_weights_do(weights, real_data, tmp_path, capsys):
    assert export.main(["--weights", weights, "--out", "new/w.onnx", "--decode", "argmax"]) == 0
    assert "new/w.onnx" in capsys.readouterr().out
    assert read_metadata("new/w.onnx")["posekit_decode"] == "argmax"
    image = str(real_data / "photos" / "man_running.jpg")
    keypoints = []
    for name, options in ((weights, ("--backend", "torch")), (weights, ("--backend", "onnx")), ("new/w.onnx", ())):
        assert predict.main([image, "--weights", name, "--detect", "none", "--out", "out", *options]) == 0
        content = json.loads((tmp_path / "out" / "predictions.json").read_text())
        keypoints.append(content["annotations"][0]["keypoints"])
    np.testing.assert_allclose(keypoints[1:], [keypoints[0]] * 2, atol=1e-3)


def test_weights_that_come_with_posekit_are_found_by_name():
    assert export.main(["--weights", "lspet-small", "--out", "small.onnx"]) == 0
    assert json.loads(read_metadata("small.onnx")["posekit"])["input_size"] == 192


@pytest.mark.parametrize("backend", ["torch", "onnx"])
def test_eval_names_the_backend_that_ran(weights, real_data, tmp_path, capsys, backend):
    options = ["--data", "lsp", "--root", str(real_data / "lspet"), "--split", "random:0.001:0", "--limit", "4", "--out", "out"]
    assert eval_command.main(["--weights", weights, "--backend", backend, *options]) == 0
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["protocol"]["backend"] == backend


def test_a_name_without_onnx_is_refused(weights, tmp_path, capsys):
    assert export.main(["--weights", weights, "--out", "w.pt"]) == 2
    error = capsys.readouterr().err
    assert "w.pt" in error and ".onnx" in error
    assert not (tmp_path / "w.pt").exists()


def test_missing_weights_are_a_one_line_error(tmp_path, capsys):
    assert export.main(["--weights", "gone.safetensors", "--out", "w.onnx"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "gone.safetensors" in line


def test_a_file_that_differs_from_torch_is_not_written(weights, tmp_path, monkeypatch, capsys):
    def to_wrong_onnx(model, info, **options):
        model.outputs[-1].bias.data += 0.01
        data = to_onnx(model, info, **options)
        model.outputs[-1].bias.data -= 0.01
        return data

    monkeypatch.setattr("posekit.prediction.onnx.to_onnx", to_wrong_onnx)
    assert export.main(["--weights", weights, "--out", "w.onnx"]) == 1
    assert weights in capsys.readouterr().err
    assert not (tmp_path / "w.onnx").exists()
