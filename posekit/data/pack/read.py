"""People whose crops lie in one HDF5 file, or in parts of one, as `posekit.data.pack.write` writes them.

The annotation stays in pixels of the photographs; with each crop stands the matrix that leads from the photograph into it,
so that a packed person is trained on, predicted and scored like one whose photograph is there. In `People` the photograph's
path leads through the file: ``lspet.h5/im00001.jpg``. A crop is found by that path and the person's box, so packed people
can be selected, concatenated and mapped to other skeletons like any others.

A part holds in its attribute ``header`` (JSON) what is true of all its people, in ``checksum`` that of all but the crops, and

==================  ==========================  ==================================================================
``photographs``     (N,) text                   path below the folder that all photographs share
columns of People   (N, …)                      ``joints``, ``labelled``, … as `posekit.data.sample.People` describes them
``official_NAME``   (N,) int64                  the person's place in the official split NAME, -1 if not in it
``matrices``        (N, 2, 3) float64           photograph pixels to crop pixels
``shapes``          (N, 2) int64                the crop's height and width
``ends``            (N,) int64                  byte of ``crops`` behind the person's last
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
_PART = re.compile(r"(.+)-\d{3,}")


def open_packed(root: str | Path, split: str = "all") -> People:
    """Read packed people; no crop is read.

    Parameters
    ----------
    root : str or Path
        The file; of several parts any one, the name given when they were written, or a pattern that fits them (``lspet-*.h5``).
    split : str
        ``all``, or the split that was packed: everyone in the file. Official splits whose people are all packed. Of a pack of
        a whole data set also ``random:FRACTION:SEED`` and ``random-rest:FRACTION:SEED``, the same people as of the originals if
        nobody had to be left out of those.

    Raises
    ------
    ConfigError
        If the split is malformed or the file does not have it.
    DataError
        If a part is missing, damaged, or no packed data.
    """
    return PackReader(_one_part(Path(root))).choose(split)


def digest(columns: Mapping[str, np.ndarray], header: Mapping) -> str:
    """A checksum of annotation and header, the same on every machine."""
    found = blake2b(json.dumps(header, sort_keys=True).encode(), digest_size=16)
    for name in sorted(columns):
        array = np.ascontiguousarray(columns[name])
        found.update(f"{name} {array.dtype.str} {array.shape}".encode())
        found.update(array.tobytes())
    return found.hexdigest()


def part_path(path: Path, part: int) -> Path:
    """Name of a part of the pack that was to be called `path`."""
    return path.with_name(f"{path.stem}-{part:03d}{path.suffix}")


def part_paths(path: Path) -> list[Path]:
    """Parts that there are of the pack that was to be called `path`."""
    return [other for other in sorted(path.parent.glob("*" + path.suffix)) if other != path and _pack_path(other) == path]


def _pack_path(part: Path) -> Path:
    """What a part's pack was to be called."""
    match = _PART.fullmatch(part.stem)
    return part.with_name(match[1] + part.suffix) if match else part


@dataclass(frozen=True)
class _Part:
    """One file, but for its crops, which begin at byte `start`."""

    path: Path
    header: dict
    columns: dict[str, np.ndarray]
    start: int

    @cached_property
    def _file(self) -> int:
        # Several processes and threads may read one descriptor at given places, but not share an HDF5 handle.
        descriptor = os.open(self.path, os.O_RDONLY)
        weakref.finalize(self, os.close, descriptor)
        return descriptor

    def __getstate__(self) -> dict:
        return {name: value for name, value in vars(self).items() if name != "_file"}  # another process opens its own

    def read(self, place: int) -> bytes:
        """The bytes of the person at `place` in this part."""
        ends = self.columns["ends"]
        start = int(ends[place - 1]) if place else 0
        return os.pread(self._file, int(ends[place]) - start, self.start + start)


class PackReader:
    """Reads people's crops from all parts of a pack (a `posekit.people.PixelReader`)."""

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
        keys = np.array([_key(name, person.box) for name, person in zip(self.names.tolist(), self.people, strict=True)], np.uint64)
        self.order = np.argsort(keys, kind="stable")
        self.keys = keys[self.order]

    def _column(self, name: str) -> np.ndarray:
        return np.concatenate([part.columns[name] for part in self.parts])

    def _people(self) -> People:
        header = self.header
        return People(
            name=header["name"],
            split=header["split"],
            skeleton=Skeleton.from_dict(header["skeleton"]),
            image_paths=np.array([f"{self.path}/{name}" for name in self.names.tolist()], dtype=str),
            box_source=header["box_source"],
            left_out=header["left_out"],
            readers=(self,),
            **{name: self._column(name) for name in PEOPLE_COLUMNS},
        )

    def choose(self, split: str) -> People:
        """The people of a split; see `open_packed`."""
        wanted, packed = parse_split(split), self.header["split"]
        if split in ("all", packed):
            return self.people
        if wanted.kind.startswith("random") and packed != "all":
            raise ConfigError(
                f"{self.path}: holds the split {packed} of {self.people.name}; {wanted.kind} is drawn from all of a data set: "
                f"pack --split {split} by itself, or --split all"
            )
        places = {name: self._column(OFFICIAL + name) for name in self.header["official"]}
        official = {name: np.argsort(place, kind="stable")[(place < 0).sum() :] for name, place in places.items()}
        chosen = Annotations(self.people, np.full(len(self.people), ""), self.path, official).choose(wanted)
        return replace(chosen, left_out=self.header["official"].get(split, {}))

    def read(self, person: Person, resolution: float) -> tuple[np.ndarray, np.ndarray]:
        """Read the crop that was packed; see `posekit.people.PixelReader`."""
        row = self._row(person)
        number = int(np.searchsorted(self.starts, row, side="right")) - 1
        part, place = self.parts[number], row - int(self.starts[number])
        name = f"{part.path}: person {row} ({self.names[row]})"
        if part.columns["failures"][place]:
            raise ImageError(f"{name}: {part.columns['failures'][place].decode()}")
        try:
            data = part.read(place)
        except OSError as error:
            raise ImageError(f"{name}: cannot be read ({error.strerror})") from error
        if zlib.crc32(data) != part.columns["checksums"][place]:
            raise ImageError(f"{name}: damaged, its checksum differs; copy the file anew or pack again")
        pixels, matrix = np.frombuffer(data, np.uint8), part.columns["matrices"][place]
        if not self.header["quality"]:
            return pixels.reshape(*part.columns["shapes"][place], 3), matrix
        image, reduction = decode_reduced(pixels, name, resolution / matrix[0, 0])
        return image, reduced_matrix(matrix, reduction)

    def require_margin(self, side: float) -> None:
        """Raise `ConfigError` where packed crops end before a square of `side` times the person's box."""
        margin = self.header["margin"]
        if margin < side - 1e-9:
            raise ConfigError(
                f"{self.path}: packed with a margin of {margin:g}, but crops reach {side:.3f} times the box's side; "
                f"pack again with --margin {math.ceil(100 * side) / 100:g}, or let scale and rotation vary less"
            )

    def _row(self, person: Person) -> int:
        key = _key(person.image_path.removeprefix(f"{self.path}/"), person.box)
        at = int(np.searchsorted(self.keys, key))
        if at == len(self.keys) or self.keys[at] != key:
            raise ImageError(
                f"{person.image_path}: holds no person with this box; crops are found by the box they were packed with"
            )
        return int(self.order[at])


def _key(name: str, box: Box) -> int:
    data = name.encode() + np.array([*box.centre, box.side]).tobytes()
    return np.frombuffer(blake2b(data, digest_size=8).digest(), np.uint64)[0]


def _one_part(root: Path) -> Path:
    """The file of a pack, or one of its parts, of which `root` may be the name, the pack's name or a pattern."""
    fitting = sorted(root.parent.glob(root.name)) if any(letter in root.name for letter in "*?[") else []
    packs = sorted({str(_pack_path(path)) for path in fitting})
    if len(packs) > 1:
        raise ConfigError(f"{root}: fits several packed data sets, {', '.join(packs)}; name one of them")
    for path in (*fitting, root, part_path(root, 0)):
        if path.is_file():
            return path
    raise DataError(f"{root}: no such file; give the .h5 file that posekit prepare pack wrote, or one of its parts")


def _read_parts(path: Path) -> list[_Part]:
    opened = _read_part(path)
    pack, count = opened.header["pack"], opened.header["parts"]
    paths = [path] if count == 1 else [part_path(_pack_path(path), number) for number in range(count)]
    for number, other in enumerate(paths):
        if not other.is_file():
            raise DataError(f"{other}: part {number + 1} of {count} is missing; all parts must lie beside each other")
    parts = [opened if other == path else _read_part(other) for other in paths]
    for number, part in enumerate(parts):
        if (part.header["pack"], part.header["part"], part.header["parts"]) != (pack, number, count):
            raise DataError(f"{part.path}: is not part {number + 1} of {count} of the pack of {path}; put its own parts beside it")
    return parts


def _read_part(path: Path) -> _Part:
    try:
        with h5py.File(path) as file:
            header, crops = json.loads(file.attrs["header"]), file["crops"]
            columns = {name: dataset[()] for name, dataset in file.items() if name != "crops"}
            checksum, start, size = file.attrs["checksum"], crops.id.get_offset(), crops.size
    except (OSError, KeyError, RuntimeError, TypeError, ValueError, AttributeError) as error:  # what h5py raises for damaged files
        raise DataError(f"{path}: not a packed data set that can be read ({error})") from error
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise DataError(f"{path}: not in the format that this version of posekit reads ({FORMAT}); pack again")
    if digest(columns, header) != checksum:
        raise DataError(f"{path}: damaged, the checksum of its annotation differs; copy the file anew or pack again")
    if (start is None and size) or size != columns["ends"].max(initial=0):
        raise DataError(f"{path}: its crops are not stored in one piece, as after h5repack; take the file as it was written")
    return _Part(path, header, columns, start or 0)
