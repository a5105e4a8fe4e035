"""Read whole and damaged videos, and write them."""

import os
import re
import subprocess
import sys
import threading

import numpy as np
import pytest

from posekit.errors import ImageError, OutputError
from posekit.images import cv2
from posekit.prediction import video
from posekit.prediction.video import CODECS, VideoReader, VideoWriter


class Camera:
    """Replaces cv2.VideoCapture; `frames` holds each frame's brightness, None if it cannot be decoded."""

    def __init__(self, frames, count=0.0, fps=10.0, msec=None):
        self.frames = list(frames)
        self.msec = msec
        self.reads = 0
        self.released = False
        self.properties = {cv2.CAP_PROP_FPS: fps, cv2.CAP_PROP_FRAME_COUNT: count}

    def isOpened(self):  # noqa: N802
        return True

    def read(self):
        value = self.frames[self.reads] if self.reads < len(self.frames) else None
        self.reads += 1
        return value is not None, None if value is None else np.full((4, 6, 3), value, np.uint8)

    def get(self, key):
        if key == cv2.CAP_PROP_POS_MSEC:
            return 0.0 if self.msec is None else self.msec[self.reads - 1]
        return self.properties.get(key, 0.0)

    def release(self):
        self.released = True


@pytest.fixture
def opened(monkeypatch, tmp_path):
    def opened(camera):
        monkeypatch.setattr(video.cv2, "VideoCapture", lambda source: camera)
        path = tmp_path / "camera.mp4"
        path.touch()
        return VideoReader(path)

    return opened


def write(path, values, size=(64, 48), fps=20.0):
    with VideoWriter(path, fps) as writer:
        for value in values:
            writer.write(np.full((size[1], size[0], 3), value, np.uint8))
    return path


def brightness(path):
    with VideoReader(path) as frames:
        return [round(float(frame.image.mean())) for frame in frames]


def test_written_frames_are_read_in_order(tmp_path):
    path = write(tmp_path / "a film ü.mp4", range(20, 220, 20))
    with VideoReader(path) as frames:
        assert (frames.fps, frames.size, frames.count) == (20.0, (64, 48), 10)
        found = [(frame.index, frame.time, frame.image.mean()) for frame in frames]
    assert [index for index, _, _ in found] == list(range(10))
    assert [time for _, time, _ in found] == pytest.approx(np.arange(10) / 20)
    assert [mean for _, _, mean in found] == pytest.approx(np.arange(20, 220, 20), abs=8)
    assert frames.skipped == []


def test_real_video(real_data):
    with VideoReader(real_data / "video" / "street.mp4") as frames:
        assert (frames.fps, frames.size, frames.count) == (30.0, (1280, 720), 5)
        found = list(frames)
    assert [frame.time for frame in found] == pytest.approx(np.arange(5) / 30)
    assert all(frame.image.shape == (720, 1280, 3) for frame in found)


def test_damage_in_the_middle_of_a_real_video(real_data, tmp_path):
    data = bytearray((real_data / "video" / "street.mp4").read_bytes())
    data[60_000:100_000] = np.random.default_rng(0).bytes(40_000)
    (tmp_path / "damaged.mp4").write_bytes(data)
    with VideoReader(tmp_path / "damaged.mp4") as frames:
        found = [frame.index for frame in frames]
    skipped = [index for lost in frames.skipped for index in lost]
    assert found and skipped
    assert sorted(found + skipped) == list(range(5))


def test_frames_that_cannot_be_decoded_are_skipped(opened):
    with opened(Camera([1, None, None, 4, 5, None, 7])) as frames:
        assert [(frame.index, frame.image[0, 0, 0]) for frame in frames] == [(0, 1), (3, 4), (4, 5), (6, 7)]
        assert frames.skipped == [range(1, 3), range(5, 6)]
        assert frames.count is None


def test_a_missing_end_is_skipped(opened):
    with opened(Camera([1, 2], count=6.0)) as frames:
        assert len(list(frames)) == 2
        assert frames.skipped == [range(2, 6)]


def test_times_always_rise(opened):
    with opened(Camera([1, 2, 3, 4], msec=[0.0, 50.0, 50.0, 400.0])) as frames:
        assert [frame.time for frame in frames] == pytest.approx([0.0, 0.05, 0.15, 0.4])
    with opened(Camera([1, 2, 3])) as frames:
        assert [frame.time for frame in frames] == pytest.approx([0.0, 0.1, 0.2])


@pytest.mark.parametrize("fps", [0.0, -1.0, float("nan"), 90_000.0])
def test_impossible_rates_are_replaced(opened, fps):
    with opened(Camera([1], fps=fps)) as frames:
        assert frames.fps == 30.0


def test_a_video_without_any_frame(opened):
    with opened(Camera([])) as frames, pytest.raises(ImageError, match=r"camera\.mp4"):
        next(iter(frames))


def test_the_thread_reads_four_frames_ahead(opened):
    camera = Camera(range(1, 100))
    with opened(camera) as frames:
        next(iter(frames))
        frames._executor.submit(int).result()  # runs after everything already submitted
        assert camera.reads == 6  # the first, four ahead, and one submitted when the first was taken
    assert camera.released


@pytest.mark.parametrize("stop", [KeyboardInterrupt, RuntimeError, None])
def test_leaving_ends_the_thread(opened, stop):
    before = threading.active_count()
    try:
        with opened(Camera(range(1, 100))) as frames:
            iterator = iter(frames)  # a generator that is not closed
            next(iterator)
            assert threading.active_count() == before + 1
            if stop:
                raise stop
    except (KeyboardInterrupt, RuntimeError):
        pass
    assert threading.active_count() == before


def test_errors_in_the_thread_reach_the_caller(opened, monkeypatch):
    camera = Camera([1])

    def fail():
        raise MemoryError("no room for a frame")

    monkeypatch.setattr(camera, "read", fail)
    with opened(camera) as frames, pytest.raises(MemoryError, match="no room"):
        list(frames)


def test_sources_that_are_not_videos(tmp_path, capfd):
    (tmp_path / "rubbish.mp4").write_bytes(np.random.default_rng(0).bytes(5000))
    (tmp_path / "empty.mp4").touch()
    paths = [tmp_path / "no.mp4", tmp_path, tmp_path / "rubbish.mp4", tmp_path / "empty.mp4"]
    for source in (*paths, "https://example.org/a.mp4", 98):
        with pytest.raises(ImageError, match=f"{re.escape(str(source))}: ") as raised:
            VideoReader(source)
        assert "\n" not in str(raised.value)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("stop", [KeyboardInterrupt, RuntimeError])
def test_a_video_stopped_early_can_be_played(tmp_path, stop):
    with pytest.raises(stop), VideoWriter(tmp_path / "a.mp4", 20.0) as writer:
        for value in (50, 100, 150):
            writer.write(np.full((48, 64, 3), value, np.uint8))
        raise stop
    assert brightness(tmp_path / "a.mp4") == pytest.approx([50, 100, 150], abs=8)
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_the_file_is_replaced_when_the_video_is_finished(tmp_path):
    path = write(tmp_path / "a.mp4", [90])
    before = path.read_bytes()
    with VideoWriter(path, 20.0) as writer:
        writer.write(np.zeros((48, 64, 3), np.uint8))
        assert path.read_bytes() == before
    assert path.read_bytes() != before


def test_without_frames_nothing_is_written(tmp_path):
    with VideoWriter(tmp_path / "a.mp4", 20.0) as writer:
        pass
    assert (writer.codec, writer.frames, list(tmp_path.iterdir())) == (None, 0, [])


def test_frames_of_another_size_are_scaled(tmp_path):
    with VideoWriter(tmp_path / "a.mp4", 20.0) as writer:
        for size in ((48, 64), (96, 128), (30, 30)):
            writer.write(np.full((*size, 3), 90, np.uint8))
    assert len(brightness(tmp_path / "a.mp4")) == writer.frames == 3
    assert writer.codec in CODECS


@pytest.mark.parametrize("size, kept", [((65, 49), (64, 48)), ((2, 2), (2, 2))])
def test_odd_sizes_lose_a_row_and_column(tmp_path, size, kept):
    with VideoReader(write(tmp_path / "a.mp4", [90], size)) as frames:
        assert frames.size == kept


def test_a_size_that_no_codec_takes(tmp_path):
    with pytest.raises(OutputError, match=r"a\.mp4: .*1x1"):
        write(tmp_path / "a.mp4", [90], (1, 1))
    assert list(tmp_path.iterdir()) == []


def test_the_input_is_never_overwritten(tmp_path):
    path = write(tmp_path / "a.mp4", [90])
    (tmp_path / "link.mp4").symlink_to(path)
    for out in (path, tmp_path / "link.mp4", tmp_path / "sub" / ".." / "a.mp4"):
        (tmp_path / "sub").mkdir(exist_ok=True)
        with pytest.raises(OutputError, match=re.escape(str(out))):
            VideoWriter(out, 20.0, source=path)


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"a\.mp4"):
        write(tmp_path / "file" / "a.mp4", [90])


@pytest.mark.skipif(sys.platform == "win32", reason="no limits of a process's files")
def test_a_full_disk_is_an_error_and_keeps_the_earlier_video(tmp_path):
    path = write(tmp_path / "a.mp4", [90])
    before = path.read_bytes()
    code = """if True:
        import resource, sys, numpy as np
        from posekit.prediction.video import VideoWriter
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
        rng = np.random.default_rng(0)
        with VideoWriter(sys.argv[1], 20.0) as writer:
            for _ in range(10):
                writer.write(rng.integers(256, size=(240, 320, 3), dtype=np.uint8))"""
    ended = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, env=os.environ)
    assert "OutputError" in ended.stderr and str(path) in ended.stderr
    assert path.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]
