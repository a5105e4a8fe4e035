"""Figures of evaluation results, as wide as one column of a two-column paper.

NaN values are not drawn. Long names of models and joints are shortened.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from posekit.drawing.style import (
    BLUE,
    DOTTED,
    INK,
    ON_DARK,
    ON_LIGHT,
    ORANGE,
    PALE,
    RED,
    SERIES,
    SKY,
    SMALL,
    TEXT,
    canvas,
    curve_style,
    legend,
    name_axes,
    name_rows,
    shortened,
)
from posekit.metrics.calibration import reliability_bins

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SEAM: Mapping[str, Any] = {"edgecolor": "#ffffff", "linewidth": 0.4}
_FILLED = 0.8  # fraction of a row's height that the bars fill

# Histogram of errors: number of bins per threshold, and number of thresholds on the axis.
_BINS = 10
_SPAN = 4

_DIAGNOSIS = {
    "good": (PALE, ON_LIGHT),
    "jitter": (ORANGE, ON_LIGHT),
    "inversion": (BLUE, ON_DARK),
    "miss": (RED, ON_DARK),
}
_DOUBLE_COUNTING = (
    "heatmaps with\nseveral peaks",
    "highest peak\nis correct",
    "only a lower peak\nis correct",
    "a lower peak is on\nthe opposite joint",
)


def pck_curves(
    curves: Mapping[str, tuple[ArrayLike, ArrayLike]], *, metric: str, threshold: float, reference: str = "reference size"
) -> "Figure":
    """Plot PCK as a function of the threshold, and mark the threshold of the protocol.

    Parameters
    ----------
    curves : mapping of str to ((T,) float, (T,) float)
        By joint group or model: thresholds in ascending order, in reference sizes, and PCK in percent.
    metric : str
        Name of the metric, e.g. "PCKh" or "PCK@0.2"; "@" and the text after it are not shown.
    threshold : float
        Threshold of the protocol.
    reference : str
        Name of the reference size, e.g. "head size"; text in brackets is not shown.
    """
    figure, axes = canvas(2.6)
    highest = max(threshold, 0)
    for i, (name, (thresholds, percent)) in enumerate(curves.items()):
        axes.plot(thresholds, percent, linewidth=1.2, label=shortened(name), **curve_style(i))
        highest = max(highest, np.max(thresholds, initial=0))
    axes.axvline(threshold, color=INK, linewidth=0.8, linestyle=DOTTED, label=f"threshold {threshold:g}")
    axes.set(xlim=(0, 1.02 * highest), ylim=(0, 100))
    name_axes(axes, f"threshold / {_unbracketed(reference)}", f"{metric.partition('@')[0]} (%)")
    legend(figure, axes)
    return figure


def joint_bars(values: Mapping[str, Mapping[str, float]], *, metric: str) -> "Figure":
    """Draw the percentage of each joint or joint group as a bar, with the bars of several models next to each other.

    Parameters
    ----------
    values : mapping of str to mapping of str to float
        Percentages by model, then by joint or joint group. A joint whose value is NaN for all models is omitted.
    metric : str
        Name of the metric for the axis, e.g. "PCKh@0.5".
    """
    names, cells = _table(values, 1)
    figure, axes = canvas(_figure_height(cells))
    _draw_bars(axes, names, cells[..., 0], values)
    name_axes(axes, f"{metric} (%)")
    if len(values) > 1:
        legend(figure, axes)
    return figure


def error_histogram(errors: ArrayLike, *, threshold: float, reference: str) -> "Figure":
    """Draw a histogram of joint errors; errors up to the threshold and larger errors have different colours.

    Parameters
    ----------
    errors : float, any shape
        Errors relative to the reference size; NaN where a joint is not evaluated, inf where a joint was not predicted.
    threshold : float
        Largest error of a correct joint, > 0. A bin is a tenth of the threshold wide and includes the upper end.
    reference : str
        Name of the reference size, e.g. "head size"; text in brackets is not shown.
    """
    bins = _BINS * _SPAN
    width = threshold / _BINS
    distances = np.asarray(errors, np.float64)
    distances = distances[~np.isnan(distances)]
    upper_ends = threshold * (np.arange(1, bins + 1) / _BINS)
    indices = np.searchsorted(upper_ends, distances, side="left")  # index `bins`: error beyond the last bin
    indices[np.isinf(distances)] = bins + 1
    percent = 100 * np.bincount(indices, minlength=bins + 2) / max(len(distances), 1)
    starts = width * np.arange(bins)
    figure, axes = canvas(2.4)

    def draw(name: str, left, heights: np.ndarray, bar_width: float, colour: str) -> None:
        label = f"{name}: {heights.sum():.1f} %"
        axes.bar(left, heights, bar_width, align="edge", color=colour, label=label, **_SEAM)

    draw(f"within {threshold:g}", starts[:_BINS], percent[:_BINS], width, BLUE)
    draw(f"up to {_SPAN * threshold:g}", starts[_BINS:], percent[_BINS:bins], width, ORANGE)
    # The last two bars stand apart and are twice as wide.
    draw("farther", [width * (bins + 1)], percent[bins : bins + 1], 2 * width, RED)
    draw("not predicted", [width * (bins + 4)], percent[bins + 1 :], 2 * width, INK)
    axes.set_xticks(threshold * np.arange(_SPAN + 1))
    axes.set_xlim(0, width * (bins + 7))
    name_axes(axes, f"error / {_unbracketed(reference)}", "joints (%)")
    legend(figure, axes)
    return figure


def reliability(scores: ArrayLike, correct: ArrayLike, *, bins: int = 10) -> "Figure":
    """Draw a reliability diagram: the fraction of correct joints as a function of the score, and the number of joints per bin.

    The title gives the expected calibration error.

    Parameters
    ----------
    scores : float, any shape
        Scores (peak heights) of the evaluated joints.
    correct : bool, the same shape
        True where the joint is correct.
    bins : int
        Number of bins, each with the same number of joints; see `posekit.metrics.calibration.reliability_bins`.
    """
    binned = reliability_bins(scores, correct, bins)
    figure, (above, below) = canvas(3.0, rows=2, sharex=True, height_ratios=(3, 1))
    above.plot([0, 1], [0, 1], color=INK, linewidth=0.8, linestyle="--", label="share = score")
    above.plot(binned.score, binned.share, "o-", color=BLUE, markersize=3.5, linewidth=1.2, label="joints by score")
    above.set(xlim=(min([0, *binned.low]), max([1.02, *binned.high])), ylim=(0, 1.02))
    error = f"expected calibration error {binned.calibration_error:.3f}"
    above.set_title(error if len(binned.counts) else "no joint has a score", fontsize=TEXT)
    below.bar(binned.low, binned.counts, binned.high - binned.low, align="edge", color=SKY, edgecolor=BLUE, linewidth=0.5)
    below.yaxis.set_major_formatter("{x:,.0f}")
    below.yaxis.get_major_locator().set_params(nbins=2, integer=True)
    name_axes(above, "", "share correct")
    name_axes(below, "score (height of the peak)", "joints")
    legend(figure, above)
    figure.align_ylabels()
    return figure


def diagnosis_bars(models: Mapping[str, Mapping[str, Sequence[float]]]) -> "Figure":
    """Draw the error types of each joint or joint group as stacked bars.

    Parameters
    ----------
    models : mapping of str to mapping of str to (4,) float
        Percentages of good, jitter, inversion and miss; by model, then by joint or joint group.
    """
    names, cells = _table(models, len(_DIAGNOSIS))
    figure, axes = canvas(_figure_height(cells))
    positions, thickness = _bar_positions(cells)
    percentages = np.nan_to_num(cells)
    starts = np.cumsum(percentages, -1) - percentages
    for i, (error, (colour, text_colour)) in enumerate(_DIAGNOSIS.items()):
        percent = cells[..., i].ravel()
        bars = axes.barh(positions.ravel(), percent, thickness, left=starts[..., i].ravel(), color=colour, label=error, **_SEAM)
        labels = [f"{value:.0f}" if value >= 8 else "" for value in percent]
        axes.bar_label(bars, labels, label_type="center", fontsize=SMALL, color=text_colour)
    axes.set_xlim(0, 100)
    name_rows([axes], names)
    if len(models) > 1:
        _name_right(axes, positions.T.ravel(), [shortened(model, 14) for model in models] * len(names))
    name_axes(axes, "joints (%)")
    legend(figure, axes)
    return figure


def double_counting_bars(models: Mapping[str, Mapping[str, Sequence[float]]]) -> "Figure":
    """Draw how often heatmaps have several peaks and which peak is correct, in one panel for each of four percentages.

    Parameters
    ----------
    models : mapping of str to mapping of str to (4,) float
        Four percentages; by model, then by joint or joint group. The first is the percentage of heatmaps with several
        peaks. The other three are percentages of the heatmaps with several peaks: the highest peak is correct; only a
        lower peak is correct; a lower peak is on the opposite (left or right) joint, NaN for joints without an opposite.
    """
    names, cells = _table(models, len(_DOUBLE_COUNTING))
    figure, panels = canvas(_figure_height(cells, panels=2), rows=2, columns=2, sharey=True, sharex=True)
    for i, (axes, title) in enumerate(zip(panels, _DOUBLE_COUNTING, strict=True)):
        _draw_bars(axes, names, cells[..., i], models)
        axes.set_title(title, fontsize=TEXT)
        name_axes(axes, "%" if i > 1 else "")
    if len(models) > 1:
        legend(figure, panels[0])
    return figure


def difference_bars(differences: Mapping[str, tuple[float, float, float]]) -> "Figure":
    """Draw paired differences of two models as bars; a bar is filled if the confidence interval excludes 0.

    Parameters
    ----------
    differences : mapping of str to (difference, low, high)
        Difference and both ends of the 95 % confidence interval, in percentage points; by joint group.
    """
    names, cells = _table({"": differences}, 3)
    difference, low, high = cells[0].T
    figure, axes = canvas(0.3 + _figure_height(cells))
    rows = np.arange(len(names))
    decided = (low > 0) | (high < 0)
    for mask, face, name in ((decided, BLUE, "decided"), (~decided, "none", "undecided: interval includes 0")):
        if mask.any():
            axes.barh(rows[mask], difference[mask], 0.55, color=face, edgecolor=BLUE, linewidth=0.8, label=name)
    axes.hlines(rows, low, high, color=INK, linewidth=0.8, label="95 % interval")
    axes.axvline(0, color=INK, linewidth=0.8)
    name_rows([axes], names)
    _name_right(axes, rows, [f"{value:+.1f}".replace("-", "−") for value in difference])
    name_axes(axes, "difference (percentage points)")
    legend(figure, axes)
    return figure


def _table(models: Mapping[str, Mapping[str, Any]], width: int) -> tuple[list[str], np.ndarray]:
    """Return the names of the R rows in which any model has numbers, and a (models, R, width) array; NaN where missing."""
    names = np.array(list(dict.fromkeys(name for values in models.values() for name in values)), dtype=object)
    cells = np.full((len(models), len(names), width), np.nan)
    for i, values in enumerate(models.values()):
        for j, name in enumerate(names):
            numbers = values.get(name, np.full(width, np.nan))
            if np.size(numbers) != width:
                raise ValueError(f"{name}: expected {width} numbers, got {np.size(numbers)}")
            cells[i, j] = numbers
    any_number = ~np.isnan(cells).all((0, 2))
    return names[any_number].tolist(), cells[:, any_number]


def _bar_positions(cells: np.ndarray) -> tuple[np.ndarray, float]:
    """Return (models, rows) positions of the bars, centred on the row's index, and the thickness of a bar."""
    models, rows = cells.shape[:2]
    step = _FILLED / max(models, 1)
    offsets = (np.arange(models)[:, None] - (models - 1) / 2) * step
    return np.arange(rows) + offsets, 0.94 * step


def _figure_height(cells: np.ndarray, panels: int = 1) -> float:
    """Return the height in inches of a figure with `panels` rows of bar panels and a legend, in which each bar's number fits."""
    models, rows = cells.shape[:2]
    bars = max(rows, 1) * max(0.17, 0.125 * models / _FILLED)
    titles = 0.35 * panels if panels > 1 else 0.0
    return 0.6 + 0.14 * models + panels * bars + titles


def _draw_bars(axes: "Axes", names: Sequence[str], cells_MR: np.ndarray, models: Mapping[str, Any]) -> None:
    """Draw percentages as horizontal bars: one row per name, with one bar per model."""
    positions, thickness = _bar_positions(cells_MR)
    for i, model in enumerate(models):
        colour, text_colour = SERIES[i % len(SERIES)]
        axes.barh(positions[i], cells_MR[i], thickness, color=colour, label=shortened(model))
        for value, y in zip(cells_MR[i], positions[i], strict=True):
            if np.isfinite(value):
                _write_value(axes, value, y, text_colour)
    axes.set_xlim(0, 100)
    name_rows([axes], names)


def _write_value(axes: "Axes", value: float, y: float, text_colour: str) -> None:
    """Write a value inside the end of the bar if the bar is long enough, otherwise beside the bar."""
    inside = value > 30
    axes.annotate(
        f"{value:.1f}",
        (value, y),
        (-2 if inside else 2, -0.3),
        textcoords="offset points",
        ha="right" if inside else "left",
        va="center",
        fontsize=SMALL,
        color=text_colour if inside else INK,
    )


def _name_right(axes: "Axes", positions: np.ndarray, labels: Sequence[str]) -> None:
    """Write small labels to the right of the axes."""
    right = axes.secondary_yaxis("right")
    right.set_yticks(positions, labels)
    right.tick_params(labelsize=SMALL, length=0)
    right.spines["right"].set_visible(False)


def _unbracketed(reference: str) -> str:
    return reference.partition(" (")[0]
