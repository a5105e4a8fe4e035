"""What a comparison came to: tables, a figure, and every number with what it was made with."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import yaml

from posekit.cli.compare.plan import Plan, Run
from posekit.drawing.repeats import repeats_figure
from posekit.drawing.training import TrainingRun, training_curves
from posekit.errors import DataError
from posekit.evaluation import Scores, score
from posekit.evaluation.repeats import MEAN, Repeats, Spread, differences_table, scores_table
from posekit.files import replacing
from posekit.predictions import read_predictions
from posekit.sample import People
from posekit.training.log import read_run

_FORMAT = "posekit comparison 1"
_KEPT = ("metric", "n_persons", "groups", "pooled_mean", "interval95", "joint_mean", "auc", "comparison", "training", "config",
         "machine", "software", "posekit", "commit")  # fmt: skip


def write_results(plan: Plan, people: People) -> str:
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
    done = [run for run in plan.runs if run.done]
    numbers = {run: _read(run) for run in done}
    models = {name: _repeats(plan, name, people) for name in plan.models if any(run.done for run in plan.of(name))}
    text = _tables(plan, models, numbers)
    _write(plan.out / "results.md", text)
    _write(plan.out / "results.csv", _csv(numbers))
    raw = [{key: numbers[run].get(key) for key in _KEPT} for run in done]
    _write(plan.out / "results.yaml", yaml.safe_dump({"format": _FORMAT, "runs": raw}, sort_keys=False, allow_unicode=True))
    for name, figure in (("comparison.png", _figure(plan, models)), ("curves.png", training_curves(_curves(plan, models)))):
        with replacing(plan.out / name) as unfinished:
            figure.savefig(unfinished)
    return text


def _read(run: Run) -> dict:
    path = run.results / "metrics.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        found["training"]["seconds"], found["groups"], found["pooled_mean"]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DataError(f"{path}: damaged ({error}); delete the folder {run.results}, and it will be scored again") from error
    return found


def _repeats(plan: Plan, model: str, people: People) -> Repeats:
    files = {run.seed: run.results / "predictions.h5" for run in plan.of(model) if run.done}
    return Repeats({seed: score(people, read_predictions(path, people=people)) for seed, path in files.items()})


def _tables(plan: Plan, models: Mapping[str, Repeats], numbers: Mapping[Run, dict]) -> str:
    any_one = _any_scores(models)
    extra = {name: _costs([numbers[run] for run in plan.of(name) if run.done]) for name in models}
    parts = [
        f"{any_one.metric} in percent of {any_one.n_persons:,} persons ({people_name(any_one.people)}), last epoch's weights, "
        f"decoding {plan.runs[0].decode}; mean ± standard deviation over the seeds. Inversions: joints within the threshold of the "
        "opposite joint and not of their own. Double: maps with another peak at least half as high.",
        scores_table(models, extra),
    ]
    for name in plan.against:
        if name in models and len(models) > 1:
            parts += [
                f"Against {name}: difference in percentage points, with the 95 % interval of a paired bootstrap over persons and "
                "seeds; bold where it excludes 0.",
                differences_table(models, name),
            ]
    missing = [run.name for run in plan.runs if not run.done]
    return "\n\n".join(parts + ([f"Not done yet: {'; '.join(missing)}."] if missing else [])) + "\n"


def people_name(people: People) -> str:
    """Data set and split."""
    return f"{people.name} {people.split}"


def _figure(plan: Plan, models: Mapping[str, Repeats]):
    any_one = _any_scores(models)
    groups = [*any_one.groups, MEAN]
    scores = {name: {group: found.figures[group].values for group in groups} for name, found in models.items()}
    differences = {
        other: {name: found.minus(models[other]) for name, found in models.items() if name != other}
        for other in plan.against
        if other in models and len(models) > 1
    }
    return repeats_figure(scores, differences, metric=any_one.metric)


def _any_scores(models: Mapping[str, Repeats]) -> Scores:
    return next(iter(next(iter(models.values())).scores.values()))


def _costs(numbers: Sequence[dict]) -> dict[str, str]:
    minutes = Spread(tuple(found["training"]["seconds"] / 60 for found in numbers))
    speed = np.mean([found["training"]["images_per_s"] for found in numbers])
    return {"minutes": f"{minutes.mean:.1f}", "images/s": f"{speed:.0f}"}


def _csv(numbers: Mapping[Run, dict]) -> str:
    """A row for each run."""
    text = io.StringIO()
    rows = [
        {
            "model": run.model,
            "seed": run.seed,
            **{name.lower(): value for name, value in found["groups"].items()},
            "mean": found["pooled_mean"],
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


def _curves(plan: Plan, models: Mapping[str, Repeats]) -> dict[str, TrainingRun]:
    """Of each model, the mean over its seeds."""
    return {name: _mean_run([read_run(run.folder) for run in plan.of(name) if run.done]) for name in models}


def _mean_run(runs: Sequence[TrainingRun]) -> TrainingRun:
    first, *_ = runs
    epochs = range(min(len(run.rows) for run in runs))
    rows = [{key: float(np.mean([run.rows[i].get(key, np.nan) for run in runs])) for key in first.rows[i]} for i in epochs]
    return TrainingRun(rows, first.loss, first.scale, first.warmup_epochs, first.metric)
