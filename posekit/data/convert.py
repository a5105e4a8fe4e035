"""Write annotated people in the formats of other programs: COCO keypoints, and the HDF5 files of the hourglass authors."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from posekit import __version__
from posekit.data.mpii import official_validation
from posekit.errors import ConfigError
from posekit.files import atomic_write
from posekit.images import ImageHeaders
from posekit.metrics import tight_area
from posekit.people import People
from posekit.skeletons import MPII16

_MARGIN = 1.25  # default margin of `posekit.geometry.Box.from_xywh`
_CATEGORY = 1
_FIRST_PIXEL = 1  # the hourglass files have 1-based pixels
_SCALE_PX = 200  # the hourglass files store the side of a box in units of 200 px
# In the hourglass files, (0, 0) marks an unlabelled joint. Labelled joints at (0, 0), of which the evaluation file has four, are
# therefore shifted by this number of pixels.
_SHIFT_PX = 1e-7


def write_coco(path: str | Path, people: People, image_ids: np.ndarray, headers: ImageHeaders) -> None:
    """Write people as a keypoint annotation in COCO's format, which `posekit.data.open_people` loads as ``coco``.

    Loading the file gives the same joints, labels, visibility and boxes. Coordinates are 0-based pixel indices, not rounded.

    - ``bbox`` is the square box with its side divided by 1.25, the margin that programs add when loading the file.
    - ``area`` is the area of the person's segmentation mask if known, otherwise of the tight box around the labelled joints.
    - ``head_size``, the head size for PCKh in pixels, is not part of COCO's format; it is written if known.

    Parameters
    ----------
    path : str or Path
        An existing file is overwritten; a file that cannot be written raises `OutputError`.
    people : People
    image_ids : (N,) int64
        Image id of each person. Use `posekit.scoring.io.coco.image_ids` to get the same ids as in COCO results.
    headers : ImageHeaders
        Sizes of the images; unknown sizes are written as 0.
    """
    content = {
        "info": {
            "description": f"{people.name} {people.split}, converted by posekit {__version__}",
            "bbox": "the person's square box divided by 1.25",
        },
        "images": list(_coco_images(people, image_ids, headers)),
        "annotations": list(_coco_persons(people, image_ids)),
        "categories": [people.skeleton.coco_category],
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
            "id": i + 1,  # COCO's evaluation treats id 0 as no person
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


def write_hourglass(path: str | Path, people: People) -> None:
    """Write people with MPII's joints in the format of ``train.h5`` and ``valid.h5`` of the hourglass authors.

    =======================  =====================================================================================
    ``part`` (N, 16, 2)      joints in 1-based pixels; (0, 0) where not labelled
    ``visible`` (N, 16)      1 where visible, otherwise 0
    ``center`` (N, 2)        centre of the box used for the crop, in 1-based pixels
    ``scale`` (N,)           side of the box used for the crop, in units of 200 px
    ``normalize`` (N,)       head size for PCKh; NaN where unknown
    ``imgname`` (N,)         file name of the image
    ``person`` (N,)          0-based index of the person's rectangle in the ``.mat``; only for the official validation set
    =======================  =====================================================================================

    The columns ``index`` (of the image in the ``.mat``) and ``torsoangle`` of the original files are not written, because `People`
    does not store them.

    Parameters
    ----------
    path : str or Path
        An existing file is overwritten. Other programs expect the name ``train.h5`` or ``valid.h5``, depending on the split.
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
            f"{people.name}: the hourglass HDF5 format needs MPII's 16 joints, but skeleton {people.skeleton.name} has a "
            f"different set of {len(people.skeleton)} joints; write COCO's format instead"
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
