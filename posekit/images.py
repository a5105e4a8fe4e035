"""Reading photographs as they are shown, with one clear error for each way in which a file can be bad; writing pictures."""

import io
import warnings
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from posekit.errors import ImageError
from posekit.files import atomic_write
from posekit.opencv import cv2

# A complete JPEG has its end behind its last scan; OpenCV 4 decodes a truncated one to a half-grey picture without a word.
_JPEG_START, _JPEG_SCAN, _JPEG_END = b"\xff\xd8", b"\xff\xda", b"\xff\xd9"
_TAIL = 1024
# A JPEG's blocks of 8x8 pixels can be decoded to fewer. With less to spare, crops get blurred: a model's PCK fell by 0.3.
_SPARE = 1.5
_REDUCED = {8: cv2.IMREAD_REDUCED_COLOR_8, 4: cv2.IMREAD_REDUCED_COLOR_4, 2: cv2.IMREAD_REDUCED_COLOR_2}
_EXIF, _EXIF_WITHIN, _ORIENTATION, _UPRIGHT = b"Exif\0\0", 2**16, 0x0112, 1
_PNG_START = b"\x89PNG\r\n\x1a\n"
LARGE, MOST = 100_000_000, 2**29
"""Of a photograph of more pixels than `LARGE` (300 MB), none are kept that nobody needs; one of more than `MOST` is refused."""


@dataclass(frozen=True)
class Photograph:
    """A photograph that was read for what is in it, perhaps with fewer pixels than it has.

    Parameters
    ----------
    image : (h, w, 3) uint8
        Blue, green, red.
    reduction : {1, 2, 4, 8}
        How many of the photograph's pixels one of `image` stands for, along each axis: its pixel (x, y) lies at
        ``reduction * (x, y) + (reduction - 1) / 2`` in the photograph.
    width, height : int
        Of the photograph as shown, in its own pixels.
    """

    image: np.ndarray
    reduction: int
    width: int
    height: int


def read_image(path: str | Path) -> np.ndarray:
    """Read a photograph as 8-bit colour, turned as its EXIF orientation says.

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


def read_photograph(path: str | Path, resolution: float) -> Photograph:
    """Read a photograph as `read_image` does, but one of more than `LARGE` pixels smaller where so many are not needed.

    Parameters
    ----------
    path : str or Path
    resolution : float
        Pixels that are needed along each of the photograph's; of a large one, at least 1.5 times as many are kept.

    Returns
    -------
    Photograph : of a large upright JPEG, the other pixels are never made; other large pictures are shrunk after decoding.

    Raises
    ------
    ImageError
        As of `read_image`, or if its header claims more than `MOST` pixels: nothing is decoded then.
    """
    data, name = read_data(path), str(path)
    width, height = _header_size(data)
    if width * height > MOST:
        raise ImageError(f"{name}: claims to have {width:,} x {height:,} pixels; at most {MOST:,} are read, make it smaller")
    if width * height > LARGE:
        image, reduction = decode_reduced(data, name, resolution)
        if reduction > 1:
            return Photograph(image, reduction, width, height)
    else:
        image = decode_image(data, name)
    height, width = image.shape[:2]
    return shrunk(Photograph(image, 1, width, height), _reduction(resolution) if width * height > LARGE else 1)


def shrunk(photograph: Photograph, reduction: int) -> Photograph:
    """The same with a `reduction` that is so many times larger; what is left at the right and below is cut off."""
    rows, columns = (length // reduction for length in photograph.image.shape[:2])
    if reduction == 1 or not (rows and columns):
        return photograph
    whole = photograph.image[: rows * reduction, : columns * reduction]
    image = cv2.resize(whole, (columns, rows), interpolation=cv2.INTER_AREA)
    return replace(photograph, image=image, reduction=photograph.reduction * reduction)


def read_data(path: str | Path) -> np.ndarray:
    """The bytes of a picture's file, (bytes,) uint8; `ImageError` if it is missing or cannot be read."""
    try:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123, a Path takes as long as the reading
            return np.frombuffer(file.read(), np.uint8)
    except FileNotFoundError:
        raise ImageError(f"{path}: no such image") from None
    except OSError as error:
        raise ImageError(f"{path}: cannot be read ({error.strerror})") from error


def decode_image(data: np.ndarray, name: str) -> np.ndarray:
    """Decode an encoded picture; see `read_image`.

    Parameters
    ----------
    data : (bytes,) uint8
    name : str
        What the error calls it.
    """
    return _decoded(data, name, cv2.IMREAD_COLOR)


def decode_reduced(data: np.ndarray, name: str, resolution: float) -> tuple[np.ndarray, int]:
    """Decode a picture of which fewer pixels are needed than it has: of a JPEG, no more are made.

    Parameters
    ----------
    data : (bytes,) uint8
    name : str
        What the error calls it.
    resolution : float
        Pixels that are needed along each of the picture's.

    Returns
    -------
    image : (H, W, 3) uint8
        As of `decode_image`, or smaller.
    reduction : {1, 2, 4, 8}
        How many of the picture's pixels one of `image` stands for, along each axis; where it is above 1, at least 1.5 are left for
        each one needed. Counted from the top left corner: what is left at the right and below is a pixel too.
    """
    reduction = _reduction(resolution)
    if reduction == 1 or not _is_upright_jpeg(data):
        return decode_image(data, name), 1
    return _decoded(data, name, _REDUCED[reduction]), reduction


def _reduction(resolution: float) -> int:
    return next((reduction for reduction in _REDUCED if _SPARE * reduction * resolution <= 1), 1)


def _is_upright_jpeg(data: np.ndarray) -> bool:
    head = data[:_EXIF_WITHIN].tobytes()
    if not head.startswith(_JPEG_START) or _EXIF not in head:
        return head.startswith(_JPEG_START)
    try:
        return _jpeg_header(data).getexif().get(_ORIENTATION, _UPRIGHT) == _UPRIGHT
    except (OSError, SyntaxError, ValueError):
        return False  # the full decode tells what is wrong


def _header_size(data: np.ndarray) -> tuple[int, int]:
    """Width and height that the header of a JPEG (before it is turned) or a PNG tells; 0, 0 of anything else."""
    start = data[:24].tobytes()
    if start.startswith(_PNG_START):
        return int.from_bytes(start[16:20], "big"), int.from_bytes(start[20:24], "big")
    if not start.startswith(_JPEG_START):
        return 0, 0
    try:
        return _jpeg_header(data).size
    except (OSError, SyntaxError, ValueError):
        return 0, 0  # the full decode tells what is wrong


def _jpeg_header(data: np.ndarray):
    # Not Image.open: it refuses large pictures, though nothing is decoded.
    from PIL.JpegImagePlugin import JpegImageFile

    return JpegImageFile(io.BytesIO(data.tobytes()))


def _decoded(data: np.ndarray, name: str, flag: int) -> np.ndarray:
    if not data.size:
        raise ImageError(f"{name}: the file is empty")
    _require_whole(data, name)
    try:
        image = cv2.imdecode(data, flag)
    except cv2.error as error:  # a header that claims more pixels than OpenCV allows
        raise ImageError(f"{name}: a damaged image, or one too large for OpenCV ({error.err})") from error
    if image is None:
        raise ImageError(f"{name}: not an image that OpenCV can decode, or a damaged one")
    return image


def write_image(path: str | Path, image: np.ndarray) -> None:
    """Write a picture as PNG, whole or not at all.

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


def _require_whole(data: np.ndarray, name: str) -> None:
    tail = data[-_TAIL:].tobytes()
    # An embedded thumbnail has an end of its own, before the picture's scan.
    if data[:2].tobytes() != _JPEG_START or tail.rfind(_JPEG_END) > tail.rfind(_JPEG_SCAN):
        return
    # Some cameras append data behind the picture: only a full decode by a strict reader can tell.
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about large pictures
            Image.open(io.BytesIO(data.tobytes())).load()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ImageError(f"{name}: truncated or damaged JPEG ({error})") from error
