"""Drawings of misclassified images."""

from collections.abc import Sequence

import numpy as np

from posekit.drawing.pose import contact_sheet
from posekit.images import cv2

_TILE = 160
_COLUMNS = 8


def mistakes_sheet(images: Sequence[np.ndarray], truth: Sequence[str], predicted: Sequence[str]) -> np.ndarray:
    """Draw a contact sheet of images, each titled with the predicted class and, in brackets, the true class.

    Parameters
    ----------
    images : sequence of (H, W, 3) uint8
        BGR images, at least one; each image is resized to a square.
    truth, predicted : sequence of str
        Names of the true and predicted classes.

    Returns
    -------
    (height, width, 3) uint8
    """
    tiles = [cv2.resize(image, (_TILE, _TILE), interpolation=cv2.INTER_NEAREST) for image in images]
    titles = [f"{guess} ({true})" for guess, true in zip(predicted, truth, strict=True)]
    return contact_sheet(tiles, _COLUMNS, titles)
