"""The people of an annotation file, and the split of them that is asked for.

A split is ``train``, ``valid``, ``test`` (where the data set has official ones), ``all``, or one of a
complementary pair: ``random:FRACTION:SEED`` and ``random-rest:FRACTION:SEED``. The random ones divide
photographs, not persons, so that two persons of one photograph never lie on both sides.
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
    """What a split's text says.

    Parameters
    ----------
    text : str
        As it was written.
    kind : str
        ``train``, ``valid``, ``test``, ``all``, ``random`` or ``random-rest``.
    fraction : float
        Share of the photographs that ``random`` takes, between 0 and 1.
    seed : int
        Which of the random divisions.
    """

    text: str
    kind: str
    fraction: float = 1.0
    seed: int = 0


def parse_split(text: str) -> Split:
    """Read a split's text.

    Raises
    ------
    ConfigError
        If it is none of the forms; the message lists them.
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
    """Which split a file's name says it holds: ``train``, ``valid``, ``test``, or ``all`` if it says none or several."""
    words = re.findall(r"[a-z]+", path.name.split(".")[0].lower())
    said = {_FILE_SPLITS[word] for word in words if word in _FILE_SPLITS}
    return said.pop() if len(said) == 1 else "all"


def random_photographs(images: np.ndarray, fraction: float, seed: int) -> np.ndarray:
    """Draw a share of the photographs; the same on every platform and in every order of the file.

    Photographs are ranked by a hash of the seed and of their path below the folder they share, and
    the first ones are taken: for one seed a smaller fraction is a part of a larger one.

    Parameters
    ----------
    images : (N,) str
        The photograph of each person.
    fraction : float
        Between 0 and 1. At least one photograph is drawn, and where there are two, one is left.

    Returns
    -------
    (N,) bool : whether the person's photograph is drawn.
    """
    paths = {image: Path(image) for image in dict.fromkeys(images.tolist())}
    shared = commonpath([path.parent for path in paths.values()]) if paths else ""
    rank = {image: blake2b(f"{seed}/{path.relative_to(shared).as_posix()}".encode()).digest() for image, path in paths.items()}
    count = max(1, min(round(fraction * len(paths)), len(paths) - 1))
    drawn = set(sorted(rank, key=rank.get)[:count])
    return np.array([image in drawn for image in images.tolist()], dtype=bool)


@dataclass(frozen=True)
class Annotations:
    """Everyone that an annotation file speaks of, before a split is chosen.

    Parameters
    ----------
    people : People
        Persons who are to be left out are among them, with any box.
    reasons : (N,) str
        Why a person is left out; empty for those who stay.
    source : str
        The annotation file, as errors name it.
    official : mapping of str to (M,) int
        The persons of the official splits, in their order.
    """

    people: People
    reasons: np.ndarray
    source: str
    official: Mapping[str, np.ndarray] = field(default_factory=dict)

    def choose(self, split: Split) -> People:
        """The split's people; those left out are counted in its `left_out`.

        Raises
        ------
        ConfigError
            If the data set has no such official split; the message names those it has, and the random ones.
        DataError
            If nobody is left.
        """
        chosen = self._indices(split)
        reasons = self.reasons[chosen]
        left_out = dict(Counter(filter(None, reasons.tolist())))
        if not (reasons == "").any():
            counts = "".join(f"; {n} left out: {reason}" for reason, n in left_out.items())
            raise DataError(f"{self.people.name} {split.text}: no person to use{counts}. Give another file or split.")
        return replace(self.people.select(chosen[reasons == ""], split.text), left_out=left_out)

    def _indices(self, split: Split) -> np.ndarray:
        if split.kind == "all":
            return np.arange(len(self.people))
        if split.kind.startswith("random"):
            drawn = random_photographs(self.people.image_paths, split.fraction, split.seed)
            return np.flatnonzero(drawn == (split.kind == "random"))
        if split.kind in self.official:
            return self.official[split.kind]
        raise ConfigError(
            f"{self.people.name}: {self.source} holds no official {split.kind} split; take {', '.join([*self.official, 'all'])}, "
            "or random:FRACTION:SEED and random-rest:FRACTION:SEED, such as random:0.9:1 and random-rest:0.9:1"
        )


def join(parts: Sequence[Annotations]) -> Annotations:
    """Annotations of several files of one data set, one after the other."""
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
