"""Write COCO data sets of predicted people, which annotation tools can import.

The third number of each joint is a score in COCO results, but a visibility flag (0, 1 or 2) in COCO data sets. Here the flag is 2;
joints with a low score are written as 0, 0, 0. The scores are written to the additional key ``keypoint_scores``, which other
readers ignore.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from posekit.scoring.io.image_poses import ImagePeople
from posekit.skeletons import Skeleton

_PERSON = 1
_VISIBLE = 2


def coco_category(skeleton: Skeleton) -> dict:
    """Return the COCO category "person" with the skeleton's joints and limbs."""
    limbs = [[a + 1, b + 1] for a, b in skeleton.limb_indices]  # COCO's joint indices in "skeleton" start at 1
    return {"id": _PERSON, "name": "person", "supercategory": "person", "keypoints": list(skeleton.joints), "skeleton": limbs}


def joints_extent(joints: np.ndarray) -> dict:
    """Compute the remaining COCO fields of a person from the (K, 2) joints; joints that are not finite are ignored.

    Returns
    -------
    dict : ``bbox`` (tight around the joints), ``area`` of this box, ``num_keypoints`` and ``iscrowd`` (0).
    """
    known = joints[np.isfinite(joints).all(1)]
    low = known.min(0) if len(known) else np.zeros(2)
    size = known.max(0) - low if len(known) else np.zeros(2)
    return {
        "bbox": [*low.round(4).tolist(), *size.round(4).tolist()],
        "area": round(float(size.prod()), 4),
        "num_keypoints": len(known),
        "iscrowd": 0,
    }


def write_dataset(path: Path, images: Sequence[ImagePeople], skeleton: Skeleton, min_score: float) -> None:
    """Write a COCO data set with ``images``, ``annotations`` and ``categories``.

    File names are relative to the common folder of all images, which annotation tools ask for when importing. People without any
    joint that has at least the score `min_score` are left out.
    """
    image_paths = [Path(people.image).absolute() for people in images]
    folder = os.path.commonpath([image_path.parent for image_path in image_paths]) if images else ""
    listing = []
    annotations: list[dict] = []
    for image_id, (image_path, people) in enumerate(zip(image_paths, images, strict=True), 1):
        name = image_path.relative_to(folder).as_posix()
        listing.append({"id": image_id, "file_name": name, "width": people.width, "height": people.height})
        for joints, scores in zip(people.joints, people.scores, strict=True):
            visible = np.isfinite(joints).all(1) & (scores >= min_score)
            if visible.any():
                person = {"id": len(annotations) + 1, "image_id": image_id, "category_id": _PERSON}
                annotations.append({**person, **_keypoints(joints, scores, visible)})
    content = {"images": listing, "annotations": annotations, "categories": [coco_category(skeleton)]}
    path.write_text(json.dumps(content, indent=1, allow_nan=False), encoding="utf-8")


def _keypoints(joints: np.ndarray, scores: np.ndarray, visible: np.ndarray) -> dict:
    keypoints: list[float] = []
    for (x, y), is_visible in zip(joints.round(4).tolist(), visible.tolist(), strict=True):
        keypoints += [x, y, _VISIBLE] if is_visible else [0.0, 0.0, 0]
    known_scores = np.where(np.isfinite(scores), scores, 0.0).round(4).tolist()
    return {"keypoints": keypoints, "keypoint_scores": known_scores, **joints_extent(joints[visible])}
