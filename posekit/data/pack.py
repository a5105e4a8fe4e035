"""Load people from a pack: one HDF5 file, or several part files, written by `posekit.data.packing`.

The annotations are in pixels of the original images, and each crop has an affine transform from image pixels to crop pixels.
Therefore packed people can be used for training, prediction and scoring like people with image files. `People.image_paths` contains
the path of the pack and the image name: ``lspet.h5/im00001.jpg``. A crop is found by the image path and the person's box, so packed
people can be selected, concatenated and mapped to other skeletons like any other people.

Each part has two attributes: ``header`` (JSON, properties of the pack and its options) and ``checksum`` (of everything but the
crops). For N people, a part contains these data sets:

==================  ==========================  ==================================================================
``photographs``     (N,) text                   image path relative to the common folder of all images
columns of People   (N, …)                      ``joints``, ``labelled``, … as in `posekit.people.People`
``official_NAME``   (N,) int64                  position in the official split NAME; -1 if not in the split
``matrices``        (N, 2, 3) float64           affine transform from image pixels to crop pixels
``shapes``          (N, 2) int64                height and width of the crop
``ends``            (N,) int64                  where the bytes of the person's crop end in ``crops``
``checksums``       (N,) uint32                 CRC-32 of the bytes of the person's crop
``failures``        (N,) text                   why the crop could not be made; otherwise empty
``crops``           (bytes,) uint8, contiguous  JPEG files, or raw (height, width, 3) BGR pixels
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
    """Load packed people; the crops are not loaded yet. Raises the errors of `posekit.data.open_people`.

    Parameters
    ----------
    root : str or Path
        Path of the pack. For a pack in parts: any part, the path given when packing, or a pattern (``lspet-*.h5``).
    split : str
        ``all``, or the name of the split that was packed, selects all people in the pack. An official split can be selected if
        all its people are in the pack. ``random:FRACTION:SEED`` and ``random-rest:FRACTION:SEED`` can be selected if the whole
        data set was packed; they select the same people as in the original data set, unless packing left some people out.
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
    """Return the path of part number `part` of the pack `path`."""
    return path.with_name(f"{path.stem}-{part:03d}{path.suffix}")


def part_paths(path: Path) -> list[Path]:
    """Return the paths of all existing parts of the pack `path`."""
    files = sorted(path.parent.glob("*" + path.suffix))
    return [file for file in files if file != path and _pack_path(file) == path]


def _pack_path(part: Path) -> Path:
    """Return the path of the pack to which a part belongs."""
    match = _PART_STEM.fullmatch(part.stem)
    return part.with_name(match[1] + part.suffix) if match else part


@dataclass(frozen=True)
class _Part:
    """One part file, without the crops; the crops start at byte `start` of the file."""

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
        return {name: value for name, value in vars(self).items() if name != "_file"}  # each process opens the file itself

    def read(self, row: int) -> bytes:
        """Read the bytes of the crop in row `row` of this part."""
        ends = self.columns["ends"]
        start = int(ends[row - 1]) if row else 0
        return os.pread(self._file, int(ends[row]) - start, self.start + start)


class PackReader:
    """A `posekit.people.PixelReader` that reads the crops of people from all parts of a pack; `path` is the path of any part."""

    def __init__(self, path: Path):
        self.parts = _read_parts(path)
        self.path = self.parts[0].path.as_posix()
        self.header = self.parts[0].header
        self.starts = np.cumsum([0, *(len(part.columns["ends"]) for part in self.parts)])
        try:
            self.names = np.char.decode(self._column("photographs"), "utf-8")
            self.people = self._people()
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(f"{path}: the annotations in the pack cannot be used ({error}); pack again") from error
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
                f"{self.path}: contains only the split {packed} of {self.people.name}, but {wanted.kind} splits need the whole "
                f"data set; pack again with --split {split} or --split all"
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
            raise ImageError(f"{name}: the crop is damaged (wrong checksum); copy the file again or pack again")
        pixels = np.frombuffer(data, np.uint8)
        matrix = part.columns["matrices"][row]
        if not self.header["quality"]:
            height, width = part.columns["shapes"][row]
            return pixels.reshape(height, width, 3), matrix
        image, reduction = decode_reduced(pixels, name, resolution / matrix[0, 0])
        return image, reduced_matrix(matrix, reduction)

    def require_margin(self, side: float) -> None:
        """Raise `ConfigError` if the packed crops do not cover a square whose side is `side` times that of the person's box."""
        margin = self.header["margin"]
        if margin < side - 1e-9:
            raise ConfigError(
                f"{self.path}: packed with margin {margin:g}, but these crops need a margin of {side:.3f}; "
                f"pack again with --margin {math.ceil(100 * side) / 100:g}, or reduce the scale or rotation of the augmentation"
            )

    def _index(self, person: Person) -> int:
        key = _key(person.image_path.removeprefix(f"{self.path}/"), person.box)
        position = int(np.searchsorted(self.keys, key))
        if position == len(self.keys) or self.keys[position] != key:
            raise ImageError(
                f"{person.image_path}: the pack has no person with this box ({person.box}) in this image; use the boxes of the pack"
            )
        return int(self.order[position])


def _key(name: str, box: Box) -> np.uint64:
    data = name.encode() + np.array([*box.centre, box.side]).tobytes()
    return np.frombuffer(blake2b(data, digest_size=8).digest(), np.uint64)[0]


def _find_part(root: Path) -> Path:
    """Find a file of the pack; `root` is the path of the pack, of one of its parts, or a pattern."""
    is_pattern = any(character in root.name for character in "*?[")
    matches = sorted(root.parent.glob(root.name)) if is_pattern else []
    packs = sorted({str(_pack_path(path)) for path in matches})
    if len(packs) > 1:
        raise ConfigError(f"{root}: the pattern matches several packs: {', '.join(packs)}; give the path of one of them")
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
            raise DataError(f"{other}: part {number} of {count} is missing; all parts must be in the same folder")
    parts = [first if other == path else _read_part(other) for other in paths]
    for number, part in enumerate(parts):
        if (part.header["pack"], part.header["part"], part.header["parts"]) != (pack, number, count):
            raise DataError(
                f"{part.path}: belongs to another pack than {path}; replace the file with part {number + 1} of {count} of that pack"
            )
    return parts


def _read_part(path: Path) -> _Part:
    try:
        with h5py.File(path) as file:
            header = json.loads(file.attrs["header"])
            checksum = file.attrs["checksum"]
            columns = {name: dataset[()] for name, dataset in file.items() if name != "crops"}
            crops = file["crops"]
            start = crops.id.get_offset()  # None if the data set is not contiguous
            size = crops.size
    except (OSError, KeyError, RuntimeError, TypeError, ValueError, AttributeError) as error:  # raised by h5py for damaged files
        raise DataError(f"{path}: not a readable pack ({error})") from error
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise DataError(f"{path}: not in the format {FORMAT!r} of this version of posekit; pack again")
    if digest(columns, header) != checksum:
        raise DataError(f"{path}: the annotations are damaged (wrong checksum); copy the file again or pack again")
    if (start is None and size) or size != columns["ends"].max(initial=0):
        raise DataError(
            f"{path}: the crops are not stored contiguously (for example after h5repack); use the original file or pack again"
        )
    return _Part(path, header, columns, start or 0)
