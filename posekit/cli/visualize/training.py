"""`posekit visualize training`: how trainings went."""

import argparse
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from posekit.cli.visualize.output import tell_written, write_plot
from posekit.drawing.training import CURVES, TrainingRun, group_curves, training_curves
from posekit.errors import ConfigError, DataError
from posekit.files import writable_folder
from posekit.training.log import read_run

_DESCRIPTION = """\
Curves of one or several trainings against their epochs: training loss, validation PCK, hard pixels and hard
joints (figure 6 of the paper, for poses), learning rate. Runs that are not finished are shown as far as they are."""

_EPILOG = """\
examples:
  with and without anchor loss
    %(prog)s runs/lspet-anchor runs/lspet-bce --out figures
  joint group by joint group as well
    %(prog)s runs/lspet-anchor runs/lspet-bce --groups

what the curves are:
  training loss      mean of the epoch, as the optimizer sees it. Losses of another kind, number of stacks, input
                     size or sigma are on other scales: each has a panel of its own
  validation PCK     in percent, of the weights as they are saved
  hard pixels        share of the background that scores above the anchor, the best score at the true joint:
                     anchor loss charges more than binary cross entropy there (modulator above 1)
  hard joints        share of the maps with at least one hard pixel
  learning rate      at the start of the epoch
A dotted line shows where a warm-up with binary cross entropy ends. A run without a number is left out of that panel.

what is written:
  OUT/training.png, .svg, .pdf
  OUT/groups.png, .svg, .pdf     with --groups: PCK of all joints and of each joint group"""


def add_training(commands: argparse._SubParsersAction) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "training",
        help="curves of trainings, with the share of hard pixels (figure 6)",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folders that posekit train has written")
    parser.add_argument("--out", type=Path, default=Path("figures"), metavar="DIR", help="folder to write (default: %(default)s)")
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
    """The folders by their own names, or by their paths where those are the same."""
    places = Counter(folder.resolve() for folder in folders)
    twice = next((folder for folder in folders if places[folder.resolve()] > 1), None)
    if twice is not None:
        raise ConfigError(f"{twice} is named more than once; name each run once")
    names = Counter(folder.resolve().name for folder in folders)
    return {str(folder) if names[folder.resolve().name] > 1 else folder.resolve().name: folder for folder in folders}


def _require(runs: Mapping[str, TrainingRun], columns: Sequence[str], what: str) -> None:
    if not any(run.has(column) for run in runs.values() for column in columns):
        raise DataError(f"{', '.join(runs)}: metrics.csv has no {what}")


def _table(runs: Mapping[str, TrainingRun]) -> str:
    """What became of each run, for the screen."""
    head = ("run", "loss", "epochs", "last loss", "hard pixels % at first", "at last", "best epoch", "validation there")
    lines = [head, *((name, run.loss or "-", *_figures(run)) for name, run in runs.items())]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in lines)


def _figures(run: TrainingRun) -> list[str]:
    epoch, loss, hard, pck = (run.column(name) for name in ("epoch", "loss", "hard_pixels", "pck"))
    told = [f"{epoch[-1]:.0f}", _number(loss[-1], ".4g"), _number(hard[0], ".2f"), _number(hard[-1], ".2f")]
    if not run.has("pck"):
        return [*told, "-", "-"]
    best = np.nanargmax(pck)
    return [*told, f"{epoch[best]:.0f}", f"{run.metric} {pck[best]:.2f}"]


def _number(value: float, form: str) -> str:
    return "-" if np.isnan(value) else format(value, form)
