"""Draw bounding boxes with their scores on an image."""

from collections.abc import Sequence

import numpy as np

from posekit.geometry import Box
from posekit.opencv import cv2

_COLOUR = (80, 220, 80)
_OUTLINE = (20, 20, 20)
_FONT = cv2.FONT_HERSHEY_SIMPLEX


def draw_boxes(image_bgr: np.ndarray, boxes: Sequence[tuple[Box, float]]) -> np.ndarray:
    """Draw bounding boxes with their scores; the box with the highest score is on top.

    Parameters
    ----------
    image_bgr : (H, W, 3) uint8
        BGR image; not modified.
    boxes : sequence of (Box, float)
        Boxes and their scores, sorted by descending score.

    Returns
    -------
    (H, W, 3) uint8, a new image.
    """
    canvas = image_bgr.copy()
    for box, score in reversed(boxes):
        x, y = box.centre
        left, top = round(x - box.side / 2), round(y - box.side / 2)
        right, bottom = round(x + box.side / 2), round(y + box.side / 2)
        text_origin = (max(left, 0) + 3, max(top, 0) + 13)
        for colour, width in ((_OUTLINE, 3), (_COLOUR, 1)):
            cv2.rectangle(canvas, (left, top), (right, bottom), colour, width)
            cv2.putText(canvas, f"{score:.2f}", text_origin, _FONT, 0.4, colour, width, cv2.LINE_AA)
    return canvas
