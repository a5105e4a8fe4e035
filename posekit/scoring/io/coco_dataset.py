"""COCO data sets: what annotation tools import, with people who were predicted in the place of annotated ones.

COCO results carry a joint's score where a data set says whether the joint is labelled (0, 1 or 2), and
annotation tools take that literally. So here a joint is 2 or, if it scores too little, left out as 0, 0, 0;
the scores stand beside, under ``keypoint_scores``, which other readers ignore.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from posekit.scoring.io.image_poses import PhotographPeople
from posekit.skeletons import Skeleton

_PERSON, _VISIBLE = 1, 2


def coco_category(skeleton: Skeleton) -> dict:
    """The category "person" with the skeleton's joints and limbs."""
    limbs = [[a + 1, b + 1] for a, b in skeleton.limb_indices]  # COCO counts joints from 1 here
    return {"id": _PERSON, "name": "person", "supercategory": "person", "keypoints": list(skeleton.joints), "skeleton": limbs}


def joints_extent(joints: np.ndarray) -> dict:
    """What COCO tells of a person besides the joints, from the joints (K, 2) alone; what is not finite does not count.

    Returns
    -------
    dict : ``bbox``, tight around the joints; its ``area``; ``num_keypoints``; ``iscrowd``, 0.
    """
    known = joints[np.isfinite(joints).all(1)]
    low, high = (known.min(0), known.max(0)) if len(known) else (np.zeros(2), np.zeros(2))
    return {
        "bbox": [*low.round(4).tolist(), *(high - low).round(4).tolist()],
        "area": round(float((high - low).prod()), 4),
        "num_keypoints": len(known),
        "iscrowd": 0,
    }


def write_dataset(path: Path, photographs: Sequence[PhotographPeople], skeleton: Skeleton, min_score: float) -> None:
    """Write ``images``, ``annotations`` and ``categories``.

    File names are relative to the folder that all photographs share, which is what tools ask for beside the file.
    A person none of whose joints scores `min_score` is left out.
    """
    names = _relative([photograph.image for photograph in photographs])
    content = {"images": [], "annotations": [], "categories": [coco_category(skeleton)]}
    for image_id, (name, photograph) in enumerate(zip(names, photographs, strict=True), 1):
        size = {"width": photograph.width, "height": photograph.height}
        content["images"].append({"id": image_id, "file_name": name, **size})
        for joints, scores in zip(photograph.joints, photograph.scores, strict=True):
            shown = np.isfinite(joints).all(1) & (scores >= min_score)
            if shown.any():
                person = {"id": len(content["annotations"]) + 1, "image_id": image_id, "category_id": _PERSON}
                content["annotations"].append({**person, **_keypoints(joints, scores, shown)})
    path.write_text(json.dumps(content, indent=1, allow_nan=False), encoding="utf-8")


def _keypoints(joints: np.ndarray, scores: np.ndarray, shown: np.ndarray) -> dict:
    triples = np.where(shown[:, None], np.column_stack([joints, np.full(len(joints), _VISIBLE)]), 0.0)
    keypoints = [number for x, y, labelled in triples.round(4).tolist() for number in (x, y, int(labelled))]
    found = np.where(np.isfinite(scores), scores, 0.0).round(4).tolist()
    return {"keypoints": keypoints, "keypoint_scores": found, **joints_extent(joints[shown])}


def _relative(images: Sequence[str]) -> list[str]:
    paths = [Path(image).absolute() for image in images]
    shared = os.path.commonpath([path.parent for path in paths]) if paths else ""
    return [path.relative_to(shared).as_posix() for path in paths]
