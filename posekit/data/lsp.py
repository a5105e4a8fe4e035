"""Load Leeds Sports Pose (LSP) and its extension (LSPET): ``joints.mat`` and numbered images.

Both data sets have a file ``joints.mat`` with the same joints; the shape of the array distinguishes the data sets. LSP's array is
(3, 14, N): x, y, and whether the joint is occluded. LSPET's array is (14, 3, N): x, y, and whether the joint is labelled; the
coordinates of unlabelled joints are meaningless.

Coordinates are assumed to be 0-based: in LSPET the smallest coordinates of labelled joints are 0 and the largest, except for five
broken joints, are below W - 1 and H - 1. LSP is by the same authors, so the same is assumed for LSP.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from posekit.data.splits import Annotations, parse_split
from posekit.errors import DataError
from posekit.geometry import Box
from posekit.matlab import load_variables
from posekit.people import People
from posekit.skeletons import LSP14

_K = len(LSP14)
_OFFICIAL_COUNT = 2000  # people in LSP: the first half is for training, the second for testing


def open_lsp(root: str | Path, split: str = "all") -> People:
    """Load the annotated people of LSP or LSPET; raises the errors of `posekit.data.open_people`.

    Parameters
    ----------
    root : str or Path
        Path of ``joints.mat``, or of the folder that contains ``joints.mat`` and ``images/``.
    split : str
        LSP: ``train`` (the first 1,000 people) or ``test`` (the last 1,000). LSPET: ``train`` (all people).
        Both: ``all``, ``random:FRACTION:SEED`` or ``random-rest:FRACTION:SEED``.

    Returns
    -------
    People : named ``lsp`` or ``lspet``. The boxes are made around the labelled joints, because the files contain no boxes.
        In LSPET all labelled joints count as visible, because the file does not contain visibility.
    """
    wanted = parse_split(split)
    path = Path(root) if Path(root).is_file() else Path(root) / "joints.mat"
    if not path.is_file():
        raise DataError(f"{path}: no such file; expected a folder with joints.mat and images/")
    return _annotations(path).choose(wanted)


def _annotations(path: Path) -> Annotations:
    name, joints, labelled, visible = _read(path)
    count = len(joints)
    digits = 5 if name == "lspet" else 4
    people = People(
        name=name,
        split="all",
        skeleton=LSP14,
        image_paths=np.array([str(path.parent / "images" / f"im{i + 1:0{digits}d}.jpg") for i in range(count)], dtype=str),
        joints=np.where(labelled[..., None], joints, 0.0),
        labelled=labelled,
        visible=visible,
        centres=np.zeros((count, 2)),
        sides=np.ones(count),
        head_sizes=np.full(count, np.nan),
        box_source="labelled joints: the longer side of their tight box times 1.25",
    )
    reasons = np.where(labelled.any(1), "", "no labelled joint")
    return Annotations(_with_boxes(people), reasons, path.name, _official_splits(name, count))


def _read(path: Path) -> tuple[str, np.ndarray, np.ndarray, np.ndarray]:
    """Return the data set name ("lsp" or "lspet"), joints (N, 14, 2), labelled (N, 14) and visible (N, 14)."""
    array = load_variables(path, "joints")["joints"]
    shape = (*array.shape, 1)[:3]  # MATLAB drops a last axis of length 1
    if len(array.shape) > 3 or shape[:2] not in ((3, _K), (_K, 3)) or array.dtype.kind not in "iufb":
        raise DataError(
            f"{path}: joints has dtype {array.dtype} and shape {array.shape}; expected numbers of shape (3, {_K}, N) as in LSP, "
            f"or ({_K}, 3, N) as in LSPET"
        )
    array = array.astype(np.float64).reshape(shape)
    if shape[0] == _K:
        persons = array.transpose(2, 0, 1)
        labelled = persons[..., 2] == 1
        return "lspet", persons[..., :2], labelled, labelled
    persons = array.transpose(2, 1, 0)
    return "lsp", persons[..., :2], np.ones(persons.shape[:2], dtype=bool), persons[..., 2] == 0


def _with_boxes(people: People) -> People:
    """Put boxes around the labelled joints; people without labelled joints keep their box."""
    boxes = [Box.around(person.joints[person.labelled]) if person.labelled.any() else person.box for person in people]
    return replace(
        people,
        centres=np.array([box.centre for box in boxes], dtype=np.float64).reshape(-1, 2),
        sides=np.array([box.side for box in boxes], dtype=np.float64),
    )


def _official_splits(name: str, count: int) -> dict[str, np.ndarray]:
    if name == "lspet":
        return {"train": np.arange(count)}
    if count == _OFFICIAL_COUNT:
        return {"train": np.arange(count // 2), "test": np.arange(count // 2, count)}
    return {}
