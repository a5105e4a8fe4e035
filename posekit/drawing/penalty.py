"""Penalty maps: where anchor loss charges more than binary cross entropy (Ryou et al., ICCV 2019, figure 7)."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from posekit.drawing.maps import PICTURE, MapPanel, Scale, enlarged, exponent_name, factor_scale, joint_name, map_figure
from posekit.drawing.person_view import ModelOutput, no_anchor
from posekit.losses.explain import anchor_maps
from posekit.opencv import cv2


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
    return anchor_maps(torch.from_numpy(probability)[None], torch.from_numpy(target)[None], gamma).penalty[0].float().numpy()


def penalty_figure(
    looks: Mapping[str, ModelOutput], joints: Sequence[int], *, gammas: Sequence[float] = (2.0,), quantity: str = "penalty"
):
    """Figure 7: penalty maps over the photograph, a row for each joint, a column for each model and gamma.

    Each column has colours of its own scale: what training charges varies by powers of ten from epoch to epoch.

    Parameters
    ----------
    looks : mapping of str to ModelOutput
        What models, such as those of several epochs, say about one person; names of the columns.
    joints : sequence of int
        Their places in the skeleton.
    gammas : sequence of float
        Focusing exponents.
    quantity : {"penalty", "modulator"}
        What anchor loss charges more than binary cross entropy; or the factor by which it scales it, where it does.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If there is nothing to draw or no such quantity.
    """
    if quantity not in _QUANTITIES:
        raise ValueError(f"quantity {quantity!r}: choose from {', '.join(_QUANTITIES)}")
    columns = [(name, found, gamma, _values(found, gamma, quantity)[joints]) for name, found in looks.items() for gamma in gammas]
    if not columns or not len(joints):
        raise ValueError("penalty figure: expected at least one model, gamma and joint")
    exponent = "" if len(gammas) > 1 else f", {exponent_name(gammas[0])}"
    scales = [_scale(values, quantity) for *_, values in columns]
    panels = [
        _panel(found, joint, values[row], scales[column], "" if row else name + ("" if exponent else f"\n{exponent_name(gamma)}"))
        for row, joint in enumerate(joints)
        for column, (name, found, gamma, values) in enumerate(columns)
    ]
    view = columns[0][1].view
    return map_figure(
        panels,
        scales,
        rows=[joint_name(view.skeleton, joint) for joint in joints],
        title=f"{_QUANTITIES[quantity]}{exponent}\n{view.title}",
        truth=view.truth,
    )


def most_penalised(looks: Sequence[ModelOutput], gamma: float, count: int) -> list[int]:
    """The joints with the highest penalties, as places in the skeleton, in order; those whose truth is not known are left out.

    Each model's penalties are taken relative to its highest, so that all count alike.
    """
    penalties = np.array([_values(found, gamma, "penalty").max((-2, -1)) for found in looks])
    relative = (penalties / np.maximum(penalties.max(1, keepdims=True), np.finfo(np.float32).tiny)).sum(0)
    known = np.flatnonzero(looks[0].view.known)
    return sorted(known[np.argsort(-relative[known], kind="stable")][:count].tolist())


_QUANTITIES = {"penalty": "what anchor loss charges more than cross entropy", "modulator": "the factor of anchor loss"}


def _values(found: ModelOutput, gamma: float, quantity: str) -> np.ndarray:
    """(K, h, w); NaN where there is no factor."""
    maps = found.explain(gamma)
    if quantity == "penalty":
        return maps.penalty[0].numpy()
    return maps.modulator.masked_fill(~maps.mask | maps.anchor.isnan(), torch.nan)[0].numpy()


def _scale(values: np.ndarray, quantity: str) -> Scale:
    if quantity == "modulator":
        return factor_scale(values)
    highest = float(values.max())
    return Scale("AL − BCE" if highest else "AL ≤ BCE", highest)


def _panel(found: ModelOutput, joint: int, values: np.ndarray, scale: Scale, title: str) -> MapPanel:
    return MapPanel(
        crop=found.view.picture(PICTURE),
        values=values,
        title=title,
        caption=no_anchor(found, joint) or f"highest {scale.told(np.nanmax(values))}",
        truth=enlarged(found.truth[joint], found.size),
        predicted=enlarged(found.predicted[joint], found.size),
    )


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
