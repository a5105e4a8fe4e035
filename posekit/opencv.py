"""Import of OpenCV for all of posekit, with one explanation if a system library is missing."""

from posekit.errors import PosekitError

try:
    import cv2
except ImportError as error:
    raise PosekitError(
        f"OpenCV cannot be imported ({error}). In a slim container install the system package libgl1 "
        "(Debian, Ubuntu: apt-get install libgl1 libglib2.0-0), or replace the Python package: "
        "pip uninstall opencv-python; pip install opencv-python-headless"
    ) from error

# The loader's workers run in parallel. OpenCV's own thread pool does not survive their fork: a worker using it would hang.
cv2.setNumThreads(1)

__all__ = ["cv2"]
