"""Figures of training curves, as wide as a page.

NaN values are not drawn. Panels without values are omitted.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from posekit.drawing.style import DOTTED, INK, PAGE, SMALL, TEXT, canvas, curve_style, legend, name_axes, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PCK = "PCK"

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
"""Columns of metrics.csv that `training_curves` draws."""

# Heights in inches of a row of panels and of a line of the legend.
_PANEL = 1.75
_LINE = 0.14
# Panels per row, in `training_curves` and in `group_curves`.
_COLUMNS = 3
_GROUP_COLUMNS = 4
# Curves with fewer epochs have a dot at each epoch.
_FEW_EPOCHS = 40


@dataclass(frozen=True)
class TrainingRun:
    """Metrics and settings of a training run, for figures and tables.

    Parameters
    ----------
    rows : sequence of dict
        Rows of the run's metrics.csv: values by column name. Column "epoch" is required; other columns may be missing.
    loss : str
        Name of the training loss, e.g. "anchor, γ = 2"; empty if unknown.
    scale : str
        Other settings that affect the magnitude of the loss, e.g. "2 stacks, 128 px, σ = 1".
    warmup_epochs : int
        Number of epochs at the start that used the warm-up loss.
    warmup_loss : str
        Name of the warm-up loss.
    metric : str
        Name of the metric in column "pck", e.g. "PCKh@0.5"; "PCK" if the threshold is unknown.
    """

    rows: Sequence[Mapping[str, float]]
    loss: str = ""
    scale: str = ""
    warmup_epochs: int = 0
    warmup_loss: str = "BCE"
    metric: str = PCK

    def column(self, name: str) -> np.ndarray:
        """Return the values of a column as an (epochs,) float64 array, NaN where missing."""
        return np.array([row.get(name, np.nan) for row in self.rows], np.float64)

    @property
    def groups(self) -> list[str]:
        """Names of the columns with the PCK of a joint group."""
        columns = dict.fromkeys(column for row in self.rows for column in row)
        return [column for column in columns if column.startswith(_GROUP)]

    def has(self, column: str) -> bool:
        """Return whether the column has any finite value."""
        return bool(np.isfinite(self.column(column)).any())


def training_curves(runs: Mapping[str, TrainingRun]) -> "Figure":
    """Plot loss, validation metrics, percentages of hard pixels, joints and images, and learning rate as functions of the epoch.

    Values of different losses or scales (`TrainingRun.scale`) cannot be compared, so runs that differ in loss or scale have
    separate loss panels. A dotted line marks the end of the warm-up, in the colour of the run, or in black if the warm-ups of
    several runs end at the same epoch.

    Parameters
    ----------
    runs : mapping of str to TrainingRun
        Training runs by name.

    Raises
    ------
    ValueError
        If no run has a value to plot.
    """
    panels = list(_panels(runs))
    figure, panel_axes = _create_axes(runs, len(panels), _COLUMNS)
    for axes, (column, label, title, shown_runs) in zip(panel_axes, panels, strict=True):
        _draw_curves(axes, column, shown_runs, _line_styles(runs))
        axes.set_ylabel(label, fontsize=TEXT)
        axes.set_title(title, fontsize=SMALL)
    _start_at_zero([axes for axes in panel_axes if axes.get_ylabel().endswith("(%)")])
    _draw_legend(figure, panel_axes[0], runs)
    return figure


def group_curves(runs: Mapping[str, TrainingRun]) -> "Figure":
    """Plot validation PCK as a function of the epoch: one panel for all joints and one per joint group, with equal axes.

    For the argument and the error, see `training_curves`.
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


def _panels(runs: Mapping[str, TrainingRun]) -> Iterator[tuple[str, str, str, Mapping[str, TrainingRun]]]:
    """Yield column, label, title and runs of each panel."""
    losses: dict[tuple[str, str], dict[str, TrainingRun]] = {}
    for name, run in runs.items():
        losses.setdefault((run.loss, run.scale), {})[name] = run
    for loss_and_scale, same_loss in losses.items():
        if _any_has(same_loss, "loss"):
            title = "\n".join(shortened(part, 40) for part in loss_and_scale if part)
            yield "loss", "training loss", title or "unknown loss", same_loss
    for column, label in _LABELS.items():
        if _any_has(runs, column):
            yield column, label.format(metric=_common_metric(runs)), "", runs


def _any_has(runs: Mapping[str, TrainingRun], column: str) -> bool:
    return any(run.has(column) for run in runs.values())


def _common_metric(runs: Mapping[str, TrainingRun]) -> str:
    """Return the name of the metric if all runs have the same metric, otherwise "PCK"."""
    metrics = {run.metric for run in runs.values()}
    return shortened(metrics.pop(), 10) if len(metrics) == 1 else PCK


def _create_axes(runs: Mapping[str, TrainingRun], n: int, columns: int, **options: Any) -> "tuple[Figure, np.ndarray]":
    """Create a figure with n axes that all have the same range of epochs."""
    if not n:
        raise ValueError("training curves: expected at least one run with finite values in a column to draw")
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
        axes.axvline(epochs + 0.5, color=colours[0] if len(colours) == 1 else INK, linewidth=0.8, linestyle=DOTTED)
    axes.yaxis.get_offset_text().set_fontsize(SMALL)


def _start_at_zero(panels: "Iterable[Axes]") -> None:
    """Let the y axes start at 0; curves that are drawn later do not change the range."""
    for axes in panels:
        axes.update_datalim([(0, 0)], updatex=False)
        axes.autoscale_view(scalex=False)
        axes.set_ylim(bottom=0)


def _draw_legend(figure: "Figure", axes: "Axes", runs: Mapping[str, TrainingRun]) -> None:
    """Add a legend of the runs: name, loss unless the name contains the loss, and metric if the metrics of the runs differ.

    A single run has no entry.
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
        axes.plot([], [], color=INK, linewidth=0.8, linestyle=DOTTED, label=label)
    legend(figure, axes)


def _line_styles(runs: Mapping[str, TrainingRun]) -> dict[str, dict[str, Any]]:
    """Return the style of each run's curves. Later curves are on top and thinner, so that equal curves are all visible."""
    count = len(runs)
    return {name: {**curve_style(i), "linewidth": 1 + 1.4 * (count - 1 - i) / count} for i, name in enumerate(runs)}
