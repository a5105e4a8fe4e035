"""`posekit visualize training`: how trainings went."""

import argparse
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from posekit.cli.naming import short_names
from posekit.cli.visualize.output import add_out, tell_written, write_plot
from posekit.drawing.training import CURVES, TrainingRun, group_curves, training_curves
from posekit.errors import ConfigError, DataError
from posekit.files import writable_folder
from posekit.training.log import read_run

_DESCRIPTION = """\
Curves of one or several trainings against their epochs: training loss, validation PCK or error, hard images (figure 6 of
the paper) or hard pixels and joints (the same for poses), learning rate. Runs that are not finished are shown as far as they
are."""

_EPILOG = """\
examples:
  with and without anchor loss
    %(prog)s runs/lspet-anchor runs/lspet-bce --out figures
  joint group by joint group as well
    %(prog)s runs/lspet-anchor runs/lspet-bce --groups
  classifiers with and without a warm-up: figure 6
    %(prog)s runs/cifar-anchor runs/cifar-anchor-warm-up

what the curves are:
  training loss      mean of the epoch, as the optimizer sees it. Losses of another kind, number of stacks, input
                     size or sigma are on other scales: each has a panel of its own
  validation PCK     in percent, of the weights as they are saved
  validation error   of a classifier, in percent; where there are more than ten classes, also how often the true one is not
                     among the first five
  hard images        share of the training images of which a wrong class scores above the true one
  hard pixels        share of the background that scores above the anchor, the best score at the true joint:
                     anchor loss charges more than binary cross entropy there (modulator above 1)
  hard joints        share of the maps with at least one hard pixel
  learning rate      at the start of the epoch
A dotted line shows where a warm-up with another loss ends. A run without a number is left out of that panel.

what is written:
  OUT/training.png, .svg, .pdf
  OUT/groups.png, .svg, .pdf     with --groups: PCK of all joints and of each joint group"""


def add_training(commands: argparse._SubParsersAction) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "training",
        help="curves of trainings, with the share of hard images or pixels (figure 6)",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "runs", nargs="+", type=Path, metavar="RUN", help="folders that posekit train or train-classifier has written"
    )
    add_out(parser)
    parser.add_argument("--groups", action="store_true", help="draw PCK of each joint group too")
    parser.set_defaults(run=_training)


def _training(args: argparse.Namespace) -> None:
    runs = {name: read_run(folder) for name, folder in _named(args.runs).items()}
    _require(runs, CURVES, "numbers to draw")
    if args.groups:
        _require(runs, [column for run in runs.values() for column in run.groups], "PCK of joint groups; leave out --groups")
    out = writable_folder(args.out)
    print(_table(runs))
    tell_written(write_plot(training_curves(runs), out, "training"))
    if args.groups:
        tell_written(write_plot(group_curves(runs), out, "groups"))


def _named(folders: Sequence[Path]) -> dict[str, Path]:
    places = Counter(folder.resolve() for folder in folders)
    twice = next((folder for folder in folders if places[folder.resolve()] > 1), None)
    if twice is not None:
        raise ConfigError(f"{twice} is named more than once; name each run once")
    return dict(zip(short_names(folders), folders, strict=True))


def _require(runs: Mapping[str, TrainingRun], columns: Sequence[str], what: str) -> None:
    if not any(run.has(column) for run in runs.values() for column in columns):
        raise DataError(f"{', '.join(runs)}: metrics.csv has no {what}")


def _table(runs: Mapping[str, TrainingRun]) -> str:
    """What became of each run, for the screen."""
    head = ("run", "loss", "epochs", "last loss", "hard % at first", "at last", "best epoch", "validation there")
    lines = [head, *((name, run.loss or "-", *_figures(run)) for name, run in runs.items())]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in lines)


def _figures(run: TrainingRun) -> list[str]:
    epoch, loss = run.column("epoch"), run.column("loss")
    hard = run.column("hard_images" if run.has("hard_images") else "hard_pixels")
    told = [f"{epoch[-1]:.0f}", _number(loss[-1], ".4g"), _number(hard[0], ".2f"), _number(hard[-1], ".2f")]
    for column, find_best in (("pck", np.nanargmax), ("error", np.nanargmin), ("AP50", np.nanargmax)):
        if run.has(column):
            best, name = find_best(run.column(column)), run.metric if column == "pck" else column
            return [*told, f"{epoch[best]:.0f}", f"{name} {run.column(column)[best]:.2f}"]
    return [*told, "-", "-"]


def _number(value: float, form: str) -> str:
    return "-" if np.isnan(value) else format(value, form)
