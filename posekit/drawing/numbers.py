"""Numbers beside people, so that a table's rows can be found in the picture."""

from collections.abc import Sequence

import numpy as np

from posekit.opencv import cv2

_DARK, _LIGHT = (30, 30, 30), (240, 240, 240)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
# Of the picture's longer side; and the least, in pixels, that can be read.
_SHARE, _LEAST = 1 / 50, 10


def draw_numbers(image_bgr: np.ndarray, places: Sequence[tuple[float, float]]) -> np.ndarray:
    """Write 1, 2, 3 … above places, or as near to them as the picture allows.

    Parameters
    ----------
    image_bgr : (H, W, 3) uint8
        It is not changed.
    places : sequence of (x, y)
        Image pixels.

    Returns
    -------
    (H, W, 3) uint8, a new image.
    """
    canvas = image_bgr.copy()
    height, width = canvas.shape[:2]
    letter = max(_LEAST, _SHARE * max(height, width))
    scale, thickness = letter / 22, max(1, round(letter / 12))  # cv2's digits are 22 pixels high
    for number, (x, y) in enumerate(places, 1):
        (columns, rows), _ = cv2.getTextSize(str(number), _FONT, scale, thickness)
        gap = max(2, rows // 4)
        wide, high = columns + 2 * gap, rows + 2 * gap
        left = int(np.clip(x - wide / 2, 0, max(0, width - wide)))
        top = int(np.clip(y - high - gap, 0, max(0, height - high)))
        cv2.rectangle(canvas, (left, top), (left + wide, top + high), _DARK, cv2.FILLED)
        cv2.putText(canvas, str(number), (left + gap, top + rows + gap), _FONT, scale, _LIGHT, thickness, cv2.LINE_AA)
    return canvas
