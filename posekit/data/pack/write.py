"""Packing: every person's crop and annotation into one HDF5 file, or parts of it (`posekit.data.pack.read` reads them).

Crops are first gathered beside the file, in a folder ``FILE.unfinished``: a run that is interrupted goes on from there. The
file is made of them when all are there; the same people and options give the same bytes.
"""

import json
import math
import os
import shutil
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from multiprocessing import parent_process
from os.path import commonpath
from pathlib import Path

import h5py
import numpy as np
from torch.utils.data import DataLoader
from tqdm import tqdm

from posekit.data.crops import require_few_failures
from posekit.data.pack.crops import Gathered, PackedCropDataset, Packing
from posekit.data.pack.read import FORMAT, OFFICIAL, PEOPLE_COLUMNS, digest, part_path, part_paths
from posekit.data.sample import Failure
from posekit.errors import ConfigError, DataError, OutputError
from posekit.files import atomic_write
from posekit.machine import processors
from posekit.people import People

# What HDF5 needs beside the arrays' bytes; a fifth of it was measured.
_HDF5_BYTES = 65_536
_AT_ONCE = 8


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
    """Write people and their crops; go on with what an interrupted run of the same options has left.

    Parameters
    ----------
    out : str or Path
        The file, which must be new; its parts are called ``NAME-000.h5``, ``NAME-001.h5``, …
    people : People
    packing : Packing
    official : mapping of str to People, optional
        The data set's official splits; those whose people are all among `people` can be chosen when the pack is read.
    part_bytes : int, optional
        Split into parts of at most this size.
    workers : int, optional
        Processes; as many as there are processors if None.
    progress : bool
        Show a bar on a terminal.

    Returns
    -------
    files : list of Path
    failures : list of Failure
        Persons without a crop, as their photograph cannot be read.

    Raises
    ------
    ConfigError
        If a part is too small for a person.
    DataError
        If more than 1 % of the photographs cannot be read.
    OutputError
        If the file is there already, or cannot be written.
    """
    out, official = Path(out), official or {}
    columns = _columns(people, official)
    header = _header(people, packing, columns, official)
    with _gathering(out, header) as gathered:
        _cut_all(gathered, people, packing, workers or processors(), progress)
        files = _write_parts(out, header, columns, gathered, part_bytes)
    return files, gathered.failures(people)


def _columns(people: People, official: Mapping[str, People]) -> dict[str, np.ndarray]:
    """What is stored of each person, but for the crop."""
    shared = commonpath([Path(image).parent for image in people.image_paths.tolist()])
    names = [Path(image).relative_to(shared).as_posix().encode() for image in people.image_paths.tolist()]
    columns = {"photographs": np.array(names, dtype="S"), **{name: getattr(people, name) for name in PEOPLE_COLUMNS}}
    marks = _marks(people)
    for name, split in official.items():
        places = {mark: place for place, mark in enumerate(_marks(split))}
        column = np.array([places.get(mark, -1) for mark in marks], dtype=np.int64)
        if np.array_equal(np.sort(column[column >= 0]), np.arange(len(split))):  # all of it is here
            columns[OFFICIAL + name] = column
    return columns


def _marks(people: People) -> list[bytes]:
    """All that is known of a person, to find the same one in another split."""
    rows = zip(*(getattr(people, name) for name in PEOPLE_COLUMNS), strict=True)
    return [
        image.encode() + b"".join(np.asarray(value).tobytes() for value in row)
        for image, row in zip(people.image_paths.tolist(), rows, strict=True)
    ]


def _header(people: People, packing: Packing, columns: Mapping[str, np.ndarray], official: Mapping[str, People]) -> dict:
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
def _gathering(out: Path, header: Mapping) -> Iterator[Gathered]:
    """Open the folder of crops, new or as an interrupted run has left it; remove it when all is written."""
    folder = out.with_name(out.name + ".unfinished")
    known, described = folder / "header.json", json.dumps(header)
    try:
        if not folder.exists() and (out.exists() or part_paths(out)):
            raise OutputError(f"{out}: is there already; remove it (with all its parts) or choose another name")
        folder.mkdir(parents=True, exist_ok=True)
        if not known.exists():
            with atomic_write(known) as unfinished:
                unfinished.write_text(described, encoding="utf-8")
        if known.read_text(encoding="utf-8") != described:
            raise OutputError(f"{folder}: was begun with other people or options; remove it or choose another name")
        with (folder / "crops").open("a+b") as crops, (folder / "people.jsonl").open("a+b") as lines:
            yield Gathered(crops, lines)
        shutil.rmtree(folder)
    except OSError as error:
        raise OutputError(f"{out}: cannot be written ({error.strerror or error}); choose another place") from error


def _cut_all(gathered: Gathered, people: People, packing: Packing, workers: int, progress: bool) -> None:
    done = len(gathered.rows)
    loader = DataLoader(
        PackedCropDataset(people, packing, done),
        batch_size=_AT_ONCE,
        collate_fn=list,
        num_workers=workers if workers > 1 else 0,
        worker_init_fn=_follow_parent,
    )
    with tqdm(total=len(people), initial=done, desc="packing", unit="person", disable=None if progress else True) as bar:
        for cut in (cut for batch in loader for cut in batch):
            gathered.add(cut)
            bar.update()
            if cut.failure:
                _note_failure(gathered, people, bar)


def _note_failure(gathered: Gathered, people: People, bar: tqdm) -> None:
    failures = gathered.failures(people)
    bar.write(f"skipped: {failures[-1].message}")
    try:
        require_few_failures(failures, len(people), "packed")
    except DataError:
        gathered.keep(failures[0].index)  # to go on from when the photographs are there
        raise


def _write_parts(out: Path, header: dict, columns: dict, gathered: Gathered, part_bytes: int | None) -> list[Path]:
    for path in part_paths(out):  # of a run that was interrupted here
        path.unlink()
    columns = {**columns, **gathered.columns()}
    starts = [0] if part_bytes is None else _starts(columns, part_bytes)
    paths = [out] if part_bytes is None else [part_path(out, part) for part in range(len(starts))]
    for part, (path, start, stop) in enumerate(zip(paths, starts, [*starts[1:], len(gathered.rows)], strict=True)):
        these = {name: column[start:stop] for name, column in columns.items()}
        these["ends"] = these["ends"] - (columns["ends"][start - 1] if start else 0)
        _write_part(path, {**header, "part": part, "parts": len(paths)}, these, gathered.read(start, stop))
    return paths


def _starts(columns: Mapping[str, np.ndarray], part_bytes: int) -> list[int]:
    """First person of each part: as many to a part as fit."""
    row = sum(column[:1].nbytes for column in columns.values())
    room, ends = part_bytes - _HDF5_BYTES, columns["ends"] + row * np.arange(1, len(columns["ends"]) + 1)
    starts = [0]
    while ends[-1] - (begin := ends[starts[-1] - 1] if starts[-1] else 0) > room:
        stop = int(np.searchsorted(ends, begin + room, side="right"))
        if stop == starts[-1]:
            need = math.ceil((ends[stop] - begin + _HDF5_BYTES) / 1000)
            raise ConfigError(f"part size {part_bytes:,} bytes: too small for person {stop}, who needs {need:,}kB")
        starts.append(stop)
    return starts


def _write_part(path: Path, header: dict, columns: dict[str, np.ndarray], crops: Iterator[bytes]) -> None:
    with atomic_write(path) as unfinished, h5py.File(unfinished, "w") as file:
        file.attrs.update(header=json.dumps(header), checksum=digest(columns, header))
        file.update(columns)
        stored, start = file.create_dataset("crops", (int(columns["ends"][-1]),), np.uint8), 0
        for end, data in zip(columns["ends"].tolist(), crops, strict=True):
            stored[start:end] = np.frombuffer(data, np.uint8)
            start = end


def _follow_parent(worker: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    # If the parent is killed, a worker with a full pipe would wait for it for ever.
    parent_process().join()
    os._exit(1)
