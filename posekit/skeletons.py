"""Skeletons: joint names, left/right pairs, limbs, result groups, OKS sigmas, and mappings between skeletons by joint name.

Sources: the MPII Human Pose release (16 joints), Leeds Sports Pose (14 joints), the COCO keypoint challenge (17 keypoints and
their OKS sigmas). MPII and LSP define no sigmas; their joints have the sigmas of the COCO keypoints of the same names. Of the
joints that COCO lacks, the pelvis has the sigma of the hips, and thorax, neck and head top have the sigma of the shoulders.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from posekit.errors import DataError

_SAME_JOINT = {"neck": "upper_neck"}  # two names of the same joint, in different data sets
_DEFAULT: Any = None  # default of `Skeleton.groups`, which `Skeleton` replaces

_COCO_SIGMAS = {
    "nose": 0.026, "eye": 0.025, "ear": 0.035, "shoulder": 0.079, "elbow": 0.072,
    "wrist": 0.062, "hip": 0.107, "knee": 0.087, "ankle": 0.089,
}  # fmt: skip
_BORROWED_SIGMAS = {"pelvis": "hip", "thorax": "shoulder", "upper_neck": "shoulder", "neck": "shoulder", "head_top": "shoulder"}


@dataclass(frozen=True)
class Skeleton:
    """A set of named joints.

    Parameters
    ----------
    name : str
        Name of the skeleton in files and configurations.
    joints : tuple of str
        Joint names in file order; ``left_X`` and ``right_X`` form a pair.
    limbs : tuple of (str, str)
        Pairs of joints to connect by a line in drawings.
    groups : mapping of str to tuple of str
        Joints in each column of the result tables, by column name; by default, one column per joint.
    sigmas : tuple of float or None
        OKS constants, one per joint; None if unknown.

    Raises
    ------
    DataError
        If joint names repeat, or a limb or group names an unknown joint.
    """

    name: str
    joints: tuple[str, ...]
    limbs: tuple[tuple[str, str], ...] = ()
    groups: Mapping[str, tuple[str, ...]] = _DEFAULT
    sigmas: tuple[float, ...] | None = None

    def __post_init__(self):
        if not self.joints or len(set(self.joints)) != len(self.joints):
            raise DataError(f"skeleton {self.name}: expected one or more distinct joint names, got {list(self.joints)}")
        if self.groups is None:
            object.__setattr__(self, "groups", {joint: (joint,) for joint in self.joints})
        used = set(itertools.chain(*self.limbs, *self.groups.values()))
        unknown = sorted(used - set(self.joints))
        if unknown:
            raise DataError(f"skeleton {self.name}: limbs or groups name unknown joints: {unknown}")
        if self.sigmas is not None and len(self.sigmas) != len(self.joints):
            raise DataError(f"skeleton {self.name}: {len(self.joints)} joints but {len(self.sigmas)} sigmas")

    def __len__(self) -> int:
        return len(self.joints)

    def index(self, joint: str) -> int:
        """Return the index of a joint.

        Raises
        ------
        DataError
            If the skeleton has no such joint; the message lists its joints.
        """
        try:
            return self.joints.index(joint)
        except ValueError:
            raise DataError(f"skeleton {self.name} has no joint {joint!r}; it has {', '.join(self.joints)}") from None

    @cached_property
    def flip_pairs(self) -> tuple[tuple[int, int], ...]:
        """(left, right) joint indices of the pairs that are swapped when an image is mirrored."""
        pairs = []
        for index, joint in enumerate(self.joints):
            opposite = joint.replace("left_", "right_", 1)
            if joint.startswith("left_") and opposite in self.joints:
                pairs.append((index, self.index(opposite)))
        return tuple(pairs)

    @cached_property
    def flip_order(self) -> np.ndarray:
        """(K,) int64 array of joint indices: ``joints[flip_order]`` swaps left and right joints."""
        order = np.arange(len(self.joints))
        for left, right in self.flip_pairs:
            order[[left, right]] = right, left
        order.setflags(write=False)
        return order

    @cached_property
    def limb_indices(self) -> tuple[tuple[int, int], ...]:
        """Limbs as pairs of joint indices."""
        return tuple((self.index(a), self.index(b)) for a, b in self.limbs)

    @cached_property
    def group_indices(self) -> dict[str, tuple[int, ...]]:
        """Joint indices of each group, by group name."""
        return {name: tuple(self.index(joint) for joint in group) for name, group in self.groups.items()}

    @property
    def coco_category(self) -> dict[str, Any]:
        """The skeleton as the COCO category "person" with id 1; the joint indices of limbs start at 1, as in COCO."""
        return {
            "id": 1,
            "name": "person",
            "supercategory": "person",
            "keypoints": list(self.joints),
            "skeleton": [[a + 1, b + 1] for a, b in self.limb_indices],
        }

    def to_dict(self) -> dict:
        """Convert the skeleton to plain types for JSON; `from_dict` reverses the conversion."""
        return {
            "name": self.name,
            "joints": list(self.joints),
            "limbs": [list(limb) for limb in self.limbs],
            "groups": {name: list(group) for name, group in self.groups.items()},
            "sigmas": None if self.sigmas is None else list(self.sigmas),
        }

    @classmethod
    def from_dict(cls, data: Mapping) -> "Skeleton":
        """Create a skeleton from the output of `to_dict`.

        Raises
        ------
        DataError
            If a field is missing or has the wrong type.
        """
        try:
            return cls(
                name=str(data["name"]),
                joints=tuple(map(str, data["joints"])),
                limbs=tuple((str(a), str(b)) for a, b in data["limbs"]),
                groups={str(name): tuple(map(str, group)) for name, group in data["groups"].items()},
                sigmas=None if data["sigmas"] is None else tuple(map(float, data["sigmas"])),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(f"not a skeleton description: {error!r}") from error


def _sigmas(joints: Sequence[str]) -> tuple[float, ...]:
    parts = [joint.removeprefix("left_").removeprefix("right_") for joint in joints]
    return tuple(_COCO_SIGMAS[_BORROWED_SIGMAS.get(part, part)] for part in parts)


def _both(part: str) -> tuple[str, str]:
    return f"left_{part}", f"right_{part}"


def _chain(*joints: str) -> tuple[tuple[str, str], ...]:
    return tuple(itertools.pairwise(joints))


_LIMB_GROUPS = {part.capitalize(): _both(part) for part in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")}
_LEG_LIMBS = (*_chain("left_hip", "left_knee", "left_ankle"), *_chain("right_hip", "right_knee", "right_ankle"))
_ARM_LIMBS = (*_chain("left_shoulder", "left_elbow", "left_wrist"), *_chain("right_shoulder", "right_elbow", "right_wrist"))
_LEGS = ("right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle")
_ARMS = ("right_wrist", "right_elbow", "right_shoulder", "left_shoulder", "left_elbow", "left_wrist")

_MPII_JOINTS = (*_LEGS, "pelvis", "thorax", "upper_neck", "head_top", *_ARMS)
MPII16 = Skeleton(
    name="mpii16",
    joints=_MPII_JOINTS,
    limbs=(
        *_chain("head_top", "upper_neck", "thorax", "pelvis"),
        *_chain("left_shoulder", "thorax", "right_shoulder"),
        *_chain("left_hip", "pelvis", "right_hip"),
        *_ARM_LIMBS,
        *_LEG_LIMBS,
    ),
    groups={"Head": ("head_top",), **_LIMB_GROUPS},
    sigmas=_sigmas(_MPII_JOINTS),
)

_LSP_JOINTS = (*_LEGS, *_ARMS, "neck", "head_top")
LSP14 = Skeleton(
    name="lsp14",
    joints=_LSP_JOINTS,
    limbs=(
        ("head_top", "neck"),
        *_chain("left_shoulder", "neck", "right_shoulder"),
        *_chain("left_shoulder", "left_hip", "right_hip", "right_shoulder"),
        *_ARM_LIMBS,
        *_LEG_LIMBS,
    ),
    groups={"Head": ("head_top", "neck"), **_LIMB_GROUPS},
    sigmas=_sigmas(_LSP_JOINTS),
)

_COCO_PARTS = ("eye", "ear", "shoulder", "elbow", "wrist", "hip", "knee", "ankle")
_COCO_JOINTS = ("nose", *itertools.chain.from_iterable(map(_both, _COCO_PARTS)))
COCO17 = Skeleton(
    name="coco17",
    joints=_COCO_JOINTS,
    limbs=(
        *_chain("left_ear", "left_eye", "nose", "right_eye", "right_ear"),
        *_chain("left_shoulder", "left_hip", "right_hip", "right_shoulder", "left_shoulder"),
        *_ARM_LIMBS,
        *_LEG_LIMBS,
    ),
    groups={"Head": ("nose", *_both("eye"), *_both("ear")), **_LIMB_GROUPS},
    sigmas=_sigmas(_COCO_JOINTS),
)

SKELETONS = {skeleton.name: skeleton for skeleton in (MPII16, LSP14, COCO17)}


def joint_mapping(source: Skeleton, target: Skeleton) -> np.ndarray:
    """For each joint of the skeleton `target`, find the joint of the same name in the skeleton `source`.

    LSP's ``neck`` and MPII's ``upper_neck`` count as the same joint.

    Returns
    -------
    (K_target,) int64 : joint indices in `source`; -1 where `source` has no such joint.
    """
    index_of = {_SAME_JOINT.get(joint, joint): index for index, joint in enumerate(source.joints)}
    return np.array([index_of.get(_SAME_JOINT.get(joint, joint), -1) for joint in target.joints], dtype=np.int64)
