"""The benchmark measures what it says and writes it down."""

import json

from posekit.cli.benchmark import main
from posekit.datasets.synthetic import write_synthetic


def test_input_path_is_a_ratio_of_two_times(tmp_path, capsys):
    write_synthetic(tmp_path / "set", people=8, seed=0, workers=1, progress=False)
    argv = ["--data", "mpii", "--root", str(tmp_path / "set"), "--people", "6", "--size", "64", "--json", str(tmp_path / "b.json")]
    assert main(argv) == 0
    figures = json.loads((tmp_path / "b.json").read_text())["input_path"]
    assert figures["people"] == 6
    assert figures["ratio"] == figures["posekit_ms"] / figures["yardstick_ms"]
    assert f"ratio {figures['ratio']:.2f}" in capsys.readouterr().out
