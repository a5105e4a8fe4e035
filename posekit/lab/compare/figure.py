"""Figure of models that were trained with several seeds: scores, and differences from the baselines."""

from collections.abc import Mapping, Sequence

import numpy as np

from posekit.drawing.style import INK, PAGE, SERIES, SMALL, TEXT, canvas, legend, name_axes, shortened
from posekit.metrics import Difference

_PANEL_HEIGHT = 1.9  # inches
_GROUP_SHARE = 0.7  # fraction of a joint group's width that the models occupy
_MAX_HALF_LINE = 0.07  # maximum half length of a mean's line, as a fraction of a joint group's width


def repeats_figure(
    scores: Mapping[str, Mapping[str, Sequence[float]]],
    differences: Mapping[str, Mapping[str, Mapping[str, Difference]]],
    *,
    metric: str,
    resampled: str,
):
    """Plot the score of every seed; below, each model's difference from each baseline, with 95 % confidence intervals.

    Parameters
    ----------
    scores : mapping of str to mapping of str to sequence of float
        Model name -> joint group -> score of each seed, in percent.
    differences : mapping of str to mapping of str to mapping of str to Difference
        Baseline name -> name of another model -> joint group -> difference from the baseline, in percentage points.
    metric : str
        Name of the metric for the axis label, such as "PCK@0.2".
    resampled : str
        Unit that the bootstrap resamples in addition to seeds, such as "persons".

    Returns
    -------
    matplotlib.figure.Figure
    """
    names: dict[str, None] = {}
    for by_group in scores.values():
        names |= dict.fromkeys(by_group)
    groups = list(names)
    figure, axes = canvas(_PANEL_HEIGHT * (1 + len(differences)), width=PAGE, rows=1 + len(differences), columns=1)
    panels = np.atleast_1d(axes)
    for i, (name, by_group) in enumerate(scores.items()):
        colour = SERIES[i % len(SERIES)][0]
        offset = _GROUP_SHARE * (i - (len(scores) - 1) / 2) / len(scores)
        x = np.arange(len(groups)) + offset
        _draw_scores(panels[0], name, [by_group[group] for group in groups], x, colour, len(scores))
        for panel, others in zip(panels[1:], differences.values(), strict=True):
            difference_by_group = others.get(name, {})
            _draw_differences(panel, [difference_by_group.get(group) for group in groups], x, colour)
    labels = [f"{metric} (%)", *(f"minus {shortened(baseline, 24)}" for baseline in differences)]
    for panel, label in zip(panels, labels, strict=True):
        panel.set_xticks(range(len(groups)), groups, fontsize=TEXT)
        panel.set_xlim(-0.5, len(groups) - 0.5)
        panel.grid(False, axis="x")
        name_axes(panel, "", label)
    for panel in panels[1:]:
        panel.axhline(0, color=INK, linewidth=0.8)
        panel.set_title(f"percentage points, 95 % confidence intervals over {resampled} and seeds", fontsize=SMALL)
    panels[0].set_title("dots: one per seed; line: mean over seeds", fontsize=SMALL)
    legend(figure, panels[0])
    return figure


def _draw_scores(axes, name: str, scores: Sequence[Sequence[float]], x: np.ndarray, colour: str, models: int) -> None:
    scores_GR = np.array(scores, np.float64)
    half = min(_MAX_HALF_LINE, 0.45 * _GROUP_SHARE / models)
    axes.hlines(scores_GR.mean(1), x - half, x + half, color=colour, linewidth=1.6, label=shortened(name))
    dots = {"color": colour, "markersize": 2.2, "alpha": 0.7, "markeredgewidth": 0}
    axes.plot(np.repeat(x, scores_GR.shape[1]), scores_GR.ravel(), "o", **dots)


def _draw_differences(axes, differences: Sequence[Difference | None], x: np.ndarray, colour: str) -> None:
    for difference, x_group in zip(differences, x, strict=True):
        if difference is not None:
            axes.plot([x_group] * 2, [difference.low, difference.high], color=colour, linewidth=1.1)
            axes.plot(x_group, difference.difference, "o", color=colour, markersize=3.2)
