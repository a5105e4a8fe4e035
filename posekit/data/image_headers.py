"""Sizes of photographs, from their headers: nothing is decoded, thousands take a second."""

import struct
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from PIL import ExifTags, Image
from tqdm import tqdm

# EXIF orientations that exchange width and height.
_ON_ITS_SIDE = (5, 6, 7, 8)


@dataclass(frozen=True)
class Photographs:
    """What the headers of some photographs say.

    Parameters
    ----------
    sizes : mapping of str to (int, int)
        Path to (width, height) in pixels, turned as `posekit.images.read_image` turns the photograph.
    missing : tuple of str
        Paths that do not exist.
    unreadable : tuple of str
        Paths of files that are no photographs, or damaged ones.
    """

    sizes: Mapping[str, tuple[int, int]]
    missing: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()

    def sizes_of(self, images: np.ndarray) -> np.ndarray:
        """(N, 2) float64: width and height of each person's photograph, NaN where they are not known.

        Parameters
        ----------
        images : (N,) str
        """
        unknown = (np.nan, np.nan)
        return np.array([self.sizes.get(image, unknown) for image in images.tolist()], dtype=np.float64).reshape(-1, 2)


def read_headers(images: Iterable[str], *, progress: bool = False) -> Photographs:
    """Find the photographs that are there, and their sizes.

    Parameters
    ----------
    images : iterable of str
        Paths; each is looked at once.
    progress : bool
        Show a bar on stderr.
    """
    sizes, missing, unreadable = {}, [], []
    for image in tqdm(dict.fromkeys(map(str, images)), desc="photographs", unit="", disable=not progress):
        try:
            sizes[image] = _size(image)
        except FileNotFoundError:
            missing.append(image)
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):  # what PIL raises for damaged files
            unreadable.append(image)
    return Photographs(sizes, tuple(missing), tuple(unreadable))


def _size(path: str) -> tuple[int, int]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about large pictures, though nothing is decoded, and about broken EXIF data
        with Image.open(path) as image:
            width, height = image.size
            return (height, width) if _orientation(image) in _ON_ITS_SIDE else (width, height)


def _orientation(image: Image.Image) -> int | None:
    # Not image.getexif(): it decodes a PNG, and heeds XMP, which OpenCV does not. OpenCV passes over broken EXIF data.
    exif = Image.Exif()
    try:
        exif.load(image.info.get("exif", b""))
        return exif.get(ExifTags.Base.Orientation)
    except (
        OSError,
        SyntaxError,
        ValueError,
        TypeError,
        struct.error,
    ):  # OpenCV shows a picture with broken EXIF data as it is stored
        return None
