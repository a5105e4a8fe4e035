"""Image sizes from file headers: nothing is decoded, thousands of images take a second."""

import struct
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from PIL import ExifTags, Image
from tqdm import tqdm

_SIDEWAYS = (5, 6, 7, 8)  # EXIF orientations that exchange width and height


@dataclass(frozen=True)
class ImageHeaders:
    """Sizes of images, and which files are missing or unreadable.

    Parameters
    ----------
    sizes : mapping of str to (int, int)
        Path to (width, height) in pixels, after the rotation that `posekit.images.read_image` applies.
    missing : tuple of str
        Paths that do not exist.
    unreadable : tuple of str
        Paths of damaged files and of files that are no images.
    """

    sizes: Mapping[str, tuple[int, int]]
    missing: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()

    def sizes_of(self, image_paths: np.ndarray) -> np.ndarray:
        """Return (N, 2) float64: width and height of each of (N,) images, NaN where unknown."""
        unknown = (np.nan, np.nan)
        sizes = [self.sizes.get(path, unknown) for path in image_paths.tolist()]
        return np.array(sizes, dtype=np.float64).reshape(-1, 2)


def read_headers(image_paths: Iterable[str], *, progress: bool = False) -> ImageHeaders:
    """Read image sizes from the headers.

    Parameters
    ----------
    image_paths : iterable of str
        Repeated paths are read once.
    progress : bool
        Show a progress bar on stderr.
    """
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
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about large images, though nothing is decoded, and about broken EXIF data
        with Image.open(path) as image:
            width, height = image.size
            return (height, width) if _orientation(image) in _SIDEWAYS else (width, height)


def _orientation(image: Image.Image) -> int | None:
    # Not image.getexif(): it decodes a PNG and reads XMP, which OpenCV ignores. OpenCV also ignores broken EXIF data.
    exif = Image.Exif()
    try:
        exif.load(image.info.get("exif", b""))
        return exif.get(ExifTags.Base.Orientation)
    except (OSError, SyntaxError, ValueError, TypeError, struct.error):
        return None
