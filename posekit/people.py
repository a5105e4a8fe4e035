"""Annotated people: `People` stores a split of a data set as columns (one array per attribute); `Person` is a single person.

Each person has a pixel reader, which reads from the image file or from a pack of crops (`posekit.data.pack`).

The boolean array `labelled` is True where a joint is labelled. The coordinates of an unlabelled joint are 0 and have no meaning.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np

from posekit.errors import DataError, require_array
from posekit.geometry import Box, Crop
from posekit.images import decode_reduced, read_data
from posekit.skeletons import Skeleton, joint_mapping

_LIMIT_PX = 1e5  # a larger coordinate is a broken annotation, not a joint outside its image
_DEFAULT: Any = None  # default of a column that `People` fills in
_COLUMNS = ("image_paths", "joints", "labelled", "visible", "centres", "sides", "head_sizes", "areas", "image_ids")


class PixelReader(Protocol):
    """Source of the pixels that show a person."""

    def read(self, person: "Person", resolution: float) -> tuple[np.ndarray, np.ndarray | None]:
        """Read the pixels.

        Parameters
        ----------
        person : Person
        resolution : float
            Needed resolution relative to the original image (0.5: half the width and height). A low resolution is decoded faster.

        Returns
        -------
        image : (H, W, 3) uint8
            BGR, read-only.
        matrix : (2, 3) float64 or None
            Affine transform (scale and shift) from pixels of the original image to pixels of `image`; None if `image` is the
            original image.

        Raises
        ------
        ImageError
            If the pixels cannot be read or are damaged.
        """

    def require_margin(self, side: float) -> None:
        """Raise `ConfigError` if the stored pixels do not cover a crop with `side` times the side of the person's box."""


class FileReader:
    """A `PixelReader` that reads a person's image file."""

    def read(self, person: "Person", resolution: float) -> tuple[np.ndarray, np.ndarray | None]:
        """Read the image file; see `PixelReader`."""
        image, reduction = decode_reduced(read_data(person.image_path), person.image_path, resolution)
        return image, None if reduction == 1 else reduced_matrix(np.eye(2, 3), reduction)

    def require_margin(self, side: float) -> None:
        """Do nothing, because an image file contains all pixels."""


FILES = FileReader()


def reduced_matrix(matrix: np.ndarray, reduction: int) -> np.ndarray:
    """Adapt a (2, 3) affine transform to an image downscaled by the integer `reduction`, so that the image borders stay aligned."""
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
    labelled : (K,) bool
        True where the joint is annotated.
    visible : (K,) bool
        True where the joint is visible.
    box : Box
        Bounding box in image pixels.
    head_size : float
        Head size for PCKh in image pixels; NaN if the data set has none.
    reader : PixelReader
        Source of the pixels; by default the image file.
    """

    image_path: str
    joints: np.ndarray
    labelled: np.ndarray
    visible: np.ndarray
    box: Box
    head_size: float = float("nan")
    reader: PixelReader = FILES

    def read(self, resolution: float = math.inf) -> tuple[np.ndarray, "Person"]:
        """Read the pixels that show the person, as `PixelReader.read` does.

        Returns
        -------
        image : (H, W, 3) uint8
            BGR, read-only.
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
        """Cut out a crop, whose box is in pixels of the original image; returns (size, size, 3) uint8, BGR.

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
    (scale, _, shift_x), (_, _, shift_y) = matrix.tolist()
    x, y = box.centre
    return Box((scale * x + shift_x, scale * y + shift_y), scale * box.side)


@dataclass(frozen=True)
class People:
    """N annotated people: one split of a data set, stored as columns.

    Parameters
    ----------
    name, split : str
        Data set and split, as printed in reports.
    skeleton : Skeleton
        K joints.
    image_paths : (N,) str
        Image paths; an image is opened only when a crop is made.
    joints : (N, K, 2) float64
        Image pixels; 0 where not labelled.
    labelled : (N, K) bool
        True where the joint is annotated.
    visible : (N, K) bool
        True where the joint is visible; always False where not labelled.
    centres : (N, 2) float64
        Centres of the bounding boxes, image pixels.
    sides : (N,) float64
        Sides of the bounding boxes, image pixels.
    head_sizes : (N,) float64
        Head sizes for PCKh (0.6 times the diagonal of the head box), image pixels; NaN where unknown.
    box_source : str
        Source of the boxes, for ``metrics.json``.
    left_out : mapping of str to int
        Number of people whom the loader left out, by reason.
    areas : (N,) float64, optional
        Areas of the segmentation masks for OKS, square image pixels; NaN where unknown (the default).
    image_ids : (N,) int64, optional
        Image ids in the annotation, for COCO results; -1 where unknown (the default).
    readers : tuple of PixelReader
        Pixel readers, one for each data set that was concatenated.
    reader_index : (N,) int64, optional
        Index of each person's reader in `readers`; 0 by default.

    Raises
    ------
    ValueError
        If an array has the wrong shape or dtype.
    DataError
        If a labelled coordinate or a box is not finite or is 100,000 px or more; the message names the person.
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
    areas: np.ndarray = _DEFAULT
    image_ids: np.ndarray = _DEFAULT
    readers: tuple[PixelReader, ...] = (FILES,)
    reader_index: np.ndarray = _DEFAULT

    def __post_init__(self):
        n, k = len(self.image_paths), len(self.skeleton)
        defaults = {"areas": np.full(n, np.nan), "image_ids": np.full(n, -1), "reader_index": np.zeros(n, np.int64)}
        for name, column in defaults.items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, column)
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
        # Comparisons with NaN are False.
        valid_joints = (np.abs(self.joints) < _LIMIT_PX).all(-1) | ~self.labelled
        self._require_valid("joint coordinates", self.joints, valid_joints.all(-1))
        self._require_valid("box centre", self.centres, (np.abs(self.centres) < _LIMIT_PX).all(-1))
        self._require_valid("box side", self.sides, (self.sides > 0) & (self.sides < _LIMIT_PX))

    def _require_valid(self, name: str, column: np.ndarray, valid: np.ndarray) -> None:
        invalid = np.flatnonzero(~valid)
        if len(invalid):
            i = int(invalid[0])
            raise DataError(
                f"{self.name} {self.split}: {len(invalid)} of {len(self)} people have impossible {name}; the first is person {i} "
                f"({self.image_paths[i]}): {column[i].tolist()}; correct or remove these people in the annotation file"
            )

    def __len__(self) -> int:
        return len(self.image_paths)

    def __getitem__(self, index: int) -> Person:
        x, y = self.centres[index]
        return Person(
            image_path=str(self.image_paths[index]),
            joints=self.joints[index],
            labelled=self.labelled[index],
            visible=self.visible[index],
            box=Box((x, y), self.sides[index]),
            head_size=float(self.head_sizes[index]),
            reader=self.readers[self.reader_index[index]],
        )

    def __iter__(self) -> Iterator[Person]:
        return (self[index] for index in range(len(self)))

    def select(self, indices: np.ndarray, split: str | None = None) -> "People":
        """Select people by integer indices (in that order) or by a boolean mask; `split` replaces the name of the split."""
        columns = {name: getattr(self, name)[indices] for name in (*_COLUMNS, "reader_index")}
        return replace(self, split=split or self.split, **columns)

    def require_margin(self, side: float) -> None:
        """Raise `ConfigError` if the stored pixels do not cover crops with `side` times the side of the people's boxes."""
        for reader in self.readers:
            reader.require_margin(side)

    def without_unlabelled(self) -> "People":
        """Return the people with at least one labelled joint, and add the number of removed people to `left_out`."""
        has_label = np.any(self.labelled, axis=1)
        if has_label.all():
            return self
        reason = "no labelled joint"
        count = self.left_out.get(reason, 0) + int(np.count_nonzero(~has_label))
        return replace(self.select(has_label), left_out={**self.left_out, reason: count})

    def mapped_to(self, skeleton: Skeleton) -> "People":
        """Return the people with the joints of another skeleton, matched by name; joints without a match are not labelled.

        Raises
        ------
        DataError
            If the two skeletons share no joint.
        """
        if skeleton == self.skeleton:
            return self
        source = joint_mapping(self.skeleton, skeleton)
        has_source = source >= 0
        if not has_source.any():
            raise DataError(
                f"{self.name}: skeleton {self.skeleton.name} has no joint in common with skeleton {skeleton.name}; "
                "choose a skeleton with the same joint names"
            )
        labelled = self.labelled[:, source] & has_source
        return replace(
            self,
            skeleton=skeleton,
            joints=np.where(labelled[..., None], self.joints[:, source], 0.0),
            labelled=labelled,
            visible=self.visible[:, source] & has_source,
        )


def concatenate(parts: Sequence[People]) -> People:
    """Concatenate the people of several data sets, mapped to the skeleton of the first data set.

    Raises
    ------
    DataError
        If `parts` is empty, or a data set has no joint in common with the first data set.
    """
    if not parts:
        raise DataError("no data set to concatenate: name at least one")
    if len(parts) == 1:
        return parts[0]
    parts = [part.mapped_to(parts[0].skeleton) for part in parts]
    left_out: Counter[str] = Counter()
    readers: list[PixelReader] = []
    reader_index = []
    for part in parts:
        left_out.update(part.left_out)
        reader_index.append(part.reader_index + len(readers))
        readers += part.readers
    columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _COLUMNS}
    return People(
        name=" + ".join(part.name for part in parts),
        split=" + ".join(part.split for part in parts),
        skeleton=parts[0].skeleton,
        box_source="; ".join(dict.fromkeys(part.box_source for part in parts)),
        left_out=dict(sorted(left_out.items())),
        readers=tuple(readers),
        reader_index=np.concatenate(reader_index),
        **columns,
    )
