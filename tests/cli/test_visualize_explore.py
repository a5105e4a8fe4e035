"""`posekit visualize explore`."""

import sys

import numpy as np
import pytest
import torch

from posekit.cli.visualize import main
from posekit.images import write_image
from posekit.models import ModelInfo, save_weights
from posekit.skeletons import LSP14


@pytest.fixture
def weights(tmp_path):
    torch.manual_seed(0)
    info = ModelInfo(LSP14, 64, stacks=1, features=8, depth=2, head="sigmoid", mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
    save_weights(tmp_path / "w.safetensors", info.build(), info)
    return tmp_path / "w.safetensors"


@pytest.fixture
def image(tmp_path):
    write_image(tmp_path / "x.png", np.full((60, 80, 3), 90, np.uint8))
    return tmp_path / "x.png"


@pytest.fixture
def served(monkeypatch):
    """Replaces the web server: predictor, state, address and browser of every call."""
    server = pytest.importorskip("posekit.lab.explorer.server", reason="the extra explore is not installed")
    calls = []

    def serve(predictor, state, listening, *, browser):
        with listening:
            calls.append((predictor, state, listening.getsockname(), browser))

    monkeypatch.setattr(server, "serve", serve)
    return calls


def explore(*arguments):
    return main(["explore", *map(str, arguments)], prog="posekit visualize")


def test_an_image_is_passed_to_the_model_and_served_to_this_machine(weights, image, served):
    assert explore("--weights", weights, image, "--device", "cpu") == 0
    ((predictor, state, (address, port), browser),) = served
    assert (address, browser) == ("127.0.0.1", True) and port > 0
    assert state.output.view.title == "x.png" and state.output.view.image.shape == (60, 80, 3)
    assert predictor.info.skeleton == state.output.view.skeleton == LSP14


def test_without_an_image_the_page_starts_empty(weights, served):
    assert explore("--weights", weights, "--no-browser", "--device", "cpu") == 0
    assert served[0][1] is None and served[0][3] is False


def test_a_free_port_can_be_chosen(weights, served, capsys):
    from posekit.lab.explorer.server import listen

    with listen(0) as other:
        port = other.getsockname()[1]
        assert explore("--weights", weights, "--port", port, "--device", "cpu") == 2
        assert f"--port {port}" in capsys.readouterr().err and not served
    assert explore("--weights", weights, "--port", port, "--device", "cpu") == 0
    assert served[0][2][1] == port


@pytest.mark.parametrize("port", ["0", "65536", "-1", "x"])
def test_impossible_ports_are_named(port, capsys):
    with pytest.raises(SystemExit) as stopped:
        explore("--weights", "w", f"--port={port}")
    error = capsys.readouterr().err
    assert stopped.value.code == 2 and "--port" in error and repr(port) in error


def test_missing_files_are_named(weights, tmp_path, served, capsys):
    assert explore("--weights", weights, tmp_path / "gone.jpg", "--device", "cpu") == 1
    assert f"{tmp_path / 'gone.jpg'}: " in capsys.readouterr().err
    assert explore("--weights", tmp_path / "gone.safetensors") == 1
    assert "gone.safetensors" in capsys.readouterr().err and not served


def test_without_nicegui_one_line_says_what_to_install(monkeypatch, capsys):
    monkeypatch.delitem(sys.modules, "posekit.lab.explorer.server", raising=False)
    monkeypatch.delitem(sys.modules, "posekit.lab.explorer.page", raising=False)
    monkeypatch.setitem(sys.modules, "nicegui", None)
    assert explore("--weights", "w.safetensors") == 2
    error = capsys.readouterr().err
    assert 'pip install "nicegui>=3.18"' in error and len(error.splitlines()) == 1


def test_no_option_opens_the_page_to_other_machines(capsys):
    with pytest.raises(SystemExit) as stopped:
        explore("--help")
    assert stopped.value.code == 0
    text = capsys.readouterr().out
    assert "--port" in text and "--host" not in text and "--address" not in text
