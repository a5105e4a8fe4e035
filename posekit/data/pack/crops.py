"""Cut the crops of people out of their images and store the crops on disk, for `posekit.data.pack.write`."""

import json
import os
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from torch.utils.data import Dataset

from posekit.data.sample import Failure
from posekit.errors import BoxError, ConfigError, ImageError, OutputError
from posekit.geometry import Box
from posekit.images import read_image
from posekit.opencv import cv2
from posekit.people import People, Person

_JPEG_START = b"\xff\xd8"


@dataclass(frozen=True)
class Packing:
    """Options of packing.

    Parameters
    ----------
    side : int
        Largest side of a packed crop in pixels; larger crops are downscaled, smaller crops are not enlarged. The default is enough
        for 256 px training crops at full resolution, even if augmentation zooms in by a quarter.
    margin : float
        Side of the packed square relative to the person's box. The default (sqrt(2) * 1.25) covers everything that the default
        augmentation can show, at any rotation.
    quality : int
        JPEG quality, 1 to 100; 0 stores raw pixels.

    Raises
    ------
    ConfigError
        If a number is out of range.
    """

    side: int = 608
    margin: float = 1.77
    quality: int = 95

    def __post_init__(self):
        if not 16 <= self.side <= 16384:
            raise ConfigError(f"side {self.side}: expected 16 to 16384 pixels")
        if not 1 <= self.margin <= 10:
            raise ConfigError(f"margin {self.margin:g}: expected 1 to 10 times the person's box")
        if not 0 <= self.quality <= 100:
            raise ConfigError(f"quality {self.quality}: expected 1 to 100, or 0 for raw pixels")


@dataclass(frozen=True)
class PackedCrop:
    """The packed crop of one person.

    Parameters
    ----------
    data : bytes
        JPEG file or raw pixels; empty if the crop could not be made.
    shape : (int, int)
        Height and width.
    matrix : (2, 3) float
        Affine transform from image pixels to crop pixels.
    failure : str
        Why the crop could not be made; otherwise empty.
    """

    data: bytes
    shape: tuple[int, int] = (0, 0)
    matrix: tuple[tuple[float, float, float], ...] = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0))
    failure: str = ""


class PackedCropDataset(Dataset[PackedCrop]):
    """Data set of the packed crops of all people from index `start` on."""

    def __init__(self, people: People, packing: Packing, start: int):
        self.people = people
        self.packing = packing
        self.start = start

    def __len__(self) -> int:
        return len(self.people) - self.start

    def __getitem__(self, index: int) -> PackedCrop:
        return cut_crop(self.people[self.start + index], self.packing)


def cut_crop(person: Person, packing: Packing) -> PackedCrop:
    """Cut the crop of one person out of the image; an error is stored in `PackedCrop.failure` instead of being raised."""
    try:
        image = read_image(person.image_path)
        height, width = image.shape[:2]
        person.box.require_overlap(width, height)
    except (ImageError, BoxError) as error:
        return PackedCrop(b"", failure=str(error).removeprefix(f"{person.image_path}: "))
    scale = min(1.0, packing.side / (packing.margin * person.box.side))
    x, y, pixels = _window(image, person.box, packing.margin, scale)
    scale = max(scale, 1 / min(pixels.shape[:2]))  # keep at least one pixel of a narrow window
    if scale < 1:
        pixels = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    data = _encode(pixels, packing.quality)
    if packing.quality and scale == 1:
        # Store the original JPEG unless it is larger, to avoid a second lossy compression.
        original = Path(person.image_path).read_bytes()
        if original.startswith(_JPEG_START) and len(original) <= len(data):
            return PackedCrop(original, (height, width))
    # Scaling aligns the outer pixel edges; pixel centres lie half a pixel from the edges.
    matrix = ((scale, 0.0, (0.5 - x) * scale - 0.5), (0.0, scale, (0.5 - y) * scale - 0.5))
    return PackedCrop(data, pixels.shape[:2], matrix)


def _window(image: np.ndarray, box: Box, margin: float, scale: float) -> tuple[int, int, np.ndarray]:
    """Return the first column, first row and pixels of the part of the image to pack."""
    centre = np.array(box.centre)
    half = margin * box.side / 2
    border = 1 + 1 / scale  # pixels that bilinear interpolation reads beyond the edge
    left, top = np.maximum(np.floor(centre - half - border), 0).astype(int).tolist()
    right, bottom = np.ceil(centre + half + border).astype(int).tolist()
    return left, top, image[top : bottom + 1, left : right + 1]


def _encode(pixels: np.ndarray, quality: int) -> bytes:
    if not quality:
        return pixels.tobytes()
    return cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


class CropStore:
    """Store of the crops of an unfinished pack on disk: the concatenated bytes of all crops, and one JSON line per crop.

    Opening an existing store keeps every crop that was written completely, so that packing can be resumed.
    """

    def __init__(self, crops: BinaryIO, lines: BinaryIO):
        self.crops = crops
        self.lines = lines
        self.entries = _read_entries(lines)
        size = crops.seek(0, os.SEEK_END)
        ends = np.cumsum([entry["bytes"] for entry in self.entries])
        self.truncate(int(np.count_nonzero(ends <= size)))

    def __len__(self) -> int:
        return len(self.entries)

    def truncate(self, count: int) -> None:
        """Keep only the first `count` crops."""
        self.entries = self.entries[:count]
        self.crops.truncate(sum(entry["bytes"] for entry in self.entries))
        self.lines.truncate(sum(len(_to_line(entry)) for entry in self.entries))

    def add(self, crop: PackedCrop) -> None:
        """Append a crop and flush it to disk."""
        entry = asdict(crop)
        data = entry.pop("data")
        entry = {"bytes": len(data), "crc32": zlib.crc32(data), **entry}
        self.crops.write(data)
        self.crops.flush()
        self.lines.write(_to_line(entry))
        self.lines.flush()
        self.entries.append(entry)

    def failures(self, people: People) -> list[Failure]:
        """Return a failure for each person whose crop could not be made."""
        failures = []
        for index, entry in enumerate(self.entries):
            if entry["failure"]:
                failures.append(Failure(index, f"person {index}: {people.image_paths[index]}: {entry['failure']}"))
        return failures

    def columns(self) -> dict[str, np.ndarray]:
        """Return the columns of the crops (see `posekit.data.pack.read`); `ends` are relative to the first crop of the pack."""
        return {
            "matrices": np.array([entry["matrix"] for entry in self.entries], np.float64),
            "shapes": np.array([entry["shape"] for entry in self.entries], np.int64),
            "ends": np.cumsum([entry["bytes"] for entry in self.entries]),
            "checksums": np.array([entry["crc32"] for entry in self.entries], np.uint32),
            "failures": np.array([entry["failure"].encode() for entry in self.entries], "S"),
        }

    def read(self, start: int, stop: int) -> Iterator[bytes]:
        """Yield the bytes of the crops `start` to `stop` - 1.

        Raises
        ------
        OutputError
            If a crop's checksum differs.
        """
        self.crops.seek(sum(entry["bytes"] for entry in self.entries[:start]))
        for entry in self.entries[start:stop]:
            data = self.crops.read(entry["bytes"])
            if zlib.crc32(data) != entry["crc32"]:
                raise OutputError(f"{self.crops.name}: the file is damaged; remove the folder that contains it and pack again")
            yield data


def _to_line(entry: Mapping[str, Any]) -> bytes:
    return json.dumps(entry).encode() + b"\n"


def _read_entries(lines: BinaryIO) -> list[dict[str, Any]]:
    entries = []
    lines.seek(0)
    for line in lines:
        if not line.endswith(b"\n"):  # packing was interrupted while writing this line
            break
        entries.append(json.loads(line))
    return entries
