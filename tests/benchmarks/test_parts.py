import json
import multiprocessing
import shutil
import signal
from contextlib import nullcontext
from functools import partial

import numpy as np
import pytest
import torch
from torch._inductor import config as inductor

from benchmarks import main, process
from posekit.machine import processors
from posekit.synthetic.write import write_synthetic


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    """A rendered MPII of 3 people."""
    folder = tmp_path_factory.mktemp("rendered") / "set"
    return write_synthetic(folder, people=3, seed=0, workers=1, progress=False)


@pytest.fixture
def measured(tmp_path):
    """Function that runs parts, checks that all numbers are finite, and returns the ratios by name."""

    def measure(*argv):
        options = ["--size", "64", "--rounds", "1", "--device", "cpu", "--json", str(tmp_path / "b.json")]
        assert main([*map(str, argv), *options]) == 0
        figures = json.loads((tmp_path / "b.json").read_text())["figures"]
        for figure in figures:
            assert len(figure["ours"]) == len(figure["theirs"]) > 0
            assert np.isfinite([*figure["ours"], *figure["theirs"], figure["ratio"], *figure["quartiles"]]).all()
            assert min(figure["ours"]) >= 0 and min(figure["theirs"]) > 0
        return {figure["name"]: figure for figure in figures}

    return measure


class Broken:
    """Result of torch.compile without a compiler: calling it fails."""

    activate = None

    def __init__(self, function):
        pass

    def __call__(self, *args):
        raise RuntimeError("no C++ compiler\nand much more about it")


@pytest.fixture
def no_compiler(monkeypatch):
    monkeypatch.setattr(torch, "compile", Broken)


@pytest.fixture
def quick_compiler(monkeypatch):
    """torch.compile without the compiling."""
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))


@pytest.fixture
def narrow(monkeypatch):
    """A network of few features, and small products beside it."""
    for module in ("setting", "training"):
        monkeypatch.setattr(f"benchmarks.{module}.FEATURES", 8)
    monkeypatch.setattr("benchmarks.training._CPU_SIDE", 64)


def test_workers_are_measured_beside_plain_processes(rendered, measured, monkeypatch, capsys):
    monkeypatch.setattr("benchmarks.input.processors", lambda: 2)
    ratios = measured("--data", "mpii", "--root", rendered, "--only", "workers")
    assert list(ratios) == ["2 workers", "2 plain processes"]
    assert ratios["2 workers"]["unit"] == "people/s" and ratios["2 workers"]["target"]["ratio"] == 0.9
    assert ratios["2 plain processes"]["target"] is None
    monkeypatch.setattr("benchmarks.input.processors", lambda: 1)
    assert measured("--data", "mpii", "--root", rendered, "--only", "workers") == {}
    assert "one processor" in capsys.readouterr().out


def test_targets_decoding_and_scoring_need_no_files(measured):
    ratios = measured("--only", "targets", "decoding", "scoring")
    targets = {name: figure["target"]["ratio"] for name, figure in ratios.items()}
    assert targets == {"targets": 12, "decoding, quarter": 1.3, "decoding, dark": 4, "scoring": 4}
    assert ratios["scoring"]["facts"]["people"] == 2958 and ratios["scoring"]["target"]["ms"] == 5


def test_scoring_is_measured_from_the_files_too(real_data, measured):
    predictions = real_data / "mpii" / "predictions" / "valid-ours.h5"
    argv = ("--data", "mpii", "--root", real_data / "mpii", "--split", "valid", "--only", "scoring")
    ratios = measured(*argv, "--predictions", predictions)
    assert list(ratios) == ["scoring", "scoring from files"]
    assert ratios["scoring from files"]["facts"]["people"] == 2958


def test_without_a_compiler_the_eager_loss_is_measured(measured, no_compiler, capsys):
    assert list(measured("--only", "loss")) == ["loss"]
    assert "torch.compile, which failed (no C++ compiler)\n" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's own
@pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler on this machine")
def test_the_compiled_loss_is_measured_where_there_is_a_compiler(measured):
    ratios = measured("--only", "loss")
    assert list(ratios) == ["loss", "loss, compiled"] and ratios["loss, compiled"]["target"]["ratio"] == 1.1


@pytest.mark.slow
def test_the_pyramid_is_measured_against_as_many_plain_passes(rendered, measured, narrow):
    ratios = measured("--data", "mpii", "--root", rendered, "--only", "pyramid")
    assert list(ratios) == ["pyramid"] and ratios["pyramid"]["facts"]["views"] == 12


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_every_available_back_end_is_measured(measured, capsys, narrow):
    torch.compiler.reset()
    with inductor.patch({"cpp.cxx": ("no-such-compiler",)}):
        ratios = measured("--only", "inference")
    assert list(ratios) == ["inference", "inference, torch", "inference, onnx"]
    assert ratios["inference"]["target"]["ratio"] == 0.625 and ratios["inference"]["facts"]["back end"] == "onnx"
    assert "backend compiled" in capsys.readouterr().out


@pytest.mark.slow
def test_the_compiled_network_is_measured_where_there_is_a_compiler(measured, quick_compiler, narrow):
    ratios = measured("--only", "inference")
    assert list(ratios) == ["inference", "inference, torch", "inference, compiled", "inference, onnx"]
    assert ratios["inference, compiled"]["facts"]["back end"] == "compiled"


@pytest.mark.slow
def test_one_back_end_can_be_chosen(measured, narrow):
    ratios = measured("--only", "inference", "--backend", "torch")
    assert list(ratios) == ["inference, torch"] and ratios["inference, torch"]["facts"]["back end"] == "torch"


@pytest.mark.slow
def test_training_is_measured_without_images(measured, narrow):
    ratios = measured("--only", "training", "--batch", 2)
    assert list(ratios) == [f"training, 2 stacks{suffix}" for suffix in ("", ", convolutions", ", targets")]
    assert ratios["training, 2 stacks"]["unit"] == "TFLOP/s" and ratios["training, 2 stacks"]["facts"]["people in a step"] == 2
    assert ratios["training, 2 stacks, targets"]["target"]["ratio"] == 0.03


@pytest.mark.slow
def test_training_with_images_measures_waiting_for_them(rendered, measured, narrow):
    ratios = measured("--data", "mpii", "--root", rendered, "--only", "training", "--batch", 2)
    waiting = ratios["training, 2 stacks, waiting for data"]
    assert waiting["facts"]["steps"] == 2 and 0 <= waiting["ratio"] < 1
    assert waiting["target"] is None  # it has one on a GPU


def test_waiting_is_measured_on_a_free_and_on_a_busy_machine(measured, monkeypatch):
    others = []
    monkeypatch.setattr(process, "_median_step", lambda environment: 2.0 if "GOMP_SPINCOUNT" in environment else 1.0)
    monkeypatch.setattr(process, "_busy", lambda count: others.append(count) or nullcontext())
    ratios = measured("--only", "busy")
    assert ratios["waiting, free machine"]["ratio"] == ratios["waiting, busy machine"]["ratio"] == 0.5
    assert others == [0, processors()]


def test_other_processes_are_ended_afterwards():
    with process._busy(2):
        children = multiprocessing.active_children()
        assert len(children) == 2
    for child in children:
        child.join(10)
        assert child.exitcode == -signal.SIGKILL


@pytest.mark.slow
def test_keeping_freed_memory_is_measured(measured):
    ratios = measured("--only", "memory")
    assert list(ratios) == ["freed memory kept"]
