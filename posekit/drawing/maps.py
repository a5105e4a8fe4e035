"""Maps over the photograph they belong to, as figures with colour bars whose values can be read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from posekit.drawing.style import COLOUR_MAP, COLUMN, DIVERGING, PAGE, SKY, SMALL, TEXT, canvas, plain, wrapped
from posekit.skeletons import Skeleton

# Pixels of the crops that figures show.
PICTURE = 256
# More are too narrow for their titles.
MOST_COLUMNS = 10
# Inches: the widest panel, a line of text, what panels lose to the gaps between them, and a mark of the legend.
_WIDEST, _LINE, _GAP, _MARK = 1.6, 0.14, 0.12, 0.4
# Letters an inch of the legend's first entry that leave room for the second beside it.
_SHORT = 8
# Fewer inches of colour bar have room for its ends' values alone.
_NARROW = 0.9
_DIM = 0.65  # the photograph's brightness under a map, so that colours are the map's


@dataclass(frozen=True)
class Scale:
    """How values become colours.

    Parameters
    ----------
    label : str
        What the values are.
    top : float
        The value of the last colour.
    middle : float, optional
        Value that leaves the photograph as it is: colours diverge from it, evenly to both sides, to `top` and down to 0 at most.
        By default there is none, and 0 leaves the photograph as it is.
    root : bool
        Whether colours grow with the square root of the value, so that small values are seen beside large ones.
    """

    label: str
    top: float
    middle: float | None = None
    opaque: float = 0.9

    def norm(self):
        """The ``matplotlib.colors.Normalize`` of it."""
        from matplotlib.colors import Normalize, TwoSlopeNorm

        if self.middle is not None:
            top = max(self.top, self.middle + 1e-6)
            return TwoSlopeNorm(self.middle, max(0.0, 2 * self.middle - top), top)
        return Normalize(0.0, self.top or 1.0)

    @property
    def colours(self) -> str:
        """matplotlib's name of the colours."""
        return COLOUR_MAP if self.middle is None else DIVERGING

    def told(self, value: float) -> str:
        """A value as bars and captions write it."""
        return f"{value:.2g}" if self.middle is None else f"{value:.4g}"

    def opacity(self, values: np.ndarray) -> np.ndarray:
        """How much of the photograph is covered, 0 to 1, the same shape."""
        level = np.asarray(self.norm()(values).filled(0.0))
        return self.opaque * np.sqrt(np.clip(level if self.middle is None else np.abs(2 * level - 1), 0, 1))


_NOTHING = Scale(" ", 0.0)


@dataclass(frozen=True)
class MapPanel:
    """One map, what it lies on, and what is marked.

    Parameters
    ----------
    crop : (S, S, 3) uint8
        Blue, green, red.
    values : (h, w) float, optional
        The whole map covers the whole crop; NaN is left out. Without it the crop is shown alone, in its colours.
    title, caption : str
        Above and below.
    truth, predicted : (2,) float, optional
        Pixels of the crop: marked by a cross and by a ring; what is not finite is not marked.
    outline : (h, w) bool, optional
        Region whose border is drawn.
    """

    crop: np.ndarray
    values: np.ndarray | None = None
    title: str = ""
    caption: str = ""
    truth: np.ndarray | None = None
    predicted: np.ndarray | None = None
    outline: np.ndarray | None = None


def map_figure(
    panels: Sequence[MapPanel],
    scales: Scale | Sequence[Scale | None],
    *,
    columns: int | None = None,
    rows: Sequence[str] = (),
    title: str = "",
    truth: str = "",
):
    """Panels in rows, with colour bars and a legend of the marks, a page of a paper wide at most.

    Parameters
    ----------
    panels : sequence of MapPanel
        Row by row; at least one.
    scales : Scale, or sequence of Scale or None
        One for all, or one for each column, where None is for columns without maps.
    columns : int, optional
        Panels in a row; as many as there are scales, if these are several.
    rows : sequence of str
        Names of the rows, one for each, or none.
    title : str
        Above the figure.
    truth : str
        Where the true places come from, for the legend.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If there is no panel, there are more than `MOST_COLUMNS`, or the rows' names are not as many as the rows.
    """
    one = isinstance(scales, Scale)
    columns = columns if one else len(scales)
    count = -(-len(panels) // columns) if columns else 0
    if not count or columns > MOST_COLUMNS or len(rows) not in (0, count):
        expected = f"at least one, in at most {MOST_COLUMNS} columns, in rows that are named or not"
        raise ValueError(f"panels: expected {expected}; got {len(panels)}, {columns}, {rows}")
    margin, below = (0.75, 0.4) if one else (0.35, 0.85)
    side = min(_WIDEST, (PAGE - margin) / columns)
    width = max(columns * side + margin, COLUMN)
    panels = [replace(p, title=wrapped(p.title, side - _GAP), caption=wrapped(p.caption, side - _GAP, SMALL)) for p in panels]
    title, truth = wrapped(title, width), wrapped(f"true place: {truth}" if truth else "true place", width - _MARK)
    lines = sum(_lines(panels[i : i + columns]) for i in range(0, len(panels), columns))
    lines += len(title.splitlines()) + len(truth.splitlines())
    figure, axes = canvas(count * side + lines * _LINE + below, width=width, rows=count, columns=columns)
    figure.get_layout_engine().set(w_pad=0.02, h_pad=0.03, wspace=0.0, hspace=0.0)
    axes = np.atleast_1d(axes)
    for i, (place, panel) in enumerate(zip(axes, panels, strict=False)):
        _draw(place, panel, scales if one else scales[i % columns])
    for place in axes[len(panels) :]:
        place.set_axis_off()
    for place, name in zip(axes[::columns], rows, strict=False):
        place.set_ylabel(wrapped(name, side), fontsize=TEXT)
    for i, scale in enumerate([scales] if one else scales):
        ticks = 5 if one else 3 if side > _NARROW else 2
        _colour_bar(figure, axes if one else axes[i::columns], scale or _NOTHING, "right" if one else "bottom", count, ticks)
    _explain(figure, panels, title, truth)
    return figure


def _lines(panels: Sequence[MapPanel]) -> int:
    """Lines of text that a row of panels needs."""
    texts = [panel.title for panel in panels], [panel.caption for panel in panels]
    return sum(max(len(text.splitlines()) for text in row) for row in texts)


def _draw(axes, panel: MapPanel, scale: Scale) -> None:
    axes.grid(False)
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    axes.set_title(panel.title, fontsize=TEXT, pad=2)
    axes.set_xlabel(panel.caption, fontsize=SMALL, labelpad=2)
    size = len(panel.crop)
    whole = (-0.5, size - 0.5, size - 0.5, -0.5)
    axes.imshow(backdrop(panel.crop) if panel.values is not None else panel.crop[..., ::-1], extent=whole)
    if panel.values is not None:
        shown = np.nan_to_num(panel.values, nan=0.0 if scale.middle is None else scale.middle)
        axes.imshow(shown, cmap=scale.colours, norm=scale.norm(), alpha=scale.opacity(shown), extent=whole, interpolation="nearest")
    if panel.outline is not None:
        _outline(axes, panel.outline, size)
    mark_places(axes, panel.truth, panel.predicted)
    axes.set(xlim=whole[:2], ylim=whole[2:])


def enlarged(points: np.ndarray, size: int) -> np.ndarray:
    """Points in pixels of a crop `size` pixels wide, as pixels of the crop `PICTURE` pixels wide."""
    return (np.asarray(points, np.float64) + 0.5) * PICTURE / size - 0.5


def exponent_name(gamma: float) -> str:
    """A focusing exponent as figures write it, in one piece."""
    return f"γ\u00a0=\u00a0{gamma:g}"


def factor_scale(factors: np.ndarray) -> Scale:
    """The scale of modulators, whose middle is 1; NaN does not count."""
    known = factors[~np.isnan(factors)]
    return Scale("AL / BCE", 1 + float(np.abs(known - 1).max(initial=0)), middle=1.0)


def joint_name(skeleton: Skeleton, joint: int) -> str:
    """A joint's name as figures write it."""
    return skeleton.joints[joint].replace("_", " ")


def backdrop(crop_bgr: np.ndarray) -> np.ndarray:
    """(S, S, 3) uint8: a crop in dim grey, so that colours on it are the map's."""
    grey = np.rint(_DIM * crop_bgr.mean(-1, keepdims=True)).astype(np.uint8)
    return np.repeat(grey, 3, axis=-1)


def mark_places(axes, truth: np.ndarray | None, predicted: np.ndarray | None) -> None:
    """Mark a joint's true place by a white cross and its predicted place by a ring, both outlined in black."""
    for point, style in ((predicted, _PREDICTED), (truth, _TRUTH)):
        if _is_known(point):
            axes.plot(*point, clip_on=True, **_outlined(style))


def _is_known(point: np.ndarray | None) -> bool:
    return point is not None and bool(np.isfinite(point).all())


_TRUTH: Mapping = {"marker": "+", "markersize": 7, "markeredgewidth": 1.2, "color": "white", "linestyle": "none"}
_PREDICTED: Mapping = {
    "marker": "o", "markersize": 9, "markeredgewidth": 1.0, "color": SKY, "markerfacecolor": "none", "linestyle": "none",
}  # fmt: skip


def _outlined(style: Mapping) -> dict:
    from matplotlib.patheffects import Normal, Stroke

    return {**style, "path_effects": [Stroke(linewidth=style["markeredgewidth"] + 1.4, foreground="black"), Normal()]}


def _outline(axes, region: np.ndarray, size: int) -> None:
    """The border of a region of map pixels, along their edges."""
    h, w = region.shape
    padded = np.pad(region, 1).astype(int)
    edges_y, edges_x = np.nonzero(np.diff(padded, axis=0)), np.nonzero(np.diff(padded, axis=1))
    sx, sy = size / w, size / h
    for y, x in zip(*edges_y, strict=True):
        axes.plot([(x - 1) * sx - 0.5, x * sx - 0.5], [y * sy - 0.5] * 2, color="white", linewidth=0.8)
    for y, x in zip(*edges_x, strict=True):
        axes.plot([x * sx - 0.5] * 2, [(y - 1) * sy - 0.5, y * sy - 0.5], color="white", linewidth=0.8)


def _colour_bar(figure, axes, scale: Scale, location: str, rows: int, ticks: int) -> None:
    from matplotlib.cm import ScalarMappable

    # As thick as some letters are high, whatever the length.
    shape = {"aspect": 14 * rows, "fraction": 0.05} if location == "right" else {"aspect": 13, "shrink": 0.8}
    norm = scale.norm()
    bar = figure.colorbar(ScalarMappable(norm, scale.colours), ax=list(axes), location=location, pad=0.01, **shape)
    bar.set_label(plain(scale.label), fontsize=TEXT)
    bar.ax.tick_params(labelsize=SMALL, length=2)
    values = norm.inverse(np.linspace(0, 1, ticks))
    bar.set_ticks(values, labels=[scale.told(value) if scale.top > 0 else " " for value in values])
    if scale.top <= 0:  # no colour means anything, but the panels must keep in line with those that have a bar
        bar.solids.set_visible(False)
        bar.ax.tick_params(length=0)
    bar.minorticks_off()
    bar.outline.set_visible(False)


def _explain(figure, panels: Sequence[MapPanel], title: str, truth: str) -> None:
    from matplotlib.lines import Line2D

    marked = {
        truth: (_TRUTH, [panel.truth for panel in panels]),
        "predicted place": (_PREDICTED, [panel.predicted for panel in panels]),
    }
    entries = [(text, style) for text, (style, points) in marked.items() if any(map(_is_known, points))]
    figure.suptitle(title, fontsize=TEXT)
    if entries:
        handles = [Line2D([], [], **_outlined(style)) for _, style in entries]
        style = {"fontsize": TEXT, "facecolor": "0.35", "labelcolor": "white", "edgecolor": "none"}
        beside = 2 if len(truth) < _SHORT * figure.get_figwidth() else 1
        figure.legend(handles, [text for text, _ in entries], loc="outside lower center", ncols=beside, **style)
