"""Write annotation files with the structure and irregularities of MPII, LSP and LSPET."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.io import savemat

from posekit.skeletons import LSP14, MPII16, joint_mapping
from posekit.synthetic.poses import STANCES
from posekit.synthetic.scene import RenderedPerson

MPII_FILE = "annot/mpii_human_pose_v1_u12_1.mat"
_EMPTY = np.empty((0, 0))
# As in the real file: a person's scale (in units of 200 px) is exactly 4.8 times the diagonal of the head box.
_SCALE_PER_DIAGONAL = 4.8 / 200
_WITHOUT_VISIBILITY = (MPII16.index("upper_neck"), MPII16.index("head_top"))
_MEANINGLESS_PX = 130


@dataclass(frozen=True)
class RenderedImage:
    """Image file and the people in it, for the annotation file.

    Parameters
    ----------
    name : str
        File name in ``images/``.
    subjects : tuple of RenderedPerson
        People to annotate.
    bystanders : tuple of RenderedPerson
        Other people in the image, without annotated joints.
    """

    name: str
    subjects: tuple[RenderedPerson, ...]
    bystanders: tuple[RenderedPerson, ...]


def write_mpii(folder: Path, images: Sequence[RenderedImage], rng: np.random.Generator) -> None:
    """Write MPII's ``.mat`` file, with 1-based pixel coordinates.

    The irregularities are those of the real file: images without rectangles; test images, whose rectangles have only
    position and scale; rectangles without points; people with fewer than 16 points, since joints outside the image are
    missing; and ``is_visible`` as a number, a string, or empty (upper neck and head top).
    """
    training = np.array([bool(image.subjects) or rng.random() < 0.5 for image in images])
    elements = []
    single_person = []
    for image, train in zip(images, training, strict=True):
        rectangles = _rectangles(image, bool(train), rng)
        annotated = [i for i, rectangle in enumerate(rectangles, 1) if len(rectangle.get("annopoints", _EMPTY))]
        elements.append(
            {
                "image": _structs([{"name": image.name}]),
                "annorect": _structs(rectangles) if rectangles else _EMPTY,
                "frame_sec": _EMPTY,
                "vididx": 1.0,
            }
        )
        single_person.append(np.array(annotated, np.float64).reshape(-1, 1) if annotated else _EMPTY)
    release = {
        "annolist": _structs(elements),
        "img_train": training[None].astype(np.uint8),
        "version": "12",
        "single_person": _cells(single_person),
        "act": _structs([_activity(image) for image in images]).T,
        "video_list": _cells(["synthetic"]).T,
    }
    path = folder / MPII_FILE
    path.parent.mkdir()
    savemat(path, {"RELEASE": _structs([release])}, do_compression=True, long_field_names=True)


def write_lsp(folder: Path, images: Sequence[RenderedImage], rng: np.random.Generator) -> None:
    """Write LSP's ``joints.mat``, (3, 14, N): x, y, occluded. Pixel coordinates are 0-based, as in the real file."""
    joints, visible, _ = _lsp_joints(images)
    savemat(folder / "joints.mat", {"joints": np.concatenate([joints.transpose(2, 1, 0), 1.0 - visible.T[None]])})


def write_lspet(folder: Path, images: Sequence[RenderedImage], rng: np.random.Generator) -> None:
    """Write LSPET's ``joints.mat``, (14, 3, N): x, y, labelled. Pixel coordinates are 0-based, as in the real file.

    Joints outside the image and half of the occluded ones are not labelled; their coordinates are meaningless.
    """
    joints, visible, inside = _lsp_joints(images)
    labelled = visible | (inside & (rng.random(inside.shape) < 0.5))
    meaningless = -rng.uniform(0, _MEANINGLESS_PX, joints.shape) * (rng.random(labelled.shape) < 0.5)[..., None]
    joints = np.where(labelled[..., None], joints, meaningless)
    table = np.concatenate([joints, labelled[..., None]], axis=2)
    savemat(folder / "joints.mat", {"joints": table.transpose(1, 2, 0)})


def _lsp_joints(images: Sequence[RenderedImage]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the (N, 14, 2) joints in LSP's order, and two (N, 14) masks: visible joints, and joints inside the image."""
    order = joint_mapping(MPII16, LSP14)
    people = [image.subjects[0] for image in images]
    joints = np.stack([person.joints[order] for person in people])
    visible = np.stack([person.visible[order] for person in people])
    inside = np.stack([person.inside[order] for person in people])
    return joints, visible, inside


def _rectangles(image: RenderedImage, train: bool, rng: np.random.Generator) -> list[dict]:
    """Return the elements of an image's ``annorect``."""
    as_text = bool(rng.random() < 0.5)
    labelled = [_labelled(person, as_text, rng) for person in image.subjects]
    if not train:
        return [_position(person, rng) for person in image.bystanders[:1]]
    if not labelled:
        return []
    unlabelled = []
    for person in image.bystanders:
        if person.inside.any() and rng.random() < 0.4:
            unlabelled.append({**_head_box(person), "annopoints": _EMPTY, "scale": _EMPTY, "objpos": _EMPTY})
    return unlabelled + labelled if rng.random() < 0.3 else labelled + unlabelled


def _labelled(person: RenderedPerson, as_text: bool, rng: np.random.Generator) -> dict:
    points = []
    for joint in np.flatnonzero(person.inside).tolist():
        x, y = (person.joints[joint] + 1).tolist()
        visible = int(person.visible[joint])
        is_visible = _EMPTY if joint in _WITHOUT_VISIBILITY else str(visible) if as_text else visible
        points.append({"x": x, "y": y, "id": joint, "is_visible": is_visible})
    return {**_head_box(person), "annopoints": _structs([{"point": _structs(points)}]), **_position(person, rng)}


def _head_box(person: RenderedPerson) -> dict:
    return dict(zip(("x1", "y1", "x2", "y2"), (person.head_box + 1).tolist(), strict=True))


def _position(person: RenderedPerson, rng: np.random.Generator) -> dict:
    """Return scale and position: the centre of the joints inside the image, with noise of 1/20 of the extent of the joints."""
    joints = person.joints[person.inside] if person.inside.any() else person.joints
    low = joints.min(0)
    high = joints.max(0)
    x, y = (low + high) / 2 + 0.05 * (high - low).max() * rng.standard_normal(2) + 1
    diagonal = np.hypot(*(person.head_box[2:] - person.head_box[:2]))
    return {"scale": float(_SCALE_PER_DIAGONAL * diagonal), "objpos": _structs([{"x": float(x), "y": float(y)}])}


def _activity(image: RenderedImage) -> dict:
    if not image.subjects:
        return {"act_name": _EMPTY, "cat_name": _EMPTY, "act_id": -1}
    stance = image.subjects[0].stance
    return {"act_name": stance, "cat_name": "synthetic", "act_id": list(STANCES).index(stance) + 1}


def _structs(entries: Sequence[dict]) -> np.ndarray:
    """Return a (1, N) MATLAB struct array; fields that are missing in an entry are empty."""
    names = list(dict.fromkeys(name for entry in entries for name in entry))
    array = np.empty((1, len(entries)), dtype=[(name, object) for name in names])
    for i, entry in enumerate(entries):
        array[0, i] = tuple(entry.get(name, _EMPTY) for name in names)
    return array


def _cells(values: Sequence) -> np.ndarray:
    """Return an (N, 1) MATLAB cell array."""
    array = np.empty((len(values), 1), dtype=object)
    for i, value in enumerate(values):
        array[i, 0] = value
    return array
