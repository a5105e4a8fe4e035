"""Models that were trained several times: their scores, and the differences between them, a page of a paper wide."""

from collections.abc import Mapping, Sequence

import numpy as np

from posekit.drawing.style import INK, PAGE, SERIES, SMALL, TEXT, canvas, legend, name_axes, shortened
from posekit.metrics import Difference

# Inches: the height of one row of panels. Of a group's width: what its models take, half of a mean's line at most.
_ROW, _FILLED, _MEAN = 1.9, 0.7, 0.07


def repeats_figure(
    scores: Mapping[str, Mapping[str, Sequence[float]]],
    differences: Mapping[str, Mapping[str, Mapping[str, Difference]]],
    *,
    metric: str,
    drawn: str,
):
    """Scores of every repeat, and below them each model's difference to others, with its 95 % interval.

    Parameters
    ----------
    scores : mapping of str to mapping of str to sequence of float
        Of each model, for each figure, the percentage of each repeat.
    differences : mapping of str to mapping of str to mapping of str to Difference
        For each model that is compared with, of each other model, for each joint group.
    metric : str
        E.g. "PCK@0.2".
    drawn : str
        What the intervals' bootstrap draws beside seeds, e.g. "persons".

    Returns
    -------
    matplotlib.figure.Figure
    """
    groups = list(dict.fromkeys(group for model in scores.values() for group in model))
    figure, axes = canvas(_ROW * (1 + len(differences)), width=PAGE, rows=1 + len(differences), columns=1)
    panels = np.atleast_1d(axes)
    half = min(_MEAN, 0.45 * _FILLED / max(len(scores), 1))
    for name, (place, colour) in _places(scores).items():
        x = np.arange(len(groups)) + place
        each = np.array([scores[name][group] for group in groups], np.float64)
        panels[0].hlines(each.mean(1), x - half, x + half, color=colour, linewidth=1.6, label=shortened(name))
        panels[0].plot(np.repeat(x, each.shape[1]), each.ravel(), "o", color=colour, markersize=2.2, alpha=0.7, markeredgewidth=0)
        for axes, others in zip(panels[1:], differences.values(), strict=True):
            _draw_differences(axes, [others.get(name, {}).get(group) for group in groups], x, colour)
    for axes, label in zip(panels, [f"{metric} (%)", *(f"minus {shortened(name, 24)}" for name in differences)], strict=True):
        axes.set_xticks(range(len(groups)), groups, fontsize=TEXT)
        axes.set_xlim(-0.5, len(groups) - 0.5)
        axes.grid(False, axis="x")
        name_axes(axes, "", label)
    for axes in panels[1:]:
        axes.axhline(0, color=INK, linewidth=0.8)
        axes.set_title(f"percentage points, 95 % intervals over {drawn} and seeds", fontsize=SMALL)
    panels[0].set_title("every seed a dot, their mean a line", fontsize=SMALL)
    legend(figure, panels[0])
    return figure


def _places(names: Sequence[str]) -> dict[str, tuple[float, str]]:
    """Of each model, how far from the group's middle it is drawn, and its colour."""
    steps = _FILLED * (np.arange(len(names)) - (len(names) - 1) / 2) / len(names)
    return {name: (step, SERIES[i % len(SERIES)][0]) for i, (name, step) in enumerate(zip(names, steps, strict=True))}


def _draw_differences(axes, found: Sequence[Difference | None], x: np.ndarray, colour: str) -> None:
    for difference, place in zip(found, x, strict=True):
        if difference is not None:
            axes.plot([place] * 2, [difference.low, difference.high], color=colour, linewidth=1.1)
            axes.plot(place, difference.difference, "o", color=colour, markersize=3.2)
