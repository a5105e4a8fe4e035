"""Boxes in a picture, each with its score."""

from collections.abc import Sequence

import numpy as np

from posekit.geometry import Box
from posekit.opencv import cv2

_COLOUR, _SHADE = (80, 220, 80), (20, 20, 20)
_FONT, _SCALE = cv2.FONT_HERSHEY_SIMPLEX, 0.4


def draw_boxes(image_bgr: np.ndarray, boxes: Sequence[tuple[Box, float]]) -> np.ndarray:
    """Draw boxes, the one of the highest score on top.

    Parameters
    ----------
    image_bgr : (H, W, 3) uint8
    boxes : sequence of (Box, float)
        With their scores, the highest first.

    Returns
    -------
    (H, W, 3) uint8
    """
    canvas = image_bgr.copy()
    for box, score in reversed(boxes):
        (x, y), half = box.centre, box.side / 2
        corners = [(round(x + sign * half), round(y + sign * half)) for sign in (-1, 1)]
        at = max(corners[0][0], 0) + 3, max(corners[0][1], 0) + 13
        for colour, width in ((_SHADE, 3), (_COLOUR, 1)):
            cv2.rectangle(canvas, *corners, colour, width)
            cv2.putText(canvas, f"{score:.2f}", at, _FONT, _SCALE, colour, width, cv2.LINE_AA)
    return canvas
