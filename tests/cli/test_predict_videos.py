import json

import numpy as np
import pytest

from posekit import load
from posekit.cli.predict import main
from posekit.cli.predict.video import predict_video
from posekit.errors import ImageError, OutputError
from posekit.geometry import Box
from posekit.models import ModelInfo, StackedHourglass, save_weights
from posekit.opencv import cv2
from posekit.prediction.pose import Pose
from posekit.prediction.predictor import Predictor
from posekit.prediction.video.reader import VideoReader
from posekit.prediction.video.writer import VideoWriter
from posekit.skeletons import LSP14

K = len(LSP14)
WIDTH, HEIGHT = 320, 160
SHADES = (250, 170)
# Where the joints lie in a rectangle 30 wide and 80 high, about its middle.
BODY = np.column_stack([np.linspace(-15, 15, K), np.linspace(-40, 40, K)])


def finder(image, boxes):
    """Finds in each box the rectangle of known brightness that is nearest to its middle; scores 0 where there is none."""
    grey = image[..., 1].astype(int)
    middles = [np.argwhere(abs(grey - shade) < 25).mean(0)[::-1] for shade in SHADES if (abs(grey - shade) < 25).sum() > 900]
    return [_find(box, middles) for box in boxes]


def _find(box, middles):
    near = [middle for middle in middles if np.abs(middle - box.centre).max() < box.side / 2]
    if not near:
        return Pose(np.tile(box.centre, (K, 1)), np.full(K, 0.01), box, LSP14)
    middle = min(near, key=lambda middle: np.hypot(*(middle - box.centre)))
    return Pose(BODY + middle, np.full(K, 0.8), box, LSP14)


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


def lines(summary):
    return [json.loads(line) for line in summary.poses.read_text().splitlines()]


def test_two_people_are_followed(walkers, tmp_path):
    summary = predict_video(finder, walkers, tmp_path / "out", boxes=BOXES)
    assert (summary.frames, summary.people, summary.skipped, summary.uncertain) == (20, 2, 0, 0)
    assert summary.fps > 0
    content = lines(summary)
    assert [line["frame"] for line in content] == list(range(20))
    assert [line["time"] for line in content] == pytest.approx(np.arange(20) / 25, abs=1e-6)
    for t, line in enumerate(content):
        assert {person["id"] for person in line["people"]} == {1, 2} and line["lost"] == []
        middles = sorted(np.mean(person["keypoints"], axis=0)[0] for person in line["people"])
        assert middles == pytest.approx(sorted((60 + 4 * t, 250 - 3 * t)), abs=1.5)
    whole = {person["id"]: person for person in content[-1]["people"]}
    assert all(person["confident"] and person["score"] == pytest.approx(0.8) for person in whole.values())
    assert np.shape(whole[1]["keypoints"]) == (K, 2) and whole[1]["scores"] == [0.8] * K
    x, y, side, _ = whole[1]["box"]
    assert side == pytest.approx(100, abs=2)  # 1.25 times a height of 80
    assert (x + side / 2, y + side / 2) == pytest.approx(np.mean(whole[1]["keypoints"], axis=0) + 0.5, abs=2)


def test_video_shows_the_skeletons(walkers, tmp_path):
    summary = predict_video(finder, walkers, tmp_path / "out", boxes=BOXES)
    with VideoReader(walkers) as before, VideoReader(summary.overlay) as after:
        assert (after.fps, after.size, after.count) == (25.0, (WIDTH, HEIGHT), 20)
        for frame, drawn in zip(before, after, strict=True):
            changed = np.abs(frame.image.astype(int) - drawn.image).max(-1) > 60
            assert changed[40:120].sum() > 100
            assert not changed[130:].any()  # nobody is lost, so nothing is written below
    assert {path.name for path in summary.overlay.parent.iterdir()} == {"two walkers.overlay.mp4", "two walkers.poses.jsonl"}


def test_someone_who_is_hidden_is_marked_and_returns_with_the_old_id(tmp_path):
    hidden = write(tmp_path / "a.mp4", two_walkers(24, second=lambda t: None if 8 <= t < 14 else 250 - 3 * t))
    summary = predict_video(finder, hidden, tmp_path / "out", boxes=BOXES)
    ids = [[person["id"] for person in line["people"]] for line in lines(summary)]
    assert ids == [[1, 2]] * 8 + [[1]] * 6 + [[1, 2]] * 10
    (lost,) = {line["lost"][0] for line in lines(summary) if line["lost"]}
    assert lost == 2 and [len(line["lost"]) for line in lines(summary)] == [0] * 8 + [1] * 6 + [0] * 10
    assert (summary.people, summary.uncertain) == (2, 6)
    with VideoReader(summary.overlay) as after:
        purple = [((f.image[130:, :, 2].astype(int) - f.image[130:, :, 1]) > 60).sum() > 20 for f in after]
    assert purple == [8 <= t < 14 for t in range(24)]


def test_drop_of_confidence_is_marked(walkers, tmp_path):
    calls = []

    def doubtful(image, boxes):
        calls.append(1)
        poses = finder(image, boxes)
        if len(calls) == 6:
            poses = [Pose(pose.keypoints, pose.scores / 4, pose.box, LSP14) for pose in poses]
        return poses

    summary = predict_video(doubtful, walkers, tmp_path / "out", boxes=BOXES)
    marked = [line["frame"] for line in lines(summary) if not all(person["confident"] for person in line["people"])]
    assert (marked, summary.uncertain) == ([5], 1)


def test_detector_is_asked_at_the_start_and_every_few_frames(tmp_path):
    entering = write(tmp_path / "a.mp4", two_walkers(20, second=lambda t: None if t < 7 else 250 - 3 * t))
    asked = []

    def detect(image):
        asked.append(image.shape)
        return BOXES

    summary = predict_video(finder, entering, tmp_path / "out", detect=detect, every=5)
    assert asked == [(HEIGHT, WIDTH, 3)] * 4
    present = [{person["id"] for person in line["people"]} for line in lines(summary)]
    assert present == [{1}] * 10 + [{1, 2}] * 10


def test_without_boxes_the_whole_picture_is_looked_at_first(tmp_path):
    looked_in = []

    def spy(image, boxes):
        looked_in.append(list(boxes))
        return finder(image, boxes)

    alone = write(tmp_path / "a.mp4", two_walkers(4, second=lambda t: None))
    summary = predict_video(spy, alone, tmp_path / "out")
    assert looked_in[0] == [Box(((WIDTH - 1) / 2, (HEIGHT - 1) / 2), WIDTH)]
    assert [len(boxes) for boxes in looked_in] == [1] * 4 and looked_in[1][0].side < 110
    assert summary.people == 1


def test_smoothing_lessens_jitter(walkers, tmp_path):
    def shaky(image, boxes, rng=np.random.default_rng(0)):  # noqa: B008, one for all calls
        poses = finder(image, boxes)
        return [Pose(pose.keypoints + rng.normal(0, 2, (K, 2)), pose.scores, pose.box, LSP14) for pose in poses]

    def jitter(smooth):
        summary = predict_video(shaky, walkers, tmp_path / f"out{smooth}", boxes=BOXES, smooth=smooth)
        return np.diff([line["people"][0]["keypoints"] for line in lines(summary)], n=2, axis=0).std()

    assert jitter(True) < 0.6 * jitter(False)


@pytest.mark.parametrize("stop", [KeyboardInterrupt, MemoryError])
def test_both_files_are_valid_when_stopped_half_way(walkers, tmp_path, stop):
    calls = []

    def stopping(image, boxes):
        calls.append(1)
        if len(calls) == 8:
            raise stop
        return finder(image, boxes)

    with pytest.raises(stop):
        predict_video(stopping, walkers, tmp_path / "out", boxes=BOXES)
    content = [json.loads(line) for line in (tmp_path / "out" / "two walkers.poses.jsonl").read_text().splitlines()]
    assert [line["frame"] for line in content] == list(range(7))
    with VideoReader(tmp_path / "out" / "two walkers.overlay.mp4") as after:
        assert len(list(after)) == 7 and after.skipped == []


def test_lines_are_there_while_the_work_goes_on(walkers, tmp_path):
    seen = []

    def watching(image, boxes):
        seen.append((tmp_path / "two walkers.poses.jsonl").read_text())
        return finder(image, boxes)

    predict_video(watching, walkers, tmp_path, boxes=BOXES)
    assert [text.count("\n") for text in seen] == list(range(20))
    assert all(text == "" or text.endswith("\n") for text in seen)


def test_broken_frames_are_named_and_skipped(real_data, tmp_path, capsys):
    data = bytearray((real_data / "video" / "street.mp4").read_bytes())
    data[60_000:100_000] = np.random.default_rng(0).bytes(40_000)
    (tmp_path / "damaged.mp4").write_bytes(data)

    def nobody(image, boxes):
        return [Pose(np.full((K, 2), np.nan), np.zeros(K), box, LSP14) for box in boxes]

    summary = predict_video(nobody, tmp_path / "damaged.mp4", tmp_path / "out")
    assert summary.skipped >= 1 and summary.frames + summary.skipped == 5
    assert f"skipped: {tmp_path / 'damaged.mp4'}: frame" in capsys.readouterr().err
    assert all(line["people"] == [] for line in lines(summary))


def test_bad_input_and_output(walkers, tmp_path):
    with pytest.raises(ImageError, match="no such video file"):
        predict_video(finder, tmp_path / "no.mp4", tmp_path / "out")
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="file: cannot be written"):
        predict_video(finder, walkers, tmp_path / "file")
    before = walkers.read_bytes()
    (tmp_path / "out" / "two walkers.overlay.mp4").symlink_to(walkers)
    with pytest.raises(OutputError, match="is an input"):
        predict_video(finder, walkers, tmp_path / "out")
    assert walkers.read_bytes() == before


def test_full_disk_leaves_whole_lines(walkers, tmp_path, monkeypatch):
    from posekit.cli.predict import video as module

    path, add = tmp_path / "out" / "two walkers.poses.jsonl", module._Lines.add

    def full_after_three(self, content):
        if content["frame"] == 3:
            self._file = HalfFull(self._file)
        add(self, content)

    monkeypatch.setattr(module._Lines, "add", full_after_three)
    with pytest.raises(OutputError, match=r"poses\.jsonl: cannot be written \(No space left on device\)"):
        predict_video(finder, walkers, tmp_path / "out", boxes=BOXES)
    assert [json.loads(line)["frame"] for line in path.read_text().splitlines()] == [0, 1, 2]


class HalfFull:
    """A file on a disk with room for ten bytes more."""

    def __init__(self, file):
        self.file = file

    def write(self, data):
        return self.file.write(data[:10])

    def __getattr__(self, name):
        return getattr(self.file, name)


@pytest.mark.slow
def test_real_video(real_data, tmp_path):
    """Of an untrained network: frames, sizes and files fit, whatever it sees."""
    model = StackedHourglass(joints=K, stacks=1, features=8, depth=2, head="sigmoid")
    info = ModelInfo(LSP14, 64, stacks=1, features=8, depth=2, head="sigmoid", mean=(0.4,) * 3, std=(0.3,) * 3)
    save_weights(tmp_path / "w.safetensors", model.eval(), info)
    predictor = load(tmp_path / "w.safetensors", device="cpu")
    assert isinstance(predictor, Predictor)
    source = real_data / "video" / "street.mp4"
    summary = predict_video(predictor, source, tmp_path, boxes=[Box.from_xywh(360, 270, 205, 305)], smooth=True, sure=0.0)
    assert (summary.frames, summary.skipped) == (5, 0)
    assert [person["id"] for person in lines(summary)[0]["people"]] == [1]
    capture = cv2.VideoCapture(str(summary.overlay))
    assert capture.read()[1].shape == (720, 1280, 3)


def test_the_command_takes_videos_and_photographs_with_the_weights_that_come_along(tmp_path, real_data, capsys):
    video = tmp_path / "clip.mp4"
    with VideoWriter(video, 10) as writer:
        for frame in two_walkers(3):
            writer.write(frame)
    photo = real_data / "photos" / "man_running.jpg"
    assert main([str(video), str(photo), "--box", "40,40,60,80", "--smooth", "--out", str(tmp_path / "out")]) == 0
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"clip.overlay.mp4", "clip.poses.jsonl", "predictions.json", "man_running.overlay.png"}
    shown = capsys.readouterr().out
    assert "frames: 3, people: " in shown and "people: 1, photographs: 1" in shown
    lines = (tmp_path / "out" / "clip.poses.jsonl").read_text().splitlines()
    assert [json.loads(line)["frame"] for line in lines] == [0, 1, 2]


def test_a_video_that_cannot_be_read_is_skipped(tmp_path, real_data, capsys):
    (tmp_path / "bad.mp4").write_text("no video")
    out = tmp_path / "out"
    photo = real_data / "photos" / "man_running.jpg"
    assert main([str(tmp_path / "bad.mp4"), str(photo), "--detect", "none", "--out", str(out)]) == 0
    assert f"skipped: {tmp_path / 'bad.mp4'}" in capsys.readouterr().err and (out / "man_running.overlay.png").exists()
    assert main([str(tmp_path / "bad.mp4"), "--detect", "none", "--out", str(out)]) == 1
    assert "no video could be used" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["a/clip.mp4", "b/clip.mov"], "two videos would both be written as clip"),
        (["clip.mp4", "--boxes", "people.csv"], "for a video give --box"),
        (["clip.mp4", "--save", "dlc"], "--save is for photographs"),
    ],
)
def test_what_cannot_be_done_with_videos_is_told_first(tmp_path, capsys, argv, message):
    assert main([*argv, "--out", str(tmp_path)]) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_file_whose_name_is_a_number_is_no_webcam(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "7").write_bytes(b"no picture")
    assert main(["7", "--out", str(tmp_path / "out")]) == 1
    assert "webcam" not in capsys.readouterr().err
