"""Figures of the loss of a true negative, computed with the training losses (figures 2 and A-1), as wide as a page.

"Cross entropy" is -log(1 - q) for a background output q: binary cross entropy (of a sigmoid) and cross entropy (of a
softmax over two classes) have the same curve.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from posekit.drawing.style import (
    COLOUR_MAP,
    DIVERGING,
    INK,
    ON_DARK,
    ON_LIGHT,
    PAGE,
    SERIES,
    SMALL,
    TEXT,
    canvas,
    legend,
    name_axes,
)
from posekit.losses import HeatmapAnchorLoss, HeatmapBCE, HeatmapFocalLoss, HeatmapLoss
from posekit.losses.curves import background_cost

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BACKGROUND = "background probability q"
_ANCHOR = "anchor probability q*"
# The curves coincide for q* = 1 or gamma = 0, so focal loss is a wide line at the back, cross entropy a dotted line in front.
_FOCAL: Mapping[str, Any] = {"color": "#a0a0a0", "linewidth": 2.6}
_CROSS_ENTROPY: Mapping[str, Any] = {"color": INK, "linewidth": 1.4, "linestyle": (0, (1, 1.2)), "zorder": 3}
# Colours of the anchors; further anchors repeat the colours with other dashes.
_COLOURS = [colour for colour, _ in SERIES[:6]]
_DASHES = ("-", "--", "-.")
# Values of q from 0 to 0.9999, denser towards 1, where the losses are infinite.
_LINE = 1 - torch.linspace(1, 0.01, 400, dtype=torch.float64) ** 2

# Values of q and q* in the columns and rows of a map.
_CELLS = (torch.arange(200, dtype=torch.float64) + 0.5) / 200
# Contour lines of the loss, and the value of q* at which each line has its label.
_LEVELS = {0.03: 0.6, 0.1: 0.5, 0.3: 0.4, 1.0: 0.3, 3.0: 0.2, 10.0: 0.1}
# Values of q - q* at the contour lines of the ratio, which are evenly spaced for any gamma.
_GAPS = torch.linspace(-0.75, 0.75, 7, dtype=torch.float64)
_LIGHTNESS = (0.3, 0.6, 0.1)  # weights of red, green and blue
# Ticks of the logarithmic colour scales; values beyond the lowest and the highest tick have the colours of the ends.
_LOSS_TICKS = {value: f"{value:g}" for value in (0.01, 0.03, 0.1, 0.3, 1, 3, 10)}
_RATIO_TICKS = {1 / 4: "1/4", 1 / 2: "1/2", 1: "1", 2: "2", 4: "4"}


def loss_curves(gammas: Sequence[float] = (2.0,), anchors: Sequence[float] = (0.1, 0.5, 0.9)) -> "Figure":
    """Plot loss and gradient dL/dq of a true negative as functions of the probability q, in one row of panels per gamma.

    The curves are cross entropy, focal loss, and anchor loss for each anchor probability q*. A dot marks q = q*, where
    anchor loss equals cross entropy. The axes end at loss 4 and gradient 20.

    Parameters
    ----------
    gammas : sequence of float
        Focusing exponents of anchor loss and focal loss, >= 0; at least one.
    anchors : sequence of float
        Anchor probabilities q*, 0 to 1.

    Raises
    ------
    ValueError
        If a gamma or an anchor is out of range, or there is no gamma.
    """
    figure, panels = canvas(0.7 + 2.0 * len(gammas), width=PAGE, rows=len(gammas), columns=2, sharex=True, sharey="col")
    for i, gamma in enumerate(gammas):
        left, right = panels[2 * i : 2 * i + 2]
        _draw_curves(left, right, gamma, anchors)
        for axes, quantity in ((left, "loss L"), (right, "gradient dL/dq")):
            axes.set_title(f"γ = {gamma:g}", fontsize=TEXT)
            name_axes(axes, _BACKGROUND if i == len(gammas) - 1 else "", quantity)
    for axes, ticks in ((panels[0], range(5)), (panels[1], range(0, 21, 5))):
        axes.set(xlim=(0, 1), ylim=(0, ticks[-1]), yticks=ticks)
    legend(figure, panels[0])
    return figure


def _draw_curves(left: "Axes", right: "Axes", gamma: float, anchors: Sequence[float]) -> None:
    """Draw the losses in the left panel and the gradients in the right panel."""

    def draw(loss: HeatmapLoss, anchor: float, style: Mapping[str, Any], label: str) -> None:
        cost = background_cost(loss, _LINE, anchor)
        left.plot(_LINE, cost.loss, label=label, **style)
        right.plot(_LINE, cost.gradient, label=label, **style)

    anchor_loss = HeatmapAnchorLoss(gamma, "none")
    draw(HeatmapBCE("none"), 0.0, _CROSS_ENTROPY, "cross entropy (CE = BCE)")
    draw(HeatmapFocalLoss(gamma, "none"), 0.0, _FOCAL, "focal loss")
    for i, anchor in enumerate(anchors):
        dashes = _DASHES[i // len(_COLOURS) % len(_DASHES)]
        style = {"color": _COLOURS[i % len(_COLOURS)], "linestyle": dashes, "linewidth": 1.2}
        draw(anchor_loss, anchor, style, f"anchor loss, q* = {anchor:g}")

    equal = torch.tensor([anchor for anchor in anchors if anchor < 1], dtype=torch.float64)
    if len(equal):
        cost = background_cost(anchor_loss, equal, equal)
        for axes, heights in ((left, cost.loss), (right, cost.gradient)):
            axes.plot(equal, heights, "o", color=INK, markersize=3.5, zorder=4, label="where q = q*")


def loss_surface(gammas: Sequence[float] = (2.0,)) -> "Figure":
    """Draw anchor loss and the ratio anchor loss / cross entropy as maps over q and q*, with contour lines, in one row per gamma.

    All rows have the same logarithmic colour scales: losses from 0.01 to 10, ratios from 1/4 to 4.

    Parameters
    ----------
    gammas : sequence of float
        Focusing exponents, >= 0; at least one.

    Raises
    ------
    ValueError
        If a gamma is negative, or there is no gamma.
    """
    figure, panels = canvas(0.35 + 2.6 * len(gammas), width=PAGE, rows=len(gammas), columns=2, sharex=True, sharey=True)
    for i, gamma in enumerate(gammas):
        left, right = panels[2 * i : 2 * i + 2]
        loss, ratio = _loss_and_ratio(gamma, _CELLS, _CELLS[:, None])
        _draw_loss(left, loss)
        _draw_ratio(right, ratio, gamma)
        left.set_title(f"anchor loss, γ = {gamma:g}", fontsize=TEXT)
        right.set_title(f"anchor loss / cross entropy, γ = {gamma:g}", fontsize=TEXT)
        for axes, name in ((left, _ANCHOR), (right, "")):
            name_axes(axes, _BACKGROUND if i == len(gammas) - 1 else "", name)
    return figure


def _loss_and_ratio(gamma: float, probability: torch.Tensor, anchor: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Return anchor loss, and the ratio of anchor loss to cross entropy."""
    loss = background_cost(HeatmapAnchorLoss(gamma, "none"), probability, anchor).loss
    cross_entropy = background_cost(HeatmapBCE("none"), probability, anchor).loss
    return loss.numpy(), (loss / cross_entropy).numpy()


def _draw_loss(axes: "Axes", loss: np.ndarray) -> None:
    label_places = []
    for level, anchor in _LEVELS.items():
        row = loss[int(anchor * len(loss))]
        if row[0] < level < row[-1]:
            label_places.append((np.interp(level, row, _CELLS), anchor))
    _draw_map(axes, loss, list(_LEVELS), label_places, COLOUR_MAP, _LOSS_TICKS)


def _draw_ratio(axes: "Axes", ratio: np.ndarray, gamma: float) -> None:
    q = (1 + _GAPS) / 2
    anchor = (1 - _GAPS) / 2
    _, levels = _loss_and_ratio(gamma, q, anchor)
    _draw_map(axes, ratio, levels, list(zip(q, anchor, strict=True)), DIVERGING, _RATIO_TICKS)


def _draw_map(
    axes: "Axes",
    values: np.ndarray,
    levels: Sequence[float] | np.ndarray,
    label_places: Sequence[tuple[float, float]],
    colour_map: str,
    ticks: Mapping[float, str],
) -> None:
    """Draw values as colours, with contour lines at `levels`, labelled at `label_places`."""
    from matplotlib import colormaps
    from matplotlib.colors import LogNorm

    colours = colormaps[colour_map]
    norm = LogNorm(min(ticks), max(ticks))
    axes.grid(False)
    image = axes.imshow(values, origin="lower", extent=(0, 1, 0, 1), norm=norm, cmap=colours)
    if np.ptp(values) > 1e-6:  # no contour lines if all values are equal
        line_colours = []
        for level in levels:
            lightness = np.dot(colours(norm(level))[:3], _LIGHTNESS)
            line_colours.append(ON_LIGHT if lightness > 0.5 else ON_DARK)
        lines = axes.contour(_CELLS, _CELLS, values, levels, colors=line_colours, linewidths=0.7)
        axes.clabel(lines, fmt=_format_level, fontsize=SMALL, manual=label_places)
    bar = axes.figure.colorbar(image, ax=axes, pad=0.02, extend="both")
    bar.set_ticks(list(ticks), labels=list(ticks.values()), minor=False)
    bar.minorticks_off()
    bar.ax.tick_params(labelsize=SMALL, length=2)
    bar.outline.set_visible(False)


def _format_level(value: float) -> str:
    return f"{value:.2g}" if value < 1 else f"{value:.3g}"
