"""Read people whose crops lie in one HDF5 file, or in parts of one, written by `posekit.data.pack.write`.

The annotation stays in pixels of the original images. Each crop has a matrix from image to crop pixels, so that a packed person
is trained on, predicted and scored like one whose image is present. The image path in `People` leads through the file:
``lspet.h5/im00001.jpg``. A crop is found by that path and the person's box, so packed people can be selected, concatenated and
mapped to other skeletons like any others.

Each part has two attributes: ``header`` (JSON), shared by all its people, and ``checksum``, of everything but the crops. It holds

==================  ==========================  ==================================================================
``photographs``     (N,) text                   path below the folder that all images share
columns of People   (N, …)                      ``joints``, ``labelled``, … as in `posekit.people.People`
``official_NAME``   (N,) int64                  the person's position in the official split NAME, -1 if not in it
``matrices``        (N, 2, 3) float64           image pixels to crop pixels
``shapes``          (N, 2) int64                height and width of the crop
``ends``            (N,) int64                  end of the person's bytes in ``crops``
``checksums``       (N,) uint32                 CRC-32 of the person's bytes
``failures``        (N,) text                   why there is no crop; empty where there is one
``crops``           (bytes,) uint8, contiguous  JPEG files, or raw (height, width, 3) pixels: blue, green, red
==================  ==========================  ==================================================================
"""

import json
import math
import os
import re
import weakref
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from posekit.data.splits import Annotations, parse_split
from posekit.errors import ConfigError, DataError, ImageError
from posekit.geometry import Box
from posekit.images import decode_reduced
from posekit.people import People, Person, reduced_matrix
from posekit.skeletons import Skeleton

FORMAT = "posekit packed people 1"
PEOPLE_COLUMNS = ("joints", "labelled", "visible", "centres", "sides", "head_sizes", "areas", "image_ids")
OFFICIAL = "official_"
_PART_STEM = re.compile(r"(.+)-\d{3,}")


def open_packed(root: str | Path, split: str = "all") -> People:
    """Read packed people without their crops.

    Parameters
    ----------
    root : str or Path
        The file. For a pack in parts: any part, the name given when it was written, or a pattern (``lspet-*.h5``).
    split : str
        ``all``, or the split that was packed: everyone in the file. An official split whose people are all packed. For a pack
        of a whole data set also ``random:FRACTION:SEED`` and ``random-rest:FRACTION:SEED``: the same people as in the original
        data set, provided that none were left out there.

    Raises
    ------
    ConfigError
        If the split is malformed or not in the file.
    DataError
        If a part is missing, damaged or not a pack.
    """
    return PackReader(_find_part(Path(root))).choose(split)


def digest(columns: Mapping[str, np.ndarray], header: Mapping[str, Any]) -> str:
    """Return a checksum of columns and header that is the same on every machine."""
    checksum = blake2b(json.dumps(header, sort_keys=True).encode(), digest_size=16)
    for name in sorted(columns):
        array = np.ascontiguousarray(columns[name])
        checksum.update(f"{name} {array.dtype.str} {array.shape}".encode())
        checksum.update(array.tobytes())
    return checksum.hexdigest()


def part_path(path: Path, part: int) -> Path:
    """Path of one part of the pack `path`."""
    return path.with_name(f"{path.stem}-{part:03d}{path.suffix}")


def part_paths(path: Path) -> list[Path]:
    """Paths of the existing parts of the pack `path`."""
    files = sorted(path.parent.glob("*" + path.suffix))
    return [file for file in files if file != path and _pack_path(file) == path]


def _pack_path(part: Path) -> Path:
    """Path of the pack to which a part belongs."""
    match = _PART_STEM.fullmatch(part.stem)
    return part.with_name(match[1] + part.suffix) if match else part


@dataclass(frozen=True)
class _Part:
    """One file without its crops, which begin at byte `start`."""

    path: Path
    header: dict[str, Any]
    columns: dict[str, np.ndarray]
    start: int

    @cached_property
    def _file(self) -> int:
        # Processes and threads can share a file descriptor with pread, but not an HDF5 handle.
        descriptor = os.open(self.path, os.O_RDONLY)
        weakref.finalize(self, os.close, descriptor)
        return descriptor

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_file"}  # each process opens its own

    def read(self, row: int) -> bytes:
        """Read the bytes of the crop in row `row` of this part."""
        ends = self.columns["ends"]
        start = int(ends[row - 1]) if row else 0
        return os.pread(self._file, int(ends[row]) - start, self.start + start)


class PackReader:
    """Reads people's crops from all parts of a pack (a `posekit.people.PixelReader`).

    Parameters
    ----------
    path : Path
        One of the parts.
    """

    def __init__(self, path: Path):
        self.parts = _read_parts(path)
        self.path = self.parts[0].path.as_posix()
        self.header = self.parts[0].header
        self.starts = np.cumsum([0, *(len(part.columns["ends"]) for part in self.parts)])
        try:
            self.names = np.char.decode(self._column("photographs"), "utf-8")
            self.people = self._people()
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(f"{path}: its annotation cannot be used ({error})") from error
        keys = [_key(name, person.box) for name, person in zip(self.names.tolist(), self.people, strict=True)]
        self.order = np.argsort(np.array(keys, np.uint64), kind="stable")
        self.keys = np.array(keys, np.uint64)[self.order]

    def _column(self, name: str) -> np.ndarray:
        return np.concatenate([part.columns[name] for part in self.parts])

    def _people(self) -> People:
        columns = {name: self._column(name) for name in PEOPLE_COLUMNS}
        return People(
            name=self.header["name"],
            split=self.header["split"],
            skeleton=Skeleton.from_dict(self.header["skeleton"]),
            image_paths=np.array([f"{self.path}/{name}" for name in self.names.tolist()], dtype=str),
            box_source=self.header["box_source"],
            left_out=self.header["left_out"],
            readers=(self,),
            **columns,
        )

    def choose(self, split: str) -> People:
        """Return the people of a split; see `open_packed`."""
        wanted = parse_split(split)
        packed = self.header["split"]
        if split in ("all", packed):
            return self.people
        if wanted.kind.startswith("random") and packed != "all":
            raise ConfigError(
                f"{self.path}: holds only the split {packed} of {self.people.name}, and {wanted.kind} is drawn from the whole "
                f"data set; pack --split {split} or --split all"
            )
        official = {}
        for name in self.header["official"]:
            positions = self._column(OFFICIAL + name)
            official[name] = np.argsort(positions, kind="stable")[np.count_nonzero(positions < 0) :]
        annotations = Annotations(self.people, np.full(len(self.people), ""), self.path, official)
        return replace(annotations.choose(wanted), left_out=self.header["official"].get(split, {}))

    def read(self, person: Person, resolution: float) -> tuple[np.ndarray, np.ndarray]:
        """Read the person's crop; see `posekit.people.PixelReader`."""
        index = self._index(person)
        number = int(np.searchsorted(self.starts, index, side="right")) - 1
        part = self.parts[number]
        row = index - int(self.starts[number])
        name = f"{part.path}: person {index} ({self.names[index]})"
        if part.columns["failures"][row]:
            raise ImageError(f"{name}: {part.columns['failures'][row].decode()}")
        try:
            data = part.read(row)
        except OSError as error:
            raise ImageError(f"{name}: cannot be read ({error.strerror})") from error
        if zlib.crc32(data) != part.columns["checksums"][row]:
            raise ImageError(f"{name}: damaged, its checksum differs; copy the file again or pack again")
        pixels = np.frombuffer(data, np.uint8)
        matrix = part.columns["matrices"][row]
        if not self.header["quality"]:
            height, width = part.columns["shapes"][row]
            return pixels.reshape(height, width, 3), matrix
        image, reduction = decode_reduced(pixels, name, resolution / matrix[0, 0])
        return image, reduced_matrix(matrix, reduction)

    def require_margin(self, side: float) -> None:
        """Raise `ConfigError` if the packed crops do not cover a square of `side` times the person's box."""
        margin = self.header["margin"]
        if margin < side - 1e-9:
            raise ConfigError(
                f"{self.path}: packed with a margin of {margin:g}, but crops reach {side:.3f} times the box's side; "
                f"pack again with --margin {math.ceil(100 * side) / 100:g}, or reduce the augmentation's scale or rotation"
            )

    def _index(self, person: Person) -> int:
        key = _key(person.image_path.removeprefix(f"{self.path}/"), person.box)
        position = int(np.searchsorted(self.keys, key))
        if position == len(self.keys) or self.keys[position] != key:
            raise ImageError(f"{person.image_path}: no packed person has this box; a crop is found by the box it was packed with")
        return int(self.order[position])


def _key(name: str, box: Box) -> np.uint64:
    data = name.encode() + np.array([*box.centre, box.side]).tobytes()
    return np.frombuffer(blake2b(data, digest_size=8).digest(), np.uint64)[0]


def _find_part(root: Path) -> Path:
    """Find a file of the pack that `root` names: a part, the pack's name or a pattern."""
    is_pattern = any(character in root.name for character in "*?[")
    matches = sorted(root.parent.glob(root.name)) if is_pattern else []
    packs = sorted({str(_pack_path(path)) for path in matches})
    if len(packs) > 1:
        raise ConfigError(f"{root}: matches several packs: {', '.join(packs)}; name one of them")
    for path in (*matches, root, part_path(root, 0)):
        if path.is_file():
            return path
    raise DataError(f"{root}: no such file; give the .h5 file that posekit prepare pack wrote, or one of its parts")


def _read_parts(path: Path) -> list[_Part]:
    first = _read_part(path)
    pack = first.header["pack"]
    count = first.header["parts"]
    paths = [path] if count == 1 else [part_path(_pack_path(path), number) for number in range(count)]
    for number, other in enumerate(paths, 1):
        if not other.is_file():
            raise DataError(f"{other}: part {number} of {count} is missing; all parts must lie in the same folder")
    parts = [first if other == path else _read_part(other) for other in paths]
    for number, part in enumerate(parts):
        if (part.header["pack"], part.header["part"], part.header["parts"]) != (pack, number, count):
            raise DataError(f"{part.path}: not part {number + 1} of {count} of the pack of {path}; put the right part there")
    return parts


def _read_part(path: Path) -> _Part:
    try:
        with h5py.File(path) as file:
            header = json.loads(file.attrs["header"])
            checksum = file.attrs["checksum"]
            columns = {name: dataset[()] for name, dataset in file.items() if name != "crops"}
            crops = file["crops"]
            start = crops.id.get_offset()  # None unless stored in one piece
            size = crops.size
    except (OSError, KeyError, RuntimeError, TypeError, ValueError, AttributeError) as error:  # raised by h5py for damaged files
        raise DataError(f"{path}: not a readable pack ({error})") from error
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise DataError(f"{path}: not in the format that this version of posekit reads ({FORMAT}); pack again")
    if digest(columns, header) != checksum:
        raise DataError(f"{path}: damaged, the checksum of its annotation differs; copy the file again or pack again")
    if (start is None and size) or size != columns["ends"].max(initial=0):
        raise DataError(f"{path}: its crops are not stored in one piece, as after h5repack; use the file as it was written")
    return _Part(path, header, columns, start or 0)
