"""The annotation files of MPII, LSP and LSPET, with the real ones' structure and nuisances."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.io import savemat

from posekit.skeletons import LSP14, MPII16, joint_mapping
from posekit.synthetic.poses import STANCES
from posekit.synthetic.scene import Figure

MPII_FILE = "annot/mpii_human_pose_v1_u12_1.mat"
_EMPTY = np.empty((0, 0))
# In the real file a person's scale is 4.8 head box diagonals of 200 px, exactly.
_SCALE_PER_DIAGONAL = 4.8 / 200
_VISIBILITY_UNSAID = (MPII16.index("upper_neck"), MPII16.index("head_top"))
_RUBBISH_PX = 130


@dataclass(frozen=True)
class Picture:
    """What the annotation has to know of one picture.

    Parameters
    ----------
    name : str
        Of the file in ``images/``.
    subjects : tuple of Figure
        People to annotate.
    companions : tuple of Figure
        People who are in the picture too.
    """

    name: str
    subjects: tuple[Figure, ...]
    companions: tuple[Figure, ...]


def write_mpii(folder: Path, pictures: Sequence[Picture], rng: np.random.Generator) -> None:
    """Write MPII's ``.mat``: pixels count from 1.

    As in the real file there are pictures without rectangles, test pictures whose rectangles have only
    position and scale, rectangles without points, people with fewer than 16 points (joints outside the
    picture are missing), and ``is_visible`` is a number, a string, or empty (upper neck and head top).
    """
    training = np.array([bool(picture.subjects) or rng.random() < 0.5 for picture in pictures])
    images = [_image(picture, bool(train), rng) for picture, train in zip(pictures, training, strict=True)]
    release = {
        "annolist": _structs([image for image, _ in images]),
        "img_train": training[None].astype(np.uint8),
        "version": "12",
        "single_person": _cells([annotated for _, annotated in images]),
        "act": _structs([_activity(picture) for picture in pictures]).T,
        "video_list": _cells(["synthetic"]).T,
    }
    path = folder / MPII_FILE
    path.parent.mkdir()
    savemat(path, {"RELEASE": _structs([release])}, do_compression=True, long_field_names=True)


def write_lsp(folder: Path, pictures: Sequence[Picture], rng: np.random.Generator) -> None:
    """Write LSP's ``joints.mat``, (3, 14, N): x, y, occluded. Pixels count from 0, as in the real files."""
    joints, visible, _ = _lsp_joints(pictures)
    savemat(folder / "joints.mat", {"joints": np.concatenate([joints.transpose(2, 1, 0), 1.0 - visible.T[None]])})


def write_lspet(folder: Path, pictures: Sequence[Picture], rng: np.random.Generator) -> None:
    """Write LSPET's ``joints.mat``, (14, 3, N): x, y, labelled. Pixels count from 0, as in the real files.

    Joints outside the picture and half of the hidden ones are not labelled; their coordinates are rubbish.
    """
    joints, visible, inside = _lsp_joints(pictures)
    labelled = visible | (inside & (rng.random(inside.shape) < 0.5))
    rubbish = -rng.uniform(0, _RUBBISH_PX, joints.shape) * (rng.random(labelled.shape) < 0.5)[..., None]
    joints = np.where(labelled[..., None], joints, rubbish)
    table = np.concatenate([joints, labelled[..., None]], axis=2)
    savemat(folder / "joints.mat", {"joints": table.transpose(1, 2, 0)})


def _lsp_joints(pictures: Sequence[Picture]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Joints (N, 14, 2), visible and inside (N, 14)."""
    order = joint_mapping(MPII16, LSP14)
    figures = [picture.subjects[0] for picture in pictures]
    return tuple(np.stack([getattr(figure, name)[order] for figure in figures]) for name in ("joints", "visible", "inside"))


def _image(picture: Picture, train: bool, rng: np.random.Generator) -> tuple[dict, np.ndarray]:
    """An element of ``annolist``, and the numbers (from 1) of its rectangles that have points."""
    spelled = bool(rng.random() < 0.5)
    rectangles = [_annotated(figure, spelled, rng) for figure in picture.subjects]
    if train and rectangles:
        unlabelled = [_unlabelled(figure) for figure in picture.companions if figure.inside.any() and rng.random() < 0.4]
        rectangles = [*unlabelled, *rectangles] if rng.random() < 0.3 else [*rectangles, *unlabelled]
    elif not train:
        rectangles = [_position(figure, rng) for figure in picture.companions[:1]]
    numbers = [number for number, rectangle in enumerate(rectangles, 1) if len(rectangle.get("annopoints", _EMPTY))]
    entry = {
        "image": _structs([{"name": picture.name}]),
        "annorect": _structs(rectangles) if rectangles else _EMPTY,
        "frame_sec": _EMPTY,
        "vididx": 1.0,
    }
    return entry, np.array(numbers, np.float64).reshape(-1, 1) if numbers else _EMPTY


def _annotated(figure: Figure, spelled: bool, rng: np.random.Generator) -> dict:
    points = [_point(figure, joint, spelled) for joint in range(len(MPII16)) if figure.inside[joint]]
    return {**_head(figure), "annopoints": _structs([{"point": _structs(points)}]), **_position(figure, rng)}


def _unlabelled(figure: Figure) -> dict:
    return {**_head(figure), "annopoints": _EMPTY, "scale": _EMPTY, "objpos": _EMPTY}


def _head(figure: Figure) -> dict:
    return dict(zip(("x1", "y1", "x2", "y2"), (figure.head_box + 1).tolist(), strict=True))


def _point(figure: Figure, joint: int, spelled: bool) -> dict:
    x, y = figure.joints[joint] + 1
    seen = int(figure.visible[joint])
    said = _EMPTY if joint in _VISIBILITY_UNSAID else str(seen) if spelled else seen
    return {"x": float(x), "y": float(y), "id": joint, "is_visible": said}


def _position(figure: Figure, rng: np.random.Generator) -> dict:
    """Rough centre and scale. The centre is that of the joints in the picture, give or take a twentieth of their extent."""
    joints = figure.joints[figure.inside] if figure.inside.any() else figure.joints
    low, high = joints.min(0), joints.max(0)
    x, y = (low + high) / 2 + 0.05 * (high - low).max() * rng.standard_normal(2) + 1
    diagonal = np.hypot(*(figure.head_box[2:] - figure.head_box[:2]))
    return {"scale": float(_SCALE_PER_DIAGONAL * diagonal), "objpos": _structs([{"x": float(x), "y": float(y)}])}


def _activity(picture: Picture) -> dict:
    if not picture.subjects:
        return {"act_name": _EMPTY, "cat_name": _EMPTY, "act_id": -1}
    stance = picture.subjects[0].stance
    return {"act_name": stance, "cat_name": "synthetic", "act_id": list(STANCES).index(stance) + 1}


def _structs(entries: Sequence[dict]) -> np.ndarray:
    """(1, N) MATLAB struct array. Entries may lack fields that others have; they are empty there."""
    names = list(dict.fromkeys(name for entry in entries for name in entry))
    array = np.empty((1, len(entries)), dtype=[(name, object) for name in names])
    for i, entry in enumerate(entries):
        array[0, i] = tuple(entry.get(name, _EMPTY) for name in names)
    return array


def _cells(values: Sequence) -> np.ndarray:
    """(N, 1) MATLAB cell array."""
    array = np.empty((len(values), 1), dtype=object)
    for i, value in enumerate(values):
        array[i, 0] = value
    return array
