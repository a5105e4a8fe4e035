"""Cut people's crops out of their images and store them on disk, for `posekit.data.pack.write`."""

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
    """How crops are packed.

    Parameters
    ----------
    side : int
        Largest side of a crop in pixels; smaller people are not enlarged. The default keeps a box of 256 px at full
        resolution even where augmentation shows a quarter less of it.
    margin : float
        Side of the packed square relative to the person's box. The default covers everything that the default augmentation
        can show, at any angle: sqrt(2) * 1.25.
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
    """One person's crop.

    Parameters
    ----------
    data : bytes
        JPEG file or raw pixels; empty if the crop failed.
    shape : (int, int)
        Height and width.
    matrix : (2, 3) float
        Image pixels to crop pixels.
    failure : str
        Why there is no crop; empty if there is one.
    """

    data: bytes
    shape: tuple[int, int] = (0, 0)
    matrix: tuple[tuple[float, float, float], ...] = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0))
    failure: str = ""


class PackedCropDataset(Dataset[PackedCrop]):
    """Packed crops of the people from index `start` on."""

    def __init__(self, people: People, packing: Packing, start: int):
        self.people = people
        self.packing = packing
        self.start = start

    def __len__(self) -> int:
        return len(self.people) - self.start

    def __getitem__(self, index: int) -> PackedCrop:
        return cut_crop(self.people[self.start + index], self.packing)


def cut_crop(person: Person, packing: Packing) -> PackedCrop:
    """Cut one person's crop out of its image; a failure is returned, not raised."""
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
        # The original JPEG, unless it is larger, avoids a second lossy compression.
        original = Path(person.image_path).read_bytes()
        if original.startswith(_JPEG_START) and len(original) <= len(data):
            return PackedCrop(original, (height, width))
    # Scaling keeps pixel edges in place; pixel centres lie half a pixel from the edges.
    matrix = ((scale, 0.0, (0.5 - x) * scale - 0.5), (0.0, scale, (0.5 - y) * scale - 0.5))
    return PackedCrop(data, pixels.shape[:2], matrix)


def _window(image: np.ndarray, box: Box, margin: float, scale: float) -> tuple[int, int, np.ndarray]:
    """First column, first row and pixels of the part of the image that is packed."""
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
    """Crops of an unfinished pack on disk: their bytes one after another, and one line of JSON per crop.

    Opening an existing store keeps every crop that was written completely, so that a run can be resumed.
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
        """People whose crop could not be made."""
        failures = []
        for index, entry in enumerate(self.entries):
            if entry["failure"]:
                failures.append(Failure(index, f"person {index}: {people.image_paths[index]}: {entry['failure']}"))
        return failures

    def columns(self) -> dict[str, np.ndarray]:
        """Columns of the crops, as `posekit.data.pack.read` describes them; `ends` count from the first crop."""
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
                raise OutputError(f"{self.crops.name}: damaged; remove its folder and pack again")
            yield data


def _to_line(entry: Mapping[str, Any]) -> bytes:
    return json.dumps(entry).encode() + b"\n"


def _read_entries(lines: BinaryIO) -> list[dict[str, Any]]:
    entries = []
    lines.seek(0)
    for line in lines:
        if not line.endswith(b"\n"):  # the run was stopped while writing this line
            break
        entries.append(json.loads(line))
    return entries
