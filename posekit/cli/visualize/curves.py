"""`posekit visualize` `loss`, `training` and `comparison`: figures that need no model."""

import argparse
from collections.abc import Mapping, Sequence

import numpy as np

from posekit.cli.visualize.people import write_plot
from posekit.command_line import short_names
from posekit.drawing.loss import loss_curves, loss_surface
from posekit.drawing.training import CURVES, TrainingRun, group_curves, training_curves
from posekit.errors import ConfigError, DataError
from posekit.files import writable_folder
from posekit.tables import text_table
from posekit.training.log import read_run

_HEADER = ["run", "loss", "epochs", "last loss", "hard %, first epoch", "hard %, last", "best epoch", "best validation"]


def loss(args: argparse.Namespace) -> None:
    """Plot loss and gradient as functions of the predicted probability of a background pixel."""
    out = writable_folder(args.out)
    gammas = list(dict.fromkeys(args.gammas))
    anchors = list(dict.fromkeys(args.anchors))
    write_plot(loss_curves(gammas, anchors), out, "loss")
    write_plot(loss_surface(gammas), out, "loss-surface")


def training(args: argparse.Namespace) -> None:
    """Print a table of the runs, and plot the runs' curves."""
    folders = [folder.resolve() for folder in args.runs]
    for folder in folders:
        if folders.count(folder) > 1:
            raise ConfigError(f"{folder}: the same run is given more than once; give each run once")
    runs = {name: read_run(folder) for name, folder in zip(short_names(args.runs), args.runs, strict=True)}
    _require_column(runs, CURVES, "numbers to draw")
    if args.groups:
        groups = [column for run in runs.values() for column in run.groups]
        _require_column(runs, groups, "PCK of joint groups; leave out --groups")
    out = writable_folder(args.out)
    print(_table(runs))
    write_plot(training_curves(runs), out, "training")
    if args.groups:
        write_plot(group_curves(runs), out, "groups")


def _require_column(runs: Mapping[str, TrainingRun], columns: Sequence[str], content: str) -> None:
    """Raise `DataError` if no run has any of the columns."""
    for run in runs.values():
        if any(run.has(column) for column in columns):
            return
    raise DataError(f"{', '.join(runs)}: metrics.csv has no {content}")


def _table(runs: Mapping[str, TrainingRun]) -> str:
    """Format a table of all runs for the terminal."""
    rows = [_HEADER]
    for name, run in runs.items():
        rows.append([name, run.loss or "-", *_cells(run)])
    return text_table(rows)


def _cells(run: TrainingRun) -> list[str]:
    """Return the cells of a run's table row, starting with the column ``epochs``."""
    epoch = run.column("epoch")
    loss = run.column("loss")
    hard = run.column("hard_images" if run.has("hard_images") else "hard_pixels")
    cells = [f"{epoch[-1]:.0f}", _number(loss[-1], ".4g"), _number(hard[0], ".2f"), _number(hard[-1], ".2f")]
    for column, find_best in (("pck", np.nanargmax), ("error", np.nanargmin), ("AP50", np.nanargmax)):
        if run.has(column):
            values = run.column(column)
            best = find_best(values)
            name = run.metric if column == "pck" else column
            return [*cells, f"{epoch[best]:.0f}", f"{name} {values[best]:.2f}"]
    return [*cells, "-", "-"]


def _number(value: float, form: str) -> str:
    return "-" if np.isnan(value) else format(value, form)


def comparison(args: argparse.Namespace) -> None:
    """Draw the scores of all result files in one figure."""
    from posekit.lab.compare.figure import repeats_figure
    from posekit.lab.compare.results import read_results_file

    results = {}
    for path in args.results:
        results.update(read_results_file(path))
    metrics = {metric for metric, _ in results.values()}
    if len(metrics) > 1:
        paths = ", ".join(map(str, args.results))
        raise DataError(f"{paths}: the files use different metrics ({', '.join(sorted(metrics))}); draw one figure per metric")
    out = writable_folder(args.out)
    scores: dict[str, dict[str, list[float]]] = {}
    for (model, _), (_, columns) in results.items():
        for column, value in columns.items():
            scores.setdefault(model, {}).setdefault(column, []).append(value)
    write_plot(repeats_figure(scores, {}, metric=metrics.pop(), resampled=""), out, "comparison")
