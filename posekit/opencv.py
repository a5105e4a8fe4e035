"""Import OpenCV for all of posekit, with a helpful error message if a system library is missing."""

from posekit.errors import PosekitError

try:
    import cv2
except ImportError as error:
    raise PosekitError(
        f"OpenCV cannot be imported ({error}); install the missing system libraries "
        "(Debian, Ubuntu: apt-get install libgl1 libglib2.0-0), or replace the Python package: "
        "pip uninstall opencv-python; pip install opencv-python-headless"
    ) from error

# DataLoader workers already run in parallel, and OpenCV's thread pool does not survive a fork: a worker that used it would hang.
cv2.setNumThreads(1)

__all__ = ["cv2"]
