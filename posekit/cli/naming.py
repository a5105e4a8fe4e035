"""Short names of files and folders, for tables and figures."""

from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path


def short_names(paths: Sequence[Path]) -> list[str]:
    """Return a short name for each path: the file name, or if two file names are equal, the parts of the paths that differ.

    Parameters
    ----------
    paths : sequence of Path
        Files or folders, all different.
    """
    names = [path.resolve().name for path in paths]
    if len(set(names)) == len(names):
        return names
    parts = [path.resolve().parts for path in paths]
    start = _shared_length(parts)
    rests = [path_parts[start:] for path_parts in parts]
    end = _shared_length([rest[::-1] for rest in rests])
    return ["/".join(rest[: len(rest) - end]) or "." for rest in rests]


def numbered(name: str) -> Iterator[str]:
    """Yield NAME, NAME-2, NAME-3 …, so that the caller can choose the first free name."""
    yield name
    for number in count(2):
        yield f"{name}-{number}"


def _shared_length(paths: Sequence[Sequence[str]]) -> int:
    """Count the leading parts that all paths share."""
    length = 0
    for parts in zip(*paths, strict=False):
        if len(set(parts)) > 1:
            break
        length += 1
    return length
