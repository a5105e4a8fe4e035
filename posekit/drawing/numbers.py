"""Draw people's numbers in an image, so that each person can be found in a table."""

from collections.abc import Sequence

import numpy as np

from posekit.opencv import cv2

_DARK = (30, 30, 30)
_LIGHT = (240, 240, 240)
_FONT = cv2.FONT_HERSHEY_SIMPLEX


def draw_numbers(image_bgr: np.ndarray, places: Sequence[tuple[float, float]]) -> np.ndarray:
    """Write 1, 2, 3, … above the given points; numbers that would leave the image are moved inside.

    Parameters
    ----------
    image_bgr : (H, W, 3) uint8
        BGR image; not modified.
    places : sequence of (x, y)
        Points in image pixels.

    Returns
    -------
    (H, W, 3) uint8, a new image.
    """
    canvas = image_bgr.copy()
    height, width = canvas.shape[:2]
    digit_height = max(10, max(height, width) / 50)  # smaller digits are hard to read
    scale = digit_height / 22  # at scale 1, cv2's digits are 22 pixels high
    thickness = max(1, round(digit_height / 12))
    for number, (x, y) in enumerate(places, 1):
        (text_width, text_height), _ = cv2.getTextSize(str(number), _FONT, scale, thickness)
        gap = max(2, text_height // 4)
        box_width = text_width + 2 * gap
        box_height = text_height + 2 * gap
        left = int(np.clip(x - box_width / 2, 0, max(0, width - box_width)))
        top = int(np.clip(y - box_height - gap, 0, max(0, height - box_height)))
        cv2.rectangle(canvas, (left, top), (left + box_width, top + box_height), _DARK, cv2.FILLED)
        cv2.putText(canvas, str(number), (left + gap, top + text_height + gap), _FONT, scale, _LIGHT, thickness, cv2.LINE_AA)
    return canvas
