"""Result files of a comparison: tables, figures, and the numbers with their configuration and software."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import yaml
from filelock import FileLock

from posekit.drawing.style import save_figure
from posekit.drawing.training import TrainingRun, training_curves
from posekit.errors import DataError
from posekit.files import atomic_write
from posekit.lab.compare.figure import repeats_figure
from posekit.lab.compare.plan import Comparison, Plan, Run
from posekit.scoring.repeats import ERROR_TITLES, MEAN, Repeats, differences_table, scores_table
from posekit.training.log import read_run

_FORMAT = "posekit comparison 1"  # of results.yaml
_KEPT = ("interval95", "comparison", "training", "config", "machine", "software", "posekit", "commit")


def write_results(plan: Plan, comparison: Comparison) -> str:
    """Write results.md, results.csv, results.yaml, comparison.png and curves.png from all finished runs; return the tables.

    Raises
    ------
    DataError
        If a run's metrics.json is damaged.
    """
    with FileLock(plan.out / "lock"):  # so that the last process to write includes all finished runs
        # Check `done` only once per run: another process may finish a run at any time.
        metrics = {run: _read_metrics(run, comparison) for run in plan.runs if run.done}
        runs_by_model = {}
        for model in plan.models:
            if done := [run for run in plan.runs_of(model) if run in metrics]:
                runs_by_model[model] = done
        models = {model: comparison.repeats({run.seed: run.results for run in runs}) for model, runs in runs_by_model.items()}
        text = _tables(plan, comparison, models, metrics)
        _write(plan.out / "results.md", text)
        _write(plan.out / "results.csv", _csv(comparison, metrics))
        excerpts = [{key: contents.get(key) for key in (*comparison.kept, *_KEPT)} for contents in metrics.values()]
        results = {"format": _FORMAT, "runs": excerpts}
        _write(plan.out / "results.yaml", yaml.safe_dump(results, sort_keys=False, allow_unicode=True))
        save_figure(_figure(plan, comparison, models), plan.out / "comparison.png")
        curves = {model: _mean_run([read_run(run.folder) for run in runs]) for model, runs in runs_by_model.items()}
        save_figure(training_curves(curves), plan.out / "curves.png")
    return text


def _read_metrics(run: Run, comparison: Comparison) -> dict:
    path = run.results / "metrics.json"
    try:
        contents = json.loads(path.read_text(encoding="utf-8"))
        float(contents["training"]["seconds"])
        comparison.figures(contents)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DataError(f"{path}: damaged ({error}); delete the folder {run.results} to score the run again") from error
    return contents


def _tables(plan: Plan, comparison: Comparison, models: Mapping[str, Repeats], metrics: Mapping[Run, dict]) -> str:
    costs = {}
    for model in models:
        training = [contents["training"] for run, contents in metrics.items() if run.model == model]
        minutes = np.mean([numbers["seconds"] / 60 for numbers in training])
        speed = np.mean([numbers["images_per_s"] for numbers in training])
        costs[model] = {"minutes": f"{minutes:.1f}", "images/s": f"{speed:.0f}"}
    parts = [comparison.caption(plan.runs[0].config, plan.decode, models), scores_table(models, costs)]
    for baseline in _baselines(plan, models):
        parts += [
            f"Differences from {baseline} in percentage points, with 95 % confidence intervals of a paired bootstrap over "
            f"{comparison.resampled} and seeds; bold where the interval excludes 0.",
            differences_table(models, baseline),
        ]
    missing = [run.name for run in plan.runs if run not in metrics]
    if missing:
        parts.append(f"Not finished yet: {'; '.join(missing)}.")
    return "\n\n".join(parts) + "\n"


def _baselines(plan: Plan, models: Mapping[str, Repeats]) -> list[str]:
    """Return the baselines with finished runs, if at least one other model also has finished runs."""
    return [name for name in plan.baselines if name in models and len(models) > 1]


def _figure(plan: Plan, comparison: Comparison, models: Mapping[str, Repeats]):
    groups = comparison.groups(models)
    scores = {name: {group: repeats.figures[group].values for group in groups} for name, repeats in models.items()}
    differences = {}
    for baseline in _baselines(plan, models):
        others = {name: repeats for name, repeats in models.items() if name != baseline}
        differences[baseline] = {name: repeats.minus(models[baseline]) for name, repeats in others.items()}
    return repeats_figure(scores, differences, metric=comparison.metric(models), resampled=comparison.resampled)


def _csv(comparison: Comparison, metrics: Mapping[Run, dict]) -> str:
    """Format results.csv: one row per run."""
    rows = []
    for run, contents in metrics.items():
        machine = contents["machine"]
        row = {
            "model": run.model,
            "seed": run.seed,
            **comparison.figures(contents),
            "seconds": round(contents["training"]["seconds"], 1),
            "images_per_s": contents["training"]["images_per_s"],
            "processor": machine["gpu"] or machine["processor"],
            "threads": machine["threads"],
            "commit": contents["commit"],
        }
        rows.append(row)
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _write(path: Path, text: str) -> None:
    with atomic_write(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")


def _mean_run(runs: Sequence[TrainingRun]) -> TrainingRun:
    """Average the learning curves of several runs per epoch, up to the last epoch that all runs have reached."""
    rows = []
    for same_epoch in zip(*(run.rows for run in runs), strict=False):
        rows.append({key: float(np.mean([row.get(key, np.nan) for row in same_epoch])) for key in same_epoch[0]})
    return replace(runs[0], rows=rows)


def read_results_file(path: Path) -> dict[tuple[str, int], tuple[str, dict[str, float]]]:
    """Load results.yaml as a dictionary: (model, seed) -> (name of the metric, values in percent by joint group or error)."""
    try:
        contents = yaml.safe_load(path.read_text(encoding="utf-8"))
        if contents["format"] != _FORMAT or not contents["runs"]:
            raise ValueError(f"format is not {_FORMAT!r}, or there are no runs")
        return {(run["comparison"]["model"], run["comparison"]["seed"]): _values(run) for run in contents["runs"]}
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error
    except (ValueError, TypeError, KeyError, yaml.YAMLError) as error:
        raise DataError(f"{path}: not a results.yaml of posekit compare ({' '.join(str(error).split())})") from error


def _values(run: Mapping) -> tuple[str, dict[str, float]]:
    if "groups" in run:
        return run["metric"], {**run["groups"], MEAN: float(run["pooled_mean"])}
    values = {}
    for key, title in ERROR_TITLES.items():
        if key == "error" or run.get(key) is not None:
            values[title] = float(run[key])
    return "error", values
