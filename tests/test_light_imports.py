"""Commands show their help, and `posekit eval` scores prediction files, without importing heavy packages."""

import json
import subprocess
import sys

import numpy as np
import pytest

from posekit.data import open_people
from posekit.scoring.io.files import write_predictions
from posekit.scoring.io.predictions import Predictions

HEAVY = ("torch", "scipy", "matplotlib", "accelerate")

# Runs each command line, and prints a line of JSON for it: itself, its exit status, and the heavy packages loaded so far.
RUN = """
import json, sys
from posekit.cli.main import main
for argv in json.loads(sys.argv[1]):
    try:
        status = main(argv)
    except SystemExit as stop:
        status = stop.code
    loaded = [name for name in json.loads(sys.argv[2]) if name in sys.modules]
    print(json.dumps([argv, status, loaded]), file=sys.stderr)
"""


def loaded_packages(*command_lines, heavy=HEAVY, cwd=None):
    """Run command lines in one new process; return the heavy packages that each of them loads."""
    arguments = [json.dumps(command_lines), json.dumps(heavy)]
    process = subprocess.run(
        [sys.executable, "-c", RUN, *arguments], cwd=cwd, capture_output=True, text=True, check=True, timeout=120
    )
    results = [json.loads(line) for line in process.stderr.splitlines() if line.startswith("[")]
    assert [argv for argv, _, _ in results] == [list(argv) for argv in command_lines]
    assert [status for _, status, _ in results] == [0] * len(results), process.stderr
    return {" ".join(argv): loaded for argv, _, loaded in results}


@pytest.mark.parametrize(
    "commands",
    [
        ["eval", "predict", "export", "compare"],
        ["train", "train-classifier", "train-detector"],
        [
            "visualize", "visualize penalty", "visualize targets", "visualize loss", "visualize heatmaps", "visualize predictions",
            "visualize comparison", "visualize training", "visualize explore",
        ],
        [
            "prepare", "prepare check", "prepare pack", "prepare synthetic", "prepare convert", "prepare release",
            "prepare release-detector", "prepare convert-weights",
        ],
    ],
    ids=["models", "training", "visualize", "prepare"],
)  # fmt: skip
def test_help_loads_no_heavy_package(commands):
    loaded = loaded_packages(*([*command.split(), "--help"] for command in commands))
    assert loaded == {f"{command} --help": [] for command in commands}


def test_scoring_a_prediction_file_does_not_load_torch(tmp_path):
    annotation = {
        "images": [{"id": 1, "file_name": "a.jpg"}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 50, 50], "keypoints": [9, 9, 2, 40, 40, 2, 5, 30, 2]}
        ],
        "categories": [{"id": 1, "name": "dog", "keypoints": ["left_shoulder", "right_hip", "tail"], "skeleton": []}],
    }
    (tmp_path / "dogs.json").write_text(json.dumps(annotation))
    people = open_people("coco", tmp_path / "dogs.json")
    write_predictions(tmp_path / "p.h5", Predictions(people.joints, np.ones((1, 3)), np.arange(1), people.skeleton))
    argv = ["eval", "--predictions", "p.h5", "--data", "coco", "--root", "dogs.json", "--split", "all", "--out", "out"]
    (loaded,) = loaded_packages([*argv, "--analyse"], heavy=("torch", "accelerate"), cwd=tmp_path).values()
    assert loaded == []
    assert json.loads((tmp_path / "out" / "metrics.json").read_text())["pooled_mean"] == 100
