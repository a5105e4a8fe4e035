"""From crops to what a network is fed."""

from functools import cache

import torch
from torch import Tensor


def normalise(
    images_BHWC: Tensor, mean: tuple[float, float, float], std: tuple[float, float, float], channel_gains_B3: Tensor | None = None
) -> Tensor:
    """Make network input of crops, on their device.

    Parameters
    ----------
    images_BHWC : (B, H, W, 3) uint8
        Red, green, blue.
    mean, std : three floats
        Of red, green and blue in [0, 1].
    channel_gains_B3 : (B, 3) float32, optional
        Factors on red, green and blue (augmentation); 1 without. What becomes brighter than white stays so.

    Returns
    -------
    (B, 3, H, W) float32 : ``(gain x / 255 - mean) / std``, in the channels-last memory format.

    Raises
    ------
    ValueError
        If the crops' shape or dtype is another.
    """
    if images_BHWC.ndim != 4 or images_BHWC.shape[-1] != 3 or images_BHWC.dtype != torch.uint8:
        raise ValueError(f"images: expected (B, H, W, 3) uint8, got {tuple(images_BHWC.shape)} {images_BHWC.dtype}")
    factor, shift = _rows(mean, std, images_BHWC.shape[2], images_BHWC.device)
    if channel_gains_B3 is not None:
        factor = factor * channel_gains_B3.repeat(1, images_BHWC.shape[2])[:, None]
    # Whole rows of pixels: arithmetic along a last axis of three channels takes several times as long.
    rows = images_BHWC.flatten(2).float().mul_(factor).sub_(shift)
    return rows.view(images_BHWC.shape).permute(0, 3, 1, 2)


@cache  # copying them to a GPU would make every step wait
def _rows(mean: tuple, std: tuple, width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Factor and shift of a row of pixels, (3 width,)."""
    mean, std = (torch.tensor(values, device=device).repeat(width) for values in (mean, std))
    return 1 / (255 * std), mean / std
