"""Leeds Sports Pose (LSP) and its extension (LSPET): ``joints.mat`` and numbered photographs.

Two files of one name that differ in all but the joints: LSP's array is (3, 14, N) and its third entry
says that a joint is occluded; LSPET's is (14, 3, N) and its third entry says that a joint is labelled
(the coordinates of the others are rubbish). The shape tells which it is.

Pixels are taken to count from 0: in the real LSPET the labelled joints begin at 0 and, but for five broken
ones, end before the last pixel's centre (W - 1, H - 1). LSP, by the same authors, is read alike.
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
_OFFICIAL_COUNT = 2000  # persons of LSP, of whom the first half is for training and the second for testing


def open_lsp(root: str | Path, split: str = "all") -> People:
    """Read LSP's or LSPET's annotated people.

    Parameters
    ----------
    root : str or Path
        Folder with ``joints.mat`` and ``images/``, or the ``joints.mat`` itself.
    split : str
        LSP: ``train`` (the first 1,000), ``test`` (the last 1,000); LSPET: ``train`` (everyone).
        Both: ``all``, ``random:FRACTION:SEED`` and ``random-rest:FRACTION:SEED``.

    Returns
    -------
    People
        Named ``lsp`` or ``lspet``. The files hold no boxes: they are drawn around the labelled joints.
        LSPET does not say whether a labelled joint can be seen; all are called visible.

    Raises
    ------
    ConfigError
        If the split is malformed or the file does not have it.
    DataError
        If the file cannot be read, has another shape, or holds impossible coordinates.
    """
    wanted = parse_split(split)
    path = Path(root) if Path(root).is_file() else Path(root) / "joints.mat"
    if not path.is_file():
        raise DataError(f"{path}: no such file; LSP and LSPET are a folder with joints.mat and images/")
    return _annotations(path).choose(wanted)


def _annotations(path: Path) -> Annotations:
    joints, labelled, visible, extended = _read(path)
    count = len(joints)
    digits = 5 if extended else 4
    people = People(
        name="lspet" if extended else "lsp",
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
    return Annotations(_with_boxes(people), reasons, path.name, _official(count, extended))


def _read(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, bool]:
    """Joints (N, 14, 2), labelled and visible (N, 14), and whether it is LSPET's file."""
    array = load_variables(path, "joints")["joints"]
    # MATLAB drops a last axis of length 1.
    shape = (*array.shape, 1)[:3]
    if len(array.shape) > 3 or shape[:2] not in ((3, _K), (_K, 3)) or array.dtype.kind not in "iufb":
        raise DataError(
            f"{path}: joints is {array.dtype} {array.shape}; expected numbers (3, {_K}, N) as in LSP or ({_K}, 3, N) as in LSPET"
        )
    extended = shape[0] == _K
    persons = array.astype(np.float64).reshape(shape).transpose((2, 0, 1) if extended else (2, 1, 0))
    if extended:
        labelled = persons[..., 2] == 1
        return persons[..., :2], labelled, labelled, True
    return persons[..., :2], np.ones(persons.shape[:2], dtype=bool), persons[..., 2] == 0, False


def _with_boxes(people: People) -> People:
    """The same people with boxes around their labelled joints; persons without any keep the box they have."""
    boxes = [Box.around(person.joints[person.labelled]) if person.labelled.any() else person.box for person in people]
    return replace(
        people,
        centres=np.array([box.centre for box in boxes], dtype=np.float64).reshape(-1, 2),
        sides=np.array([box.side for box in boxes], dtype=np.float64),
    )


def _official(count: int, extended: bool) -> dict[str, np.ndarray]:
    if extended:
        return {"train": np.arange(count)}
    if count == _OFFICIAL_COUNT:
        return {"train": np.arange(count // 2), "test": np.arange(count // 2, count)}
    return {}
