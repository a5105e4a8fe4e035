"""The benchmark measures what it says and writes it down."""

import json

import pytest

from posekit.cli.benchmark import main
from posekit.datasets.synthetic import write_synthetic


def test_input_path_is_a_ratio_of_two_times(tmp_path, capsys):
    write_synthetic(tmp_path / "set", people=8, seed=0, workers=1, progress=False)
    argv = [
        "--data",
        "mpii",
        "--root",
        str(tmp_path / "set"),
        "--people",
        "6",
        "--size",
        "64",
        "--only",
        "input",
        "--json",
        str(tmp_path / "b.json"),
    ]
    assert main(argv) == 0
    figures = json.loads((tmp_path / "b.json").read_text())["input"]
    assert figures["people"] == 6
    assert figures["ratio"] == figures["posekit_ms"] / figures["yardstick_ms"]
    assert f"ratio {figures['ratio']:.2f}" in capsys.readouterr().out


def test_scoring_is_measured_from_the_files(real_data, tmp_path, capsys):
    argv = ["--data", "mpii", "--root", str(real_data / "mpii"), "--split", "valid", "--only", "scoring"]
    predictions = ["--predictions", str(real_data / "mpii" / "predictions" / "valid-ours.h5")]
    assert main([*argv, *predictions, "--json", str(tmp_path / "b.json")]) == 0
    figures = json.loads((tmp_path / "b.json").read_text())
    assert list(figures) == ["scoring"]
    assert figures["scoring"]["people"] == 2958
    assert main(argv) == 2
    assert "needs --predictions FILE" in capsys.readouterr().err


@pytest.mark.slow
def test_the_pyramid_is_measured_against_as_many_plain_passes(tmp_path, capsys):
    write_synthetic(tmp_path / "set", people=2, seed=0, workers=1, progress=False)
    assert main(["--data", "mpii", "--root", str(tmp_path / "set"), "--size", "64", "--only", "pyramid"]) == 0
    assert "pyramid: " in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["torch", "auto"])
def test_inference_is_measured_of_the_back_end_that_is_told(tmp_path, capsys, backend):
    write_synthetic(tmp_path / "set", people=3, seed=0, workers=1, progress=False)
    argv = ["--data", "mpii", "--root", str(tmp_path / "set"), "--size", "64", "--only", "inference", "--backend", backend]
    assert main([*argv, "--json", str(tmp_path / "b.json")]) == 0
    figures = json.loads((tmp_path / "b.json").read_text())["inference"]
    assert figures["people"] == 3 and figures["ratio"] == figures["posekit_ms"] / figures["yardstick_ms"]
    assert figures["backend"] in (["torch"] if backend == "torch" else ["torch", "onnx"])
    assert f"{figures['backend']} back end" in capsys.readouterr().out
