"""Intersection over union and average precision of square boxes, by pycocotools."""

import contextlib
import io
from collections.abc import Sequence

import numpy as np
from pycocotools import mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

_IOU = 0.5
_MAX_DETECTIONS = 100  # an image


def square_iou(squares_N3: np.ndarray, others_M3: np.ndarray) -> np.ndarray:
    """Intersection over union of each square and each of the others.

    Parameters
    ----------
    squares_N3, others_M3 : (N, 3), (M, 3) float
        Centre x, y and side, in any unit.

    Returns
    -------
    (N, M) float64
    """
    shape = len(squares_N3), len(others_M3)
    if 0 in shape:
        return np.zeros(shape)
    return mask.iou(_xywh(squares_N3), _xywh(others_M3), np.zeros(shape[1], np.uint8))


def _xywh(squares_N3: np.ndarray) -> np.ndarray:
    sides = squares_N3[:, 2:]
    return np.column_stack([squares_N3[:, :2] - sides / 2, sides, sides])


def box_average_precision(detections: Sequence[np.ndarray], truths: Sequence[np.ndarray]) -> dict[str, float]:
    """Average precision and recall of square boxes at IoU 0.5.

    Parameters
    ----------
    detections : sequence of (M, 4) float
        One array for each image: centre x, y, side and score, in any unit. The 100 of highest score count.
    truths : sequence of (N, 3) float
        Centre x, y and side in the same images.

    Returns
    -------
    dict : AP50, recall, in percent; NaN if there is no true box.
    """
    if len(detections) != len(truths):
        raise ValueError(f"detections: expected {len(truths)} arrays, one for each image, got {len(detections)}")
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(_coco(truths), _coco(detections), "bbox")
        evaluation.params.iouThrs = np.array([_IOU])
        evaluation.params.areaRng = [[0, np.inf]]
        evaluation.params.areaRngLbl = ["all"]
        evaluation.params.maxDets = [_MAX_DETECTIONS]
        evaluation.evaluate()
        evaluation.accumulate()
    return {"AP50": _percent(evaluation.eval["precision"].mean()), "recall": _percent(evaluation.eval["recall"].mean())}


def _coco(boxes: Sequence[np.ndarray]) -> COCO:
    """COCO's form of the boxes, (N, 3) or with a score (N, 4), of each image."""
    annotations: list[dict] = []
    for image_id, image_boxes in enumerate(boxes):
        for x, y, side, *score in image_boxes.tolist():
            annotation = {
                "id": len(annotations) + 1,  # 0 means not matched
                "image_id": image_id,
                "category_id": 1,
                "bbox": [x - side / 2, y - side / 2, side, side],
                "area": side * side,
                "score": score[0] if score else 1.0,
                "iscrowd": 0,
            }
            annotations.append(annotation)
    images = [{"id": image_id} for image_id in range(len(boxes))]
    coco = COCO()
    coco.dataset = {"images": images, "categories": [{"id": 1}], "annotations": annotations}
    coco.createIndex()
    return coco


def _percent(share: float) -> float:
    return 100 * float(share) if share >= 0 else float("nan")  # COCO's -1 is "none"
