"""Reading videos and webcams ahead of who uses the frames, and writing videos that are whole whenever the work stops."""

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
from posekit.opencv import cv2

# FFmpeg writes about every damaged block to stderr; what matters is said in our own words. OpenCV reads this at the first video.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
# Where a file or a camera does not tell.
_USUAL_FPS = 30.0
_MOST_FPS = 1000.0
# Reads that fail, one after the other, until a file is taken to have ended: a damaged stretch of ten seconds is got over.
_GIVE_UP = 300
# In order of preference: browsers play the first alone, but many OpenCV packages cannot write it.
CODECS = {"avc1": "H.264", "mp4v": "MPEG-4 part 2"}


@dataclass(frozen=True)
class Frame:
    """One picture of a video.

    Parameters
    ----------
    index : int
        Counted from 0; frames that cannot be decoded count.
    time : float
        Seconds since the video's start; larger than that of the frame before.
    image : (H, W, 3) uint8
        Blue, green, red; turned as the file says that it is shown.
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
        Frames that are decoded before they are asked for, and wait in memory.

    Attributes
    ----------
    name : str
        How it is called in messages.
    fps : float
        Frames a second; 30 where the source does not tell.
    size : (int, int)
        Width and height in pixels, as the file tells.
    count : int or None
        Frames that the file says it has; None where it does not tell.
    skipped : list of range
        Indices of the frames that could not be decoded, so far; at the end also of those that the file says it has beyond.

    Raises
    ------
    ImageError
        If there is no such file or webcam, or the file is no video that OpenCV decodes.
    """

    def __init__(self, source: str | Path | int, *, ahead: int = 4):
        self._live = isinstance(source, int)
        self.name = f"webcam {source}" if self._live else str(source)
        self._capture = _open_capture(source, self.name)
        fps, count = (self._capture.get(key) for key in (cv2.CAP_PROP_FPS, cv2.CAP_PROP_FRAME_COUNT))
        self.fps = fps if 0 < fps <= _MOST_FPS else _USUAL_FPS
        self.count = int(count) if count > 0 and not self._live else None
        self.size = tuple(int(self._capture.get(key)) for key in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
        self.skipped: list[range] = []
        self._index, self._time, self._began = 0, -math.inf, time.monotonic()
        self._ahead, self._thread = ahead, ThreadPoolExecutor(1, thread_name_prefix="posekit-video")

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def close(self) -> None:
        """End the thread and let go of the source."""
        self._thread.shutdown(cancel_futures=True)
        self._capture.release()

    def __iter__(self) -> Iterator[Frame]:
        """The frames.

        Raises
        ------
        ImageError
            At the end, if not one frame could be decoded.
        """
        waiting = deque(self._thread.submit(self._next) for _ in range(self._ahead + 1))
        expected = 0
        while (frame := waiting.popleft().result()) is not None:
            self._note_skipped(expected, frame.index)
            expected = frame.index + 1
            waiting.append(self._thread.submit(self._next))
            yield frame
        if not expected:
            raise ImageError(f"{self.name}: not one frame of it can be decoded; the video is damaged")
        self._note_skipped(expected, self.count or 0)

    def _note_skipped(self, first: int, end: int) -> None:
        if first < end:
            self.skipped.append(range(first, end))

    def _next(self) -> Frame | None:
        for _ in range(1 if self._live else _GIVE_UP):
            decoded, image = self._capture.read()
            self._index += 1
            if decoded:
                self._time = self._next_time()
                return Frame(self._index - 1, self._time, image)
        return None

    def _next_time(self) -> float:
        told = time.monotonic() - self._began if self._live else self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
        if told > self._time:
            return told
        return max(self._time + 1 / self.fps, 0.0)  # some containers tell no times, or the same one twice


class VideoWriter:
    """Writes an .mp4 without sound; as a context manager, it is whole however the work ends, unless the process is killed outright.

    Frames go to a file in a hidden folder beside `path`, for an .mp4 cannot be played before it is finished; leaving the
    context finishes it and moves it to `path`, after an error or Ctrl-C too. Without any frame, nothing is written.

    Parameters
    ----------
    path : str or Path
        Ends in ``.mp4``. A file that is there is replaced.
    fps : float
    source : str, Path or int, optional
        What the frames are made from: it is never overwritten.

    Attributes
    ----------
    codec : str or None
        Of `CODECS`, known from the first frame on.
    frames : int
        Written so far.

    Raises
    ------
    OutputError
        If the path is the source's, the folder cannot be written, OpenCV writes none of the codecs, or, at the end, what
        was written cannot be read back (the disk is full).
    """

    def __init__(self, path: str | Path, fps: float, *, source: str | Path | int | None = None):
        self.path, self.fps = Path(path), fps
        if isinstance(source, str | Path) and self.path.exists() and self.path.samefile(source):
            raise OutputError(f"{self.path} is an input and would be overwritten; choose another folder or name")
        self.codec, self.frames = None, 0
        self._writer = self._size = self._folder = None

    def __enter__(self):
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._folder = tempfile.TemporaryDirectory(dir=self.path.parent, prefix=f".{self.path.name}.")
        except OSError as error:
            raise OutputError(f"{self.path}: cannot be written ({error.strerror or error}); choose another place") from error
        return self

    def write(self, image: np.ndarray) -> None:
        """Add a frame (H, W, 3) uint8: blue, green, red. The first sets the size; others are scaled to it.

        Codecs take even sizes only: the last column and row of an odd one are cut off.
        """
        if self._writer is None:
            self._size = image.shape[1::-1]
            self._writer, self.codec = self._open()
        if image.shape[1::-1] != self._size:  # OpenCV would drop it without a word
            image = cv2.resize(image, self._size, interpolation=cv2.INTER_AREA)
        self._writer.write(image)
        self.frames += 1

    def _open(self) -> tuple["cv2.VideoWriter", str]:
        with _quiet():
            for codec in CODECS:
                writer = cv2.VideoWriter(str(self._unfinished), cv2.VideoWriter_fourcc(*codec), self.fps, self._size)
                if writer.isOpened():
                    return writer, codec
        width, height = self._size
        raise OutputError(
            f"{self.path}: OpenCV writes no video of {width}x{height} pixels here, neither as {' nor as '.join(CODECS.values())}; "
            "install the package opencv-python, which has FFmpeg"
        )

    @property
    def _unfinished(self) -> Path:
        return Path(self._folder.name) / self.path.name

    def __exit__(self, *exception):
        with self._folder:
            if self._writer is None:
                return
            self._writer.release()
            if not _is_whole(self._unfinished):
                raise OutputError(f"{self.path}: the video could not be finished; is the disk full?")
            self._unfinished.replace(self.path)


def _open_capture(source: str | Path | int, name: str) -> "cv2.VideoCapture":
    if isinstance(source, int):
        advice = "cannot be opened; webcams count from 0, and another program may be using it"
    elif "://" in str(source):
        raise ImageError(f"{name}: is an address; download the video and give the file")
    elif not Path(source).is_file():
        raise ImageError(f"{name}: no such video file")
    else:
        advice = "not a video that OpenCV can decode, or a damaged one"
    with _quiet():
        capture = cv2.VideoCapture(source if isinstance(source, int) else str(source))
    if not capture.isOpened():
        raise ImageError(f"{name}: {advice}")
    return capture


def _is_whole(path: Path) -> bool:
    with _quiet():
        capture = cv2.VideoCapture(str(path))
    try:
        return capture.isOpened() and capture.read()[0]
    finally:
        capture.release()


@contextmanager
def _quiet() -> Iterator[None]:
    """OpenCV tells what it tries and why it fails on stderr; our error says it in one line."""
    logging = cv2.utils.logging
    before = logging.setLogLevel(logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        logging.setLogLevel(before)
