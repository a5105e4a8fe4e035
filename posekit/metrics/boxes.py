"""Square boxes: how much two have in common, and average precision, by pycocotools."""

import contextlib
import io
from collections.abc import Sequence

import numpy as np
from pycocotools import mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

_IOU = 0.5
_AT_MOST = 100  # boxes a picture


def square_iou(squares_N3: np.ndarray, others_M3: np.ndarray) -> np.ndarray:
    """Common area of each with each of the others, in areas of their union.

    Parameters
    ----------
    squares_N3, others_M3 : (N, 3), (M, 3) float
        Middle x, y and side; of any scale.

    Returns
    -------
    (N, M) float64
    """
    shape = len(squares_N3), len(others_M3)
    if 0 in shape:
        return np.zeros(shape)
    corners = (np.column_stack([each[:, :2] - each[:, 2:] / 2, each[:, 2:], each[:, 2:]]) for each in (squares_N3, others_M3))
    return mask.iou(*corners, np.zeros(shape[1], np.uint8))


def box_average_precision(found: Sequence[np.ndarray], truths: Sequence[np.ndarray]) -> dict[str, float]:
    """How well square boxes are found: average precision, and the share of the true ones that are found at all, at IoU 0.5.

    Parameters
    ----------
    found : sequence of (M, 4) float
        Of each picture: middle x, y, side and score; of any scale. The 100 of highest score count.
    truths : sequence of (N, 3) float
        Of the same pictures.

    Returns
    -------
    dict : AP50, recall, in percent; NaN where there is nobody to find.
    """
    pictures = [{"id": place} for place in range(len(truths))]
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(_coco(pictures, truths), _coco(pictures, found), "bbox")
        evaluation.params.iouThrs = np.array([_IOU])
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, np.inf]], ["all"]
        evaluation.params.maxDets = [_AT_MOST]
        evaluation.evaluate()
        evaluation.accumulate()
    precision, recall = (evaluation.eval[name] for name in ("precision", "recall"))
    return {"AP50": _percent(precision.mean()), "recall": _percent(recall.mean())}


def _coco(pictures: list[dict], boxes: Sequence[np.ndarray]) -> COCO:
    rows = [(picture["id"], row) for picture, theirs in zip(pictures, boxes, strict=True) for row in theirs.tolist()]
    coco = COCO()
    coco.dataset = {
        "images": pictures,
        "categories": [{"id": 1}],
        "annotations": [
            {
                "id": number,  # 0 means not matched
                "image_id": picture,
                "category_id": 1,
                "bbox": [x - side / 2, y - side / 2, side, side],
                "area": side * side,
                "score": score[0] if score else 1.0,
                "iscrowd": 0,
            }
            for number, (picture, (x, y, side, *score)) in enumerate(rows, start=1)
        ],
    }
    coco.createIndex()
    return coco


def _percent(share: float) -> float:
    return 100 * float(share) if share >= 0 else float("nan")  # COCO's -1 is "none"
