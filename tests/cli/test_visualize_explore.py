import sys
from types import SimpleNamespace

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
def photo(tmp_path):
    write_image(tmp_path / "x.png", np.full((60, 80, 3), 90, np.uint8))
    return tmp_path / "x.png"


@pytest.fixture
def served(monkeypatch):
    """What would have been served: this stands for the web server."""
    pytest.importorskip("starlette", reason="the extra explore is not installed")
    told = []

    def serve(predictor, scene, listening, *, browser):
        with listening:
            told.append((predictor, scene, listening.getsockname(), browser))

    monkeypatch.setitem(sys.modules, "posekit.lab.explorer.server", SimpleNamespace(serve=serve))
    return told


def explore(*arguments):
    return main(["explore", *map(str, arguments)], prog="posekit visualize")


def test_a_photograph_is_shown_to_the_model_and_served_to_this_machine(weights, photo, served):
    assert explore("--weights", weights, photo, "--device", "cpu") == 0
    ((predictor, scene, (address, port), browser),) = served
    assert (address, browser) == ("127.0.0.1", True) and port > 0
    assert scene.output.view.title == "x.png" and scene.output.view.image.shape == (60, 80, 3)
    assert predictor.info.skeleton == scene.output.view.skeleton == LSP14


def test_without_a_photograph_the_page_waits_for_one(weights, served):
    assert explore("--weights", weights, "--no-browser", "--device", "cpu") == 0
    assert served[0][1] is None and served[0][3] is False


def test_a_port_can_be_chosen_unless_it_is_taken(weights, served, capsys):
    from posekit.lab.explorer.loopback import listen

    with listen(0) as other:
        port = other.getsockname()[1]
        assert explore("--weights", weights, "--port", port, "--device", "cpu") == 2
        assert f"--port {port}: cannot be had" in capsys.readouterr().err and not served
    assert explore("--weights", weights, "--port", port, "--device", "cpu") == 0
    assert served[0][2][1] == port


@pytest.mark.parametrize("port", ["0", "65536", "-1", "x"])
def test_ports_that_are_none(port, capsys):
    with pytest.raises(SystemExit) as stopped:
        explore("--weights", "w", f"--port={port}")
    assert stopped.value.code == 2 and "expected a port" in capsys.readouterr().err


def test_what_is_missing_is_named(weights, tmp_path, served, capsys):
    assert explore("--weights", weights, tmp_path / "gone.jpg", "--device", "cpu") == 1
    assert "gone.jpg: no such image" in capsys.readouterr().err
    assert explore("--weights", tmp_path / "gone.safetensors") == 1
    assert "no such weights file" in capsys.readouterr().err and not served


def test_without_the_web_library_one_line_says_what_to_install(monkeypatch, capsys):
    monkeypatch.delitem(sys.modules, "posekit.lab.explorer.server", raising=False)
    monkeypatch.delitem(sys.modules, "posekit.lab.explorer.loopback", raising=False)
    monkeypatch.setitem(sys.modules, "starlette", None)
    monkeypatch.setitem(sys.modules, "starlette.datastructures", None)
    assert explore("--weights", "w.safetensors") == 2
    told = capsys.readouterr().err
    assert 'pip install "nicegui>=3.18"' in told and len(told.splitlines()) == 1


def test_help_teaches_and_offers_no_other_address(capsys):
    with pytest.raises(SystemExit) as stopped:
        explore("--help")
    assert stopped.value.code == 0
    text = capsys.readouterr().out
    assert "posekit visualize explore --weights" in text and "this machine alone" in text
    assert "--host" not in text and "--address" not in text
