"""Curves of training runs, a page of a paper wide.

NaN is not drawn, and a panel for which no run has a number is left out.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from posekit.drawing.style import DASHES, INK, PAGE, SERIES, SMALL, TEXT, canvas, legend, name_axes, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PCK = "PCK"

_DOTTED = (0, (1, 1.5))
_LABELS = {
    "pck": "validation {metric} (%)",
    "error": "validation error (%)",
    "error_top5": "validation top-5 error (%)",
    "AP50": "validation AP at IoU 0.5 (%)",
    "recall": "validation recall at IoU 0.5 (%)",
    "hard_images": "hard images (%)",
    "hard_pixels": "hard pixels (%)",
    "hard_joints": "hard joints (%)",
    "learning_rate": "learning rate",
}
_GROUP = "pck_"
CURVES = ("loss", *_LABELS)
"""Columns that `training_curves` draws."""

# Heights in inches: a row of panels, a line of the legend.
_PANEL = 1.75
_LINE = 0.14
# Panels side by side.
_COLUMNS = 3
_GROUP_COLUMNS = 4
# Curves with fewer epochs have a dot at each.
_FEW_EPOCHS = 40


@dataclass(frozen=True)
class TrainingRun:
    """What figures and tables show of a run.

    Parameters
    ----------
    rows : sequence of dict
        Rows of its metrics.csv: numbers by column, always with "epoch". Columns may be missing.
    loss : str
        Name of the training loss, e.g. "anchor, γ = 2"; empty if unknown.
    scale : str
        Other settings on which the loss's values depend, e.g. "2 stacks, 128 px, σ = 1".
    warmup_epochs : int
        Number of first epochs, which had another loss.
    warmup_loss : str
        Name of that loss.
    metric : str
        Name of column "pck", e.g. "PCKh@0.5"; "PCK" if the threshold is unknown.
    """

    rows: Sequence[Mapping[str, float]]
    loss: str = ""
    scale: str = ""
    warmup_epochs: int = 0
    warmup_loss: str = "BCE"
    metric: str = PCK

    def column(self, name: str) -> np.ndarray:
        """(epochs,) float64 numbers of a column, NaN where there is none."""
        return np.array([row.get(name, np.nan) for row in self.rows], np.float64)

    @property
    def groups(self) -> list[str]:
        """Columns with the PCK of a joint group."""
        columns = dict.fromkeys(column for row in self.rows for column in row)
        return [column for column in columns if column.startswith(_GROUP)]

    def has(self, column: str) -> bool:
        """Whether the column has any number."""
        return bool(np.isfinite(self.column(column)).any())


def training_curves(runs: Mapping[str, TrainingRun]) -> "Figure":
    """Plot training loss, validation score, shares of hard pixels, joints or images, and learning rate against the epochs.

    Losses of different kinds or scales cannot be compared, so each has a panel of its own. The end of a
    warm-up is marked by a dotted line: in the run's colour, or black where several runs share it.

    Parameters
    ----------
    runs : mapping of str to TrainingRun
        By name.

    Raises
    ------
    ValueError
        If no run has any of these numbers.
    """
    panels = list(_panels(runs))
    figure, panel_axes = _create_axes(runs, len(panels), _COLUMNS)
    for axes, panel in zip(panel_axes, panels, strict=True):
        _draw_curves(axes, panel.column, panel.runs, _line_styles(runs))
        axes.set_ylabel(panel.label, fontsize=TEXT)
        axes.set_title(panel.title, fontsize=SMALL)
    _start_at_zero([axes for axes in panel_axes if axes.get_ylabel().endswith("(%)")])
    _draw_legend(figure, panel_axes[0], runs)
    return figure


def group_curves(runs: Mapping[str, TrainingRun]) -> "Figure":
    """Plot validation PCK of all joints and of each joint group against the epochs, a panel for each, on one scale.

    Parameters
    ----------
    runs : mapping of str to TrainingRun
        By name.

    Raises
    ------
    ValueError
        If no run has any of these numbers.
    """
    all_columns = ["pck"]
    for run in runs.values():
        all_columns += run.groups
    columns = [column for column in dict.fromkeys(all_columns) if _any_has(runs, column)]
    figure, panel_axes = _create_axes(runs, len(columns), _GROUP_COLUMNS, sharey=True)
    for i, (axes, column) in enumerate(zip(panel_axes, columns, strict=True)):
        _draw_curves(axes, column, runs, _line_styles(runs))
        title = "all joints" if column == "pck" else column.removeprefix(_GROUP).replace("_", " ")
        axes.set_title(shortened(title.capitalize(), 18), fontsize=TEXT)
        if i % _GROUP_COLUMNS == 0:
            axes.set_ylabel(f"{_common_metric(runs)} (%)", fontsize=TEXT)
    _start_at_zero(panel_axes)
    _draw_legend(figure, panel_axes[0], runs)
    return figure


@dataclass(frozen=True)
class _Panel:
    column: str
    label: str
    title: str
    runs: Mapping[str, TrainingRun]


def _panels(runs: Mapping[str, TrainingRun]) -> Iterator[_Panel]:
    losses: dict[tuple[str, str], dict[str, TrainingRun]] = {}
    for name, run in runs.items():
        losses.setdefault((run.loss, run.scale), {})[name] = run
    for loss_and_scale, same_loss in losses.items():
        if _any_has(same_loss, "loss"):
            title = "\n".join(shortened(part, 40) for part in loss_and_scale if part)
            yield _Panel("loss", "training loss", title or "kind not known", same_loss)
    for column, label in _LABELS.items():
        if _any_has(runs, column):
            yield _Panel(column, label.format(metric=_common_metric(runs)), "", runs)


def _any_has(runs: Mapping[str, TrainingRun], column: str) -> bool:
    return any(run.has(column) for run in runs.values())


def _common_metric(runs: Mapping[str, TrainingRun]) -> str:
    """The runs' metric if it is the same for all, else "PCK"."""
    metrics = {run.metric for run in runs.values()}
    return shortened(metrics.pop(), 10) if len(metrics) == 1 else PCK


def _create_axes(runs: Mapping[str, TrainingRun], n: int, columns: int, **options: Any) -> "tuple[Figure, np.ndarray]":
    """Create a figure and n axes, with the same scale of epochs in all."""
    if not n:
        raise ValueError("training curves: expected at least one run with numbers to draw")
    columns = min(columns, n)
    rows = -(-n // columns)
    figure, panels = canvas(0.5 + _PANEL * rows + _LINE * len(runs), width=PAGE, rows=rows, columns=columns, **options)
    panels = np.ravel(panels)
    epochs = np.concatenate([run.column("epoch") for run in runs.values()])
    warmup_ends = [run.warmup_epochs + 0.5 for run in runs.values() if run.warmup_epochs]
    last = max([epochs.max(), *warmup_ends, 0])
    for i, axes in enumerate(panels[:n]):
        axes.set_xlim(epochs.min() - 0.5, last + 0.5)
        axes.xaxis.get_major_locator().set_params(integer=True, nbins=6, min_n_ticks=1)
        name_axes(axes, "epoch" if i + columns >= n else "")
    for axes in panels[n:]:
        axes.remove()
    return figure, panels[:n]


def _draw_curves(axes: "Axes", column: str, runs: Mapping[str, TrainingRun], styles: Mapping[str, dict[str, Any]]) -> None:
    warmup_colours: dict[int, list[str]] = {}
    for name, run in runs.items():
        if not run.has(column):
            continue
        style = styles[name]
        dots = {"marker": ".", "markersize": style["linewidth"] + 2} if len(run.rows) < _FEW_EPOCHS else {}
        axes.plot(run.column("epoch"), run.column(column), **style, **dots)
        if run.warmup_epochs:
            warmup_colours.setdefault(run.warmup_epochs, []).append(style["color"])
    for epochs, colours in sorted(warmup_colours.items()):
        axes.axvline(epochs + 0.5, color=colours[0] if len(colours) == 1 else INK, linewidth=0.8, linestyle=_DOTTED)
    axes.yaxis.get_offset_text().set_fontsize(SMALL)


def _start_at_zero(panels: "Iterable[Axes]") -> None:
    """Let the y axes start at 0; curves drawn later do not change their scales."""
    for axes in panels:
        axes.update_datalim([(0, 0)], updatex=False)
        axes.autoscale_view(scalex=False)
        axes.set_ylim(bottom=0)


def _draw_legend(figure: "Figure", axes: "Axes", runs: Mapping[str, TrainingRun]) -> None:
    """Name the runs, each with its loss unless its name contains it, and with its metric if the runs' metrics differ.

    A single run is not named.
    """
    metrics = {run.metric for run in runs.values()} - {PCK}
    styles = _line_styles(runs)
    for name, run in runs.items() if len(runs) > 1 else ():
        facts = []
        if run.loss.replace("γ = ", "gamma ").casefold() not in name.casefold():
            facts.append(run.loss)
        if len(metrics) > 1 and run.metric in metrics:
            facts.append(run.metric)
        label = shortened(name)
        if facts:
            label += f": {shortened(', '.join(facts), 40)}"
        axes.plot([], [], **styles[name], label=label)
    warmup_losses = {run.warmup_loss for run in runs.values() if run.warmup_epochs}
    if warmup_losses:
        label = f"end of the warm-up with {' or '.join(sorted(warmup_losses))}"
        axes.plot([], [], color=INK, linewidth=0.8, linestyle=_DOTTED, label=label)
    legend(figure, axes)


def _line_styles(runs: Mapping[str, TrainingRun]) -> dict[str, dict[str, Any]]:
    """Style of each run's curves; later curves lie on top and are thinner, so that equal ones can both be seen."""
    styles = {}
    for i, name in enumerate(runs):
        colour, _ = SERIES[i % len(SERIES)]
        styles[name] = {
            "color": colour,
            "linestyle": DASHES[i // len(SERIES) % len(DASHES)],
            "linewidth": 1 + 1.4 * (len(runs) - 1 - i) / len(runs),
        }
    return styles
