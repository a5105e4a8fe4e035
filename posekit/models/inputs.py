"""Normalise crops for the input of a network."""

from functools import cache

import torch
from torch import Tensor


def normalise(
    images_BHWC: Tensor, mean: tuple[float, float, float], std: tuple[float, float, float], channel_gains_B3: Tensor | None = None
) -> Tensor:
    """Normalise RGB crops, on the device of the crops.

    Parameters
    ----------
    images_BHWC : (B, H, W, 3) uint8
        RGB crops.
    mean, std : three floats
        Mean and standard deviation of red, green and blue in [0, 1].
    channel_gains_B3 : (B, 3) float32, optional
        Factors on red, green and blue for augmentation, 1 by default. Values above white are not clipped.

    Returns
    -------
    (B, 3, H, W) float32 : ``(gain x / 255 - mean) / std``, in the channels-last memory format.

    Raises
    ------
    ValueError
        If the crops have another shape or dtype.
    """
    if images_BHWC.ndim != 4 or images_BHWC.shape[-1] != 3 or images_BHWC.dtype != torch.uint8:
        raise ValueError(f"images: expected (B, H, W, 3) uint8, got {tuple(images_BHWC.shape)} {images_BHWC.dtype}")
    factor, shift = _row(mean, std, images_BHWC.shape[2], images_BHWC.device)
    if channel_gains_B3 is not None:
        factor = factor * channel_gains_B3.repeat(1, images_BHWC.shape[2])[:, None]
    # Arithmetic on flattened rows (B, H, 3 W) is several times as fast as on a last axis of three channels.
    rows = images_BHWC.flatten(2).float().mul_(factor).sub_(shift)
    return rows.view(images_BHWC.shape).permute(0, 3, 1, 2)


@cache  # copying the rows to a GPU in every step would make every step wait
def _row(mean: tuple[float, ...], std: tuple[float, ...], width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return factor and shift (3 * width,) each, such that ``factor * x - shift`` normalises a row of RGB pixels."""
    mean_row = torch.tensor(mean, device=device).repeat(width)
    std_row = torch.tensor(std, device=device).repeat(width)
    return 1 / (255 * std_row), mean_row / std_row
