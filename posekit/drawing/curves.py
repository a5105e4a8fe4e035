"""Figures of an evaluation, one column of a paper wide.

What is NaN is left out. Names of models and joints are shortened where they are long. Each function
returns a ``matplotlib.figure.Figure``, to be saved as PNG or SVG.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from posekit.drawing.style import (
    BLUE,
    DASHES,
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
    legend,
    name_axes,
    name_rows,
    shortened,
)
from posekit.metrics.reliability import reliability_bins

_SEAM = {"edgecolor": "#ffffff", "linewidth": 0.4}

# Inches: the height of one bar.
_BAR = 0.125
# Share of a row's height that its bars take.
_FILLED = 0.8

# The histogram of errors: bins up to the threshold, and thresholds shown.
_BINS, _SPAN = 10, 4

_DIAGNOSIS = {
    "good": (PALE, ON_LIGHT),
    "jitter": (ORANGE, ON_LIGHT),
    "inversion": (BLUE, ON_DARK),
    "miss": (RED, ON_DARK),
}
_DOUBLE_COUNTING = (
    "maps with\nseveral peaks",
    "of these, highest\npeak is right",
    "of these, truth only\nunder another peak",
    "of these, another peak\non the opposite joint",
)


def pck_curves(
    curves: Mapping[str, tuple[ArrayLike, ArrayLike]], *, metric: str, threshold: float, reference: str = "reference size"
):
    """PCK against the threshold, with the protocol's own threshold marked.

    Parameters
    ----------
    curves : mapping of str to ((T,) float, (T,) float)
        Of each joint group or model: thresholds in reference sizes, ascending, and percent correct.
    metric : str
        "PCKh" or "PCK"; what follows an "@" is left out.
    threshold : float
        The protocol's.
    reference : str
        What distances are divided by; what follows in brackets is left out.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, axes = canvas(2.6)
    for i, (name, (thresholds, percent)) in enumerate(curves.items()):
        dashes = DASHES[i // len(SERIES) % len(DASHES)]
        axes.plot(thresholds, percent, dashes, color=SERIES[i % len(SERIES)][0], linewidth=1.2, label=shortened(name))
    axes.axvline(threshold, color=INK, linewidth=0.8, linestyle=(0, (1, 1.5)), label=f"threshold {threshold:g}")
    ends = [np.max(thresholds, initial=0) for thresholds, _ in curves.values()]
    axes.set(xlim=(0, 1.02 * max(threshold, *ends, 0)), ylim=(0, 100))
    name_axes(axes, f"threshold / {_unbracketed(reference)}", f"{metric.partition('@')[0]} (%)")
    legend(figure, axes)
    return figure


def joint_bars(values: Mapping[str, Mapping[str, float]], *, metric: str):
    """Percentages of joints or groups, of one model or of several side by side.

    Parameters
    ----------
    values : mapping of str to mapping of str to float
        Of each model, the percentage of each joint or group. One that is NaN for all is left out.
    metric : str
        Name of the axis, e.g. "PCKh@0.5".

    Returns
    -------
    matplotlib.figure.Figure
    """
    names, cells = _table(values, 1)
    figure, axes = canvas(_height(cells))
    _draw_bars(axes, names, cells[..., 0], values)
    name_axes(axes, f"{metric} (%)")
    if len(values) > 1:
        legend(figure, axes)
    return figure


def error_histogram(errors: ArrayLike, *, threshold: float, reference: str):
    """Shares of the joints by their error, told apart at the threshold.

    Parameters
    ----------
    errors : float, any shape
        In reference sizes; NaN where a joint does not count, inf where it was not predicted.
    threshold : float
        Largest error of a correct joint, > 0. Bins are a tenth of it wide and include their upper end.
    reference : str
        What distances are divided by; what follows in brackets is left out.

    Returns
    -------
    matplotlib.figure.Figure
    """
    percent, n = _error_shares(errors, threshold), _BINS * _SPAN
    parts = {
        f"within {threshold:g}": (slice(_BINS), BLUE),
        f"up to {_SPAN * threshold:g}": (slice(_BINS, n), ORANGE),
        "farther": (slice(n, n + 1), RED),
        "not predicted": (slice(n + 1, n + 2), INK),
    }
    width = threshold / _BINS
    left = width * np.array([*range(n), n + 1, n + 4])  # the last two stand apart, and are two wide
    figure, axes = canvas(2.4)
    for name, (part, colour) in parts.items():
        wide = 2 * width if part.start in (n, n + 1) else width
        label = f"{name}: {percent[part].sum():.1f} %"
        axes.bar(left[part], percent[part], wide, align="edge", color=colour, label=label, **_SEAM)
    axes.set_xticks(threshold * np.arange(_SPAN + 1))
    axes.set_xlim(0, width * (n + 7))
    name_axes(axes, f"error / {_unbracketed(reference)}", "joints (%)")
    legend(figure, axes)
    return figure


def reliability(scores: ArrayLike, correct: ArrayLike, *, bins: int = 10):
    """Share of correct joints against the peak score, and below it the joints of each bin.

    Parameters
    ----------
    scores : float, any shape
        Of the joints that count.
    correct : bool, the same shape
    bins : int
        Of equal count; see `posekit.metrics.reliability.reliability_bins`.

    Returns
    -------
    matplotlib.figure.Figure
        With the expected calibration error in its title.
    """
    found = reliability_bins(scores, correct, bins)
    figure, (above, below) = canvas(3.0, rows=2, sharex=True, height_ratios=(3, 1))
    above.plot([0, 1], [0, 1], color=INK, linewidth=0.8, linestyle="--", label="share = score")
    above.plot(found.score, found.share, "o-", color=BLUE, markersize=3.5, linewidth=1.2, label="joints by score")
    above.set(xlim=(min([0, *found.low]), max([1.02, *found.high])), ylim=(0, 1.02))
    error = f"expected calibration error {found.calibration_error:.3f}" if len(found.counts) else "no joint has a score"
    above.set_title(error, fontsize=TEXT)
    below.bar(found.low, found.counts, found.high - found.low, align="edge", color=SKY, edgecolor=BLUE, linewidth=0.5)
    below.yaxis.set_major_formatter("{x:,.0f}")
    below.yaxis.get_major_locator().set_params(nbins=2, integer=True)
    name_axes(above, "", "share correct")
    name_axes(below, "score (height of the peak)", "joints")
    legend(figure, above)
    figure.align_ylabels()
    return figure


def diagnosis_bars(models: Mapping[str, Mapping[str, Sequence[float]]]):
    """What became of the joints of each group, as stacked bars.

    Parameters
    ----------
    models : mapping of str to mapping of str to (4,) float
        Of each model, of each joint or group: percentages of good, jitter, inversion and miss.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If there are not four numbers.
    """
    names, cells = _table(models, len(_DIAGNOSIS))
    figure, axes = canvas(_height(cells))
    places, thickness = _places(cells)
    starts = np.cumsum(np.nan_to_num(cells), -1) - np.nan_to_num(cells)
    for i, (kind, (colour, ink)) in enumerate(_DIAGNOSIS.items()):
        left, percent = starts[..., i].ravel(), cells[..., i].ravel()
        bars = axes.barh(places.ravel(), percent, thickness, left=left, color=colour, label=kind, **_SEAM)
        labels = [f"{value:.0f}" if value >= 8 else "" for value in percent]
        axes.bar_label(bars, labels, label_type="center", fontsize=SMALL, color=ink)
    axes.set_xlim(0, 100)
    name_rows([axes], names)
    if len(models) > 1:
        _name_right(axes, places.T.ravel(), [shortened(model, 14) for model in models] * len(names))
    name_axes(axes, "joints (%)")
    legend(figure, axes)
    return figure


def double_counting_bars(models: Mapping[str, Mapping[str, Sequence[float]]]):
    """How often maps have several peaks, and what those peaks are: a panel for each of four numbers.

    Parameters
    ----------
    models : mapping of str to mapping of str to (4,) float
        Of each model, of each joint or group, in percent: maps with several peaks; and among those,
        how often the highest peak is right, the truth lies under another peak alone, and another peak
        lies on the opposite joint. One that is NaN, like the last for joints without an opposite, has no bar.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If there are not four numbers.
    """
    names, cells = _table(models, len(_DOUBLE_COUNTING))
    figure, panels = canvas(_height(cells, panels=2), rows=2, columns=2, sharey=True, sharex=True)
    for i, (axes, title) in enumerate(zip(panels, _DOUBLE_COUNTING, strict=True)):
        _draw_bars(axes, names, cells[..., i], models)
        axes.set_title(title, fontsize=TEXT)
        name_axes(axes, "%" if i > 1 else "")
    if len(models) > 1:
        legend(figure, panels[0])
    return figure


def difference_bars(differences: Mapping[str, tuple[float, float, float]], *, label: str = "difference (percentage points)"):
    """Paired differences of two models; filled where the interval leaves out 0.

    Parameters
    ----------
    differences : mapping of str to (difference, low, high)
        Of each group, in percentage points, with the ends of the 95 % interval.
    label : str
        Name of the axis.

    Returns
    -------
    matplotlib.figure.Figure
    """
    names, cells = _table({"": differences}, 3)
    difference, low, high = cells[0].T
    figure, axes = canvas(0.3 + _height(cells))
    rows, decided = np.arange(len(names)), (low > 0) | (high < 0)
    for which, face, name in ((decided, BLUE, "decided"), (~decided, "none", "undecided: interval includes 0")):
        if which.any():
            axes.barh(rows[which], difference[which], 0.55, color=face, edgecolor=BLUE, linewidth=0.8, label=name)
    axes.hlines(rows, low, high, color=INK, linewidth=0.8, label="95 % interval")
    axes.axvline(0, color=INK, linewidth=0.8)
    name_rows([axes], names)
    _name_right(axes, rows, [f"{value:+.1f}".replace("-", "−") for value in difference])
    name_axes(axes, label)
    legend(figure, axes)
    return figure


def _table(models: Mapping[str, Mapping], width: int) -> tuple[list[str], np.ndarray]:
    """Names of the R rows that any model has, and the (models, R, width) numbers; NaN where a model lacks the row."""
    names = list(dict.fromkeys(name for values in models.values() for name in values))
    cells = np.full((len(models), len(names), width), np.nan)
    for i, values in enumerate(models.values()):
        for name, numbers in values.items():
            if np.size(numbers) != width:
                raise ValueError(f"{name}: expected {width} numbers, got {np.size(numbers)}")
            cells[i, names.index(name)] = numbers
    there = ~np.isnan(cells).all((0, 2))
    return [name for name, is_there in zip(names, there, strict=True) if is_there], cells[:, there]


def _places(cells: np.ndarray) -> tuple[np.ndarray, float]:
    """(models, rows) heights at which bars lie, row 0 about 0, and the bars' thickness."""
    models, rows = cells.shape[:2]
    step = _FILLED / max(models, 1)
    return np.arange(rows) + (np.arange(models)[:, None] - (models - 1) / 2) * step, 0.94 * step


def _height(cells: np.ndarray, panels: int = 1) -> float:
    """Inches that give every bar room for its number, in so many panels one above the other, under a legend of all models."""
    models, rows = cells.shape[:2]
    bars = max(rows, 1) * max(0.17, _BAR * models / _FILLED)
    return 0.6 + 0.14 * models + panels * bars + (panels > 1) * panels * 0.35


def _draw_bars(axes, names, cells_MR, models) -> None:
    """Bars of percentages: a row for each name, in it a bar for each model."""
    places, thickness = _places(cells_MR)
    for i, (model, percent, at) in enumerate(zip(models, cells_MR, places, strict=True)):
        colour, ink = SERIES[i % len(SERIES)]
        axes.barh(at, percent, thickness, color=colour, label=shortened(model))
        for value, y in zip(percent, at, strict=True):
            if np.isfinite(value):
                _write_value(axes, value, y, ink)
    axes.set_xlim(0, 100)
    name_rows([axes], names)


def _write_value(axes, value: float, y: float, ink: str) -> None:
    """In the bar's end if the bar is long enough, else behind it."""
    inside = value > 30
    style = {"ha": "right", "color": ink} if inside else {"ha": "left", "color": INK}
    offset = (-2 if inside else 2, -0.3)
    axes.annotate(f"{value:.1f}", (value, y), offset, textcoords="offset points", va="center", fontsize=SMALL, **style)


def _name_right(axes, places: Sequence[float], labels: Sequence[str]) -> None:
    """Small labels to the right of the axes."""
    right = axes.secondary_yaxis("right")
    right.set_yticks(places, labels)
    right.tick_params(labelsize=SMALL, length=0)
    right.spines["right"].set_visible(False)


def _unbracketed(reference: str) -> str:
    return reference.partition(" (")[0]


def _error_shares(errors: ArrayLike, threshold: float) -> np.ndarray:
    """Percent of the joints in each bin, then of those farther off, then of those not predicted."""
    errors = np.asarray(errors, np.float64)
    errors, n = errors[~np.isnan(errors)], _BINS * _SPAN
    upper_ends = threshold * (np.arange(1, n + 1) / _BINS)
    bins = np.searchsorted(upper_ends, errors, side="left")
    bins[np.isinf(errors)] = n + 1
    return 100 * np.bincount(bins, minlength=n + 2) / max(len(errors), 1)
