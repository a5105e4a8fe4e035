"""Penalty maps, anchor loss minus binary cross entropy per pixel (Ryou et al., ICCV 2019, figure 7), and heatmap overlays."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from posekit.drawing.maps import MapPanel, Scale, exponent_name, factor_scale, joint_name, joint_panel, map_figure
from posekit.drawing.person_view import ModelOutput
from posekit.errors import require_array
from posekit.images import cv2
from posekit.losses.explain import anchor_maps

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_OPACITY = 0.8  # of the highest value in `overlay_heatmap`
_QUANTITIES = {"penalty": "anchor loss minus cross entropy", "modulator": "modulator of anchor loss"}


def penalty_map(probability_KHW: np.ndarray, target_KHW: np.ndarray, gamma: float = 2.0) -> np.ndarray:
    """Return anchor loss minus binary cross entropy for each pixel; negative values are set to 0.

    The penalty is positive at true negatives whose probability is higher than the anchor, i.e. the highest probability in
    the circle around the true joint. Such pixels belong to peaks other than the true joint's.

    Parameters
    ----------
    probability_KHW : (K, H, W) float
        Predicted heatmaps, clipped to [0, 1].
    target_KHW : (K, H, W) float
        Target heatmaps, see `posekit.heatmaps.encode`.
    gamma : float
        Focusing exponent, >= 0.

    Returns
    -------
    (K, H, W) float32
        max(L(AL) - L(BCE), 0), at most (2^gamma - 1) * 16.12; 0 everywhere for a heatmap without an anchor.

    Raises
    ------
    ValueError
        If the shapes differ, a probability is not finite, or gamma is negative.
    """
    probability = np.asarray(probability_KHW, np.float64)
    target = np.asarray(target_KHW, np.float64)
    require_array("probability", probability, ("K", "H", "W"), "float64")
    require_array("target", target, probability.shape, "float64")
    maps = anchor_maps(torch.from_numpy(probability)[None], torch.from_numpy(target)[None], gamma)
    return maps.penalty[0].float().numpy()


def penalty_figure(
    outputs: Mapping[str, ModelOutput], joints: Sequence[int], *, gammas: Sequence[float] = (2.0,), quantity: str = "penalty"
) -> "Figure":
    """Draw penalty maps over the crop as in the paper's figure 7, with one row per joint and one column per model and gamma.

    Each column has its own colour scale, since the penalties of different epochs differ by powers of ten.

    Parameters
    ----------
    outputs : mapping of str to ModelOutput
        Outputs for one person, e.g. from checkpoints of several epochs, by column name.
    joints : sequence of int
        Indices of the joints to draw.
    gammas : sequence of float
        Focusing exponents.
    quantity : {"penalty", "modulator"}
        Anchor loss minus binary cross entropy; or anchor loss / binary cross entropy, at true negatives only.

    Raises
    ------
    ValueError
        If there is nothing to draw or the quantity is unknown.
    """
    if quantity not in _QUANTITIES:
        raise ValueError(f"quantity {quantity!r}: choose from {', '.join(_QUANTITIES)}")
    if not outputs or not len(gammas) or not len(joints):
        raise ValueError("penalty figure: expected at least one model, one gamma and one joint, but one of them is missing")
    several_gammas = len(gammas) > 1
    columns: list[list[MapPanel]] = []
    scales = []
    for name, output in outputs.items():
        for gamma in gammas:
            values = _values(output, gamma, quantity)[joints]
            scale = _scale(values, quantity)
            column = []
            for joint, joint_values in zip(joints, values, strict=True):
                caption = output.missing_anchor(joint) or f"highest {scale.format(np.nanmax(joint_values))}"
                column.append(joint_panel(output, joint, joint_values, caption=caption))
            column[0] = replace(column[0], title=f"{name}\n{exponent_name(gamma)}" if several_gammas else name)
            columns.append(column)
            scales.append(scale)
    view = next(iter(outputs.values())).view
    title = _QUANTITIES[quantity]
    if not several_gammas:
        title += f", {exponent_name(gammas[0])}"
    return map_figure(
        [panel for row in zip(*columns, strict=True) for panel in row],
        scales,
        rows=[joint_name(view.skeleton, joint) for joint in joints],
        title=f"{title}\n{view.title}",
        truth=view.truth,
    )


def most_penalised(outputs: Sequence[ModelOutput], gamma: float, count: int) -> list[int]:
    """Return the indices of the `count` joints with the highest penalties, in ascending order.

    Joints without a known true location are omitted. Each model's penalties are divided by the model's highest penalty, so that
    all models have equal weight.
    """
    penalties = np.array([_values(output, gamma, "penalty").max((-2, -1)) for output in outputs])
    relative = (penalties / np.maximum(penalties.max(1, keepdims=True), np.finfo(np.float32).tiny)).sum(0)
    known = np.flatnonzero(outputs[0].view.known)
    order = np.argsort(-relative[known], kind="stable")
    return sorted(known[order][:count].tolist())


def _values(output: ModelOutput, gamma: float, quantity: str) -> np.ndarray:
    """(K, h, w) array of penalties or modulators; NaN where a pixel has no modulator."""
    maps = output.explain(gamma)
    if quantity == "penalty":
        return maps.penalty[0].numpy()
    return maps.modulator.masked_fill(~maps.mask | maps.anchor.isnan(), torch.nan)[0].numpy()


def _scale(values: np.ndarray, quantity: str) -> Scale:
    if quantity == "modulator":
        return factor_scale(values)
    highest = float(values.max())
    return Scale("AL − BCE" if highest else "AL ≤ BCE", highest)


def overlay_heatmap(image_bgr: np.ndarray, map_HW: np.ndarray) -> np.ndarray:
    """Blend a heatmap into a copy of an image: higher values are brighter and less transparent; 0 is transparent.

    The colour map is "inferno", whose lightness increases evenly up to the heatmap's maximum.

    Parameters
    ----------
    image_bgr : (H, W, 3) uint8
        BGR image of the region that the heatmap covers, e.g. the crop.
    map_HW : (h, w) float
        Finite heatmap of any resolution. The heatmap is resized to the image; if the image is four times as large, the centre
        of heatmap pixel i is at image pixel 4 i + 1.5.
    """
    heat = np.asarray(map_HW, np.float32)
    require_array("image", image_bgr, ("H", "W", 3), "uint8")
    require_array("heatmap", heat, ("h", "w"), "float32")
    if not np.isfinite(heat).all():
        raise ValueError("heatmap: expected finite numbers, got NaN or infinity")
    height, width = image_bgr.shape[:2]
    top = max(float(heat.max()), np.finfo(np.float32).tiny)
    # cv2.resize aligns the images' borders: the centre of heatmap pixel i is at (i + 0.5) * scale - 0.5.
    level = cv2.resize(np.clip(heat / top, 0, 1), (width, height), interpolation=cv2.INTER_LINEAR)[..., None]
    colours = cv2.applyColorMap(np.rint(255 * level).astype(np.uint8), cv2.COLORMAP_INFERNO)
    # The square root makes low values, which have dark colours, more visible.
    opacity = _OPACITY * np.sqrt(level)
    return np.rint((1 - opacity) * image_bgr + opacity * colours).astype(np.uint8)
