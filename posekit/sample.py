"""What travels from a data set to the loss: `People` (annotations), `Person`, `Sample` (one crop), `Batch`.

All are frozen and check their own shapes. Whether a joint is labelled is a boolean, never a
coordinate's value: the coordinates of a joint that is not labelled mean nothing (they are 0).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cache

import numpy as np
import torch

from posekit.errors import DataError
from posekit.geometry import Box, Crop
from posekit.skeletons import Skeleton, joint_mapping

# Beyond this a coordinate is a broken annotation, not a joint outside its picture.
_ABSURD_PX = 1e5
_COLUMNS = ("images", "joints", "labelled", "visible", "centres", "sides", "head_sizes", "areas", "image_ids")


def _require(name: str, array, shape: tuple, kind: str) -> None:
    """Check a shape (a letter stands for any size, the same wherever it stands) and the beginning of a dtype's name."""
    found, dtype = tuple(array.shape), _dtype_name(array.dtype)
    sizes = [found[shape.index(size)] if isinstance(size, str) and len(found) == len(shape) else size for size in shape]
    if found != tuple(sizes):
        raise ValueError(f"{name}: expected {str(shape).replace(chr(39), '')}, got {found}")
    if not dtype.startswith(kind):
        raise ValueError(f"{name}: expected {kind}, got {dtype}")


@cache  # numpy takes its time to spell a dtype, and every crop asks
def _dtype_name(dtype) -> str:
    return str(dtype).removeprefix("torch.")


@dataclass(frozen=True)
class Person:
    """One annotated person.

    Parameters
    ----------
    image : str
        Path of the photograph.
    joints : (K, 2) float64
        Image pixels.
    labelled, visible : (K,) bool
        Whether the joint is annotated; whether it can be seen.
    box : Box
        Image pixels.
    head_size : float
        PCKh's head size in image pixels; NaN where the data set has none.
    """

    image: str
    joints: np.ndarray
    labelled: np.ndarray
    visible: np.ndarray
    box: Box
    head_size: float = float("nan")


@dataclass(frozen=True)
class People:
    """The annotated people of one data set's split, by columns.

    Parameters
    ----------
    name, split : str
        Data set and split, as reports print them.
    skeleton : Skeleton
        K joints.
    images : (N,) str
        Paths of the photographs. They are opened only when a crop is made.
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
        Numbers that the annotation gives the photographs, for COCO results; -1 where there is none, and for all if not given.

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
    images: np.ndarray
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

    def __post_init__(self):
        n, k = len(self.images), len(self.skeleton)
        if self.areas is None:
            object.__setattr__(self, "areas", np.full(n, np.nan))
        if self.image_ids is None:
            object.__setattr__(self, "image_ids", np.full(n, -1, np.int64))
        _require("images", self.images, (n,), "<U")
        _require("joints", self.joints, (n, k, 2), "float64")
        _require("labelled", self.labelled, (n, k), "bool")
        _require("visible", self.visible, (n, k), "bool")
        _require("centres", self.centres, (n, 2), "float64")
        _require("sides", self.sides, (n,), "float64")
        _require("head_sizes", self.head_sizes, (n,), "float64")
        _require("areas", self.areas, (n,), "float64")
        _require("image_ids", self.image_ids, (n,), "int64")
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
                f"({self.images[i]}): {show(i)}. Correct the annotation file or remove them."
            )

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index: int) -> Person:
        return Person(
            image=str(self.images[index]),
            joints=self.joints[index],
            labelled=self.labelled[index],
            visible=self.visible[index],
            box=Box(tuple(self.centres[index]), self.sides[index]),
            head_size=float(self.head_sizes[index]),
        )

    def __iter__(self) -> Iterator[Person]:
        return (self[index] for index in range(len(self)))

    def select(self, indices: np.ndarray, split: str | None = None) -> "People":
        """The persons at `indices` (integers or a mask), in that order."""
        return replace(self, split=split or self.split, **{name: getattr(self, name)[indices] for name in _COLUMNS})

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
    return People(
        name=" + ".join(part.name for part in parts),
        split=" + ".join(part.split for part in parts),
        skeleton=parts[0].skeleton,
        box_source="; ".join(dict.fromkeys(part.box_source for part in parts)),
        left_out={reason: sum(part.left_out.get(reason, 0) for part in parts) for reason in sorted(reasons)},
        **{name: np.concatenate([getattr(part, name) for part in parts]) for name in _COLUMNS},
    )


@dataclass(frozen=True)
class Sample:
    """One person's crop, as a loader's worker returns it.

    Parameters
    ----------
    image : (S, S, 3) uint8
        Red, green, blue.
    joints : (K, 2) float32
        Crop pixels, in the skeleton's order (left and right exchanged if the crop is mirrored).
    labelled : (K,) bool
    crop : Crop
        The way back to the photograph.
    index : int
        The person's place in its `People`.
    gains : (float, float, float)
        Factors on red, green and blue that the crop is to be seen with: the device applies them.
    failure : str, optional
        Why the crop could not be made. It is then black, with no joint labelled.
    """

    image: np.ndarray
    joints: np.ndarray
    labelled: np.ndarray
    crop: Crop
    index: int
    gains: tuple[float, float, float] = (1.0, 1.0, 1.0)
    failure: str | None = None

    def __post_init__(self):
        _require("image", self.image, ("S", "S", 3), "uint8")
        _require("joints", self.joints, (len(self.labelled), 2), "float32")
        _require("labelled", self.labelled, (len(self.labelled),), "bool")


@dataclass(frozen=True)
class Failure:
    """A sample that could not be made: the place of its person or image in the data set, and why."""

    index: int
    message: str


class TensorBatch:
    """What batches share: a dataclass with ``images`` first, other tensors, ``index`` and ``failures``."""

    def __len__(self):
        return len(self.index)

    def __reduce__(self):
        # From a loader's worker each tensor comes through shared memory of its own, which costs a millisecond.
        small = (getattr(self, each.name) for each in fields(self)[1:])
        return _received, (type(self), self.images, *(part.cpu().numpy() if _is_tensor(part) else part for part in small))

    def to(self, device: torch.device | str) -> "TensorBatch":
        """The same batch on another device."""
        return self._each(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> "TensorBatch":
        """The same batch in page-locked memory (what a DataLoader calls when it pins)."""
        return self._each(torch.Tensor.pin_memory)

    def _each(self, change: Callable[[torch.Tensor], torch.Tensor]) -> "TensorBatch":
        parts = {each.name: getattr(self, each.name) for each in fields(self)}
        return replace(self, **{name: change(part) for name, part in parts.items() if _is_tensor(part)})


def _is_tensor(part) -> bool:
    return isinstance(part, torch.Tensor)


def _received(kind: type[TensorBatch], images: torch.Tensor, *rest) -> TensorBatch:
    return kind(images, *(torch.from_numpy(part) if isinstance(part, np.ndarray) else part for part in rest))


@dataclass(frozen=True)
class Batch(TensorBatch):
    """Crops of several people, as tensors on one device.

    Parameters
    ----------
    images : (B, S, S, 3) uint8
        Red, green, blue.
    joints : (B, K, 2) float32
        Crop pixels.
    labelled : (B, K) bool
    gains : (B, 3) float32
        Factors on red, green and blue, which `posekit.models.normalise` applies.
    index : (B,) int64
        The persons' places in their `People`.
    failures : tuple of Failure
        Those of the B whose crop could not be made: it is black, and no joint is labelled, so that it costs nothing.
    """

    images: torch.Tensor
    joints: torch.Tensor
    labelled: torch.Tensor
    gains: torch.Tensor
    index: torch.Tensor
    failures: tuple[Failure, ...] = ()

    def __post_init__(self):
        b, k = self.labelled.shape
        _require("images", self.images, (b, "S", "S", 3), "uint8")
        _require("joints", self.joints, (b, k, 2), "float32")
        _require("labelled", self.labelled, (b, k), "bool")
        _require("gains", self.gains, (b, 3), "float32")
        _require("index", self.index, (b,), "int64")
