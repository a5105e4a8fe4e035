"""Read images as they are shown, with one clear error for each way in which a file can be bad; write images."""

import io
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from posekit.errors import ImageError
from posekit.files import atomic_write
from posekit.opencv import cv2

if TYPE_CHECKING:
    from PIL.JpegImagePlugin import JpegImageFile

_JPEG_START = b"\xff\xd8"
_JPEG_SCAN = b"\xff\xda"
_JPEG_END = b"\xff\xd9"
_JPEG_TAIL = 1024  # bytes in which the end of a complete JPEG is searched
_PNG_START = b"\x89PNG\r\n\x1a\n"
_EXIF = b"Exif\0\0"
_EXIF_WITHIN = 2**16
_ORIENTATION = 0x0112
_UPRIGHT = 1
# A JPEG's blocks of 8x8 pixels can be decoded to fewer pixels. With less spare resolution crops get blurred: PCK fell by 0.3.
_SPARE = 1.5
_REDUCED = {8: cv2.IMREAD_REDUCED_COLOR_8, 4: cv2.IMREAD_REDUCED_COLOR_4, 2: cv2.IMREAD_REDUCED_COLOR_2}

LARGE = 100_000_000
"""Images of more pixels (300 MB) are reduced to what is needed."""
MOST = 2**29
"""Images of more pixels are refused."""


@dataclass(frozen=True)
class ReducedImage:
    """An image that may have fewer pixels than its file.

    Parameters
    ----------
    image : (h, w, 3) uint8
        Blue, green, red.
    reduction : int
        Factor between the file's pixels and `image`'s, along each axis: pixel (x, y) of `image` lies at
        ``reduction * (x, y) + (reduction - 1) / 2`` in the file's image.
    width, height : int
        Size of the file's image as shown, in its own pixels.
    """

    image: np.ndarray
    reduction: int
    width: int
    height: int


def read_image(path: str | Path) -> np.ndarray:
    """Read an image as 8-bit colour, rotated according to its EXIF orientation.

    Grey is repeated over the channels, 16 bits are reduced to 8, an alpha channel is dropped.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    (H, W, 3) uint8, in OpenCV's order of channels (blue, green, red).

    Raises
    ------
    ImageError
        If the file is missing, cannot be read, is truncated, or is no image that OpenCV knows.
    """
    return decode_image(read_data(path), str(path))


def read_reduced_image(path: str | Path, resolution: float) -> ReducedImage:
    """Read an image like `read_image`, but reduce one of more than `LARGE` pixels if fewer are needed.

    Parameters
    ----------
    path : str or Path
    resolution : float
        Pixels needed per pixel of the file's image, along each axis; a reduced image has at least 1.5 times as many.

    Returns
    -------
    ReducedImage : a large upright JPEG is decoded to fewer pixels; other large images are reduced after decoding.

    Raises
    ------
    ImageError
        As in `read_image`, or if the header claims more than `MOST` pixels; nothing is decoded then.
    """
    data = read_data(path)
    name = str(path)
    width, height = _header_size(data)
    if width * height > MOST:
        raise ImageError(f"{name}: claims to have {width:,} x {height:,} pixels, more than the limit of {MOST:,}; make it smaller")
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
    """Reduce an image further by a factor; incomplete pixels at the right and bottom are cut off."""
    rows = image.image.shape[0] // reduction
    columns = image.image.shape[1] // reduction
    if reduction == 1 or not (rows and columns):
        return image
    pixels = image.image[: rows * reduction, : columns * reduction]
    pixels = cv2.resize(pixels, (columns, rows), interpolation=cv2.INTER_AREA)
    return replace(image, image=pixels, reduction=image.reduction * reduction)


def read_data(path: str | Path) -> np.ndarray:
    """Read an image file's bytes, (bytes,) uint8; raise `ImageError` if it is missing or cannot be read."""
    try:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123, a Path takes as long as the reading
            return np.frombuffer(file.read(), np.uint8)
    except FileNotFoundError:
        raise ImageError(f"{path}: no such image") from None
    except OSError as error:
        raise ImageError(f"{path}: cannot be read ({error.strerror})") from error


def decode_image(data: np.ndarray, name: str) -> np.ndarray:
    """Decode an image file's bytes; see `read_image`.

    Parameters
    ----------
    data : (bytes,) uint8
    name : str
        Name of the image in error messages.
    """
    return _decode(data, name, cv2.IMREAD_COLOR)


def decode_reduced(data: np.ndarray, name: str, resolution: float) -> tuple[np.ndarray, int]:
    """Decode an image; an upright JPEG to no more pixels than needed.

    Parameters
    ----------
    data : (bytes,) uint8
    name : str
        Name of the image in error messages.
    resolution : float
        Pixels needed per pixel of the file's image, along each axis.

    Returns
    -------
    image : (H, W, 3) uint8
        As from `decode_image`, or smaller.
    reduction : {1, 2, 4, 8}
        Factor between the file's pixels and `image`'s, along each axis; if above 1, at least 1.5 times the needed pixels are
        left. Counted from the top left corner: incomplete pixels at the right and bottom are kept.
    """
    reduction = _choose_reduction(resolution)
    if reduction == 1 or not _is_upright_jpeg(data):
        return decode_image(data, name), 1
    return _decode(data, name, _REDUCED[reduction]), reduction


def _choose_reduction(resolution: float) -> int:
    return next((reduction for reduction in _REDUCED if _SPARE * reduction * resolution <= 1), 1)


def _is_upright_jpeg(data: np.ndarray) -> bool:
    head = data[:_EXIF_WITHIN].tobytes()
    if not head.startswith(_JPEG_START) or _EXIF not in head:
        return head.startswith(_JPEG_START)
    try:
        return _jpeg_header(data).getexif().get(_ORIENTATION, _UPRIGHT) == _UPRIGHT
    except (OSError, SyntaxError, ValueError):
        return False  # the full decoding reports what is wrong


def _header_size(data: np.ndarray) -> tuple[int, int]:
    """Width and height in the header of a PNG or a JPEG (before rotation); 0, 0 for other files."""
    start = data[:24].tobytes()
    if start.startswith(_PNG_START):
        return int.from_bytes(start[16:20], "big"), int.from_bytes(start[20:24], "big")
    if not start.startswith(_JPEG_START):
        return 0, 0
    try:
        return _jpeg_header(data).size
    except (OSError, SyntaxError, ValueError):
        return 0, 0  # the full decoding reports what is wrong


def _jpeg_header(data: np.ndarray) -> "JpegImageFile":
    # Not Image.open: it refuses large images, though nothing is decoded.
    from PIL.JpegImagePlugin import JpegImageFile

    return JpegImageFile(io.BytesIO(data.tobytes()))


def _decode(data: np.ndarray, name: str, flag: int) -> np.ndarray:
    if not data.size:
        raise ImageError(f"{name}: the file is empty")
    _require_complete(data, name)
    try:
        image = cv2.imdecode(data, flag)
    except cv2.error as error:  # a header that claims more pixels than OpenCV allows
        raise ImageError(f"{name}: damaged, or too large for OpenCV ({error.err})") from error
    if image is None:
        raise ImageError(f"{name}: damaged, or not an image that OpenCV can decode")
    return image


def _require_complete(data: np.ndarray, name: str) -> None:
    """Raise `ImageError` for a truncated JPEG, which OpenCV 4 decodes to a half-grey image without an error."""
    tail = data[-_JPEG_TAIL:].tobytes()
    # The end must follow the last scan: an embedded thumbnail has an end of its own before the image's scan.
    if data[:2].tobytes() != _JPEG_START or tail.rfind(_JPEG_END) > tail.rfind(_JPEG_SCAN):
        return
    # Some cameras append data after the image: only a full decoding by a strict reader is conclusive.
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about large images
            Image.open(io.BytesIO(data.tobytes())).load()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ImageError(f"{name}: truncated or damaged JPEG ({error})") from error


def write_image(path: str | Path, image: np.ndarray) -> None:
    """Write an image as PNG, atomically.

    Parameters
    ----------
    path : str or Path
    image : (H, W, 3) uint8
        Blue, green, red.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    with atomic_write(path) as unfinished:
        unfinished.write_bytes(cv2.imencode(".png", image)[1].tobytes())
