"""Read the frames of videos and webcams, and write videos."""

import math
import os
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from posekit.errors import ImageError, OutputError
from posekit.images import cv2

# Silence FFmpeg, which prints every damaged block to stderr; posekit raises its own errors. Set before OpenCV opens a video.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
# In order of preference: browsers play only H.264, but many builds of OpenCV cannot write H.264.
CODECS = {"avc1": "H.264", "mp4v": "MPEG-4 part 2"}
# Frame rate if a file or webcam gives no frame rate, or one above the maximum.
_DEFAULT_FPS = 30.0
_MAX_FPS = 1000.0
# Number of frames that are prefetched and held in memory.
_PREFETCHED = 4
# Number of consecutive failed reads that count as the end of a file. At 30 frames per second, up to 10 damaged seconds are skipped.
_MAX_FAILED_READS = 300


@dataclass(frozen=True)
class Frame:
    """One frame of a video.

    `index` starts at 0, and also counts frames that cannot be decoded. `time` is in seconds since the start of the video, and
    always later than the time of the previous frame. `image` is (H, W, 3) uint8 BGR, rotated according to the file's metadata.
    """

    index: int
    time: float
    image: np.ndarray


class VideoReader:
    """Iterates once over the frames of a video file (a path) or webcam (an index); a thread prefetches frames.

    Use the reader as a context manager, which ends the thread on exit.

    Attributes
    ----------
    name : str
        Name of the source in messages.
    fps : float
        Frames per second; 30 if the source gives no plausible frame rate.
    size : (int, int)
        Width and height in pixels, according to the source.
    count : int or None
        Number of frames according to the file; None for a webcam, or if the file gives no number.
    skipped : list of range
        Index ranges of the frames that could not be decoded so far. After the last frame, this includes the missing indices up to
        `count`.

    Raises
    ------
    ImageError
        If the file or webcam does not exist, or OpenCV cannot decode the file.
    """

    def __init__(self, source: str | Path | int):
        self._live = isinstance(source, int)
        self.name = f"webcam {source}" if self._live else str(source)
        self._capture = _open_capture(source, self.name)
        fps = self._capture.get(cv2.CAP_PROP_FPS)
        count = self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        width = self._capture.get(cv2.CAP_PROP_FRAME_WIDTH)
        height = self._capture.get(cv2.CAP_PROP_FRAME_HEIGHT)
        self.fps = fps if 0 < fps <= _MAX_FPS else _DEFAULT_FPS
        self.count = int(count) if count > 0 and not self._live else None
        self.size = (int(width), int(height))
        self.skipped: list[range] = []
        self._index = 0
        self._time = -math.inf
        self._start = time.monotonic()
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="posekit-video")

    def __enter__(self) -> "VideoReader":
        return self

    def __exit__(self, *exception: object) -> None:
        self._executor.shutdown(cancel_futures=True)
        self._capture.release()

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames; raise `ImageError` if no frame could be decoded."""
        pending = deque(self._executor.submit(self._next) for _ in range(_PREFETCHED + 1))
        expected = 0
        while (frame := pending.popleft().result()) is not None:
            self._note_skipped(expected, frame.index)
            expected = frame.index + 1
            pending.append(self._executor.submit(self._next))
            yield frame
        if not expected:
            raise ImageError(f"{self.name}: no frame could be decoded; the video is damaged")
        self._note_skipped(expected, self.count or 0)

    def _note_skipped(self, first: int, end: int) -> None:
        if first < end:
            self.skipped.append(range(first, end))

    def _next(self) -> Frame | None:
        for _ in range(1 if self._live else _MAX_FAILED_READS):
            decoded, image = self._capture.read()
            self._index += 1
            if decoded:
                self._time = self._next_time()
                return Frame(self._index - 1, self._time, image)
        return None

    def _next_time(self) -> float:
        milliseconds = 1000 * (time.monotonic() - self._start) if self._live else self._capture.get(cv2.CAP_PROP_POS_MSEC)
        if milliseconds / 1000 > self._time:
            return milliseconds / 1000
        return max(self._time + 1 / self.fps, 0.0)  # some files store no timestamps, or the same timestamp twice


def _open_capture(source: str | Path | int, name: str) -> "cv2.VideoCapture":
    if isinstance(source, int):
        advice = "cannot be opened; check the webcam's index (the first is 0) and that no other program uses the webcam"
    elif "://" in str(source):
        raise ImageError(f"{name}: URLs are not supported; download the video and give the path of the file")
    elif not Path(source).is_file():
        raise ImageError(f"{name}: no such video file")
    else:
        advice = "not a video that OpenCV can decode, or a damaged video"
    with _silent_opencv():
        capture = cv2.VideoCapture(source if isinstance(source, int) else str(source))
    if not capture.isOpened():
        raise ImageError(f"{name}: {advice}")
    return capture


@contextmanager
def _silent_opencv() -> Iterator[None]:
    """Silence OpenCV's messages on stderr; posekit raises its own one-line errors instead."""
    logging = cv2.utils.logging
    before = logging.setLogLevel(logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        logging.setLogLevel(before)


class VideoWriter:
    """Writes an .mp4 video without sound.

    Use the writer as a context manager, which finishes the video even after an error or Ctrl-C. An .mp4 file cannot be played
    before it is finished, so frames are first written to a file in a hidden folder next to `path`. On exit, that file is finished
    and moved to `path`, which is overwritten unless it is the input video `source`. If no frame was written, no file is created.

    Attributes
    ----------
    codec : str or None
        One of `CODECS`; None before the first frame.
    frames : int
        Number of frames written so far.

    Raises
    ------
    OutputError
        If `path` is the input video, the folder is not writable, OpenCV can write none of the codecs, or the finished file cannot
        be read back (for example because the disk is full).
    """

    def __init__(self, path: str | Path, fps: float, *, source: str | Path | int | None = None):
        self.path = Path(path)
        self.fps = fps
        if isinstance(source, str | Path) and self.path.exists() and self.path.samefile(source):
            raise OutputError(f"{self.path}: is the input video and would be overwritten; choose another folder or name")
        self.codec: str | None = None
        self.frames = 0
        self._writer: cv2.VideoWriter | None = None
        self._size = (0, 0)

    def __enter__(self) -> "VideoWriter":
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._folder = tempfile.TemporaryDirectory(dir=self.path.parent, prefix=f".{self.path.name}.")
        except OSError as error:
            raise OutputError(f"{self.path}: cannot be written ({error.strerror or error}); choose another folder") from error
        self._unfinished = Path(self._folder.name) / self.path.name
        return self

    def write(self, image: np.ndarray) -> None:
        """Add a frame (H, W, 3) uint8 BGR. The first frame sets the size of the video; later frames are resized to that size.

        Codecs support only even sizes: the last column of an odd width and the last row of an odd height are cut off.
        """
        height, width = image.shape[:2]
        if self._writer is None:
            self._size = (width, height)
            self._writer = self._open()
        if (width, height) != self._size:  # OpenCV would silently drop the frame
            image = cv2.resize(image, self._size, interpolation=cv2.INTER_AREA)
        self._writer.write(image)
        self.frames += 1

    def _open(self) -> "cv2.VideoWriter":
        with _silent_opencv():
            for codec in CODECS:
                writer = cv2.VideoWriter(str(self._unfinished), cv2.VideoWriter.fourcc(*codec), self.fps, self._size)
                if writer.isOpened():
                    self.codec = codec
                    return writer
        width, height = self._size
        raise OutputError(
            f"{self.path}: OpenCV on this machine cannot write a video of {width}x{height} pixels, neither as "
            f"{' nor as '.join(CODECS.values())}; install the package opencv-python, which includes FFmpeg"
        )

    def __exit__(self, *exception: object) -> None:
        with self._folder:
            if self._writer is None:
                return
            self._writer.release()
            with _silent_opencv():
                video = cv2.VideoCapture(str(self._unfinished))
            readable = video.isOpened() and video.read()[0]
            video.release()
            if not readable:
                raise OutputError(f"{self.path}: the video could not be finished; check that the disk is not full")
            self._unfinished.replace(self.path)
