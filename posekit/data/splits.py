"""Splits of an annotation file's people.

A split is ``train``, ``valid``, ``test`` (if the data set has official splits), ``all``, or one of a
complementary pair: ``random:FRACTION:SEED`` and ``random-rest:FRACTION:SEED``. Random splits divide images,
not people, so that two people in one image are never on different sides.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from os.path import commonpath
from pathlib import Path

import numpy as np

from posekit.errors import ConfigError, DataError
from posekit.people import People, concatenate

OFFICIAL_SPLITS = ("train", "valid", "test")
_RANDOM = re.compile(r"(random|random-rest):(\d*\.?\d+):(\d+)")
_FILE_SPLITS = {"train": "train", "valid": "valid", "val": "valid", "validation": "valid", "test": "test"}


@dataclass(frozen=True)
class Split:
    """A parsed split.

    Parameters
    ----------
    text : str
        The text it was parsed from.
    kind : str
        ``train``, ``valid``, ``test``, ``all``, ``random`` or ``random-rest``.
    fraction : float
        Share of the images in ``random``, between 0 and 1.
    seed : int
        Number of the random division.
    """

    text: str
    kind: str
    fraction: float = 1.0
    seed: int = 0


def parse_split(text: str) -> Split:
    """Parse a split.

    Raises
    ------
    ConfigError
        If it has none of the forms; the message lists them.
    """
    if text in (*OFFICIAL_SPLITS, "all"):
        return Split(text, text)
    match = _RANDOM.fullmatch(text)
    if match and 0 < float(match[2]) < 1:
        return Split(text, match[1], float(match[2]), int(match[3]))
    raise ConfigError(
        f"split {text!r}: expected train, valid, test, all, random:FRACTION:SEED or random-rest:FRACTION:SEED "
        "with a fraction between 0 and 1 and a whole seed, such as random:0.9:1"
    )


def split_of_file(path: Path) -> str:
    """Return the split in a file's name: ``train``, ``valid``, ``test``, or ``all`` if there is none or more than one."""
    words = re.findall(r"[a-z]+", path.name.split(".")[0].lower())
    splits = {_FILE_SPLITS[word] for word in words if word in _FILE_SPLITS}
    return splits.pop() if len(splits) == 1 else "all"


def random_images(image_paths: np.ndarray, fraction: float, seed: int) -> np.ndarray:
    """Draw a share of the images; the same on every platform and for every order of the file.

    Images are ranked by a hash of the seed and of their path below their common folder, and the first ones are taken: for one
    seed, a smaller fraction is a subset of a larger one.

    Parameters
    ----------
    image_paths : (N,) str
        Image of each person.
    fraction : float
        Between 0 and 1. At least one image is drawn, and at least one of several is left.
    seed : int

    Returns
    -------
    (N,) bool : whether the person's image is drawn.
    """
    paths = list(dict.fromkeys(image_paths.tolist()))
    folder = commonpath([Path(path).parent for path in paths]) if paths else ""

    def rank(path: str) -> bytes:
        return blake2b(f"{seed}/{Path(path).relative_to(folder).as_posix()}".encode()).digest()

    count = max(1, min(round(fraction * len(paths)), len(paths) - 1))
    drawn = set(sorted(paths, key=rank)[:count])
    return np.array([path in drawn for path in image_paths.tolist()], dtype=bool)


@dataclass(frozen=True)
class Annotations:
    """All people of an annotation file, before a split is chosen.

    Parameters
    ----------
    people : People
        Includes people who will be left out, with arbitrary boxes.
    reasons : (N,) str
        Why a person is left out; empty for the others.
    source : str
        Annotation file, for error messages.
    official : mapping of str to (M,) int
        Indices of the people in each official split, in its order.
    """

    people: People
    reasons: np.ndarray
    source: str
    official: Mapping[str, np.ndarray] = field(default_factory=dict)

    def choose(self, split: Split) -> People:
        """Return the split's people; people left out are counted in its `left_out`.

        Raises
        ------
        ConfigError
            If the data set has no such official split; the message lists its splits.
        DataError
            If no people are left.
        """
        indices = self._indices(split)
        reasons = self.reasons[indices]
        is_kept = reasons == ""
        left_out = dict(Counter(reasons[~is_kept].tolist()))
        if not is_kept.any():
            counts = "".join(f"; {count} left out: {reason}" for reason, count in left_out.items())
            raise DataError(f"{self.people.name} {split.text}: no people to use{counts}; give another file or split")
        return replace(self.people.select(indices[is_kept], split.text), left_out=left_out)

    def _indices(self, split: Split) -> np.ndarray:
        if split.kind == "all":
            return np.arange(len(self.people))
        if split.kind.startswith("random"):
            drawn = random_images(self.people.image_paths, split.fraction, split.seed)
            return np.flatnonzero(drawn == (split.kind == "random"))
        if split.kind in self.official:
            return self.official[split.kind]
        raise ConfigError(
            f"{self.people.name}: {self.source} has no official {split.kind} split; use {', '.join([*self.official, 'all'])}, "
            "or random:FRACTION:SEED and random-rest:FRACTION:SEED, such as random:0.9:1 and random-rest:0.9:1"
        )


def join(parts: Sequence[Annotations]) -> Annotations:
    """Concatenate the annotations of several files of one data set."""
    if len(parts) == 1:
        return parts[0]
    people = replace(concatenate([part.people for part in parts]), name=parts[0].people.name)
    starts = np.cumsum([0, *(len(part.people) for part in parts)])
    official: dict[str, np.ndarray] = {}
    for start, part in zip(starts, parts, strict=False):
        for name, indices in part.official.items():
            official[name] = np.concatenate([official.get(name, np.empty(0, np.int64)), start + indices])
    source = " with ".join(part.source for part in parts)
    return Annotations(people, np.concatenate([part.reasons for part in parts]), source, official)
