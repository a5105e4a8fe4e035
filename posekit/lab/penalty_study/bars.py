"""Bars of what anchor loss charges more than binary cross entropy, by where it falls."""

from collections.abc import Mapping, Sequence

import numpy as np

from posekit.drawing.style import INK, PAGE, SERIES, SMALL, canvas, legend, name_axes, name_rows, shortened

# Of each panel: the measure, its unit, and the name of its axis.
_PANELS = {
    "mean_penalty": (1e6, "mean penalty (1e-6 per pixel)"),
    "penalty_share": (1, "share of the penalty (%)"),
    "higher": (1, "maps above the anchor there (%)"),
}
# Rows from which on the panels stand side by side.
_MANY = 4
# Inches: one bar, a row that has a single one, the name of a panel's axis, a line of the legend.
_BAR, _ROW, _AXIS, _LINE = 0.125, 0.2, 0.42, 0.14
# Share of a row's height that its bars take, and the length of an axis in longest bars: numbers stand behind them.
_FILLED, _LONG = 0.8, 1.3


def penalty_bars(models: Mapping[str, Mapping[str, Mapping[str, Sequence[float]]]]):
    """The penalty that regions of the maps receive, of one model or of several.

    Three panels: the mean penalty; the region's share of the penalty, with its share of the pixels marked, where the bar
    would end if the penalty were spread evenly; and how many of the maps score above their anchor there. With few rows they
    stand below each other, a column of a paper wide, else side by side, a page wide.

    Parameters
    ----------
    models : mapping of str to mapping of str to mapping of str to (value, low, high)
        Of each model, of each region (or group of joints), the "mean_penalty" per pixel, and "penalty_share", "area_share"
        and "higher" in percent, with the ends of their 95 % intervals: `regions` or `group_rows` of a
        `posekit.lab.penalty_study.study.PenaltyStudy`. What is NaN for all models is left out.

    Returns
    -------
    matplotlib.figure.Figure
    """
    rows = list(dict.fromkeys(row for found in models.values() for row in found))
    rows = [row for row in rows if np.isfinite(_numbers(models, [row], "mean_penalty")[..., 0]).any()]
    step = _FILLED / max(len(models), 1)
    figure, panels = _canvas(len(rows), len(models))
    places = np.arange(len(rows)) + (np.arange(len(models))[:, None] - (len(models) - 1) / 2) * step
    area = _numbers(models, rows, "area_share")[..., 0]
    for axes, (measure, (unit, label)) in zip(panels, _PANELS.items(), strict=True):
        marks = area if measure == "penalty_share" else np.full_like(area, np.nan)
        _draw_bars(axes, list(models), places, 0.94 * step, unit * _numbers(models, rows, measure), marks)
        name_axes(axes, label)
    name_rows(panels, rows)
    for axes in panels[1:]:
        axes.set(xlim=(0, 100 * _LONG), xticks=range(0, 101, 25))
    panels[0].xaxis.set_major_formatter("{x:,g}")
    panels[0].xaxis.get_major_locator().set_params(nbins=4)
    legend(figure, panels[1])
    return figure


def _canvas(rows: int, models: int):
    """A figure with the panels, in which every bar has room for its number."""
    panel = max(rows, 1) * max(_ROW, _BAR * models / _FILLED) + _AXIS
    legend_lines = _LINE * (2 + models)
    if rows < _MANY:
        return canvas(legend_lines + len(_PANELS) * panel, rows=len(_PANELS), sharey=True)
    return canvas(legend_lines + panel, width=PAGE, columns=len(_PANELS), sharey=True)


def _numbers(models: Mapping, rows: Sequence[str], measure: str) -> np.ndarray:
    """(models, rows, 3) value, low and high; NaN where a model lacks the row."""
    lacking = (np.nan,) * 3
    found = [[row[measure] if (row := numbers.get(name)) else lacking for name in rows] for numbers in models.values()]
    return np.array(found, np.float64).reshape(len(models), len(rows), 3)


def _draw_bars(axes, models: Sequence[str], places_MR, thickness: float, numbers_MR3, marks_MR) -> None:
    """A row for each region, in it a bar for each model, with its interval, its number, and a mark."""
    for i, (model, places, numbers) in enumerate(zip(models, places_MR, numbers_MR3, strict=True)):
        axes.barh(places, numbers[:, 0], thickness, color=SERIES[i % len(SERIES)][0], label=shortened(model))
        ends = np.fmax(numbers[:, 0], numbers[:, 2])
        hidden = (marks_MR[i] > ends) & (marks_MR[i] < ends + 20)  # of a number in percent
        for value, end, place in zip(numbers[:, 0], np.where(hidden, marks_MR[i], ends), places, strict=True):
            if np.isfinite(value):
                style = {"textcoords": "offset points", "va": "center", "fontsize": SMALL, "color": INK}
                axes.annotate(_written(value), (end, place), (3, -0.3), **style)
    low, high = numbers_MR3[..., 1].ravel(), numbers_MR3[..., 2].ravel()
    axes.hlines(places_MR.ravel(), low, high, color=INK, linewidth=0.8, label="95 % interval")
    mark = {"marker": "|", "markersize": 7, "markeredgewidth": 1.4, "linestyle": "none", "color": INK}
    if np.isfinite(marks_MR).any():
        axes.plot(marks_MR.ravel(), places_MR.ravel(), label="share of the pixels", **mark)
    axes.set_xlim(0, _LONG * (np.nan_to_num(numbers_MR3).max(initial=0) or 1))


def _written(value: float) -> str:
    return f"{value:,.0f}" if value > 100 else f"{value:.1f}"
