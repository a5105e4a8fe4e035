"""Read the frames of videos and webcams, and prefetch frames in a thread."""

import math
import os
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from posekit.errors import ImageError
from posekit.opencv import cv2

# Silence FFmpeg, which prints every damaged block to stderr; posekit raises its own errors. Set before OpenCV opens a video.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
# Frame rate if a file or webcam gives none, or one that is not plausible.
_DEFAULT_FPS = 30.0
_MAX_FPS = 1000.0
# Number of consecutive failed reads that count as the end of a file. At 30 frames per second, up to 10 damaged seconds are skipped.
_MAX_FAILED_READS = 300


@dataclass(frozen=True)
class Frame:
    """One frame of a video.

    Parameters
    ----------
    index : int
        0-based index in the video; frames that cannot be decoded also have an index.
    time : float
        Seconds since the start of the video; always later than the previous frame.
    image : (H, W, 3) uint8
        BGR, rotated according to the file's metadata.
    """

    index: int
    time: float
    image: np.ndarray


class VideoReader:
    """Iterates once over the frames of a video file or webcam; a thread prefetches frames.

    Use the reader as a context manager, which ends the thread on exit.

    Parameters
    ----------
    source : str, Path or int
        Path of a video file, or the index of a webcam.
    ahead : int
        Number of frames that are prefetched and held in memory.

    Attributes
    ----------
    name : str
        Name of the source in messages.
    fps : float
        Frames per second; 30 if the source gives no plausible frame rate.
    size : (int, int)
        Width and height in pixels, according to the source.
    count : int or None
        Number of frames according to the file; None if the file gives none, and for webcams.
    skipped : list of range
        Index ranges of the frames that could not be decoded so far. After the last frame, includes the indices up to `count`
        that could not be read.

    Raises
    ------
    ImageError
        If the file or webcam does not exist, or OpenCV cannot decode the file.
    """

    def __init__(self, source: str | Path | int, *, ahead: int = 4):
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
        self._ahead = ahead
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="posekit-video")

    def __enter__(self) -> "VideoReader":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """End the thread and release the source."""
        self._executor.shutdown(cancel_futures=True)
        self._capture.release()

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames.

        Raises
        ------
        ImageError
            If no frame could be decoded.
        """
        pending = deque(self._executor.submit(self._next) for _ in range(self._ahead + 1))
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
    with silent_opencv():
        capture = cv2.VideoCapture(source if isinstance(source, int) else str(source))
    if not capture.isOpened():
        raise ImageError(f"{name}: {advice}")
    return capture


@contextmanager
def silent_opencv() -> Iterator[None]:
    """Silence OpenCV's messages on stderr; posekit raises its own one-line errors instead."""
    logging = cv2.utils.logging
    before = logging.setLogLevel(logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        logging.setLogLevel(before)
