"""What `posekit predict` reads: which photographs, and whom to look for in each."""

import argparse
import glob
import re
from collections.abc import Sequence
from pathlib import Path

from posekit.errors import ConfigError, ImageError
from posekit.geometry import Box
from posekit.scoring.io.boxes import boxes_of, read_boxes

# Some of these OpenCV cannot decode, but whoever has them in a folder wants to hear of it.
_PHOTOGRAPHS = {
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".dib", ".tif", ".tiff", ".jp2", ".gif", ".avif", ".heic", ".heif",
    ".ppm", ".pgm", ".pbm", ".pnm",
}  # fmt: skip
OVERLAY, HEATMAPS, CROP = ".overlay.png", ".heatmaps.png", ".crop.png"
"""Ends of the names of pictures that the command writes; in a folder, they are not photographs to predict."""

_VIDEOS = {".mp4", ".mov", ".m4v", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv"}
_URL = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
_PATTERN = re.compile(r"[*?[]")


def split_videos(inputs: Sequence[str]) -> tuple[list[str], list[str | int]]:
    """What may be photographs, and videos: files called so, and the numbers of webcams."""
    videos = [int(text) if text.isdecimal() else text for text in inputs if _is_video(text)]
    return [text for text in inputs if not _is_video(text)], videos


def _is_video(text: str) -> bool:
    return not _URL.match(text) and (Path(text).suffix.lower() in _VIDEOS or (text.isdecimal() and not Path(text).exists()))


def find_photographs(inputs: Sequence[str]) -> list[Path]:
    """Paths of photographs, each once: files as they are, folders and patterns by what is in them, sorted as people count.

    Parameters
    ----------
    inputs : sequence of str
        A file need not exist: whoever reads it tells.

    Raises
    ------
    ConfigError
        If one is an address in the network.
    ImageError
        If a folder has no photographs or cannot be read, or no file fits a pattern.
    """
    for text in inputs:
        if _URL.match(text):
            raise ConfigError(f"{text}: posekit reads local files; download it first, and give the file's path")
    found: dict[Path, Path] = {}
    for text in inputs:
        try:
            for path in _expanded(text):
                found.setdefault(path.absolute(), path)
        except OSError as error:
            raise ImageError(f"{text}: cannot be read ({error.strerror})") from error
    return list(found.values())


def find_boxes(photographs: Sequence[Path], args: argparse.Namespace) -> list[Sequence[Box] | None]:
    """Each photograph's boxes, as --box or --boxes give them; None where they do not.

    Raises
    ------
    DataError
        If the file with boxes cannot be used.
    """
    if args.boxes_file is None:
        return [args.boxes] * len(photographs)
    return boxes_of(photographs, read_boxes(args.boxes_file, min_score=args.min_box_score), str(args.boxes_file))


def _expanded(text: str) -> list[Path]:
    path = Path(text)
    if path.is_dir():
        return _photographs_in(path)
    if path.exists() or not _PATTERN.search(text):
        return [path]
    found = sorted(filter(Path.is_file, map(Path, glob.glob(text, recursive=True))), key=_natural)  # noqa: PTH207, of any root
    if not found:
        raise ImageError(f"{text}: no file fits this pattern")
    return found


def _photographs_in(folder: Path) -> list[Path]:
    files = (path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    found = [path for path in files if path.suffix.lower() in _PHOTOGRAPHS and not path.name.endswith((OVERLAY, HEATMAPS, CROP))]
    if not found:
        raise ImageError(f'{folder}: no photographs in this folder; those in folders below it are "{folder}/**/*.jpg", in quotes')
    return sorted(found, key=_natural)


def _natural(path: Path) -> list[tuple[int, int | str]]:
    """A key by which 9 comes before 10."""
    parts = re.split(r"(\d+)", str(path).casefold())
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in parts if part]
