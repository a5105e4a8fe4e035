"""What the losses charge for background: lines and maps of the very losses that training uses (figures 2 and A-1).

Cross entropy is that of one background output, -log(1 - q): the binary cross entropy of a sigmoid, and the same
curve as the cross entropy of a softmax over two classes.
"""

from collections.abc import Sequence

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

_BACKGROUND, _ANCHOR = "background probability q", "anchor probability q*"
# For q* = 1 or gamma = 0 lines lie on each other and are still seen: focal loss broad and below, cross entropy dotted and above.
_FOCAL = {"color": "#a0a0a0", "linewidth": 2.6}
_CROSS_ENTROPY = {"color": INK, "linewidth": 1.4, "linestyle": (0, (1, 1.2)), "zorder": 3}
# Colours of the anchors; after the last one the dashes change.
_COLOURS = [colour for colour, _ in SERIES[:6]]
_DASHES = ("-", "--", "-.")
# q up to 0.9999, denser towards 1, where the losses are infinite; and the axes' ticks, at whose last one they end.
_LINE = 1 - torch.linspace(1, 0.01, 400, dtype=torch.float64) ** 2
_LOSS_TICKS, _GRADIENT_TICKS = range(5), range(0, 21, 5)

# q and q* of a map's cells.
_CELLS = (torch.arange(200, dtype=torch.float64) + 0.5) / 200
# Contour lines, with the q* at which a loss is labelled; those of ratios by q - q*, and so evenly apart for any gamma.
_LOSSES = {0.03: 0.6, 0.1: 0.5, 0.3: 0.4, 1.0: 0.3, 3.0: 0.2, 10.0: 0.1}
_GAPS = torch.linspace(-0.75, 0.75, 7, dtype=torch.float64)
# Colours of a map, and the bar's ticks; beyond these the colour stays the same.
_LOSS_COLOURS = COLOUR_MAP, {value: f"{value:g}" for value in (0.01, 0.03, 0.1, 0.3, 1, 3, 10)}
_RATIO_COLOURS = DIVERGING, {1 / 4: "1/4", 1 / 2: "1/2", 1: "1", 2: "2", 4: "4"}
_LIGHTNESS = (0.3, 0.6, 0.1)


def loss_curves(gammas: Sequence[float] = (2.0,), anchors: Sequence[float] = (0.1, 0.5, 0.9)):
    """Loss and gradient dL/dq of a true negative against its probability q, a row for each gamma.

    Anchor loss is drawn for each anchor probability q*, beside cross entropy and focal loss. A dot marks q = q*, where
    anchor loss is cross entropy.

    Parameters
    ----------
    gammas : sequence of float
        Focusing exponents of anchor loss and focal loss, >= 0; at least one.
    anchors : sequence of float
        q*, 0 to 1.

    Returns
    -------
    matplotlib.figure.Figure
        A page of a paper wide. The axes end at loss 4 and gradient 20.

    Raises
    ------
    ValueError
        If a gamma or an anchor is outside its range, or there is no gamma.
    """
    figure, panels = canvas(0.7 + 2.0 * len(gammas), width=PAGE, rows=len(gammas), columns=2, sharex=True, sharey="col")
    for i, gamma in enumerate(gammas):
        left, right = panels[2 * i : 2 * i + 2]
        _draw_lines(left, right, gamma, anchors)
        for axes, quantity in ((left, "loss L"), (right, "gradient dL/dq")):
            axes.set_title(f"γ = {gamma:g}", fontsize=TEXT)
            name_axes(axes, _BACKGROUND if i == len(gammas) - 1 else "", quantity)
    for axes, ticks in ((panels[0], _LOSS_TICKS), (panels[1], _GRADIENT_TICKS)):
        axes.set(xlim=(0, 1), ylim=(0, ticks[-1]), yticks=ticks)
    legend(figure, panels[0])
    return figure


def _draw_lines(left, right, gamma: float, anchors: Sequence[float]) -> None:
    """The losses on the left, their gradients on the right."""
    _draw_line(left, right, HeatmapBCE("none"), 0.0, _CROSS_ENTROPY, "cross entropy (CE = BCE)")
    _draw_line(left, right, HeatmapFocalLoss(gamma, "none"), 0.0, _FOCAL, "focal loss")
    anchor_loss = HeatmapAnchorLoss(gamma, "none")
    for i, anchor in enumerate(anchors):
        dashes = _DASHES[i // len(_COLOURS) % len(_DASHES)]
        style = {"color": _COLOURS[i % len(_COLOURS)], "linestyle": dashes, "linewidth": 1.2}
        _draw_line(left, right, anchor_loss, anchor, style, f"anchor loss, q* = {anchor:g}")
    _draw_dots(left, right, anchor_loss, [anchor for anchor in anchors if anchor < 1])


def _draw_line(left, right, loss: HeatmapLoss, anchor: float, style: dict, label: str) -> None:
    cost = background_cost(loss, _LINE, anchor)
    for axes, heights in ((left, cost.loss), (right, cost.gradient)):
        axes.plot(_LINE, heights, label=label, **style)


def _draw_dots(left, right, loss: HeatmapLoss, anchors: Sequence[float]) -> None:
    """Where q is the anchor."""
    met = torch.tensor(anchors, dtype=torch.float64)
    cost = background_cost(loss, met, met)
    for axes, heights in ((left, cost.loss), (right, cost.gradient)):
        if anchors:
            axes.plot(met, heights, "o", color=INK, markersize=3.5, zorder=4, label="where q = q*")


def loss_surface(gammas: Sequence[float] = (2.0,)):
    """Anchor loss over q and q*, and its ratio to cross entropy, as maps with contour lines; a row for each gamma.

    Parameters
    ----------
    gammas : sequence of float
        Focusing exponents, >= 0; at least one.

    Returns
    -------
    matplotlib.figure.Figure
        A page of a paper wide. Colours mean the same in all rows: losses from 0.01 to 10 and ratios from 1/4 to 4, on
        logarithmic scales.

    Raises
    ------
    ValueError
        If a gamma is outside its range, or there is none.
    """
    figure, panels = canvas(0.35 + 2.6 * len(gammas), width=PAGE, rows=len(gammas), columns=2, sharex=True, sharey=True)
    for i, gamma in enumerate(gammas):
        left, right = panels[2 * i : 2 * i + 2]
        _draw_loss(left, gamma)
        _draw_ratio(right, gamma)
        for axes, name in ((left, _ANCHOR), (right, "")):
            name_axes(axes, _BACKGROUND if i == len(gammas) - 1 else "", name)
    return figure


def _draw_loss(axes, gamma: float) -> None:
    loss, _ = _charged(gamma, _CELLS, _CELLS[:, None])
    axes.set_title(f"anchor loss, γ = {gamma:g}", fontsize=TEXT)
    rows = {level: loss[int(at * len(loss))] for level, at in _LOSSES.items()}
    places = [(np.interp(level, row, _CELLS), _LOSSES[level]) for level, row in rows.items() if row[0] < level < row[-1]]
    _draw_map(axes, loss, list(_LOSSES), places, _LOSS_COLOURS)


def _draw_ratio(axes, gamma: float) -> None:
    _, ratio = _charged(gamma, _CELLS, _CELLS[:, None])
    q, anchor = (1 + _GAPS) / 2, (1 - _GAPS) / 2
    _, levels = _charged(gamma, q, anchor)
    axes.set_title(f"anchor loss / cross entropy, γ = {gamma:g}", fontsize=TEXT)
    _draw_map(axes, ratio, levels, list(zip(q, anchor, strict=True)), _RATIO_COLOURS)


def _charged(gamma: float, probability: torch.Tensor, anchor: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Anchor loss, and its ratio to cross entropy."""
    charged = background_cost(HeatmapAnchorLoss(gamma, "none"), probability, anchor).loss
    cross_entropy = background_cost(HeatmapBCE("none"), probability, anchor).loss
    return charged.numpy(), (charged / cross_entropy).numpy()


def _draw_map(axes, values: np.ndarray, levels: Sequence[float], places: Sequence[tuple[float, float]], scale: tuple) -> None:
    """Colours by a name and the values of the bar's ticks, first to last; lines at the levels, labelled at places on them."""
    from matplotlib import colormaps
    from matplotlib.colors import LogNorm

    name, ticks = scale
    colours, norm = colormaps[name], LogNorm(min(ticks), max(ticks))
    axes.grid(False)
    image = axes.imshow(values, origin="lower", extent=(0, 1, 0, 1), norm=norm, cmap=colours)
    if np.ptp(values) > 1e-6:  # else the levels are one
        inks = [ON_LIGHT if np.dot(colours(norm(level))[:3], _LIGHTNESS) > 0.5 else ON_DARK for level in levels]
        lines = axes.contour(_CELLS, _CELLS, values, levels, colors=inks, linewidths=0.7)
        axes.clabel(lines, fmt=_short, fontsize=SMALL, manual=places)
    bar = axes.figure.colorbar(image, ax=axes, pad=0.02, extend="both")
    bar.set_ticks(list(ticks), labels=list(ticks.values()), minor=False)
    bar.minorticks_off()
    bar.ax.tick_params(labelsize=SMALL, length=2)
    bar.outline.set_visible(False)


def _short(value: float) -> str:
    return f"{value:.2g}" if value < 1 else f"{value:.3g}"
