"""Write videos that can be played even if the program stops early."""

import tempfile
from pathlib import Path

import numpy as np

from posekit.errors import OutputError
from posekit.opencv import cv2
from posekit.prediction.video.reader import silent_opencv

# In order of preference: browsers play only H.264, but many builds of OpenCV cannot write H.264.
CODECS = {"avc1": "H.264", "mp4v": "MPEG-4 part 2"}


class VideoWriter:
    """Writes an .mp4 video without sound.

    Use the writer as a context manager, which finishes the video even after an error or Ctrl-C. An .mp4 file cannot be played
    before it is finished, so frames are first written to a file in a hidden folder next to `path`. On exit, that file is finished
    and moved to `path`. If no frame was written, no file is created.

    Parameters
    ----------
    path : str or Path
        Path of the video, ending in ``.mp4``. An existing file is overwritten.
    fps : float
        Frames per second.
    source : str, Path or int, optional
        The input video, which is never overwritten.

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
        with silent_opencv():
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
            if not _is_whole(self._unfinished):
                raise OutputError(f"{self.path}: the video could not be finished; check that the disk is not full")
            self._unfinished.replace(self.path)


def _is_whole(path: Path) -> bool:
    with silent_opencv():
        capture = cv2.VideoCapture(str(path))
    try:
        return capture.isOpened() and capture.read()[0]
    finally:
        capture.release()
