"""Intersection over union (IoU) and average precision of square bounding boxes, computed by pycocotools."""

import contextlib
import io
from collections.abc import Sequence

import numpy as np
from pycocotools import mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from posekit.metrics.oks import coco_data_set, in_percent_or_nan


def square_iou(squares_N3: np.ndarray, others_M3: np.ndarray) -> np.ndarray:
    """Intersection over union of every pair of squares, one from each array.

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
    """Average precision and recall of square bounding boxes at an IoU threshold of 0.5.

    Parameters
    ----------
    detections : sequence of (M, 4) float
        One array per image; columns: centre x, centre y, side, score. Any unit. Only the 100 highest-scoring boxes per image
        are evaluated.
    truths : sequence of (N, 3) float
        Ground truth boxes, one array per image, in the order of `detections`; columns: centre x, centre y, side.

    Returns
    -------
    dict : AP50 and recall in percent; NaN if there is no ground truth box.
    """
    if len(detections) != len(truths):
        raise ValueError(f"detections: expected {len(truths)} arrays, one per image, got {len(detections)}")
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(_coco(truths), _coco(detections), "bbox")
        evaluation.params.iouThrs = np.array([0.5])
        evaluation.params.areaRng = [[0, np.inf]]
        evaluation.params.areaRngLbl = ["all"]
        evaluation.params.maxDets = [100]  # per image
        evaluation.evaluate()
        evaluation.accumulate()
    names = {"AP50": "precision", "recall": "recall"}
    return {name: in_percent_or_nan(evaluation.eval[result].mean()) for name, result in names.items()}


def _coco(boxes: Sequence[np.ndarray]) -> COCO:
    """Convert each image's boxes, (N, 3) or with scores (N, 4), to a COCO data set."""
    annotations: list[dict] = []
    for image_id, image_boxes in enumerate(boxes):
        for x, y, side, *score in image_boxes.tolist():
            annotation = {
                "image_id": image_id,
                "bbox": [x - side / 2, y - side / 2, side, side],
                "area": side * side,
                "score": score[0] if score else 1.0,
            }
            annotations.append(annotation)
    return coco_data_set(range(len(boxes)), annotations)
