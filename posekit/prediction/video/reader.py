"""Read the frames of videos and webcams, some of them ahead of their use."""

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

# FFmpeg reports every damaged block on stderr; posekit's own errors say what matters. OpenCV reads this at the first video.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
# Where a file or webcam does not give its rate.
_DEFAULT_FPS = 30.0
_MAX_FPS = 1000.0
# Failed reads in a row after which a file has ended: a damaged stretch of ten seconds is skipped.
_MAX_FAILED_READS = 300


@dataclass(frozen=True)
class Frame:
    """One frame of a video.

    Parameters
    ----------
    index : int
        Counted from 0; frames that cannot be decoded count.
    time : float
        Seconds since the video's start; greater than that of the frame before.
    image : (H, W, 3) uint8
        Blue, green, red; rotated as the file asks for.
    """

    index: int
    time: float
    image: np.ndarray


class VideoReader:
    """Frames of a video file or webcam, once, in order; some are decoded ahead in a thread.

    Use it as a context manager: leaving it ends the thread.

    Parameters
    ----------
    source : str, Path or int
        A video file, or the index of a webcam.
    ahead : int
        Number of frames decoded ahead and held in memory.

    Attributes
    ----------
    name : str
        Name of the source in messages.
    fps : float
        Frames per second; 30 if the source does not give it.
    size : (int, int)
        Width and height in pixels, according to the source.
    count : int or None
        Number of frames according to the file; None if it does not give it.
    skipped : list of range
        Indices of the frames that could not be decoded so far; at the end also of those missing from the file's `count`.

    Raises
    ------
    ImageError
        If there is no such file or webcam, or OpenCV cannot decode the file.
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
            At the end, if no frame could be decoded.
        """
        pending = deque(self._executor.submit(self._next) for _ in range(self._ahead + 1))
        expected = 0
        while (frame := pending.popleft().result()) is not None:
            self._note_skipped(expected, frame.index)
            expected = frame.index + 1
            pending.append(self._executor.submit(self._next))
            yield frame
        if not expected:
            raise ImageError(f"{self.name}: none of its frames can be decoded; the video is damaged")
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
        return max(self._time + 1 / self.fps, 0.0)  # some containers store no times, or the same one twice


def _open_capture(source: str | Path | int, name: str) -> "cv2.VideoCapture":
    if isinstance(source, int):
        advice = "cannot be opened; webcams count from 0, and another program may be using it"
    elif "://" in str(source):
        raise ImageError(f"{name}: is an address; download the video and give the file")
    elif not Path(source).is_file():
        raise ImageError(f"{name}: no such video file")
    else:
        advice = "not a video that OpenCV can decode, or a damaged one"
    with silent_opencv():
        capture = cv2.VideoCapture(source if isinstance(source, int) else str(source))
    if not capture.isOpened():
        raise ImageError(f"{name}: {advice}")
    return capture


@contextmanager
def silent_opencv() -> Iterator[None]:
    """Keep OpenCV from reporting on stderr what posekit's own error says in one line."""
    logging = cv2.utils.logging
    before = logging.setLogLevel(logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        logging.setLogLevel(before)
