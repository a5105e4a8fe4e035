"""Annotated people: `People`, the columns of one data set's split, and `Person`, one row of it.

Each person knows the reader of its pixels: the image file, or a pack of crops (`posekit.data.pack.read`).

Whether a joint is labelled is a boolean, never a coordinate's value: the coordinates of a joint that is
not labelled mean nothing (they are 0).
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from posekit.arrays import require_array
from posekit.errors import DataError
from posekit.geometry import Box, Crop
from posekit.images import decode_reduced, read_data
from posekit.skeletons import Skeleton, joint_mapping

# Beyond this a coordinate is a broken annotation, not a joint outside its image.
_ABSURD_PX = 1e5
_COLUMNS = ("image_paths", "joints", "labelled", "visible", "centres", "sides", "head_sizes", "areas", "image_ids")


class PixelReader(Protocol):
    """Reads the pixels that show a person."""

    def read(self, person: "Person", resolution: float) -> tuple[np.ndarray, np.ndarray | None]:
        """Read the pixels.

        Parameters
        ----------
        person : Person
        resolution : float
            Pixels that are needed along each of the original image's; where they are fewer, decoding takes less time.

        Returns
        -------
        image : (H, W, 3) uint8
            Blue, green, red. Not to be written to.
        matrix : (2, 3) float64 or None
            Original image's pixels to pixels of `image`, a scale and a shift; None where both are the same.

        Raises
        ------
        ImageError
            If they cannot be read or are damaged.
        """

    def require_margin(self, side: float) -> None:
        """Raise `ConfigError` if crops of `side` times the person's box would need pixels that are not stored."""


class FileReader:
    """Reads a person's image file (a `PixelReader`)."""

    def read(self, person: "Person", resolution: float) -> tuple[np.ndarray, np.ndarray | None]:
        """Read the image file; see `PixelReader`."""
        image, reduction = decode_reduced(read_data(person.image_path), person.image_path, resolution)
        return image, None if reduction == 1 else reduced_matrix(np.eye(2, 3), reduction)

    def require_margin(self, side: float) -> None:
        """Do nothing: an image file holds everything."""


FILES = FileReader()


def reduced_matrix(matrix: np.ndarray, reduction: int) -> np.ndarray:
    """Continue a (2, 3) matrix into an image whose pixels stand for `reduction` pixels each; pixel edges fall together."""
    matrix = matrix / reduction
    matrix[:, 2] += (1 / reduction - 1) / 2
    return matrix


@dataclass(frozen=True)
class Person:
    """One annotated person.

    Parameters
    ----------
    image_path : str
        Path of the image.
    joints : (K, 2) float64
        Image pixels.
    labelled, visible : (K,) bool
        Whether the joint is annotated; whether it can be seen.
    box : Box
        Image pixels.
    head_size : float
        PCKh's head size in image pixels; NaN where the data set has none.
    reader : PixelReader
        Where the pixels come from; by default the image file.
    """

    image_path: str
    joints: np.ndarray
    labelled: np.ndarray
    visible: np.ndarray
    box: Box
    head_size: float = float("nan")
    reader: PixelReader = FILES

    def read(self, resolution: float = math.inf) -> tuple[np.ndarray, "Person"]:
        """Read the pixels that show the person.

        Parameters
        ----------
        resolution : float
            See `PixelReader.read`.

        Returns
        -------
        image : (H, W, 3) uint8
            Blue, green, red. Not to be written to.
        person : Person
            The same person, with joints and box in pixels of `image`.

        Raises
        ------
        ImageError
            If the pixels cannot be read or are damaged.
        """
        image, matrix = self.reader.read(self, resolution)
        if matrix is None:
            return image, self
        return image, replace(self, joints=self.joints * matrix[0, 0] + matrix[:, 2], box=_map_box(self.box, matrix))

    def cut(self, crop: Crop) -> np.ndarray:
        """Cut a crop, given in pixels of the original image: (size, size, 3) uint8, blue, green, red.

        Raises
        ------
        ImageError
            If the pixels cannot be read or are damaged.
        """
        image, matrix = self.reader.read(self, math.inf)
        if matrix is not None:
            crop = replace(crop, box=_map_box(crop.box, matrix))
        return crop.warp(image)


def _map_box(box: Box, matrix: np.ndarray) -> Box:
    (scale, _, x), (_, _, y) = matrix.tolist()
    return Box((scale * box.centre[0] + x, scale * box.centre[1] + y), scale * box.side)


@dataclass(frozen=True)
class People:
    """The annotated people of one data set's split, by columns.

    Parameters
    ----------
    name, split : str
        Data set and split, as reports print them.
    skeleton : Skeleton
        K joints.
    image_paths : (N,) str
        Paths of the images, which are opened only when a crop is made.
    joints : (N, K, 2) float64
        Image pixels; 0 where not labelled.
    labelled, visible : (N, K) bool
        Whether a joint is annotated; whether it can be seen (always False where not labelled).
    centres : (N, 2) float64
        Centres of the persons' boxes, image pixels.
    sides : (N,) float64
        Sides of the persons' boxes, image pixels.
    head_sizes : (N,) float64
        PCKh's head size (0.6 of the head box's diagonal), image pixels; NaN where there is none.
    box_source : str
        Where the boxes come from, for the metrics file.
    left_out : mapping of str to int
        Reasons for which the loader left persons out, and how many.
    areas : (N,) float64, optional
        Areas of the persons' segments, for OKS, image pixels squared; NaN where there is none, and for all if not given.
    image_ids : (N,) int64, optional
        Numbers that the annotation gives the images, for COCO results; -1 where there is none, and for all if not given.
    readers : tuple of PixelReader
        Where the pixels come from, one for each joined data set.
    reader_index : (N,) int64, optional
        Place in `readers` of each person's; 0 for all if not given.

    Raises
    ------
    ValueError
        If an array has the wrong shape or dtype.
    DataError
        If a labelled coordinate or a box is not finite or absurd; the message names the person.
    """

    name: str
    split: str
    skeleton: Skeleton
    image_paths: np.ndarray
    joints: np.ndarray
    labelled: np.ndarray
    visible: np.ndarray
    centres: np.ndarray
    sides: np.ndarray
    head_sizes: np.ndarray
    box_source: str
    left_out: Mapping[str, int] = field(default_factory=dict)
    areas: np.ndarray | None = None
    image_ids: np.ndarray | None = None
    readers: tuple[PixelReader, ...] = (FILES,)
    reader_index: np.ndarray | None = None

    def __post_init__(self):
        n, k = len(self.image_paths), len(self.skeleton)
        if self.areas is None:
            object.__setattr__(self, "areas", np.full(n, np.nan))
        if self.image_ids is None:
            object.__setattr__(self, "image_ids", np.full(n, -1, np.int64))
        if self.reader_index is None:
            object.__setattr__(self, "reader_index", np.zeros(n, np.int64))
        require_array("image_paths", self.image_paths, (n,), "<U")
        require_array("joints", self.joints, (n, k, 2), "float64")
        require_array("labelled", self.labelled, (n, k), "bool")
        require_array("visible", self.visible, (n, k), "bool")
        require_array("centres", self.centres, (n, 2), "float64")
        require_array("sides", self.sides, (n,), "float64")
        require_array("head_sizes", self.head_sizes, (n,), "float64")
        require_array("areas", self.areas, (n,), "float64")
        require_array("image_ids", self.image_ids, (n,), "int64")
        require_array("reader_index", self.reader_index, (n,), "int64")
        sane = np.abs(self.joints) < _ABSURD_PX  # NaN is not sane either
        self._require_all(sane.all(-1) | ~self.labelled, "joint coordinates", lambda i: self.joints[i].tolist())
        self._require_all(np.abs(self.centres) < _ABSURD_PX, "box centre", lambda i: self.centres[i].tolist())
        self._require_all((self.sides > 0) & (self.sides < _ABSURD_PX), "box side", lambda i: self.sides[i])

    def _require_all(self, good: np.ndarray, what: str, show) -> None:
        bad = np.flatnonzero(~good.reshape(len(self), -1).all(1)) if len(self) else ()
        if len(bad):
            i = int(bad[0])
            raise DataError(
                f"{self.name} {self.split}: {len(bad)} of {len(self)} persons have impossible {what}; the first is person {i} "
                f"({self.image_paths[i]}): {show(i)}. Correct the annotation file or remove them."
            )

    def __len__(self):
        return len(self.image_paths)

    def __getitem__(self, index: int) -> Person:
        return Person(
            image_path=str(self.image_paths[index]),
            joints=self.joints[index],
            labelled=self.labelled[index],
            visible=self.visible[index],
            box=Box(tuple(self.centres[index]), self.sides[index]),
            head_size=float(self.head_sizes[index]),
            reader=self.readers[self.reader_index[index]],
        )

    def __iter__(self) -> Iterator[Person]:
        return (self[index] for index in range(len(self)))

    def select(self, indices: np.ndarray, split: str | None = None) -> "People":
        """The persons at `indices` (integers or a mask), in that order."""
        columns = {name: getattr(self, name)[indices] for name in (*_COLUMNS, "reader_index")}
        return replace(self, split=split or self.split, **columns)

    def require_margin(self, side: float) -> None:
        """Raise `ConfigError` if crops of `side` times the people's boxes would need pixels that are not stored."""
        for reader in self.readers:
            reader.require_margin(side)

    def without_unlabelled(self) -> "People":
        """Leave out persons with no labelled joint, and count them in `left_out`."""
        some = self.labelled.any(1)
        if some.all():
            return self
        reason = "no labelled joint"
        left_out = {**self.left_out, reason: self.left_out.get(reason, 0) + int((~some).sum())}
        return replace(self.select(some), left_out=left_out)

    def mapped_to(self, skeleton: Skeleton) -> "People":
        """The same people with another skeleton's joints, matched by name; joints that are lacking are not labelled.

        Raises
        ------
        DataError
            If the two skeletons share no joint.
        """
        if skeleton == self.skeleton:
            return self
        source = joint_mapping(self.skeleton, skeleton)
        has = source >= 0
        if not has.any():
            raise DataError(f"{self.name}: its skeleton {self.skeleton.name} shares no joint with {skeleton.name}")
        labelled = self.labelled[:, source] & has
        return replace(
            self,
            skeleton=skeleton,
            joints=np.where(labelled[..., None], self.joints[:, source], 0.0),
            labelled=labelled,
            visible=self.visible[:, source] & has,
        )


def concatenate(parts: Sequence[People]) -> People:
    """Join several data sets; all are mapped to the first one's skeleton.

    Raises
    ------
    DataError
        If there is none, or if two share no joint.
    """
    if not parts:
        raise DataError("no data set to concatenate: name at least one")
    if len(parts) == 1:
        return parts[0]
    parts = [part.mapped_to(parts[0].skeleton) for part in parts]
    reasons = {reason for part in parts for reason in part.left_out}
    starts = np.cumsum([0, *(len(part.readers) for part in parts)])
    return People(
        name=" + ".join(part.name for part in parts),
        split=" + ".join(part.split for part in parts),
        skeleton=parts[0].skeleton,
        box_source="; ".join(dict.fromkeys(part.box_source for part in parts)),
        left_out={reason: sum(part.left_out.get(reason, 0) for part in parts) for reason in sorted(reasons)},
        readers=tuple(reader for part in parts for reader in part.readers),
        reader_index=np.concatenate([part.reader_index + start for part, start in zip(parts, starts, strict=False)]),
        **{name: np.concatenate([getattr(part, name) for part in parts]) for name in _COLUMNS},
    )
