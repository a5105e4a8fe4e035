"""Drawings of images that a classifier got wrong."""

from collections.abc import Sequence

import numpy as np

from posekit.drawing.pose import contact_sheet
from posekit.opencv import cv2

_TILE = 160
_COLUMNS = 8


def mistakes_sheet(images: Sequence[np.ndarray], truth: Sequence[str], predicted: Sequence[str]) -> np.ndarray:
    """Show images side by side, each titled with the predicted class and, in brackets, the true one.

    Parameters
    ----------
    images : sequence of (H, W, 3) uint8
        Blue, green, red; at least one, each shown as a square.
    truth, predicted : sequence of str
        Names of classes.

    Returns
    -------
    (height, width, 3) uint8
    """
    tiles = [cv2.resize(image, (_TILE, _TILE), interpolation=cv2.INTER_NEAREST) for image in images]
    titles = [f"{guess} ({true})" for guess, true in zip(predicted, truth, strict=True)]
    return contact_sheet(tiles, _COLUMNS, titles)
