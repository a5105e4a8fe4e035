"""Images that a classifier takes for something else."""

from collections.abc import Sequence

import numpy as np

from posekit.drawing.pose import contact_sheet
from posekit.opencv import cv2

_TILE, _ACROSS = 160, 8


def mistakes_sheet(images: Sequence[np.ndarray], truth: Sequence[str], predicted: Sequence[str]) -> np.ndarray:
    """Show images side by side, each under what it was taken for and, in brackets, what it is.

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
    titles = [f"{taken} ({true})" for taken, true in zip(predicted, truth, strict=True)]
    return contact_sheet(tiles, _ACROSS, titles)
