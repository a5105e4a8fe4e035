"""What tables and pictures call the files and folders that a command was given."""

from collections.abc import Iterator, Sequence
from itertools import chain, count, zip_longest
from pathlib import Path


def short_names(paths: Sequence[Path]) -> list[str]:
    """Their own names; where two have the same, what sets the paths apart.

    Parameters
    ----------
    paths : sequence of Path
        Each another one.
    """
    names = [path.resolve().name for path in paths]
    return names if len(set(names)) == len(names) else _apart(paths)


def numbered(name: str) -> Iterator[str]:
    """NAME, NAME-2, NAME-3 …, of which the first free one is to be taken."""
    return chain([name], (f"{name}-{number}" for number in count(2)))


def _apart(paths: Sequence[Path]) -> list[str]:
    """Paths without the parts that all begin with and all end in."""
    parts = [path.resolve().parts for path in paths]
    begin = _common(parts)
    end = _common([path[begin:][::-1] for path in parts])
    return ["/".join(path[begin : len(path) - end]) or "." for path in parts]


def _common(paths: Sequence[Sequence[str]]) -> int:
    """How many first parts all paths share."""
    return next(place for place, parts in enumerate(zip_longest(*paths)) if len(set(parts)) > 1)
