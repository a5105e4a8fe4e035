"""Images of `posekit predict`: list the input files, and predict the people in one image."""

import glob
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from posekit.cli.predict import PICTURES
from posekit.errors import ConfigError, ImageError
from posekit.geometry import Box
from posekit.images import LARGE, ReducedImage, read_reduced_image, reduce_image
from posekit.prediction.pose import Pose
from posekit.prediction.predictor import Predictor

# Includes formats that OpenCV may not decode, so that such files in a folder are reported instead of silently skipped.
_IMAGES = {
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".dib", ".tif", ".tiff", ".jp2", ".gif", ".avif", ".heic", ".heif",
    ".ppm", ".pgm", ".pbm", ".pnm",
}  # fmt: skip
_VIDEOS = {".mp4", ".mov", ".m4v", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv"}
_URL = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
# Large images are reduced to about this many model input sizes per side before people are detected.
_DETECTION_SCALE = 8


def split_videos(inputs: Sequence[str]) -> tuple[list[str], list[str | int]]:
    """Separate the inputs into images (files, folders and patterns) and videos (files, and the numbers of webcams)."""
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

    A folder without images and a pattern without matching files raise `ImageError`; a missing image file raises an error only
    when the image is read.
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


def _expand(text: str) -> list[Path]:
    path = Path(text)
    if path.is_dir():
        return _images_in(path)
    if path.exists() or not set("*?[") & set(text):
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


@dataclass(frozen=True)
class ImagePrediction:
    """The people predicted in one image.

    `reduced` is the image as it was read, possibly at a lower resolution than the file. The coordinates of `poses` are pixels of
    `reduced.image`.
    """

    path: Path
    reduced: ReducedImage
    poses: tuple[Pose, ...]

    def poses_in_file(self) -> list[Pose]:
        """Return the poses with coordinates in pixels of the image file."""
        return [_reduced_pose(pose, 1 / self.reduced.reduction) for pose in self.poses]

    def reduced_to_limit(self) -> "ImagePrediction":
        """Return the prediction with image and poses downscaled to at most `LARGE` pixels."""
        height, width = self.reduced.image.shape[:2]
        reduced = reduce_image(self.reduced, 2 ** max(0, math.ceil(math.log2(height * width / LARGE) / 2)))
        reduction = reduced.reduction / self.reduced.reduction
        poses = tuple(_reduced_pose(pose, reduction) for pose in self.poses)
        return replace(self, reduced=reduced, poses=poses)


def predict_image(
    predictor: Predictor,
    path: Path,
    boxes: Sequence[Box] | None,
    *,
    detect: Callable[[np.ndarray], Sequence[Box]] | None,
    refine: int,
) -> ImagePrediction:
    """Read an image (a very large image at a lower resolution), and predict the joints of each person in the image.

    `boxes` are in pixels of the image file. If `boxes` is None, `detect` finds the boxes in the image; if both are None, the
    whole image is the box of one person. `refine` is the number of refinements, see `Predictor`. Raises `BoxError` if a box lies
    wholly outside the image.
    """
    size = predictor.info.input_size
    if boxes is not None:
        smallest = min((box.side for box in boxes), default=math.sqrt(LARGE))
        reduced = read_reduced_image(path, size / smallest)
        for box in boxes:
            box.require_overlap(reduced.width, reduced.height)
        boxes = [_reduced_box(box, reduced.reduction) for box in boxes]
    elif detect is not None:
        reduced = read_reduced_image(path, _DETECTION_SCALE * size / math.sqrt(LARGE))
        boxes = detect(reduced.image)
    else:
        reduced = read_reduced_image(path, size / math.sqrt(LARGE))
    poses = predictor(reduced.image, boxes, refine=refine)
    return ImagePrediction(path, reduced, tuple(poses))


def _reduced_pose(pose: Pose, reduction: float) -> Pose:
    if reduction == 1:
        return pose
    return replace(pose, keypoints=_reduced_points(pose.keypoints, reduction), box=_reduced_box(pose.box, reduction))


def _reduced_box(box: Box, reduction: float) -> Box:
    x, y = _reduced_points(np.array(box.centre), reduction)
    return Box((x, y), box.side / reduction)


def _reduced_points(points: np.ndarray, reduction: float) -> np.ndarray:
    """Convert points to an image downscaled by the factor `reduction`; integer coordinates are pixel centres."""
    return (points - (reduction - 1) / 2) / reduction
