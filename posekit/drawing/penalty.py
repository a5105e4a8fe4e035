"""Penalty maps: where anchor loss charges more than binary cross entropy (Ryou et al., ICCV 2019, figure 7)."""

import numpy as np
import torch

from posekit.losses import HeatmapAnchorLoss, HeatmapBCE
from posekit.opencv import cv2

# Probabilities keep this distance from 0 and 1, where logits are infinite: float32's next number below 1 is nearer still.
_MARGIN = 1e-7


def penalty_map(probability_KHW: np.ndarray, target_KHW: np.ndarray, gamma: float = 2.0) -> np.ndarray:
    """What anchor loss adds to binary cross entropy, pixel by pixel, where it adds and does not take away.

    It is above 0 on true negatives that score higher than the anchor, the best score within the true
    joint's circle: the peaks by which a map counts a joint twice.

    Parameters
    ----------
    probability_KHW : (K, H, W) float
        Predicted maps. What a linear head puts below 0 or above 1 is taken as 0 or 1.
    target_KHW : (K, H, W) float
        Target maps, as `posekit.heatmaps.encode` draws them.
    gamma : float
        The loss's focusing exponent, >= 0.

    Returns
    -------
    (K, H, W) float32 : L(AL) - L(BCE) clipped at 0, at most (2^gamma - 1) * 16.12;
    0 everywhere for a map without an anchor.

    Raises
    ------
    ValueError
        If the shapes do not fit, a probability is not finite, or gamma is negative.
    """
    probability, target = np.asarray(probability_KHW, np.float64), np.asarray(target_KHW, np.float64)
    if probability.ndim != 3 or probability.shape != target.shape:
        raise ValueError(f"probability and target: expected the same (K, H, W), got {probability.shape} and {target.shape}")
    if not np.isfinite(probability).all():
        raise ValueError("probability: expected finite numbers, got NaN or infinity")
    logits = torch.logit(torch.from_numpy(probability), _MARGIN)[None]
    losses = HeatmapAnchorLoss(gamma, reduction="none"), HeatmapBCE(reduction="none")
    anchor, plain = (loss(logits, torch.from_numpy(target)[None])[0] for loss in losses)
    return (anchor - plain).clamp_min(0).float().numpy()


def overlay_heatmap(image_bgr: np.ndarray, map_HW: np.ndarray, *, top: float | None = None, alpha: float = 0.8) -> np.ndarray:
    """Lay a map over its picture: the higher, the brighter and the less transparent; 0 leaves the picture as it is.

    The colours are matplotlib's "inferno", whose lightness grows evenly.

    Parameters
    ----------
    image_bgr : (H, W, 3) uint8
        What the whole map covers, e.g. the crop. It is not changed.
    map_HW : (h, w) float
        Finite; of any size. Pixel centres agree: with a crop four times as large, map pixel i lies at crop pixel 4 i + 1.5.
    top : float, optional
        Value with the brightest colour, > 0; by default the map's own highest. Give it to compare maps.
    alpha : float
        Opacity there, 0 to 1.

    Returns
    -------
    (H, W, 3) uint8, a new image.

    Raises
    ------
    ValueError
        If a shape or dtype does not fit, the map is not finite, or `top` or `alpha` is out of range.
    """
    heat = np.asarray(map_HW, np.float32)
    _require(image_bgr, heat, top, alpha)
    height, width = image_bgr.shape[:2]
    top = top or max(float(heat.max()), np.finfo(np.float32).tiny)
    # cv2.resize keeps pixel centres: map pixel i lies at (i + 0.5) * scale - 0.5.
    level = cv2.resize(np.clip(heat / top, 0, 1), (width, height), interpolation=cv2.INTER_LINEAR)[..., None]
    colours = cv2.applyColorMap(np.rint(255 * level).astype(np.uint8), cv2.COLORMAP_INFERNO)
    # The square root: inferno is dark where it is low, and should be seen there.
    opacity = alpha * np.sqrt(level)
    return np.rint((1 - opacity) * image_bgr + opacity * colours).astype(np.uint8)


def _require(image, heat, top, alpha) -> None:
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(f"image: expected (H, W, 3) uint8, got {image.shape} {image.dtype}")
    if heat.ndim != 2 or not heat.size:
        raise ValueError(f"map: expected (h, w), got {heat.shape}")
    if not np.isfinite(heat).all():
        raise ValueError("map: expected finite numbers, got NaN or infinity")
    if (top is not None and not 0 < top < np.inf) or not 0 <= alpha <= 1:
        raise ValueError(f"expected top > 0 and alpha within 0 to 1, got {top} and {alpha}")
