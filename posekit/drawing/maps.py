"""Figures of heatmaps and other maps, drawn over image crops, with colour bars."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np

from posekit.drawing.pose import rescaled
from posekit.drawing.style import COLOUR_MAP, COLUMN, DIVERGING, PAGE, SKY, SMALL, TEXT, canvas, plain, wrapped
from posekit.skeletons import Skeleton

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

    from posekit.drawing.person_view import ModelOutput
    from posekit.losses.explain import AnchorMaps

CROP_SIZE = 256
"""Width and height in pixels of the crops in figures."""
MAX_COLUMNS = 10
"""Largest number of columns; narrower columns would have no room for titles."""
_HEATMAP_COLUMNS = 5

# Inches.
_WIDEST_PANEL = 1.6
_LINE = 0.14  # height of a line of text
_GAP = 0.12  # between panels
_LEGEND_MARK = 0.4
_NARROW_BAR = 0.9  # a shorter colour bar has room for only two labels, at its ends
# Two legend entries fit side by side if the first has fewer letters than this per inch of figure width.
_SHORT_ENTRY = 8
_DIM = 0.65  # factor on the brightness of the crop under a map

_TRUTH: Mapping[str, Any] = {"marker": "+", "markersize": 7, "markeredgewidth": 1.2, "color": "white", "linestyle": "none"}
_PREDICTED: Mapping[str, Any] = {
    "marker": "o", "markersize": 9, "markeredgewidth": 1.0, "color": SKY, "markerfacecolor": "none", "linestyle": "none",
}  # fmt: skip


@dataclass(frozen=True)
class Scale:
    """Colour scale of a map.

    Parameters
    ----------
    label : str
        Name of the values, for the colour bar.
    top : float
        Highest value of the scale.
    middle : float, optional
        Middle of a diverging scale, at which the map is transparent. The scale extends from `middle` up to `top` and equally far
        down, but not below 0. By default, the scale is sequential from 0 to `top`, and the map is transparent at 0.
    opaque : float
        Opacity at the ends of the scale, 0 to 1.
    """

    label: str
    top: float
    middle: float | None = None
    opaque: float = 0.9

    def norm(self) -> "Normalize":
        """Return the matplotlib norm that maps values to [0, 1]."""
        from matplotlib.colors import Normalize, TwoSlopeNorm

        if self.middle is not None:
            top = max(self.top, self.middle + 1e-6)
            return TwoSlopeNorm(self.middle, max(0.0, 2 * self.middle - top), top)
        return Normalize(0.0, self.top or 1.0)

    @property
    def colours(self) -> str:
        """Name of the matplotlib colour map."""
        return COLOUR_MAP if self.middle is None else DIVERGING

    def format(self, value: float) -> str:
        """Format a value for colour bars and captions."""
        return f"{value:.2g}" if self.middle is None else f"{value:.4g}"

    def opacity(self, values: np.ndarray) -> np.ndarray:
        """Return the opacity for each value: an array of the same shape, between 0 and 1."""
        level = np.asarray(self.norm()(values).filled(0.0))
        if self.middle is not None:
            level = np.abs(2 * level - 1)
        return self.opaque * np.sqrt(np.clip(level, 0, 1))


_NO_SCALE = Scale(" ", 0.0)


@dataclass(frozen=True)
class MapPanel:
    """Panel of a figure: a crop, optionally with a map over the crop, and marks at joints.

    Parameters
    ----------
    crop : (S, S, 3) uint8
        BGR.
    values : (h, w) float, optional
        Map that covers the whole crop; NaN is transparent. Without a map, the crop is shown in colour.
    title, caption : str
        Texts above and below the panel.
    truth, predicted : (2,) float, optional
        True and predicted location of a joint in crop pixels, marked by a cross and a ring. Not drawn if not finite.
    outline : (h, w) bool, optional
        True inside a region whose border is drawn.
    """

    crop: np.ndarray
    values: np.ndarray | None = None
    title: str = ""
    caption: str = ""
    truth: np.ndarray | None = None
    predicted: np.ndarray | None = None
    outline: np.ndarray | None = None


def heatmap_figure(output: "ModelOutput", joints: Sequence[int] | None = None, *, model: str = "") -> "Figure":
    """Draw each joint's heatmap over the crop, as a grid of panels with one shared colour scale.

    Parameters
    ----------
    output : ModelOutput
        Output of a model for one person.
    joints : sequence of int, optional
        Indices of the joints to draw; all by default.
    model : str
        Name of the model, for the title.
    """
    joints = list(range(len(output.maps))) if joints is None else joints
    view = output.view
    panels = []
    for joint in joints:
        caption = f"peak {output.scores[joint]:.2f}"
        panels.append(joint_panel(output, joint, output.maps[joint], title=joint_name(view.skeleton, joint), caption=caption))
    scale = Scale("heatmap", max(0.0, float(output.maps[joints].max())))
    title = f"{model}: heatmaps" if model else "heatmaps"
    columns = min(_HEATMAP_COLUMNS, len(panels))
    return map_figure(panels, scale, columns=columns, title=f"{title}\n{view.title}", truth=view.truth)


def target_figure(output: "ModelOutput", joints: Sequence[int], *, gamma: float = 2.0, model: str = "") -> "Figure":
    """Draw the parts of anchor loss as in the paper's figure 3: image, target, mask, prediction, modulator, loss; a row per joint.

    The circle of high confidence (target > 0.5) is outlined on target, mask and prediction.

    Parameters
    ----------
    output : ModelOutput
        Output of a model for one person.
    joints : sequence of int
        Indices of the joints to draw.
    gamma : float
        Focusing exponent.
    model : str
        Name of the model, for the title.

    Raises
    ------
    ValueError
        If no joint is given.
    """
    view = output.view
    maps = output.explain(gamma)
    panels = []
    for joint in joints:
        panels += _target_panels(output, maps, joint)
    for i, title in enumerate(("image", "target p", "mask M", "prediction q", "modulator", "loss")[: len(panels)]):
        panels[i] = replace(panels[i], title=title)
    scales = [
        None,
        Scale("p", 1.0),
        Scale("M", 1.0, opaque=0.4),
        Scale("q", float(maps.probability[0, joints].numpy().max(initial=0))),
        factor_scale(maps.modulator[0, joints].numpy()),
        Scale("AL", float(maps.loss[0, joints].numpy().max(initial=0))),
    ]
    title = f"anchor loss, {exponent_name(gamma)}\n{view.title}"
    if model:
        title = f"{model}: {title}"
    return map_figure(panels, scales, rows=[joint_name(view.skeleton, joint) for joint in joints], title=title, truth=view.truth)


def _target_panels(output: "ModelOutput", maps: "AnchorMaps", joint: int) -> list[MapPanel]:
    image = joint_panel(output, joint, caption=" ")
    target = maps.target[0, joint].numpy()
    mask = maps.mask[0, joint].numpy()
    circle = maps.circle[0, joint].numpy()
    probability = maps.probability[0, joint].numpy()
    modulator = maps.modulator[0, joint].numpy()
    loss = maps.loss[0, joint].numpy()
    anchor = f"q* {maps.anchor[0, joint].item():.2g}, max {probability.max():.2g}"
    prediction = MapPanel(image.crop, probability, caption=output.missing_anchor(joint) or anchor, outline=circle)
    if not output.view.known[joint]:  # the training loss ignores joints without a known location
        nothing = MapPanel(image.crop, np.full_like(target, np.nan), caption=" ")
        return [image, nothing, nothing, prediction, nothing, nothing]
    return [
        image,
        MapPanel(image.crop, target, caption=f"p > 0.5: {circle.sum()} px", outline=circle),
        MapPanel(image.crop, mask, caption=f"p = 0: {mask.sum():,} px", outline=circle),
        prediction,
        MapPanel(image.crop, modulator, caption=f"max {modulator[mask].max(initial=0):.4g}"),
        MapPanel(image.crop, loss, caption=f"sum {loss.sum():.2g}"),
    ]


def joint_panel(
    output: "ModelOutput", joint: int, values: np.ndarray | None = None, *, title: str = "", caption: str = ""
) -> MapPanel:
    """Return a panel: the person's crop, optionally below a map, with marks at the true and predicted location of the joint."""
    truth = rescaled(output.truth[joint], output.size, CROP_SIZE)
    predicted = rescaled(output.predicted[joint], output.size, CROP_SIZE)
    return MapPanel(output.view.cropped(CROP_SIZE), values, title, caption, truth, predicted)


def map_figure(
    panels: Sequence[MapPanel],
    scales: Scale | Sequence[Scale | None],
    *,
    columns: int | None = None,
    rows: Sequence[str] = (),
    title: str = "",
    truth: str = "",
) -> "Figure":
    """Arrange panels in a figure of at most a page's width, with colour bars and a legend of the marks.

    Parameters
    ----------
    panels : sequence of MapPanel
        Panels, row by row; at least one.
    scales : Scale, or sequence of Scale or None
        One colour scale for all panels; or one per column, with None for a column without maps.
    columns : int, optional
        Number of columns, required if `scales` is a single scale; otherwise the number of scales is used.
    rows : sequence of str
        Names of all rows, or empty.
    title : str
        Title of the figure.
    truth : str
        Source of the true locations, for the legend.

    Raises
    ------
    ValueError
        If there is no panel, there are more than `MAX_COLUMNS` columns, or some rows have no name.
    """
    shared = scales if isinstance(scales, Scale) else None
    column_scales = [shared] * (columns or 0) if isinstance(scales, Scale) else list(scales)
    columns = len(column_scales)
    row_count = -(-len(panels) // columns) if columns else 0
    if not row_count or columns > MAX_COLUMNS or len(rows) not in (0, row_count):
        raise ValueError(
            f"map figure: expected at least 1 panel, 1 to {MAX_COLUMNS} columns, and a name for every row or no names; "
            f"got {len(panels)} panels, {columns} columns, row names {rows}"
        )
    margin, bar_height = (0.75, 0.4) if shared else (0.35, 0.85)
    side = min(_WIDEST_PANEL, (PAGE - margin) / columns)
    width = max(columns * side + margin, COLUMN)
    room = side - _GAP
    panels = [replace(panel, title=wrapped(panel.title, room), caption=wrapped(panel.caption, room, SMALL)) for panel in panels]
    title = wrapped(title, width)
    truth = wrapped(f"true location: {truth}" if truth else "true location", width - _LEGEND_MARK)
    lines = len(title.splitlines()) + len(truth.splitlines())
    for i in range(0, len(panels), columns):
        lines += max(len(panel.title.splitlines()) for panel in panels[i : i + columns])
        lines += max(len(panel.caption.splitlines()) for panel in panels[i : i + columns])
    figure, axes = canvas(row_count * side + lines * _LINE + bar_height, width=width, rows=row_count, columns=columns)
    figure.set_layout_engine("constrained", w_pad=0.02, h_pad=0.03, wspace=0.0, hspace=0.0)
    axes = np.atleast_1d(axes)
    for i, panel in enumerate(panels):
        _draw_panel(axes[i], panel, column_scales[i % columns] or _NO_SCALE)
    for empty in axes[len(panels) :]:
        empty.set_axis_off()
    for first, name in zip(axes[::columns], rows, strict=False):
        first.set_ylabel(wrapped(name, side), fontsize=TEXT)
    if shared:
        _draw_colour_bar(figure, axes, shared, ticks=5, location="right", aspect=14 * row_count, fraction=0.05)
    else:
        ticks = 3 if side > _NARROW_BAR else 2
        for i, scale in enumerate(column_scales):
            _draw_colour_bar(figure, axes[i::columns], scale or _NO_SCALE, ticks=ticks, location="bottom", aspect=13, shrink=0.8)
    figure.suptitle(title, fontsize=TEXT)
    _draw_legend(figure, panels, truth)
    return figure


def _draw_panel(axes: "Axes", panel: MapPanel, scale: Scale) -> None:
    axes.grid(False)
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    axes.set_title(panel.title, fontsize=TEXT, pad=2)
    axes.set_xlabel(panel.caption, fontsize=SMALL, labelpad=2)
    size = len(panel.crop)
    extent = (-0.5, size - 0.5, size - 0.5, -0.5)
    if panel.values is None:
        axes.imshow(panel.crop[..., ::-1], extent=extent)
    else:
        axes.imshow(backdrop(panel.crop), extent=extent)
        transparent = 0.0 if scale.middle is None else scale.middle
        values = np.nan_to_num(panel.values, nan=transparent)
        axes.imshow(
            values, cmap=scale.colours, norm=scale.norm(), alpha=scale.opacity(values), extent=extent, interpolation="nearest"
        )
    if panel.outline is not None:
        _draw_outline(axes, panel.outline, size)
    for point, style in ((panel.predicted, _PREDICTED), (panel.truth, _TRUTH)):
        if _is_known(point):
            axes.plot(*point, clip_on=True, **_outlined(style))
    axes.set(xlim=extent[:2], ylim=extent[2:])


def exponent_name(gamma: float) -> str:
    """Format a focusing exponent for figures, with non-breaking spaces."""
    return f"γ\u00a0=\u00a0{gamma:g}"


def factor_scale(factors: np.ndarray) -> Scale:
    """Return a diverging scale around 1 for modulators; NaN is ignored."""
    known = factors[~np.isnan(factors)]
    return Scale("AL / BCE", 1 + float(np.abs(known - 1).max(initial=0)), middle=1.0)


def joint_name(skeleton: Skeleton, joint: int) -> str:
    """Format a joint's name for figures."""
    return skeleton.joints[joint].replace("_", " ")


def backdrop(crop_bgr: np.ndarray) -> np.ndarray:
    """Return the crop in dark grey, (S, S, 3) uint8, so that all colours in the panel come from the map."""
    grey = np.rint(_DIM * crop_bgr.mean(-1, keepdims=True)).astype(np.uint8)
    return np.repeat(grey, 3, axis=-1)


def _is_known(point: np.ndarray | None) -> TypeGuard[np.ndarray]:
    return point is not None and bool(np.isfinite(point).all())


def _outlined(style: Mapping[str, Any]) -> dict[str, Any]:
    """Add a black outline to a marker's style."""
    from matplotlib.patheffects import Normal, Stroke

    return {**style, "path_effects": [Stroke(linewidth=style["markeredgewidth"] + 1.4, foreground="black"), Normal()]}


def _draw_outline(axes: "Axes", region: np.ndarray, size: int) -> None:
    """Draw the border of a region of map pixels, along the edges of the pixels."""
    height, width = region.shape
    padded = np.pad(region, 1).astype(int)
    scale_x = size / width
    scale_y = size / height
    for y, x in zip(*np.nonzero(np.diff(padded, axis=0)), strict=True):
        axes.plot([(x - 1) * scale_x - 0.5, x * scale_x - 0.5], [y * scale_y - 0.5] * 2, color="white", linewidth=0.8)
    for y, x in zip(*np.nonzero(np.diff(padded, axis=1)), strict=True):
        axes.plot([x * scale_x - 0.5] * 2, [(y - 1) * scale_y - 0.5, y * scale_y - 0.5], color="white", linewidth=0.8)


def _draw_colour_bar(figure: "Figure", axes: np.ndarray, scale: Scale, *, ticks: int, **shape: Any) -> None:
    from matplotlib.cm import ScalarMappable

    norm = scale.norm()
    bar: Any = figure.colorbar(ScalarMappable(norm, scale.colours), ax=list(axes), pad=0.01, **shape)
    bar.set_label(plain(scale.label), fontsize=TEXT)
    bar.ax.tick_params(labelsize=SMALL, length=2)
    values = norm.inverse(np.linspace(0, 1, ticks))
    bar.set_ticks(values, labels=[scale.format(value) if scale.top > 0 else " " for value in values])
    if scale.top <= 0:  # hide the bar but keep its space, so that the panels of all columns stay aligned
        bar.solids.set_visible(False)
        bar.ax.tick_params(length=0)
    bar.minorticks_off()
    bar.outline.set_visible(False)


def _draw_legend(figure: "Figure", panels: Sequence[MapPanel], truth: str) -> None:
    """Draw a legend of the marks that occur in the panels."""
    from matplotlib.lines import Line2D

    styles = {}
    if any(_is_known(panel.truth) for panel in panels):
        styles[truth] = _TRUTH
    if any(_is_known(panel.predicted) for panel in panels):
        styles["predicted location"] = _PREDICTED
    if not styles:
        return
    handles = [Line2D([], [], **_outlined(style)) for style in styles.values()]
    figure.legend(
        handles,
        list(styles),
        loc="outside lower center",
        ncols=2 if len(truth) < _SHORT_ENTRY * figure.get_figwidth() else 1,
        fontsize=TEXT,
        facecolor="0.35",
        labelcolor="white",
        edgecolor="none",
    )
