"""Write annotated people in formats of other programs: COCO keypoints, and the hourglass authors' HDF5."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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

_MARGIN = 1.25  # of `posekit.geometry.Box.from_xywh`
_CATEGORY = 1
_FIRST_PIXEL = 1  # the hourglass's files count pixels from 1
_SCALE_PX = 200  # the hourglass's unit of a box's side
# (0, 0) marks an unlabelled joint; a labelled joint there (the evaluation file has four) is moved by this many pixels.
_SHIFT_PX = 1e-7


def write_coco(path: str | Path, people: People, image_ids: np.ndarray, headers: ImageHeaders) -> None:
    """Write people as a keypoint annotation in COCO's format, which `posekit.data.open_people` reads as ``coco``.

    Reading the file gives the same joints, flags and boxes. Coordinates are 0-based pixel indices, not rounded. ``bbox`` is the
    square box divided by 1.25, a margin that readers add again; ``area`` is the segment's if known, otherwise that of the
    labelled joints' tight box, as in posekit's OKS. ``head_size`` (PCKh's, in pixels; not part of the format) is written if known.

    Parameters
    ----------
    path : str or Path
        An existing file is replaced.
    people : People
    image_ids : (N,) int64
        Id of each person's image. `posekit.scoring.io.coco.image_ids` gives the ids used in COCO results, so that both files match.
    headers : ImageHeaders
        For width and height; 0 where unknown.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    bbox = "the person's square box divided by 1.25"
    content = {
        "info": {"description": f"{people.name} {people.split}, converted by posekit {__version__}", "bbox": bbox},
        "images": list(_coco_images(people, image_ids, headers)),
        "annotations": list(_coco_persons(people, image_ids)),
        "categories": [_coco_category(people.skeleton)],
    }
    with atomic_write(path) as unfinished:
        unfinished.write_text(json.dumps(content, allow_nan=False), encoding="utf-8")


def _coco_images(people: People, image_ids: np.ndarray, headers: ImageHeaders) -> Iterator[dict[str, Any]]:
    id_of = dict(zip(people.image_paths.tolist(), image_ids.tolist(), strict=True))
    for path, image_id in id_of.items():
        width, height = headers.sizes.get(path, (0, 0))
        yield {"id": image_id, "file_name": Path(path).name, "width": width, "height": height}


def _coco_persons(people: People, image_ids: np.ndarray) -> Iterator[dict[str, Any]]:
    flags = people.labelled.astype(int) + people.visible  # 0: not labelled, 1: labelled but hidden, 2: visible
    sides = people.sides / _MARGIN
    corners = people.centres + 0.5 - sides[:, None] / 2  # COCO measures boxes at pixel edges
    areas = np.where(np.isfinite(people.areas), people.areas, tight_area(people.joints, people.labelled))
    for i in range(len(people)):
        keypoints: list[float] = []
        for (x, y), flag in zip(people.joints[i].tolist(), flags[i].tolist(), strict=True):
            keypoints += [x, y, flag]
        person = {
            "id": i + 1,  # COCO's evaluation reads a 0 as no person
            "image_id": int(image_ids[i]),
            "category_id": _CATEGORY,
            "keypoints": keypoints,
            "num_keypoints": int(people.labelled[i].sum()),
            "bbox": [*corners[i].tolist(), float(sides[i]), float(sides[i])],
            "area": float(areas[i]),
            "iscrowd": 0,
        }
        head_size = float(people.head_sizes[i])
        if np.isfinite(head_size):
            person["head_size"] = head_size
        yield person


def _coco_category(skeleton: Skeleton) -> dict[str, Any]:
    return {
        "id": _CATEGORY,
        "name": "person",
        "supercategory": "person",
        "keypoints": list(skeleton.joints),
        "skeleton": [[a + 1, b + 1] for a, b in skeleton.limb_indices],
    }


def write_hourglass(path: str | Path, people: People) -> None:
    """Write people with MPII's joints in the form of the hourglass authors' ``train.h5`` and ``valid.h5``.

    ======================  =====================================================================================
    ``part`` (N, 16, 2)     joints, counted from 1; (0, 0) is a joint that is not labelled
    ``visible`` (N, 16)     1 or 0
    ``center``, ``scale``   of the box, from 1 and in 200 px; already adjusted for the crop, as in their files
    ``normalize`` (N,)      head size for PCKh; NaN where unknown
    ``imgname`` (N,)        the image's file name
    ``person`` (N,)         the person's rectangle in the ``.mat``, from 0; only for the official validation set
    ======================  =====================================================================================

    Their ``index`` (of the image in the ``.mat``) and ``torsoangle`` are not written: `People` does not hold them.

    Parameters
    ----------
    path : str or Path
        An existing file is replaced. Readers take the split from its name, ``train.h5`` or ``valid.h5``.
    people : People

    Raises
    ------
    ConfigError
        If the people do not have MPII's 16 joints.
    OutputError
        If the file cannot be written.
    """
    if people.skeleton.joints != MPII16.joints:
        raise ConfigError(
            f"{people.name}: the hourglass's HDF5 holds MPII's 16 joints, but skeleton {people.skeleton.name} has "
            f"{len(people.skeleton)} others; write COCO's JSON instead"
        )
    names = [Path(image).name for image in people.image_paths.tolist()]
    joints = people.joints + _FIRST_PIXEL
    joints[(joints == 0).all(-1)] = _SHIFT_PX
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
