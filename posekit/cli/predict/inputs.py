"""Inputs of `posekit predict`: images, videos, and the boxes of people in each image."""

import glob
import re
from collections.abc import Sequence
from pathlib import Path

from posekit.cli.predict import PICTURES
from posekit.errors import ConfigError, ImageError
from posekit.geometry import Box
from posekit.scoring.io.boxes import boxes_of, read_boxes

# Includes formats that OpenCV may not decode: such files in a folder are reported instead of silently ignored.
_IMAGES = {
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".dib", ".tif", ".tiff", ".jp2", ".gif", ".avif", ".heic", ".heif",
    ".ppm", ".pgm", ".pbm", ".pnm",
}  # fmt: skip
_VIDEOS = {".mp4", ".mov", ".m4v", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv"}
_URL = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
_PATTERN = re.compile(r"[*?[]")


def split_videos(inputs: Sequence[str]) -> tuple[list[str], list[str | int]]:
    """Separate the inputs into images and videos.

    Returns
    -------
    images : list of str
        Images, folders and patterns.
    videos : list of str or int
        Video files, and the numbers of webcams.
    """
    images = []
    videos: list[str | int] = []
    for text in inputs:
        if text.isdecimal() and not Path(text).exists():
            videos.append(int(text))
        elif Path(text).suffix.lower() in _VIDEOS and not _URL.match(text):
            videos.append(text)
        else:
            images.append(text)
    return images, videos


def find_images(inputs: Sequence[str]) -> list[Path]:
    """List the image files in the inputs, with folders and patterns expanded in natural order; each file is listed once.

    Parameters
    ----------
    inputs : sequence of str
        Paths of images, folders and patterns. A missing image file raises no error here, but when the image is read.

    Raises
    ------
    ConfigError
        If an input is a URL.
    ImageError
        If a folder has no images or cannot be read, or no file matches a pattern.
    """
    for text in inputs:
        if _URL.match(text):
            raise ConfigError(f"{text}: URLs are not supported; download the file and give its path")
    images: dict[Path, Path] = {}
    for text in inputs:
        try:
            for path in _expand(text):
                images.setdefault(path.absolute(), path)
        except OSError as error:
            raise ImageError(f"{text}: cannot be read ({error.strerror})") from error
    return list(images.values())


def find_boxes(
    images: Sequence[Path], boxes: Sequence[Box] | None, boxes_file: Path | None, *, min_score: float
) -> Sequence[Sequence[Box] | None]:
    """Return the boxes of each image: from `boxes_file` if given, otherwise `boxes` (which may be None) for every image.

    Raises
    ------
    DataError
        If `boxes_file` cannot be read, or its boxes match none of the images.
    """
    if boxes_file is None:
        return [boxes] * len(images)
    return boxes_of(images, read_boxes(boxes_file, min_score=min_score), str(boxes_file))


def _expand(text: str) -> list[Path]:
    path = Path(text)
    if path.is_dir():
        return _images_in(path)
    if path.exists() or not _PATTERN.search(text):
        return [path]
    matches = [Path(name) for name in glob.glob(text, recursive=True)]  # noqa: PTH207, Path.glob needs a root
    files = [match for match in matches if match.is_file()]
    if not files:
        raise ImageError(f"{text}: no file matches this pattern")
    return sorted(files, key=_natural_key)


def _images_in(folder: Path) -> list[Path]:
    images = []
    for path in folder.iterdir():
        is_output = path.name.endswith(tuple(PICTURES.values()))
        if path.is_file() and path.suffix.lower() in _IMAGES and not path.name.startswith(".") and not is_output:
            images.append(path)
    if not images:
        raise ImageError(f'{folder}: no images in this folder; to search subfolders, give "{folder}/**/*.jpg" in quotes')
    return sorted(images, key=_natural_key)


def _natural_key(path: Path) -> list[tuple[int, int | str]]:
    """Sort key that orders numbers by value: image9 before image10."""
    parts = re.split(r"(\d+)", str(path).casefold())
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in parts if part]
