"""`posekit visualize comparison`: what comparisons came to."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from posekit.cli.compare.results import FORMAT
from posekit.cli.visualize.output import tell_written, write_plot
from posekit.drawing.repeats import repeats_figure
from posekit.errors import DataError
from posekit.evaluation.classification import ERROR, TITLES
from posekit.evaluation.repeats import MEAN
from posekit.files import writable_folder

_DESCRIPTION = """\
Scores of models that posekit compare has trained, every seed a dot and their mean a line: the paper's tables 1, 3, 6, 7 and
A-1 as a picture. It needs nothing of the runs but their results.yaml, such as those in configs/results."""

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
    parser.add_argument("--out", type=Path, default=Path("figures"), metavar="DIR", help="folder to write (default: %(default)s)")
    parser.set_defaults(run=_comparison)


def _comparison(args: argparse.Namespace) -> None:
    runs = {run: found for path in args.results for run, found in _read(path).items()}
    metrics = {metric for metric, _ in runs.values()}
    if len(metrics) > 1:
        raise DataError(f"{', '.join(map(str, args.results))}: scored by {' and '.join(sorted(metrics))}; draw them apart")
    out = writable_folder(args.out)
    tell_written(write_plot(repeats_figure(_by_model(runs), {}, metric=metrics.pop(), drawn=""), out, "comparison"))


def _read(path: Path) -> dict[tuple[str, int], tuple[str, dict[str, float]]]:
    """Of each model and seed, the metric and the figures."""
    try:
        contents = yaml.safe_load(path.read_text(encoding="utf-8"))
        if contents["format"] != FORMAT or not contents["runs"]:
            raise ValueError(f"it is no {FORMAT!r}, or has no runs")
        return {(run["comparison"]["model"], run["comparison"]["seed"]): _figures(run) for run in contents["runs"]}
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error
    except (ValueError, TypeError, KeyError, yaml.YAMLError) as error:
        raise DataError(f"{path}: not a comparison's results.yaml ({' '.join(str(error).split())})") from error


def _figures(run: Mapping) -> tuple[str, dict[str, float]]:
    if "groups" in run:
        return run["metric"], {**run["groups"], MEAN: float(run["pooled_mean"])}
    told = {kind: run[kind] for kind in TITLES if kind == ERROR or run.get(kind) is not None}
    return "error", {TITLES[kind]: float(value) for kind, value in told.items()}


def _by_model(runs: Mapping[tuple[str, int], tuple[str, dict[str, float]]]) -> dict[str, dict[str, Sequence[float]]]:
    scores: dict[str, dict[str, list[float]]] = {}
    for (model, _), (_, figures) in runs.items():
        for name, value in figures.items():
            scores.setdefault(model, {}).setdefault(name, []).append(value)
    return scores
