"""`posekit visualize comparison`: scores of compared models as a figure."""

import argparse

from posekit.cli.visualize.output import write_plot
from posekit.errors import DataError
from posekit.files import writable_folder
from posekit.lab.compare.figure import repeats_figure
from posekit.lab.compare.results import read_results_file


def run(args: argparse.Namespace) -> None:
    """Draw the scores of all result files in one figure."""
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
