"""Annotated people written as files that other programs read: COCO keypoints, and the hourglass authors' HDF5."""

import json
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np

from posekit import __version__
from posekit.data.image_headers import ImageHeaders
from posekit.data.mpii import official_validation
from posekit.errors import ConfigError
from posekit.files import atomic_write
from posekit.metrics import tight_area
from posekit.people import People
from posekit.skeletons import MPII16, Skeleton

# `posekit.geometry.Box.from_xywh` draws its box so much larger than the bbox.
_MARGIN = 1.25
_CATEGORY = 1
# The hourglass's files count pixels from 1, and a person's scale is the box's side over 200 px.
_FIRST_PIXEL, _SCALE_PX = 1, 200
# 0, 0 says that a joint is not labelled; a labelled one there (the evaluation file has four) goes this many pixels beside.
_BESIDE_PX = 1e-7


def write_coco(path: str | Path, people: People, image_ids: np.ndarray, photographs: ImageHeaders) -> None:
    """Write people as a keypoint annotation in COCO's format, which `posekit.data.open_people` reads as ``coco``.

    Joints, what is labelled and visible, and boxes come back as they are. Coordinates are 0-based pixel
    indices, not rounded. ``bbox`` is the square box divided by 1.25, as readers put that margin around it
    again; ``area`` is the segment's where it is known, otherwise that of the labelled joints' tight box,
    as OKS takes it here. ``head_size`` (PCKh's, in pixels; no part of the format) is there where it is known.

    Parameters
    ----------
    path : str or Path
        An existing file is replaced.
    people : People
    image_ids : (N,) int64
        The number of each person's photograph. `posekit.scoring.io.coco.image_ids` gives the numbers that
        COCO results written here have, so that the two fit together.
    photographs : ImageHeaders
        Whence width and height come; 0 where they are not known.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    bbox = "the person's square box divided by 1.25"
    content = {
        "info": {"description": f"{people.name} {people.split}, converted by posekit {__version__}", "bbox": bbox},
        "images": list(_coco_images(people, image_ids, photographs)),
        "annotations": list(_coco_persons(people, image_ids)),
        "categories": [_coco_category(people.skeleton)],
    }
    with atomic_write(path) as unfinished:
        unfinished.write_text(json.dumps(content, allow_nan=False), encoding="utf-8")


def _coco_images(people: People, image_ids: np.ndarray, photographs: ImageHeaders) -> Iterator[dict]:
    for image, number in dict(zip(people.image_paths.tolist(), image_ids.tolist(), strict=True)).items():
        width, height = photographs.sizes.get(image, (0, 0))
        yield {"id": number, "file_name": Path(image).name, "width": width, "height": height}


def _coco_persons(people: People, image_ids: np.ndarray) -> Iterator[dict]:
    flags = people.labelled.astype(int) + people.visible  # 0: not labelled, 1: labelled, but hidden, 2: visible
    sides = people.sides / _MARGIN
    corners = people.centres + 0.5 - sides[:, None] / 2  # COCO measures boxes from the pixels' edges
    areas = np.where(np.isfinite(people.areas), people.areas, tight_area(people.joints, people.labelled))
    for i, (number, (x, y), side, area) in enumerate(zip(*map(np.ndarray.tolist, (image_ids, corners, sides, areas)), strict=True)):
        points = zip(people.joints[i].tolist(), flags[i].tolist(), strict=True)
        person = {
            "id": i + 1,  # COCO's evaluation takes a 0 for nobody
            "image_id": number,
            "category_id": _CATEGORY,
            "keypoints": [value for (px, py), flag in points for value in (px, py, flag)],
            "num_keypoints": int(people.labelled[i].sum()),
            "bbox": [x, y, side, side],
            "area": area,
            "iscrowd": 0,
        }
        head_size = float(people.head_sizes[i])
        yield person | ({"head_size": head_size} if np.isfinite(head_size) else {})


def _coco_category(skeleton: Skeleton) -> dict:
    return {
        "id": _CATEGORY,
        "name": "person",
        "supercategory": "person",
        "keypoints": list(skeleton.joints),
        "skeleton": [[a + 1, b + 1] for a, b in skeleton.limb_indices],
    }


def write_hourglass(path: str | Path, people: People) -> None:
    """Write MPII's people in the form of the hourglass authors' ``train.h5`` and ``valid.h5``.

    ======================  =====================================================================================
    ``part`` (N, 16, 2)     joints, counted from 1; 0, 0 is a joint that is not labelled
    ``visible`` (N, 16)     1 or 0
    ``center``, ``scale``   of the box, from 1 and in 200 px: adjusted for the crop already, as in their files
    ``normalize`` (N,)      head size for PCKh; NaN where it is not known
    ``imgname`` (N,)        the photograph's file name
    ``person`` (N,)         the person's rectangle in the ``.mat``, from 0: for the official validation set only
    ======================  =====================================================================================

    Their ``index`` (the photograph's place in the ``.mat``) and ``torsoangle`` are not there: people do not carry them.

    Parameters
    ----------
    path : str or Path
        An existing file is replaced. Readers know the split by its name, ``train.h5`` or ``valid.h5``.
    people : People

    Raises
    ------
    ConfigError
        If they do not have MPII's 16 joints.
    OutputError
        If the file cannot be written.
    """
    if people.skeleton.joints != MPII16.joints:
        raise ConfigError(
            f"{people.name}: the hourglass's HDF5 holds MPII's 16 joints in their order, and skeleton {people.skeleton.name} has "
            f"{len(people.skeleton)}; write COCO's JSON instead"
        )
    names = [Path(image).name for image in people.image_paths.tolist()]
    joints = people.joints + _FIRST_PIXEL
    joints[(joints == 0).all(-1)] = _BESIDE_PX
    columns = {
        "part": np.where(people.labelled[..., None], joints, 0.0),
        "visible": people.visible.astype(np.float64),
        "center": people.centres + _FIRST_PIXEL,
        "scale": people.sides / _SCALE_PX,
        "normalize": people.head_sizes,
        "imgname": np.array([name.encode() for name in names]),
    }
    if names == [image for image, _ in official_validation()]:
        columns["person"] = np.array([rectangle for _, rectangle in official_validation()], dtype=np.float64)
    with atomic_write(path) as unfinished, h5py.File(unfinished, "w") as file:
        file.update(columns)
        file.attrs.update(name=people.name, split=people.split, coordinate_base=_FIRST_PIXEL, posekit=__version__)
