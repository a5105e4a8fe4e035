"""Cutting people's crops out of their photographs, and gathering them on disk, for `posekit.data.pack.write`."""

import json
import os
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from torch.utils.data import Dataset

from posekit.data.sample import Failure
from posekit.errors import BoxError, ConfigError, ImageError, OutputError
from posekit.images import read_image
from posekit.opencv import cv2
from posekit.people import People, Person

_JPEG = b"\xff\xd8"


@dataclass(frozen=True)
class Packing:
    """How crops are packed.

    Parameters
    ----------
    side : int
        Pixels of a crop's side at most; a smaller person's crop is not enlarged. The default gives a box of 256 px its full
        resolution even where augmentation makes it show a quarter less.
    margin : float
        Side of what is packed relative to the person's box. The default holds what the default augmentation may show, at
        any angle: sqrt(2) * 1.25.
    quality : int
        Of the JPEGs, 1 to 100; 0: raw pixels.

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
    """One person's crop: its bytes, where it lies (photograph pixels to crop pixels), or why there is none."""

    data: bytes
    shape: tuple[int, int] = (0, 0)
    matrix: tuple[tuple[float, float, float], ...] = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0))
    failure: str = ""


class PackedCropDataset(Dataset):
    """Crops of the people from `start` on."""

    def __init__(self, people: People, packing: Packing, start: int):
        self.people, self.packing, self.start = people, packing, start

    def __len__(self):
        return len(self.people) - self.start

    def __getitem__(self, index: int) -> PackedCrop:
        return _cut(self.people[self.start + index], self.packing)


def _cut(person: Person, packing: Packing) -> PackedCrop:
    try:
        image = read_image(person.image_path)
        person.box.require_overlap(image.shape[1], image.shape[0])
    except (ImageError, BoxError) as error:
        return PackedCrop(b"", failure=str(error).removeprefix(f"{person.image_path}: "))
    scale = min(1.0, packing.side / (packing.margin * person.box.side))
    x, y, pixels = _window(image, person, packing.margin, scale)
    scale = max(scale, 1 / min(pixels.shape[:2]))  # of a sliver, one pixel is left
    if scale < 1:
        pixels = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    # Edges of pixels are scaled, whose centres lie half a pixel off.
    matrix = ((scale, 0.0, (0.5 - x) * scale - 0.5), (0.0, scale, (0.5 - y) * scale - 0.5))
    cut = PackedCrop(_encoded(pixels, packing.quality), pixels.shape[:2], matrix)
    if packing.quality and scale == 1:  # then the photograph's own file, if it is no larger, spares a second loss
        own = Path(person.image_path).read_bytes()
        return PackedCrop(own, image.shape[:2]) if own.startswith(_JPEG) and len(own) <= len(cut.data) else cut
    return cut


def _window(image: np.ndarray, person: Person, margin: float, scale: float) -> tuple[int, int, np.ndarray]:
    """First column, first row and pixels of what is packed: whole pixels of the photograph."""
    centre, half = np.array(person.box.centre), margin * person.box.side / 2
    beyond = 1 + 1 / scale  # what bilinear interpolation takes from beyond the edge
    first = np.maximum(np.floor(centre - half - beyond), 0).astype(int)
    last = np.ceil(centre + half + beyond).astype(int)
    (x, y), (right, bottom) = first.tolist(), last.tolist()
    return x, y, image[y : bottom + 1, x : right + 1]


def _encoded(pixels: np.ndarray, quality: int) -> bytes:
    if not quality:
        return pixels.tobytes()
    return cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


class Gathered:
    """Crops on disk that are cut so far: their bytes one after the other, and a line of JSON for each."""

    def __init__(self, crops: BinaryIO, lines: BinaryIO):
        self.crops, self.lines = crops, lines
        self.rows = list(_whole_rows(lines))
        size = crops.seek(0, os.SEEK_END)
        there = np.cumsum([row["bytes"] for row in self.rows]) <= size
        self.keep(int(np.count_nonzero(there)))

    def keep(self, count: int) -> None:
        """Go back to the first `count` crops."""
        self.rows = self.rows[:count]
        self.crops.truncate(sum(row["bytes"] for row in self.rows))
        self.lines.truncate(sum(len(_line(row)) for row in self.rows))

    def add(self, cut: PackedCrop) -> None:
        """Keep a crop; a run that stops after this need not make it again."""
        row = {"bytes": len(cut.data), "crc32": zlib.crc32(cut.data)}
        row.update(shape=cut.shape, matrix=cut.matrix, failure=cut.failure)
        self.crops.write(cut.data)
        self.crops.flush()
        self.lines.write(_line(row))
        self.lines.flush()
        self.rows.append(row)

    def failures(self, people: People) -> list[Failure]:
        """Whose crop could not be made."""
        rows = ((place, row["failure"]) for place, row in enumerate(self.rows) if row["failure"])
        return [Failure(place, f"person {place}: {people.image_paths[place]}: {failure}") for place, failure in rows]

    def columns(self) -> dict[str, np.ndarray]:
        """What is stored of each crop; `ends` count from the first person's."""
        return {
            "matrices": np.array([row["matrix"] for row in self.rows], np.float64),
            "shapes": np.array([row["shape"] for row in self.rows], np.int64),
            "ends": np.cumsum([row["bytes"] for row in self.rows]),
            "checksums": np.array([row["crc32"] for row in self.rows], np.uint32),
            "failures": np.array([row["failure"].encode() for row in self.rows], "S"),
        }

    def read(self, start: int, stop: int) -> Iterator[bytes]:
        """The bytes of the people from `start` to before `stop`.

        Raises
        ------
        OutputError
            If they are not what was written.
        """
        self.crops.seek(sum(row["bytes"] for row in self.rows[:start]))
        for row in self.rows[start:stop]:
            data = self.crops.read(row["bytes"])
            if zlib.crc32(data) != row["crc32"]:
                raise OutputError(f"{self.crops.name}: damaged; remove its folder and pack again")
            yield data


def _line(row: Mapping) -> bytes:
    return json.dumps(row).encode() + b"\n"


def _whole_rows(lines: BinaryIO) -> Iterator[dict]:
    lines.seek(0)
    for line in lines:
        if not line.endswith(b"\n"):  # the run was stopped while it wrote it
            return
        yield json.loads(line)
