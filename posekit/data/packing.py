"""Pack the crop and annotation of every person into one HDF5 file or several part files (`posekit.data.pack` loads them).

Crops are first written to the folder ``FILE.unfinished``, so that interrupted packing can be resumed. The pack is written when the
folder contains all crops. The same people and options always give the same files, byte for byte.
"""

import json
import math
import os
import shutil
import signal
import threading
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from multiprocessing import parent_process
from os.path import commonpath
from pathlib import Path
from typing import Any, BinaryIO

import h5py
import numpy as np
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from posekit.data.crops import Failure, require_few_failures
from posekit.data.pack import FORMAT, OFFICIAL, PEOPLE_COLUMNS, digest, part_path, part_paths
from posekit.errors import BoxError, ConfigError, DataError, ImageError, OutputError
from posekit.files import atomic_write
from posekit.geometry import Box
from posekit.images import cv2, read_image
from posekit.machine import processors
from posekit.people import People, Person

_JPEG_START = b"\xff\xd8"
_HDF5_BYTES = 65_536  # bytes reserved in each part for HDF5's own data, about five times as many as needed
_BATCH_SIZE = 8


@dataclass(frozen=True)
class Packing:
    """Options of packing; a number that is out of range raises `ConfigError`.

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
class _PackedCrop:
    """The packed crop of one person."""

    data: bytes  # JPEG file or raw pixels; empty if the crop could not be made
    shape: tuple[int, int] = (0, 0)  # height and width
    matrix: tuple[tuple[float, float, float], ...] = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0))  # from image pixels to crop pixels
    failure: str = ""  # why the crop could not be made; otherwise empty


class _CropDataset(Dataset[_PackedCrop]):
    """Data set of the packed crops of all people from index `start` on."""

    def __init__(self, people: People, packing: Packing, start: int):
        self.people = people
        self.packing = packing
        self.start = start

    def __len__(self) -> int:
        return len(self.people) - self.start

    def __getitem__(self, index: int) -> _PackedCrop:
        return cut_crop(self.people[self.start + index], self.packing)


def cut_crop(person: Person, packing: Packing) -> _PackedCrop:
    """Cut the crop of one person out of the image; an error is stored in the crop's `failure` instead of being raised."""
    try:
        image = read_image(person.image_path)
        height, width = image.shape[:2]
        person.box.require_overlap(width, height)
    except (ImageError, BoxError) as error:
        return _PackedCrop(b"", failure=str(error).removeprefix(f"{person.image_path}: "))
    scale = min(1.0, packing.side / (packing.margin * person.box.side))
    x, y, pixels = _window(image, person.box, packing.margin, scale)
    scale = max(scale, 1 / min(pixels.shape[:2]))  # keep at least one pixel of a narrow window
    if scale < 1:
        pixels = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    if packing.quality:
        data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, packing.quality])[1].tobytes()
    else:
        data = pixels.tobytes()
    if packing.quality and scale == 1:
        # Store the original JPEG unless it is larger, to avoid a second lossy compression.
        original = Path(person.image_path).read_bytes()
        if original.startswith(_JPEG_START) and len(original) <= len(data):
            return _PackedCrop(original, (height, width))
    # Scaling aligns the outer pixel edges; pixel centres lie half a pixel from the edges.
    matrix = ((scale, 0.0, (0.5 - x) * scale - 0.5), (0.0, scale, (0.5 - y) * scale - 0.5))
    return _PackedCrop(data, pixels.shape[:2], matrix)


def _window(image: np.ndarray, box: Box, margin: float, scale: float) -> tuple[int, int, np.ndarray]:
    """Return the first column, first row and pixels of the part of the image to pack."""
    centre = np.array(box.centre)
    half = margin * box.side / 2
    border = 1 + 1 / scale  # pixels that bilinear interpolation reads beyond the edge
    left, top = np.maximum(np.floor(centre - half - border), 0).astype(int).tolist()
    right, bottom = np.ceil(centre + half + border).astype(int).tolist()
    return left, top, image[top : bottom + 1, left : right + 1]


class _CropStore:
    """Store of the crops of an unfinished pack on disk: the concatenated bytes of all crops, and one JSON line per crop.

    Opening an existing store keeps every crop that was written completely, so that packing can be resumed.
    """

    def __init__(self, crops: BinaryIO, lines: BinaryIO):
        self.crops = crops
        self.lines = lines
        lines.seek(0)
        # A line without a line break at the end was not written completely.
        self.entries = [json.loads(line) for line in lines if line.endswith(b"\n")]
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

    def add(self, crop: _PackedCrop) -> None:
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
        """Return the columns of the crops (see `posekit.data.pack`); `ends` are relative to the first crop of the pack."""
        return {
            "matrices": np.array([entry["matrix"] for entry in self.entries], np.float64),
            "shapes": np.array([entry["shape"] for entry in self.entries], np.int64),
            "ends": np.cumsum([entry["bytes"] for entry in self.entries]),
            "checksums": np.array([entry["crc32"] for entry in self.entries], np.uint32),
            "failures": np.array([entry["failure"].encode() for entry in self.entries], "S"),
        }

    def read(self, start: int, stop: int) -> Iterator[bytes]:
        """Yield the bytes of the crops `start` to `stop` - 1; raise `OutputError` if a checksum differs."""
        self.crops.seek(sum(entry["bytes"] for entry in self.entries[:start]))
        for entry in self.entries[start:stop]:
            data = self.crops.read(entry["bytes"])
            if zlib.crc32(data) != entry["crc32"]:
                raise OutputError(f"{self.crops.name}: the file is damaged; remove the folder that contains it and pack again")
            yield data


def _to_line(entry: Mapping[str, Any]) -> bytes:
    return json.dumps(entry).encode() + b"\n"


def write_pack(
    out: str | Path,
    people: People,
    packing: Packing,
    *,
    official: Mapping[str, People] | None = None,
    part_bytes: int | None = None,
    workers: int | None = None,
    progress: bool = True,
) -> tuple[list[Path], list[Failure]]:
    """Write a pack of people and their crops; resume if an earlier run with the same people and options was interrupted.

    Parameters
    ----------
    out : str or Path
        Path of the pack, which must not exist; parts are called ``NAME-000.h5``, ``NAME-001.h5``, …
    people : People
    packing : Packing
    official : mapping of str to People, optional
        Official splits of the data set. A split can be loaded from the pack if `people` contains all people of the split.
    part_bytes : int, optional
        Largest size of a part in bytes; by default one file is written.
    workers : int, optional
        Number of worker processes; by default one per available CPU core.
    progress : bool
        Whether to show a progress bar on a terminal.

    Returns
    -------
    files : list of Path
    failures : list of Failure
        One for each person whose crop could not be made.

    Raises
    ------
    ConfigError
        If `part_bytes` is too small for one person.
    DataError
        If the crops of more than 1 % of the people could not be made.
    OutputError
        If the file exists already or cannot be written.
    """
    out = Path(out)
    official = official or {}
    columns = _columns(people, official)
    header = _header(people, packing, columns, official)
    with _open_store(out, header) as store:
        _cut_crops(store, people, packing, workers or processors(), progress)
        files = _write_parts(out, header, columns, store, part_bytes)
    return files, store.failures(people)


def _columns(people: People, official: Mapping[str, People]) -> dict[str, np.ndarray]:
    """Return all columns of the pack except those of the crops."""
    paths = [Path(path) for path in people.image_paths.tolist()]
    folder = commonpath([path.parent for path in paths])
    columns = {"photographs": np.array([path.relative_to(folder).as_posix().encode() for path in paths], dtype="S")}
    for name in PEOPLE_COLUMNS:
        columns[name] = getattr(people, name)
    keys = _person_keys(people)
    for name, split in official.items():
        positions = {key: position for position, key in enumerate(_person_keys(split))}
        column = np.array([positions.get(key, -1) for key in keys], dtype=np.int64)
        is_complete = np.array_equal(np.sort(column[column >= 0]), np.arange(len(split)))
        if is_complete:
            columns[OFFICIAL + name] = column
    return columns


def _person_keys(people: People) -> list[bytes]:
    """Return all annotations of each person as bytes, to find the same person in another split."""
    keys = [path.encode() for path in people.image_paths.tolist()]
    for name in PEOPLE_COLUMNS:
        column = getattr(people, name)
        keys = [key + value.tobytes() for key, value in zip(keys, column, strict=True)]
    return keys


def _header(people: People, packing: Packing, columns: Mapping[str, np.ndarray], official: Mapping[str, People]) -> dict[str, Any]:
    header = {
        "format": FORMAT,
        "name": people.name,
        "split": people.split,
        "skeleton": people.skeleton.to_dict(),
        "box_source": people.box_source,
        "left_out": dict(people.left_out),
        "official": {name: dict(split.left_out) for name, split in official.items() if OFFICIAL + name in columns},
        **asdict(packing),
    }
    return {**header, "pack": digest(columns, header)}


@contextmanager
def _open_store(out: Path, header: Mapping[str, Any]) -> Iterator[_CropStore]:
    """Open the crop store of a new or interrupted run; delete the folder of the store after the `with` block has succeeded."""
    folder = out.with_name(out.name + ".unfinished")
    header_path = folder / "header.json"
    header_text = json.dumps(header)
    try:
        if not folder.exists() and (out.exists() or part_paths(out)):
            raise OutputError(f"{out}: the pack exists already; remove all its files or choose another path")
        folder.mkdir(parents=True, exist_ok=True)
        if not header_path.exists():
            with atomic_write(header_path) as unfinished:
                unfinished.write_text(header_text, encoding="utf-8")
        if header_path.read_text(encoding="utf-8") != header_text:
            raise OutputError(
                f"{folder}: contains an unfinished pack of other people or with other options; remove this folder or choose "
                "another path"
            )
        with (folder / "crops").open("a+b") as crops, (folder / "people.jsonl").open("a+b") as lines:
            yield _CropStore(crops, lines)
        shutil.rmtree(folder)
    except OSError as error:
        raise OutputError(f"{out}: cannot be written ({error.strerror or error}); choose another path") from error


def _cut_crops(store: _CropStore, people: People, packing: Packing, workers: int, progress: bool) -> None:
    loader = DataLoader(
        _CropDataset(people, packing, start=len(store)),
        batch_size=_BATCH_SIZE,
        collate_fn=list,
        num_workers=workers if workers > 1 else 0,
        worker_init_fn=_follow_parent,
    )
    disable = None if progress else True
    with tqdm(total=len(people), initial=len(store), desc="packing", unit="person", disable=disable) as bar:
        for batch in loader:
            for crop in batch:
                store.add(crop)
                bar.update()
                if crop.failure:
                    bar.write(f"skipped: {store.failures(people)[-1].message}")
                    _require_few_failures(store, people)


def _require_few_failures(store: _CropStore, people: People) -> None:
    failures = store.failures(people)
    try:
        require_few_failures(failures, len(people), "packed")
    except DataError:
        store.truncate(failures[0].index)  # the next run retries the failed crops
        raise


def _write_parts(
    out: Path, header: Mapping[str, Any], columns: Mapping[str, np.ndarray], store: _CropStore, part_bytes: int | None
) -> list[Path]:
    for path in part_paths(out):  # left by a run that was interrupted while writing the parts
        path.unlink()
    columns = {**columns, **store.columns()}
    starts = [0] if part_bytes is None else _part_starts(columns, part_bytes)
    paths = [out] if part_bytes is None else [part_path(out, part) for part in range(len(starts))]
    stops = [*starts[1:], len(store)]
    for part, (path, start, stop) in enumerate(zip(paths, starts, stops, strict=True)):
        part_columns = {name: column[start:stop] for name, column in columns.items()}
        if start:
            part_columns["ends"] = part_columns["ends"] - columns["ends"][start - 1]
        _write_part(path, {**header, "part": part, "parts": len(paths)}, part_columns, store.read(start, stop))
    return paths


def _part_starts(columns: Mapping[str, np.ndarray], part_bytes: int) -> list[int]:
    """Return the index of the first person of each part; each part contains as many people as fit."""
    row_bytes = sum(column[:1].nbytes for column in columns.values())
    capacity = part_bytes - _HDF5_BYTES
    ends = columns["ends"] + row_bytes * np.arange(1, len(columns["ends"]) + 1)
    starts = [0]
    offset = 0
    while ends[-1] - offset > capacity:
        stop = int(np.searchsorted(ends, offset + capacity, side="right"))
        if stop == starts[-1]:
            kilobytes = math.ceil((ends[stop] - offset + _HDF5_BYTES) / 1000)
            raise ConfigError(f"part size {part_bytes:,} bytes: too small for person {stop}; use {kilobytes:,}kB or more")
        starts.append(stop)
        offset = ends[stop - 1]
    return starts


def _write_part(path: Path, header: Mapping[str, Any], columns: Mapping[str, np.ndarray], crops: Iterator[bytes]) -> None:
    with atomic_write(path) as unfinished, h5py.File(unfinished, "w") as file:
        file.attrs.update(header=json.dumps(header), checksum=digest(columns, header))
        file.update(columns)
        dataset = file.create_dataset("crops", (int(columns["ends"][-1]),), np.uint8)
        start = 0
        for end, data in zip(columns["ends"].tolist(), crops, strict=True):
            dataset[start:end] = np.frombuffer(data, np.uint8)
            start = end


def _follow_parent(worker: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_exit_with_parent, daemon=True).start()


def _exit_with_parent() -> None:
    # Without this thread, a worker that is blocked on a full pipe would wait forever if the parent is killed.
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
