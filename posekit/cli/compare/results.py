"""What a comparison came to: tables, a figure, and every number with what it was made with."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from filelock import FileLock

from posekit.cli.compare.kind import Kind
from posekit.cli.compare.plan import Plan
from posekit.cli.compare.run import Run
from posekit.cli.figures import save_figure
from posekit.drawing.repeats import repeats_figure
from posekit.drawing.training import TrainingRun, training_curves
from posekit.errors import DataError
from posekit.evaluation.repeats import Repeats, Spread, differences_table, scores_table
from posekit.evaluation.results_file import write_results_file
from posekit.files import replacing
from posekit.training.log import read_run

_KEPT = ("interval95", "comparison", "training", "config", "machine", "software", "posekit", "commit")


def write_results(plan: Plan, kind: Kind) -> str:
    """Write results.md, results.csv, results.yaml, comparison.png and curves.png of the runs that are done.

    Returns
    -------
    str : the tables, Markdown.

    Raises
    ------
    DataError
        If a run's metrics.json is damaged.
    OutputError
        If a file cannot be written.
    """
    with FileLock(plan.out / "lock"):  # so that who comes last writes what is true last
        # Asked once: other processes may be finishing theirs.
        numbers = {run: _read(run, kind) for run in plan.runs if run.done}
        done = {name: runs for name in plan.models if (runs := [run for run in numbers if run.model == name])}
        models = {name: kind.repeats(runs) for name, runs in done.items()}
        text = _tables(plan, kind, models, numbers)
        _write(plan.out / "results.md", text)
        _write(plan.out / "results.csv", _csv(kind, numbers))
        raw = [{key: found.get(key) for key in (*kind.kept, *_KEPT)} for found in numbers.values()]
        write_results_file(plan.out / "results.yaml", raw)
        figures = {"comparison.png": _figure(plan, kind, models), "curves.png": training_curves(_curves(done))}
        for name, figure in figures.items():
            save_figure(figure, plan.out / name)
    return text


def _read(run: Run, kind: Kind) -> dict:
    path = run.results / "metrics.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        found["training"]["seconds"], kind.figures(found)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DataError(f"{path}: damaged ({error}); delete the folder {run.results}, and it will be scored again") from error
    return found


def _tables(plan: Plan, kind: Kind, models: Mapping[str, Repeats], numbers: Mapping[Run, dict]) -> str:
    extra = {name: _costs([found for run, found in numbers.items() if run.model == name]) for name in models}
    parts = [kind.caption(plan.runs[0], models), scores_table(models, extra)]
    for name in plan.against:
        if name in models and len(models) > 1:
            parts += [
                f"Against {name}: difference in percentage points, with the 95 % interval of a paired bootstrap over {kind.drawn} "
                "and seeds; bold where it excludes 0.",
                differences_table(models, name),
            ]
    missing = [run.name for run in plan.runs if run not in numbers]
    return "\n\n".join(parts + ([f"Not done yet: {'; '.join(missing)}."] if missing else [])) + "\n"


def _figure(plan: Plan, kind: Kind, models: Mapping[str, Repeats]):
    groups = kind.groups(models)
    scores = {name: {group: found.figures[group].values for group in groups} for name, found in models.items()}
    differences = {
        other: {name: found.minus(models[other]) for name, found in models.items() if name != other}
        for other in plan.against
        if other in models and len(models) > 1
    }
    return repeats_figure(scores, differences, metric=kind.metric(models), drawn=kind.drawn)


def _costs(numbers: Sequence[dict]) -> dict[str, str]:
    minutes = Spread(tuple(found["training"]["seconds"] / 60 for found in numbers))
    speed = np.mean([found["training"]["images_per_s"] for found in numbers])
    return {"minutes": f"{minutes.mean:.1f}", "images/s": f"{speed:.0f}"}


def _csv(kind: Kind, numbers: Mapping[Run, dict]) -> str:
    """A row for each run."""
    text = io.StringIO()
    rows = [
        {
            "model": run.model,
            "seed": run.seed,
            **kind.figures(found),
            "seconds": round(found["training"]["seconds"], 1),
            "images_per_s": found["training"]["images_per_s"],
            "processor": found["machine"]["gpu"] or found["machine"]["processor"],
            "threads": found["machine"]["threads"],
            "commit": found["commit"],
        }
        for run, found in numbers.items()
    ]
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _write(path: Path, text: str) -> None:
    with replacing(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")


def _curves(done: Mapping[str, Sequence[Run]]) -> dict[str, TrainingRun]:
    """Of each model, the mean over its seeds."""
    return {name: _mean_run([read_run(run.folder) for run in runs]) for name, runs in done.items()}


def _mean_run(runs: Sequence[TrainingRun]) -> TrainingRun:
    first, *_ = runs
    epochs = range(min(len(run.rows) for run in runs))
    rows = [{key: float(np.mean([run.rows[i].get(key, np.nan) for run in runs])) for key in first.rows[i]} for i in epochs]
    return replace(first, rows=rows)
