"""`posekit predict` on videos."""

import json

import numpy as np
import pytest

from posekit import load
from posekit.cli.predict import main, video
from posekit.cli.predict.video import predict_video
from posekit.errors import ImageError, OutputError
from posekit.geometry import Box
from posekit.images import cv2
from posekit.models import ModelInfo, StackedHourglass, save_weights
from posekit.prediction.pose import Pose
from posekit.prediction.predictor import Predictor
from posekit.prediction.video import VideoReader, VideoWriter
from posekit.skeletons import LSP14

K = len(LSP14)
WIDTH = 320
HEIGHT = 160
SHADES = (250, 170)
# Joints in a rectangle 30 wide and 80 high, relative to its centre.
BODY = np.column_stack([np.linspace(-15, 15, K), np.linspace(-40, 40, K)])


def finder(image, boxes):
    """Find in each box the rectangle of known brightness that is nearest to its centre; low scores if there is none."""
    grey = image[..., 1].astype(int)
    centres = []
    for shade in SHADES:
        pixels = np.argwhere(abs(grey - shade) < 25)
        if len(pixels) > 900:
            centres.append(pixels.mean(0)[::-1])
    return [_find(box, centres) for box in boxes]


def _find(box, centres):
    inside = [centre for centre in centres if np.abs(centre - box.centre).max() < box.side / 2]
    if not inside:
        return Pose(np.tile(box.centre, (K, 1)), np.full(K, 0.01), box, LSP14)
    nearest = min(inside, key=lambda centre: np.hypot(*(centre - box.centre)))
    return Pose(BODY + nearest, np.full(K, 0.8), box, LSP14)


def two_walkers(frames, first=lambda t: 60 + 4 * t, second=lambda t: 250 - 3 * t):
    for t in range(frames):
        image = np.full((HEIGHT, WIDTH, 3), 40, np.uint8)
        for shade, x in zip(SHADES, (first(t), second(t)), strict=True):
            if x is not None:
                image[40:120, max(x - 15, 0) : x + 15] = shade
        yield image


def write(path, images, fps=25.0):
    with VideoWriter(path, fps) as writer:
        for image in images:
            writer.write(image)
    return path


@pytest.fixture
def walkers(tmp_path):
    return write(tmp_path / "two walkers.mp4", two_walkers(20))


BOXES = (Box((60, 80), 100), Box((250, 80), 100))


def read_lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_two_people_are_tracked(walkers, tmp_path):
    summary = predict_video(finder, walkers, tmp_path / "out", boxes=BOXES)
    assert (summary.frames, summary.people, summary.skipped, summary.uncertain) == (20, 2, 0, 0)
    assert summary.fps > 0
    lines = read_lines(summary.poses)
    assert [line["frame"] for line in lines] == list(range(20))
    assert [line["time"] for line in lines] == pytest.approx(np.arange(20) / 25, abs=1e-6)
    for t, line in enumerate(lines):
        assert {person["id"] for person in line["people"]} == {1, 2}
        assert line["lost"] == []
        centres = sorted(np.mean(person["keypoints"], axis=0)[0] for person in line["people"])
        assert centres == pytest.approx(sorted((60 + 4 * t, 250 - 3 * t)), abs=1.5)
    for person in lines[-1]["people"]:
        assert person["confident"]
        assert person["score"] == pytest.approx(0.8)
        assert person["scores"] == [0.8] * K
        assert np.shape(person["keypoints"]) == (K, 2)
        x, y, side, _ = person["box"]
        assert side == pytest.approx(100, abs=2)  # 1.25 times a height of 80
        assert (x + side / 2, y + side / 2) == pytest.approx(np.mean(person["keypoints"], axis=0) + 0.5, abs=2)


def test_the_overlay_shows_the_skeletons(walkers, tmp_path):
    summary = predict_video(finder, walkers, tmp_path / "out", boxes=BOXES)
    with VideoReader(walkers) as before, VideoReader(summary.overlay) as after:
        assert (after.fps, after.size, after.count) == (25.0, (WIDTH, HEIGHT), 20)
        for frame, drawn in zip(before, after, strict=True):
            changed = np.abs(frame.image.astype(int) - drawn.image).max(-1) > 60
            assert changed[40:120].sum() > 100
            assert not changed[130:].any()  # no person is lost, so no text is written below
    assert {path.name for path in summary.overlay.parent.iterdir()} == {"two walkers.overlay.mp4", "two walkers.poses.jsonl"}


def test_a_hidden_person_is_marked_and_returns_with_the_same_id(tmp_path):
    hidden = write(tmp_path / "a.mp4", two_walkers(24, second=lambda t: None if 8 <= t < 14 else 250 - 3 * t))
    summary = predict_video(finder, hidden, tmp_path / "out", boxes=BOXES)
    lines = read_lines(summary.poses)
    ids = [[person["id"] for person in line["people"]] for line in lines]
    assert ids == [[1, 2]] * 8 + [[1]] * 6 + [[1, 2]] * 10
    assert [line["lost"] for line in lines] == [[]] * 8 + [[2]] * 6 + [[]] * 10
    assert (summary.people, summary.uncertain) == (2, 6)
    purple = []
    with VideoReader(summary.overlay) as overlay:
        for frame in overlay:
            below = frame.image[130:].astype(int)
            purple.append((below[..., 2] - below[..., 1] > 60).sum() > 20)
    assert purple == [8 <= t < 14 for t in range(24)]


def test_a_drop_of_confidence_is_marked(walkers, tmp_path):
    calls = []

    def unsure_finder(image, boxes):
        calls.append(1)
        poses = finder(image, boxes)
        if len(calls) == 6:
            poses = [Pose(pose.keypoints, pose.scores / 4, pose.box, LSP14) for pose in poses]
        return poses

    summary = predict_video(unsure_finder, walkers, tmp_path / "out", boxes=BOXES)
    lines = read_lines(summary.poses)
    marked = [line["frame"] for line in lines if not all(person["confident"] for person in line["people"])]
    assert (marked, summary.uncertain) == ([5], 1)


def test_the_detector_is_called_in_the_first_frame_and_every_few_frames(tmp_path):
    entering = write(tmp_path / "a.mp4", two_walkers(20, second=lambda t: None if t < 7 else 250 - 3 * t))
    shapes = []

    def detect(image):
        shapes.append(image.shape)
        return BOXES

    summary = predict_video(finder, entering, tmp_path / "out", detect=detect, every=5)
    assert shapes == [(HEIGHT, WIDTH, 3)] * 4
    ids = [{person["id"] for person in line["people"]} for line in read_lines(summary.poses)]
    assert ids == [{1}] * 10 + [{1, 2}] * 10


def test_without_boxes_the_whole_image_is_searched_first(tmp_path):
    calls = []

    def spy(image, boxes):
        calls.append(list(boxes))
        return finder(image, boxes)

    alone = write(tmp_path / "a.mp4", two_walkers(4, second=lambda t: None))
    summary = predict_video(spy, alone, tmp_path / "out")
    assert calls[0] == [Box(((WIDTH - 1) / 2, (HEIGHT - 1) / 2), WIDTH)]
    assert [len(boxes) for boxes in calls] == [1] * 4
    assert calls[1][0].side < 110
    assert summary.people == 1


def test_smoothing_reduces_jitter(walkers, tmp_path):
    def shaky(image, boxes, rng=np.random.default_rng(0)):  # noqa: B008, one for all calls
        poses = finder(image, boxes)
        return [Pose(pose.keypoints + rng.normal(0, 2, (K, 2)), pose.scores, pose.box, LSP14) for pose in poses]

    def jitter(smooth):
        summary = predict_video(shaky, walkers, tmp_path / f"out{smooth}", boxes=BOXES, smooth=smooth)
        keypoints = [line["people"][0]["keypoints"] for line in read_lines(summary.poses)]
        return np.diff(keypoints, n=2, axis=0).std()

    assert jitter(True) < 0.6 * jitter(False)


@pytest.mark.parametrize("stop", [KeyboardInterrupt, MemoryError])
def test_an_interrupted_video_leaves_two_valid_files(walkers, tmp_path, stop):
    calls = []

    def stopping(image, boxes):
        calls.append(1)
        if len(calls) == 8:
            raise stop
        return finder(image, boxes)

    with pytest.raises(stop):
        predict_video(stopping, walkers, tmp_path / "out", boxes=BOXES)
    lines = read_lines(tmp_path / "out" / "two walkers.poses.jsonl")
    assert [line["frame"] for line in lines] == list(range(7))
    with VideoReader(tmp_path / "out" / "two walkers.overlay.mp4") as overlay:
        assert len(list(overlay)) == 7
        assert overlay.skipped == []


def test_each_line_is_written_at_once(walkers, tmp_path):
    texts = []

    def spy(image, boxes):
        texts.append((tmp_path / "two walkers.poses.jsonl").read_text())
        return finder(image, boxes)

    predict_video(spy, walkers, tmp_path, boxes=BOXES)
    assert [text.count("\n") for text in texts] == list(range(20))
    assert all(text == "" or text.endswith("\n") for text in texts)


def test_damaged_frames_are_reported_and_skipped(real_data, tmp_path, capsys):
    data = bytearray((real_data / "video" / "street.mp4").read_bytes())
    data[60_000:100_000] = np.random.default_rng(0).bytes(40_000)
    (tmp_path / "damaged.mp4").write_bytes(data)

    def find_nothing(image, boxes):
        return [Pose(np.full((K, 2), np.nan), np.zeros(K), box, LSP14) for box in boxes]

    summary = predict_video(find_nothing, tmp_path / "damaged.mp4", tmp_path / "out")
    assert summary.skipped >= 1
    assert summary.frames + summary.skipped == 5
    assert f"{tmp_path / 'damaged.mp4'}: frame" in capsys.readouterr().err
    assert all(line["people"] == [] for line in read_lines(summary.poses))


def test_bad_input_and_output(walkers, tmp_path):
    with pytest.raises(ImageError, match=r"no\.mp4"):
        predict_video(finder, tmp_path / "no.mp4", tmp_path / "out")
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="file"):
        predict_video(finder, walkers, tmp_path / "file")
    before = walkers.read_bytes()
    (tmp_path / "out" / "two walkers.overlay.mp4").symlink_to(walkers)
    with pytest.raises(OutputError, match=r"two walkers\.overlay\.mp4"):
        predict_video(finder, walkers, tmp_path / "out")
    assert walkers.read_bytes() == before


def test_a_full_disk_leaves_whole_lines(walkers, tmp_path, monkeypatch):
    add = video._JsonLines.add

    def add_on_full_disk(self, content):
        if content["frame"] == 3:
            self._file = FullFile(self._file)
        add(self, content)

    monkeypatch.setattr(video._JsonLines, "add", add_on_full_disk)
    with pytest.raises(OutputError, match=r"poses\.jsonl.*No space left on device"):
        predict_video(finder, walkers, tmp_path / "out", boxes=BOXES)
    lines = read_lines(tmp_path / "out" / "two walkers.poses.jsonl")
    assert [line["frame"] for line in lines] == [0, 1, 2]


class FullFile:
    """A file on a disk with space for ten more bytes."""

    def __init__(self, file):
        self.file = file

    def write(self, data):
        return self.file.write(data[:10])

    def __getattr__(self, name):
        return getattr(self.file, name)


@pytest.mark.slow
def test_real_video(real_data, tmp_path):
    """Frames, sizes and files of an untrained network's predictions."""
    model = StackedHourglass(joints=K, stacks=1, features=8, depth=2, head="sigmoid")
    info = ModelInfo(LSP14, 64, stacks=1, features=8, depth=2, head="sigmoid", mean=(0.4,) * 3, std=(0.3,) * 3)
    save_weights(tmp_path / "w.safetensors", model.eval(), info)
    predictor = load(tmp_path / "w.safetensors", device="cpu")
    assert isinstance(predictor, Predictor)
    source = real_data / "video" / "street.mp4"
    summary = predict_video(predictor, source, tmp_path, boxes=[Box.from_xywh(360, 270, 205, 305)], smooth=True, sure=0.0)
    assert (summary.frames, summary.skipped) == (5, 0)
    assert [person["id"] for person in read_lines(summary.poses)[0]["people"]] == [1]
    capture = cv2.VideoCapture(str(summary.overlay))
    assert capture.read()[1].shape == (720, 1280, 3)


def test_the_command_predicts_videos_and_images(tmp_path, real_data, capsys):
    clip = write(tmp_path / "clip.mp4", two_walkers(3), fps=10)
    image = real_data / "photos" / "man_running.jpg"
    out = tmp_path / "out"
    options = ["--weights", "lspet-small", "--box", "40,40,60,80", "--smooth", "--refine", "0", "--out", str(out)]
    assert main([str(clip), str(image), *options]) == 0
    names = {path.name for path in out.iterdir()}
    assert names == {"clip.overlay.mp4", "clip.poses.jsonl", "predictions.json", "man_running.overlay.png"}
    printed = capsys.readouterr().out
    assert "frames: 3" in printed
    assert "people: 1" in printed
    assert [line["frame"] for line in read_lines(out / "clip.poses.jsonl")] == [0, 1, 2]


def test_a_video_that_cannot_be_read_is_skipped(spot_weights, tmp_path, write_spots, capsys):
    clip = tmp_path / "bad.mp4"
    clip.write_text("no video")
    image = write_spots(tmp_path / "spots.png")
    options = ["--weights", str(spot_weights), "--detect", "none", "--out", str(tmp_path / "out")]
    assert main([str(clip), str(image), *options]) == 0
    assert str(clip) in capsys.readouterr().err
    assert (tmp_path / "out" / "spots.overlay.png").exists()
    assert main([str(clip), *options]) == 1
    assert str(clip) in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "named"),
    [
        (["a/clip.mp4", "b/clip.mov"], "clip"),
        (["clip.mp4", "--boxes", "people.csv"], "--boxes"),
        (["clip.mp4", "--save", "dlc"], "--save"),
    ],
)
def test_options_that_do_not_fit_videos_are_refused(tmp_path, capsys, argv, named):
    assert main([*argv, "--out", str(tmp_path)]) == 2
    assert named in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_file_whose_name_is_a_number_is_no_webcam(spot_weights, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "7").write_bytes(b"no image")
    assert main(["7", "--weights", str(spot_weights), "--detect", "none", "--out", str(tmp_path / "out")]) == 1
    assert "webcam" not in capsys.readouterr().err
