"""From crops to what a network is fed."""

import torch
from torch import Tensor


def normalise(images_BHWC: Tensor, mean: tuple[float, float, float], std: tuple[float, float, float]) -> Tensor:
    """Make network input of crops, on their device.

    Parameters
    ----------
    images_BHWC : (B, H, W, 3) uint8
        Red, green, blue.
    mean, std : three floats
        Of red, green and blue in [0, 1].

    Returns
    -------
    (B, 3, H, W) float32 : ``(x / 255 - mean) / std``, in the channels-last memory format.

    Raises
    ------
    ValueError
        If the crops' shape or dtype is another.
    """
    if images_BHWC.ndim != 4 or images_BHWC.shape[-1] != 3 or images_BHWC.dtype != torch.uint8:
        raise ValueError(f"images: expected (B, H, W, 3) uint8, got {tuple(images_BHWC.shape)} {images_BHWC.dtype}")
    # Whole rows of pixels: arithmetic along a last axis of three channels takes several times as long.
    mean, std = (torch.tensor(values, device=images_BHWC.device).repeat(images_BHWC.shape[2]) for values in (mean, std))
    rows = images_BHWC.flatten(2).float().mul_(1 / (255 * std)).sub_(mean / std)
    return rows.view(images_BHWC.shape).permute(0, 3, 1, 2)
