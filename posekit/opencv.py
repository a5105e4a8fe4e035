"""OpenCV, imported in one place so that a missing system library is explained once."""

from posekit.errors import PosekitError

try:
    import cv2
except ImportError as error:
    raise PosekitError(
        f"OpenCV does not load ({error}). On a slim container install the system package libgl1 "
        "(Debian, Ubuntu: apt-get install libgl1 libglib2.0-0), or replace the Python package: "
        "pip uninstall opencv-python; pip install opencv-python-headless"
    ) from error

# Parallelism comes from the loader's workers. OpenCV's own thread pool does not survive their fork: a
# worker that used it would wait forever.
cv2.setNumThreads(1)

__all__ = ["cv2"]
