"""`posekit visualize comparison`: what comparisons came to."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from posekit.cli.visualize.output import add_out, tell_written, write_plot
from posekit.errors import DataError
from posekit.files import writable_folder
from posekit.lab.compare.figure import repeats_figure
from posekit.lab.compare.results_file import read_results_file

_DESCRIPTION = """\
Scores of models that posekit compare has trained, every seed a dot and their mean a line: the paper's tables 1, 3, 6, 7 and
A-1 as a picture. It needs nothing of the runs but their results.yaml."""

_EPILOG = """\
examples:
  one comparison
    %(prog)s runs/compare-cifar100_tableA1/results.yaml
  runs that two machines have shared
    %(prog)s here/results.yaml there/results.yaml --out figures

what is written:
  OUT/comparison.png, .svg, .pdf"""


def add_comparison(commands: argparse._SubParsersAction) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "comparison",
        help="scores of compared models (tables 1, 3, 6, 7 and A-1 as a picture)",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("results", nargs="+", type=Path, metavar="FILE", help="results.yaml that posekit compare has written")
    add_out(parser)
    parser.set_defaults(run=_comparison)


def _comparison(args: argparse.Namespace) -> None:
    runs = {run: found for path in args.results for run, found in read_results_file(path).items()}
    metrics = {metric for metric, _ in runs.values()}
    if len(metrics) > 1:
        raise DataError(f"{', '.join(map(str, args.results))}: scored by {' and '.join(sorted(metrics))}; draw them apart")
    out = writable_folder(args.out)
    tell_written(write_plot(repeats_figure(_by_model(runs), {}, metric=metrics.pop(), drawn=""), out, "comparison"))


def _by_model(runs: Mapping[tuple[str, int], tuple[str, dict[str, float]]]) -> dict[str, dict[str, Sequence[float]]]:
    scores: dict[str, dict[str, list[float]]] = {}
    for (model, _), (_, figures) in runs.items():
        for name, value in figures.items():
            scores.setdefault(model, {}).setdefault(name, []).append(value)
    return scores
