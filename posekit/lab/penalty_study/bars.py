"""Bar charts of the penalty in each region of the heatmaps; the penalty is what anchor loss adds to binary cross entropy."""

from collections.abc import Mapping, Sequence

import numpy as np

from posekit.drawing.style import INK, PAGE, SERIES, SMALL, canvas, legend, name_axes, name_rows, shortened

Numbers = Mapping[str, Mapping[str, Sequence[float]]]
"""Row -> measure -> (value, low, high), with the ends of the 95 % confidence interval."""

# For each panel: measure -> (factor from the measure to the plotted unit, axis label).
_PANELS = {
    "mean_penalty": (1e6, "mean penalty (1e-6 per pixel)"),
    "penalty_share": (1, "share of the penalty (%)"),
    "higher": (1, "heatmaps above the anchor (%)"),
}
_ROWS_SIDE_BY_SIDE = 4  # with at least this number of rows, the panels are side by side
# Heights in inches; `_ROW_HEIGHT` is the minimum height of a row.
_BAR_HEIGHT, _ROW_HEIGHT, _AXIS_HEIGHT, _LEGEND_LINE = 0.125, 0.2, 0.42, 0.14
_ROW_SHARE = 0.8  # fraction of a row's height that the bars fill
_AXIS_LENGTH = 1.3  # relative to the longest bar, to leave room for the numbers


def penalty_bars(models: Mapping[str, Numbers]):
    """Draw the penalty in regions of the heatmaps, for one or several models.

    The figure has three panels: the mean penalty per pixel; the region's share of the penalty, with a mark at the region's share
    of the pixels, where the bar would end if the penalty were spread evenly; and the percentage of heatmaps with a probability
    above the anchor in the region. The panels are stacked if there are few rows, otherwise side by side.

    Parameters
    ----------
    models : mapping of str to mapping of str to mapping of str to (value, low, high)
        Model name -> row (region or joint group) -> measure -> value and ends of the 95 % confidence interval. The measures are
        "mean_penalty" per pixel, and "penalty_share", "area_share" and "higher" in percent, as in `regions` or `group_rows` of
        a `posekit.lab.penalty_study.study.PenaltyStudy`. Rows that are NaN for all models are omitted.

    Returns
    -------
    matplotlib.figure.Figure
    """
    rows = _rows(models)
    # The panels are tall enough for the number beside every bar.
    height = max(len(rows), 1) * max(_ROW_HEIGHT, _BAR_HEIGHT * len(models) / _ROW_SHARE) + _AXIS_HEIGHT
    legend_height = _LEGEND_LINE * (2 + len(models))
    if len(rows) < _ROWS_SIDE_BY_SIDE:
        figure, panels = canvas(legend_height + len(_PANELS) * height, rows=len(_PANELS), sharey=True)
    else:
        figure, panels = canvas(legend_height + height, width=PAGE, columns=len(_PANELS), sharey=True)
    step = _ROW_SHARE / max(len(models), 1)
    offsets = (np.arange(len(models)) - (len(models) - 1) / 2) * step
    y_MR = np.arange(len(rows)) + offsets[:, None]
    area_MR = _numbers(models, rows, "area_share")[..., 0]
    for axes, (measure, (factor, label)) in zip(panels, _PANELS.items(), strict=True):
        marks_MR = area_MR if measure == "penalty_share" else np.full_like(area_MR, np.nan)
        _draw_bars(axes, list(models), y_MR, 0.94 * step, factor * _numbers(models, rows, measure), marks_MR)
        name_axes(axes, label)
    name_rows(panels, rows)
    for axes in panels[1:]:
        axes.set(xlim=(0, 100 * _AXIS_LENGTH), xticks=range(0, 101, 25))
    panels[0].xaxis.set_major_formatter("{x:,g}")
    panels[0].xaxis.get_major_locator().set_params(nbins=4)
    legend(figure, panels[1])
    return figure


def _rows(models: Mapping[str, Numbers]) -> list[str]:
    """Return the names of the rows that are not NaN for at least one model."""
    names: dict[str, None] = {}
    for numbers in models.values():
        names.update(dict.fromkeys(numbers))
    means_MR = _numbers(models, list(names), "mean_penalty")[..., 0]
    return [name for name, means in zip(names, means_MR.T, strict=True) if np.isfinite(means).any()]


def _numbers(models: Mapping[str, Numbers], rows: Sequence[str], measure: str) -> np.ndarray:
    """Return a measure as (models, rows, 3) array of value, low and high; NaN where a model lacks the row."""
    result = np.full((len(models), len(rows), 3), np.nan)
    for i, numbers in enumerate(models.values()):
        for j, row in enumerate(rows):
            if row in numbers:
                result[i, j] = numbers[row][measure]
    return result


def _draw_bars(
    axes, models: Sequence[str], y_MR: np.ndarray, thickness: float, numbers_MR3: np.ndarray, marks_MR: np.ndarray
) -> None:
    """Draw one bar per row and model, with confidence interval, number and mark."""
    for i, model in enumerate(models):
        values_R = numbers_MR3[i, :, 0]
        axes.barh(y_MR[i], values_R, thickness, color=SERIES[i % len(SERIES)][0], label=shortened(model))
        ends_R = np.fmax(values_R, numbers_MR3[i, :, 2])
        mark_crosses_number = (marks_MR[i] > ends_R) & (marks_MR[i] < ends_R + 20)
        x_R = np.where(mark_crosses_number, marks_MR[i], ends_R)
        for value, x, y in zip(values_R, x_R, y_MR[i], strict=True):
            if np.isfinite(value):
                text = f"{value:,.0f}" if value > 100 else f"{value:.1f}"
                axes.annotate(text, (x, y), (3, -0.3), textcoords="offset points", va="center", fontsize=SMALL, color=INK)
    low, high = numbers_MR3[..., 1], numbers_MR3[..., 2]
    axes.hlines(y_MR.ravel(), low.ravel(), high.ravel(), color=INK, linewidth=0.8, label="95 % confidence interval")
    if np.isfinite(marks_MR).any():
        mark = {"marker": "|", "markersize": 7, "markeredgewidth": 1.4, "linestyle": "none", "color": INK}
        axes.plot(marks_MR.ravel(), y_MR.ravel(), label="share of the pixels", **mark)
    axes.set_xlim(0, _AXIS_LENGTH * (np.nan_to_num(numbers_MR3).max(initial=0) or 1))
