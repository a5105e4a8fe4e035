"""Write videos that can be played even if the work stops early."""

import tempfile
from pathlib import Path

import numpy as np

from posekit.errors import OutputError
from posekit.opencv import cv2
from posekit.prediction.video.reader import silent_opencv

# In order of preference: browsers play only the first, but many builds of OpenCV cannot write it.
CODECS = {"avc1": "H.264", "mp4v": "MPEG-4 part 2"}


class VideoWriter:
    """Writes an .mp4 without sound. Use it as a context manager: the video is finished even after an error or Ctrl-C.

    An .mp4 cannot be played before it is finished. So frames go to a file in a hidden folder beside `path`; leaving the context
    finishes that file and moves it to `path`. Without frames, nothing is written.

    Parameters
    ----------
    path : str or Path
        Ends in ``.mp4``. An existing file is replaced.
    fps : float
    source : str, Path or int, optional
        The input video, which is never overwritten.

    Attributes
    ----------
    codec : str or None
        One of `CODECS`, known from the first frame on.
    frames : int
        Number of frames written so far.

    Raises
    ------
    OutputError
        If the path is the source's, the folder cannot be written, OpenCV can write none of the codecs, or, at the end, the file
        cannot be read back (the disk is full).
    """

    def __init__(self, path: str | Path, fps: float, *, source: str | Path | int | None = None):
        self.path = Path(path)
        self.fps = fps
        if isinstance(source, str | Path) and self.path.exists() and self.path.samefile(source):
            raise OutputError(f"{self.path} is an input and would be overwritten; choose another folder or name")
        self.codec: str | None = None
        self.frames = 0
        self._writer: cv2.VideoWriter | None = None
        self._size = (0, 0)

    def __enter__(self) -> "VideoWriter":
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._folder = tempfile.TemporaryDirectory(dir=self.path.parent, prefix=f".{self.path.name}.")
        except OSError as error:
            raise OutputError(f"{self.path}: cannot be written ({error.strerror or error}); choose another place") from error
        self._unfinished = Path(self._folder.name) / self.path.name
        return self

    def write(self, image: np.ndarray) -> None:
        """Add a frame (H, W, 3) uint8: blue, green, red. The first one sets the size; others are scaled to it.

        Codecs take even sizes only: the last column and row of an odd size are cut off.
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
        with silent_opencv():
            for codec in CODECS:
                writer = cv2.VideoWriter(str(self._unfinished), cv2.VideoWriter.fourcc(*codec), self.fps, self._size)
                if writer.isOpened():
                    self.codec = codec
                    return writer
        width, height = self._size
        raise OutputError(
            f"{self.path}: OpenCV cannot write a video of {width}x{height} pixels here, neither as "
            f"{' nor as '.join(CODECS.values())}; install the package opencv-python, which has FFmpeg"
        )

    def __exit__(self, *exception: object) -> None:
        with self._folder:
            if self._writer is None:
                return
            self._writer.release()
            if not _is_whole(self._unfinished):
                raise OutputError(f"{self.path}: the video could not be finished; is the disk full?")
            self._unfinished.replace(self.path)


def _is_whole(path: Path) -> bool:
    with silent_opencv():
        capture = cv2.VideoCapture(str(path))
    try:
        return capture.isOpened() and capture.read()[0]
    finally:
        capture.release()
