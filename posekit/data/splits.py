"""Splits of a data set.

A split is ``train``, ``valid`` or ``test`` (if the data set has official splits), ``all``, ``random:FRACTION:SEED``, or
``random-rest:FRACTION:SEED``, which contains the images that are not in ``random:FRACTION:SEED``. Random splits divide images, not
people, so that all people in an image are in the same split.
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
    """A parsed split."""

    text: str  # as the user wrote it
    kind: str  # train, valid, test, all, random or random-rest
    fraction: float = 1.0
    seed: int = 0


def parse_split(text: str) -> Split:
    """Parse a split such as ``train`` or ``random:0.9:1``; raise `ConfigError`, which lists the formats, for any other text."""
    if text in (*OFFICIAL_SPLITS, "all"):
        return Split(text, text)
    match = _RANDOM.fullmatch(text)
    if match and 0 < float(match[2]) < 1:
        return Split(text, match[1], float(match[2]), int(match[3]))
    raise ConfigError(
        f"split {text!r}: expected train, valid, test, all, random:FRACTION:SEED or random-rest:FRACTION:SEED "
        "with FRACTION between 0 and 1 and an integer SEED, for example random:0.9:1"
    )


def split_of_file(path: Path) -> str:
    """Return the split named in a file name: ``train``, ``valid`` or ``test``; ``all`` if the name contains none or several."""
    words = re.findall(r"[a-z]+", path.name.split(".")[0].lower())
    splits = {_FILE_SPLITS[word] for word in words if word in _FILE_SPLITS}
    return splits.pop() if len(splits) == 1 else "all"


def random_images(image_paths: np.ndarray, fraction: float, seed: int) -> np.ndarray:
    """Draw a random fraction of the images; the result is the same on every platform and for every order of the images.

    Images are sorted by a hash of the seed and the image path (relative to the common folder of all images), and the first
    images are drawn. With the same seed, the images of a smaller fraction are a subset of the images of a larger fraction.

    At least one image is drawn; if there are several images, at least one is not drawn.

    Parameters
    ----------
    image_paths : (N,) str
        Image of each person.
    fraction : float
        Between 0 and 1.
    seed : int

    Returns
    -------
    (N,) bool : True where the person's image is drawn.
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
    """All people in an annotation file, before a split is chosen."""

    people: People  # N people, including people that `choose` leaves out, whose boxes may be arbitrary
    reasons: np.ndarray  # (N,) str: why the person is left out; empty if the person is used
    source: str  # name of the annotation file, for error messages
    official: Mapping[str, np.ndarray] = field(default_factory=dict)  # indices of the people in each split, by split name

    def choose(self, split: Split) -> People:
        """Return the people of a split; `People.left_out` gives the number of people left out.

        Raises `ConfigError` if the data set has no such official split, and `DataError` if no people are left.
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
            "random:FRACTION:SEED or random-rest:FRACTION:SEED, for example random:0.9:1 and random-rest:0.9:1"
        )


def join(parts: Sequence[Annotations]) -> Annotations:
    """Concatenate the annotations from several files of the same data set."""
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
