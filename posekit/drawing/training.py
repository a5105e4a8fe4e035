"""Curves of training runs, a page of a paper wide.

What is NaN is left out, and so is a panel for which no run has a number. Each function returns a
``matplotlib.figure.Figure``.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from posekit.drawing.style import DASHES, INK, PAGE, SERIES, SMALL, TEXT, canvas, legend, name_axes, shortened

PCK = "PCK"

_DOTTED = (0, (1, 1.5))
_NAMES = {
    "pck": "validation {} (%)",
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
CURVES = ("loss", *_NAMES)
"""Columns that `training_curves` draws."""

# Inches: the height of one row of panels, and of a legend's line. Panels side by side.
_PANEL, _LINE = 1.75, 0.14
_COLUMNS, _GROUP_COLUMNS = 3, 4
# Curves of fewer epochs have a dot at each.
_FEW = 40


@dataclass(frozen=True)
class TrainingRun:
    """What figures and tables tell of a run.

    Parameters
    ----------
    rows : sequence of dict
        Rows of its metrics.csv: numbers by column, always with "epoch". Columns may be missing.
    loss : str
        Kind of training loss, e.g. "anchor, γ = 2"; empty: not known.
    scale : str
        What else the loss's values depend on, e.g. "2 stacks, 128 px, σ = 1".
    warmup_epochs : int
        First epochs, whose loss was another.
    warmup_loss : str
        Which.
    metric : str
        What column "pck" is, e.g. "PCKh@0.5"; "PCK" where the threshold is not known.
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
        return list(dict.fromkeys(column for row in self.rows for column in row if column.startswith(_GROUP)))

    def has(self, column: str) -> bool:
        """Whether the column has any number."""
        return bool(np.isfinite(self.column(column)).any())


def training_curves(runs: Mapping[str, TrainingRun]):
    """Training loss, validation score, shares of hard pixels and joints or images, and learning rate against the epochs.

    Losses of different kinds or scales cannot be compared, so each has a panel of its own. The end of a
    warm-up is marked by a dotted line: of the run's colour, or black where several runs share it.

    Parameters
    ----------
    runs : mapping of str to TrainingRun
        By name.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If no run has any of these numbers.
    """
    panels = list(_curves(runs))
    figure, axes_of = _panels(runs, len(panels), _COLUMNS)
    for axes, (column, name, title, shown) in zip(axes_of, panels, strict=True):
        _draw(axes, column, shown, runs)
        axes.set_ylabel(name, fontsize=TEXT)
        axes.set_title(title, fontsize=SMALL)
    _from_zero([axes for axes in axes_of if axes.get_ylabel().endswith("(%)")])
    _name_runs(figure, axes_of[0], runs)
    return figure


def group_curves(runs: Mapping[str, TrainingRun]):
    """Validation PCK of all joints and of each joint group against the epochs, a panel for each, on one scale.

    Parameters
    ----------
    runs : mapping of str to TrainingRun
        By name.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If no run has any of these numbers.
    """
    columns = dict.fromkeys(["pck", *(column for run in runs.values() for column in run.groups)])
    columns = [column for column in columns if any(run.has(column) for run in runs.values())]
    figure, axes_of = _panels(runs, len(columns), _GROUP_COLUMNS, sharey=True)
    for i, (axes, column) in enumerate(zip(axes_of, columns, strict=True)):
        _draw(axes, column, runs, runs)
        title = "all joints" if column == "pck" else column.removeprefix(_GROUP).replace("_", " ")
        axes.set_title(shortened(title.capitalize(), 18), fontsize=TEXT)
        if i % _GROUP_COLUMNS == 0:
            axes.set_ylabel(f"{_shared_metric(runs)} (%)", fontsize=TEXT)
    _from_zero(axes_of)
    _name_runs(figure, axes_of[0], runs)
    return figure


def _curves(runs: Mapping[str, TrainingRun]) -> Iterator[tuple[str, str, str, Mapping[str, TrainingRun]]]:
    """Of each panel: the column, its name, the panel's title, and the runs shown."""
    for kind in dict.fromkeys((run.loss, run.scale) for run in runs.values() if run.has("loss")):
        title = "\n".join(shortened(part, 40) for part in kind if part) or "kind not known"
        yield "loss", "training loss", title, {name: run for name, run in runs.items() if (run.loss, run.scale) == kind}
    for column, name in _NAMES.items():
        if any(run.has(column) for run in runs.values()):
            yield column, name.format(_shared_metric(runs)), "", runs


def _shared_metric(runs: Mapping[str, TrainingRun]) -> str:
    """The runs' metric if it is the same for all, else "PCK"."""
    metrics = {run.metric for run in runs.values()}
    return shortened(metrics.pop(), 10) if len(metrics) == 1 else PCK


def _panels(runs: Mapping[str, TrainingRun], n: int, columns: int, **options):
    """A figure and its n axes; epochs are on the same scale in all."""
    if not n:
        raise ValueError("training curves: expected at least one run with numbers to draw")
    columns = min(columns, n)
    rows = -(-n // columns)
    figure, panels = canvas(0.5 + _PANEL * rows + _LINE * len(runs), width=PAGE, rows=rows, columns=columns, **options)
    panels = np.ravel(panels)
    epochs = np.concatenate([run.column("epoch") for run in runs.values()])
    last = max(epochs.max(), *(run.warmup_epochs + 0.5 for run in runs.values() if run.warmup_epochs), 0)
    for i, axes in enumerate(panels[:n]):
        axes.set_xlim(epochs.min() - 0.5, last + 0.5)
        axes.xaxis.get_major_locator().set_params(integer=True, nbins=6, min_n_ticks=1)
        name_axes(axes, "epoch" if i + columns >= n else "")
    for axes in panels[n:]:
        axes.remove()
    return figure, panels[:n]


def _draw(axes, column: str, shown: Mapping[str, TrainingRun], runs: Mapping[str, TrainingRun]) -> None:
    """Curves of the runs shown, which look as their place among all runs says."""
    looks = dict(zip(runs, _looks(len(runs)), strict=True))
    shown = {name: run for name, run in shown.items() if run.has(column)}
    for name, run in shown.items():
        dots = {"marker": ".", "markersize": looks[name]["linewidth"] + 2} if len(run.rows) < _FEW else {}
        axes.plot(run.column("epoch"), run.column(column), **looks[name], **dots)
    for epochs in sorted({run.warmup_epochs for run in shown.values()} - {0}):
        colours = [looks[name]["color"] for name, run in shown.items() if run.warmup_epochs == epochs]
        axes.axvline(epochs + 0.5, color=colours[0] if len(colours) == 1 else INK, linewidth=0.8, linestyle=_DOTTED)
    axes.yaxis.get_offset_text().set_fontsize(SMALL)


def _from_zero(panels: Sequence) -> None:
    """Let the scales begin at 0; nothing is scaled to curves drawn after that."""
    for axes in panels:
        axes.update_datalim([(0, 0)], updatex=False)
        axes.autoscale_view(scalex=False)
        axes.set_ylim(bottom=0)


def _name_runs(figure, axes, runs: Mapping[str, TrainingRun]) -> None:
    """A legend of the runs, each with its loss where its name does not tell that, and with its metric where they differ.

    Of a lone run its warm-up alone.
    """
    known = {run.metric for run in runs.values()} - {PCK}
    for (name, run), look in zip(runs.items(), _looks(len(runs)), strict=True):
        if len(runs) > 1:
            loss = "" if run.loss.replace("γ = ", "gamma ").casefold() in name.casefold() else run.loss
            facts = ", ".join(filter(None, (loss, run.metric if len(known) > 1 and run.metric in known else "")))
            axes.plot([], [], **look, label=shortened(name) + (f": {shortened(facts, 40)}" if facts else ""))
    if warm := {run.warmup_loss for run in runs.values() if run.warmup_epochs}:
        label = f"end of the warm-up with {' or '.join(sorted(warm))}"
        axes.plot([], [], color=INK, linewidth=0.8, linestyle=_DOTTED, label=label)
    legend(figure, axes)


def _looks(n: int) -> list[dict]:
    """Of each of n runs; the later, which lie on top, are thinner, so that equal curves can be seen."""
    return [
        {
            "color": SERIES[i % len(SERIES)][0],
            "linestyle": DASHES[i // len(SERIES) % len(DASHES)],
            "linewidth": 1 + 1.4 * (n - 1 - i) / n,
        }
        for i in range(n)
    ]
