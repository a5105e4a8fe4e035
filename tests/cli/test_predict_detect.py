"""Detection of people in `posekit predict`, its check of the installation, and interrupted videos."""

import json
import os
import re
import signal

import numpy as np
import pytest

from posekit.cli.predict import main, run
from posekit.prediction.detect import PoseDetector
from posekit.prediction.pose import Pose
from posekit.prediction.video import VideoReader, VideoWriter
from posekit.skeletons import LSP14

K = len(LSP14)
RECTANGLE = 60, 30, 40, 80


@pytest.fixture
def image(write_spots, tmp_path):
    return write_spots(tmp_path / "image.png")


@pytest.fixture
def predict(spot_weights, tmp_path):
    """Run the command with the spots' model; returns the exit status and the people of predictions.json."""

    def predict(*arguments):
        options = ["--weights", str(spot_weights), "--device", "cpu", "--out", str(tmp_path / "out")]
        status = main([*map(str, arguments), *options], prog="posekit predict")
        listing = tmp_path / "out" / "predictions.json"
        return status, json.loads(listing.read_text())["annotations"] if listing.exists() else None

    return predict


@pytest.fixture
def detector(tmp_path):
    """An end-to-end detector that finds one person in every image, at RECTANGLE of an image of its input's size."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    x, y, width, height = RECTANGLE
    table = np.array([[[x, y, x + width, y + height, 0.8, 0]]], np.float32)
    node = onnx.helper.make_node("Constant", [], ["out"], value=onnx.numpy_helper.from_array(table, "out"))
    inputs = [onnx.helper.make_tensor_value_info("in", 1, (1, 3, 150, 200))]
    outputs = [onnx.helper.make_tensor_value_info("out", 1, (1, 1, 6))]
    graph = onnx.helper.make_graph([node], "detector", inputs, outputs)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "people.onnx")
    return tmp_path / "people.onnx"


def test_a_detector_finds_people(predict, image, detector):
    status, (person,) = predict(image, "--detect", detector, "--refine", 0)
    assert status == 0
    assert person["box"] == pytest.approx([30, 20, 100, 100])
    assert predict(image, "--detect", detector, "--min-box-score", 0.9) == (0, [])


def test_given_boxes_are_refined_once_by_default(predict, image, spots):
    _, (refined,) = predict(image, "--box", "40,30,100,100")
    extent = np.ptp(spots, axis=0)
    assert refined["box"][2] == pytest.approx(1.4 * extent.max(), abs=3)
    _, (given,) = predict(image, "--box", "40,30,100,100", "--refine", 0)
    assert given["box"][2] == 125


@pytest.mark.slow
def test_without_boxes_posekit_finds_people(predict, image, spots):
    status, people = predict(image, "--detect", "self", "--refine", 0)
    assert status == 0
    errors = [np.abs(np.reshape(person["keypoints"], (-1, 3))[:, :2] - spots).max() for person in people]
    assert min(errors) < 2


def test_detect_none_uses_the_whole_image(predict, image):
    _, (person,) = predict(image, "--detect", "none", "--refine", 0)
    assert person["box"] == pytest.approx([0, -25, 200, 200])


def test_by_default_posekit_finds_people_and_reports_an_image_without_any(predict, image, monkeypatch, capsys):
    monkeypatch.setattr(PoseDetector, "__call__", lambda self, image: [])
    assert predict(image) == (0, [])
    printed = capsys.readouterr()
    assert "people: 0" in printed.out
    assert "--box" in printed.err and "--detect none" in printed.err


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--detect", "model.pt"], "'model.pt'"),
        (["--detect", "self", "--box", "1,2,3,4"], "--box"),
        (["--refine", "-1"], "'-1'"),
    ],
)
def test_invalid_options_are_refused(predict, image, capsys, options, named):
    with pytest.raises(SystemExit, match="2"):
        predict(image, *options)
    assert named in capsys.readouterr().err.splitlines()[-1]


def test_a_missing_detector_stops_before_any_work(predict, image, tmp_path, capsys):
    assert predict(image, "--detect", "gone.onnx") == (1, None)
    assert "gone.onnx" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_check_reports_versions_and_accuracy(capsys):
    assert main(["--check", "--device", "cpu"], prog="posekit predict") == 0
    printed = capsys.readouterr().out
    for part in ("posekit ", "torch ", "OpenCV ", "ONNX Runtime ", "lspet-hg2", "on cpu"):
        assert part in printed
    correct, joints = re.search(r"(\d+) of (\d+) joints", printed).groups()
    assert int(joints) == 14
    assert int(correct) >= 10


def test_check_of_other_joints_reports_no_accuracy(spot_weights, capsys):
    assert main(["--check", "--weights", str(spot_weights), "--device", "cpu"]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert str(spot_weights) in last
    assert not re.search(r"\d+ of \d+ joints", last)


def test_check_reports_versions_even_if_predicting_fails(tmp_path, capsys):
    assert main(["--check", "--weights", str(tmp_path / "gone.safetensors")], prog="posekit predict") == 1
    printed = capsys.readouterr()
    assert "torch " in printed.out
    assert "gone.safetensors" in printed.err


def test_a_command_without_input_is_refused(capsys):
    assert main([], prog="posekit predict") == 2
    assert "INPUT" in capsys.readouterr().err


class FakePredictor:
    """Predicts one person who fills each box; raises SIGTERM in frame `stop_at`."""

    calibrated = False

    def __init__(self, stop_at=None):
        self.stop_at = stop_at
        self.calls = 0

    def __call__(self, image, boxes):
        self.calls += 1
        if self.calls - 1 == self.stop_at:
            os.kill(os.getpid(), signal.SIGTERM)
        shape = np.column_stack([np.linspace(-0.4, 0.4, K)] * 2)
        return [Pose(box.centre + shape * box.side, np.full(K, 0.8), box, LSP14) for box in boxes]


@pytest.fixture
def clip(tmp_path):
    with VideoWriter(tmp_path / "clip.mp4", 10) as writer:
        for _ in range(8):
            writer.write(np.full((90, 120, 3), 90, np.uint8))
    return tmp_path / "clip.mp4"


def test_sigterm_stops_a_video_and_leaves_whole_files(clip, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(run, "load", lambda weights, **options: FakePredictor(stop_at=5))
    before = signal.getsignal(signal.SIGTERM)
    assert main([str(clip), "--box", "20,10,50,60", "--out", str(tmp_path / "out")], prog="posekit predict") == 143
    assert signal.getsignal(signal.SIGTERM) is before
    assert len((tmp_path / "out" / "clip.poses.jsonl").read_text().splitlines()) == 5
    with VideoReader(tmp_path / "out" / "clip.overlay.mp4") as video:
        assert len(list(video)) == 5


def test_people_are_detected_in_a_video(clip, detector, tmp_path, monkeypatch):
    monkeypatch.setattr(run, "load", lambda weights, **options: FakePredictor())
    assert main([str(clip), "--detect", str(detector), "--out", str(tmp_path / "out")]) == 0
    first, *_, last = map(json.loads, (tmp_path / "out" / "clip.poses.jsonl").read_text().splitlines())
    assert [person["id"] for person in first["people"]] == [person["id"] for person in last["people"]] == [1]
    # The clip has 0.6 of the input's size.
    assert first["people"][0]["box"] == pytest.approx([18, 12, 60, 60])
