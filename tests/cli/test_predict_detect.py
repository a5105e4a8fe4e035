"""Who finds the people in `posekit predict`, its check of the installation, and how a video ends."""

import json
import os
import signal

import numpy as np
import pytest

from posekit.cli import predict as command
from posekit.cli.predict import main
from posekit.prediction.detect.pose_detector import PoseDetector
from posekit.prediction.pose import Pose
from posekit.prediction.video.reader import VideoReader
from posekit.prediction.video.writer import VideoWriter
from posekit.skeletons import LSP14

K = len(LSP14)
RECTANGLE = 60, 30, 40, 80


@pytest.fixture
def photo(write_spots, tmp_path):
    return write_spots(tmp_path / "photo.png")


@pytest.fixture
def predict(spot_weights, tmp_path):
    """Run the command on the spots' model; gives its exit status, and the people that it wrote."""

    def predict(*arguments):
        options = ["--weights", str(spot_weights), "--device", "cpu", "--out", str(tmp_path / "out")]
        status = main([*map(str, arguments), *options], prog="posekit predict")
        listing = tmp_path / "out" / "predictions.json"
        return status, json.loads(listing.read_text())["annotations"] if listing.exists() else None

    return predict


@pytest.fixture
def detector(tmp_path):
    """A detector, end-to-end, that sees one person in every picture, at RECTANGLE of one as large as its input."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    x, y, width, height = RECTANGLE
    table = np.array([[[x, y, x + width, y + height, 0.8, 0]]], np.float32)
    node = onnx.helper.make_node("Constant", [], ["out"], value=onnx.numpy_helper.from_array(table, "out"))
    values = [
        [onnx.helper.make_tensor_value_info(name, 1, shape)] for name, shape in (("in", (1, 3, 150, 200)), ("out", (1, 1, 6)))
    ]
    model = onnx.helper.make_model(
        onnx.helper.make_graph([node], "detector", *values), opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8
    )
    onnx.save(model, tmp_path / "people.onnx")
    return tmp_path / "people.onnx"


def test_a_detector_says_where_people_are(predict, photo, detector):
    status, (person,) = predict(photo, "--detect", detector, "--refine", 0)
    assert status == 0
    assert person["box"] == pytest.approx([30, 20, 100, 100])
    assert predict(photo, "--detect", detector, "--min-box-score", 0.9) == (0, [])


def test_given_boxes_are_refined_once_by_default(predict, photo, spots):
    _, (person,) = predict(photo, "--box", "40,30,100,100")
    low, high = spots.min(0), spots.max(0)
    assert person["box"][2] == pytest.approx(1.4 * (high - low).max(), abs=3)
    assert predict(photo, "--box", "40,30,100,100", "--refine", 0)[1][0]["box"][2] == 125


def test_the_model_finds_people_where_nobody_says_where_they_are(predict, photo, spots):
    status, people = predict(photo)
    assert status == 0
    found = [np.reshape(person["keypoints"], (-1, 3))[:, :2] for person in people]
    assert any(np.abs(points - spots).max() < 2 for points in found)
    assert predict(photo, "--detect", "self")[1] == people


def test_none_takes_the_whole_picture(predict, photo):
    _, (person,) = predict(photo, "--detect", "none", "--refine", 0)
    assert person["box"] == pytest.approx([0, -25, 200, 200])


def test_nobody_is_told(predict, photo, monkeypatch, capsys):
    monkeypatch.setattr(PoseDetector, "__call__", lambda self, image: [])
    assert predict(photo) == (0, [])
    told = capsys.readouterr()
    assert "people: 0, photographs: 1" in told.out
    assert "nobody found; --box tells where a person is, --detect none takes whole pictures" in told.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--detect", "model.pt"], "'model.pt': choose self, none, or a detector's .onnx file"),
        (["--detect", "self", "--box", "1,2,3,4"], "not allowed with"),
        (["--refine", "-1"], "expected a whole number of at least 0"),
    ],
)
def test_options_that_mean_nothing(predict, photo, capsys, options, message):
    with pytest.raises(SystemExit, match="2"):
        predict(photo, *options)
    assert message in capsys.readouterr().err


def test_a_missing_detector_stops_before_any_work(predict, photo, tmp_path, capsys):
    assert predict(photo, "--detect", "gone.onnx") == (1, None)
    assert "gone.onnx: cannot be read" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_check_tells_what_is_installed_and_whether_it_works(capsys):
    assert main(["--check", "--device", "cpu"], prog="posekit predict") == 0
    told = capsys.readouterr().out
    for part in ("posekit ", "torch ", "OpenCV ", "ONNX Runtime ", "weights that come along: ", "on cpu): works; "):
        assert part in told
    right, joints = told.split("works; ")[1].split(" joints")[0].split(" of ")
    assert int(joints) == 14 and int(right) >= 10


def test_check_of_other_joints_does_not_pretend(spot_weights, capsys):
    assert main(["--check", "--weights", str(spot_weights), "--device", "cpu"]) == 0
    assert "none of its joints is one of the rendered person's" in capsys.readouterr().out


def test_check_tells_what_is_installed_even_if_nothing_works(tmp_path, capsys):
    assert main(["--check", "--weights", str(tmp_path / "gone.safetensors")], prog="posekit predict") == 1
    told = capsys.readouterr()
    assert "torch " in told.out
    assert "gone.safetensors: no such weights file" in told.err


def test_without_input_there_is_nothing_to_do(capsys):
    assert main([], prog="posekit predict") == 2
    assert "nothing to predict: name photographs" in capsys.readouterr().err


class Stub:
    """Sees one person who fills each box; `stop_at` is the frame in which SIGTERM comes."""

    calibrated = False

    def __init__(self, stop_at=None):
        self.stop_at, self.calls = stop_at, 0

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


def test_sigterm_ends_a_video_and_leaves_whole_files(clip, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(command, "load", lambda weights, **options: Stub(stop_at=5))
    before = signal.getsignal(signal.SIGTERM)
    assert main([str(clip), "--box", "20,10,50,60", "--out", str(tmp_path / "out")], prog="posekit predict") == 143
    assert "interrupted" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGTERM) is before
    assert len((tmp_path / "out" / "clip.poses.jsonl").read_text().splitlines()) == 5
    with VideoReader(tmp_path / "out" / "clip.overlay.mp4") as video:
        assert len(list(video)) == 5


def test_in_a_video_people_are_looked_for(clip, detector, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(command, "load", lambda weights, **options: Stub())
    assert main([str(clip), "--detect", str(detector), "--out", str(tmp_path / "out")]) == 0
    first, *_, last = map(json.loads, (tmp_path / "out" / "clip.poses.jsonl").read_text().splitlines())
    assert [person["id"] for person in first["people"]] == [person["id"] for person in last["people"]] == [1]
    # The clip has 0.6 of the input's size.
    assert first["people"][0]["box"] == pytest.approx([18, 12, 60, 60])
