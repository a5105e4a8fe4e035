"""Read and write images, read image sizes, and import OpenCV for all of posekit.

Images are rotated according to their EXIF orientation. Error messages distinguish missing, empty, truncated and damaged files.
"""

import io
import struct
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from tqdm import tqdm

from posekit.errors import ImageError, PosekitError
from posekit.files import atomic_write

try:
    import cv2
except ImportError as error:
    raise PosekitError(
        f"OpenCV cannot be imported ({error}); install the missing system libraries "
        "(Debian, Ubuntu: apt-get install libgl1 libglib2.0-0), or replace the Python package: "
        "pip uninstall opencv-python; pip install opencv-python-headless"
    ) from error

# DataLoader workers already run in parallel, and OpenCV's thread pool makes forked workers hang.
cv2.setNumThreads(1)

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.JpegImagePlugin import JpegImageFile

_JPEG_START = b"\xff\xd8"
_JPEG_SCAN = b"\xff\xda"
_JPEG_END = b"\xff\xd9"
_PNG_START = b"\x89PNG\r\n\x1a\n"
_EXIF = b"Exif\0\0"
_ORIENTATION = 0x0112
_UPRIGHT = 1
_SIDEWAYS = (5, 6, 7, 8)  # EXIF orientations that swap width and height
# A JPEG can be decoded at 1/2, 1/4 or 1/8 of its resolution. At least 1.5 times the needed resolution is decoded; below that,
# crops were blurred and PCK fell by 0.3.
_SPARE = 1.5
_REDUCED = {8: cv2.IMREAD_REDUCED_COLOR_8, 4: cv2.IMREAD_REDUCED_COLOR_4, 2: cv2.IMREAD_REDUCED_COLOR_2}

LARGE = 100_000_000
"""Number of pixels (300 MB as 8-bit colour) above which `read_reduced_image` downscales images if a lower resolution is enough."""
MOST = 2**29
"""Largest number of pixels of an image that `read_reduced_image` accepts."""


@dataclass(frozen=True)
class ReducedImage:
    """An image, possibly at a lower resolution than the image file.

    Parameters
    ----------
    image : (h, w, 3) uint8
        BGR.
    reduction : int
        Downscaling factor along each axis: pixel (x, y) of `image` lies at ``reduction * (x, y) + (reduction - 1) / 2`` in the
        full image.
    width, height : int
        Size of the full image in pixels, after the EXIF rotation.
    """

    image: np.ndarray
    reduction: int
    width: int
    height: int


def read_image(path: str | Path) -> np.ndarray:
    """Read an image as 8-bit colour, rotated according to its EXIF orientation: (H, W, 3) uint8, BGR.

    A grey image gets three equal channels, 16-bit values are converted to 8 bits, and an alpha channel is discarded.

    Raises
    ------
    ImageError
        If the file is missing, cannot be read, is truncated, or is not an image that OpenCV can decode.
    """
    return decode_image(read_data(path), str(path))


def read_reduced_image(path: str | Path, resolution: float) -> ReducedImage:
    """Read an image like `read_image`, but downscale an image of more than `LARGE` pixels if a lower resolution is enough.

    Parameters
    ----------
    path : str or Path
    resolution : float
        Needed resolution relative to the full image (0.5: half the width and height). A downscaled image has at least 1.5 times
        the needed resolution.

    Returns
    -------
    ReducedImage : a large JPEG without EXIF rotation is decoded at a lower resolution; other large images are downscaled after
        decoding.

    Raises
    ------
    ImageError
        As in `read_image`, or if the header states more than `MOST` pixels (such an image is not decoded).
    """
    data = read_data(path)
    name = str(path)
    width, height = _header_size(data)
    if width * height > MOST:
        raise ImageError(f"{name}: the header states {width:,} x {height:,} pixels, more than the limit {MOST:,}; downscale it")
    if width * height > LARGE:
        image, reduction = decode_reduced(data, name, resolution)
        if reduction > 1:
            return ReducedImage(image, reduction, width, height)
    else:
        image = decode_image(data, name)
    height, width = image.shape[:2]
    reduced = ReducedImage(image, 1, width, height)
    return reduce_image(reduced, _choose_reduction(resolution)) if width * height > LARGE else reduced


def reduce_image(image: ReducedImage, reduction: int) -> ReducedImage:
    """Downscale an image by a further factor `reduction`; rows and columns that do not fill a whole new pixel are cut off."""
    rows = image.image.shape[0] // reduction
    columns = image.image.shape[1] // reduction
    if reduction == 1 or not (rows and columns):
        return image
    pixels = image.image[: rows * reduction, : columns * reduction]
    pixels = cv2.resize(pixels, (columns, rows), interpolation=cv2.INTER_AREA)
    return replace(image, image=pixels, reduction=image.reduction * reduction)


def read_data(path: str | Path) -> np.ndarray:
    """Read the bytes of an image file, (bytes,) uint8; raise `ImageError` if the file is missing or cannot be read."""
    try:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123, creating a Path takes as long as reading the file
            return np.frombuffer(file.read(), np.uint8)
    except FileNotFoundError:
        raise ImageError(f"{path}: no such image file") from None
    except OSError as error:
        raise ImageError(f"{path}: cannot be read ({error.strerror})") from error


def decode_image(data: np.ndarray, name: str) -> np.ndarray:
    """Decode the bytes of an image file, (bytes,) uint8, as `read_image` does; `name` is the image's name in error messages."""
    return _decode(data, name, cv2.IMREAD_COLOR)


def decode_reduced(data: np.ndarray, name: str, resolution: float) -> tuple[np.ndarray, int]:
    """Decode an image; a JPEG without EXIF rotation is decoded at a lower resolution if that is enough.

    Parameters
    ----------
    data : (bytes,) uint8
    name : str
        Name of the image in error messages.
    resolution : float
        Needed resolution relative to the full image (0.5: half the width and height).

    Returns
    -------
    image : (H, W, 3) uint8
        BGR, possibly downscaled.
    reduction : {1, 2, 4, 8}
        Downscaling factor along each axis. If above 1, `image` has at least 1.5 times the needed resolution, starts at the top
        left corner of the full image, and has its width and height rounded up.
    """
    reduction = _choose_reduction(resolution)
    if reduction == 1 or not _is_upright_jpeg(data):
        return decode_image(data, name), 1
    return _decode(data, name, _REDUCED[reduction]), reduction


def _choose_reduction(resolution: float) -> int:
    return next((reduction for reduction in _REDUCED if _SPARE * reduction * resolution <= 1), 1)


def _is_upright_jpeg(data: np.ndarray) -> bool:
    head = data[: 2**16].tobytes()
    if not head.startswith(_JPEG_START) or _EXIF not in head:
        return head.startswith(_JPEG_START)
    try:
        return _jpeg_header(data).getexif().get(_ORIENTATION, _UPRIGHT) == _UPRIGHT
    except (OSError, SyntaxError, ValueError):
        return False  # decoding the full image reports the damage


def _header_size(data: np.ndarray) -> tuple[int, int]:
    """Return (width, height) from the header of a PNG or JPEG, before the EXIF rotation; (0, 0) for other files."""
    start = data[:24].tobytes()
    if start.startswith(_PNG_START):
        return int.from_bytes(start[16:20], "big"), int.from_bytes(start[20:24], "big")
    if not start.startswith(_JPEG_START):
        return 0, 0
    try:
        return _jpeg_header(data).size
    except (OSError, SyntaxError, ValueError):
        return 0, 0  # decoding the full image reports the damage


def _jpeg_header(data: np.ndarray) -> "JpegImageFile":
    # Image.open would reject large images, although nothing is decoded here.
    from PIL.JpegImagePlugin import JpegImageFile

    return JpegImageFile(io.BytesIO(data.tobytes()))


def _decode(data: np.ndarray, name: str, flag: int) -> np.ndarray:
    if not data.size:
        raise ImageError(f"{name}: the file is empty")
    _require_complete(data, name)
    try:
        image = cv2.imdecode(data, flag)
    except cv2.error as error:  # the header states more pixels than OpenCV allows
        raise ImageError(f"{name}: the image is damaged, or too large for OpenCV ({error.err})") from error
    if image is None:
        raise ImageError(f"{name}: the file is damaged, or not an image that OpenCV can decode")
    return image


def _require_complete(data: np.ndarray, name: str) -> None:
    """Raise `ImageError` for a truncated JPEG, which OpenCV 4 decodes to a half-grey image without an error."""
    tail = data[-1024:].tobytes()
    # A complete JPEG has an end marker after the last scan; an embedded thumbnail has its own end marker before the image's scan.
    if data[:2].tobytes() != _JPEG_START or tail.rfind(_JPEG_END) > tail.rfind(_JPEG_SCAN):
        return
    # Some cameras append data to the image, so only a strict decoder (Pillow) shows whether the JPEG is complete.
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # ignore warnings about large images
            Image.open(io.BytesIO(data.tobytes())).load()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ImageError(f"{name}: truncated or damaged JPEG ({error})") from error


@dataclass(frozen=True)
class ImageHeaders:
    """Sizes of images, and the paths of missing and unreadable files.

    Parameters
    ----------
    sizes : mapping of str to (int, int)
        Path to (width, height) in pixels, after the EXIF rotation that `read_image` applies.
    missing : tuple of str
        Paths that do not exist.
    unreadable : tuple of str
        Paths of files that are damaged or not images.
    """

    sizes: Mapping[str, tuple[int, int]]
    missing: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()

    def sizes_of(self, image_paths: np.ndarray) -> np.ndarray:
        """Return the width and height of each of N images: (N, 2) float64, NaN where unknown."""
        sizes = [self.sizes.get(path, (np.nan, np.nan)) for path in image_paths.tolist()]
        return np.array(sizes, dtype=np.float64).reshape(-1, 2)


def read_headers(image_paths: Iterable[str], *, progress: bool = False) -> ImageHeaders:
    """Read image sizes from the file headers, without decoding: thousands of images per second.

    A repeated path is read only once. `progress` shows a progress bar on stderr.
    """
    from PIL import Image

    sizes = {}
    missing = []
    unreadable = []
    paths = dict.fromkeys(map(str, image_paths))
    for path in tqdm(paths, desc="images", unit="", disable=not progress):
        try:
            sizes[path] = _read_size(path)
        except FileNotFoundError:
            missing.append(path)
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):  # raised by PIL for damaged files
            unreadable.append(path)
    return ImageHeaders(sizes, tuple(missing), tuple(unreadable))


def _read_size(path: str) -> tuple[int, int]:
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ignore warnings about large images (not decoded here) and broken EXIF data
        with Image.open(path) as image:
            width, height = image.size
            return (height, width) if _orientation(image) in _SIDEWAYS else (width, height)


def _orientation(image: "Image") -> int | None:
    # image.getexif() would decode a PNG and read XMP data. OpenCV ignores XMP and broken EXIF data; so must posekit.
    from PIL.Image import Exif

    exif = Exif()
    try:
        exif.load(image.info.get("exif", b""))
        return exif.get(_ORIENTATION)
    except (OSError, SyntaxError, ValueError, TypeError, struct.error):
        return None


def write_image(path: str | Path, image: np.ndarray) -> None:
    """Write an image, (H, W, 3) uint8 BGR, as PNG; raise `OutputError` if the file cannot be written."""
    with atomic_write(path) as unfinished:
        unfinished.write_bytes(cv2.imencode(".png", image)[1].tobytes())
