"""Read image sizes from file headers, without decoding: thousands of images per second."""

import struct
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from PIL import ExifTags, Image
from tqdm import tqdm

_SIDEWAYS = (5, 6, 7, 8)  # EXIF orientations that swap width and height


@dataclass(frozen=True)
class ImageHeaders:
    """Sizes of images, and the paths of missing and unreadable files.

    Parameters
    ----------
    sizes : mapping of str to (int, int)
        Path to (width, height) in pixels, after the EXIF rotation that `posekit.images.read_image` applies.
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
        unknown = (np.nan, np.nan)
        sizes = [self.sizes.get(path, unknown) for path in image_paths.tolist()]
        return np.array(sizes, dtype=np.float64).reshape(-1, 2)


def read_headers(image_paths: Iterable[str], *, progress: bool = False) -> ImageHeaders:
    """Read image sizes from the file headers.

    Parameters
    ----------
    image_paths : iterable of str
        A repeated path is read only once.
    progress : bool
        Whether to show a progress bar on stderr.
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
        warnings.simplefilter("ignore")  # ignore warnings about large images (not decoded here) and broken EXIF data
        with Image.open(path) as image:
            width, height = image.size
            return (height, width) if _orientation(image) in _SIDEWAYS else (width, height)


def _orientation(image: Image.Image) -> int | None:
    # image.getexif() would decode a PNG and read XMP data. OpenCV ignores both XMP and broken EXIF data, so this function must too.
    exif = Image.Exif()
    try:
        exif.load(image.info.get("exif", b""))
        return exif.get(ExifTags.Base.Orientation)
    except (OSError, SyntaxError, ValueError, TypeError, struct.error):
        return None
