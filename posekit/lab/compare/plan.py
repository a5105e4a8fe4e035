"""Plan of a comparison: one run per model and seed, each in its own folder."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from posekit.errors import ConfigError
from posekit.lab.compare.comparison import Comparison
from posekit.lab.compare.config import CompareConfig
from posekit.lab.compare.run import Run
from posekit.tasks import task_of_config
from posekit.training.build import with_settled_precision
from posekit.training.config_files import ConfigParser, changed_settings


@dataclass(frozen=True)
class Plan:
    """All runs of a comparison.

    Parameters
    ----------
    command : str
        Subcommand of ``posekit`` that trains each run, for example "train".
    comparison_class : type of Comparison
        Class that scores and tabulates the runs.
    out : Path
        Output folder of all runs and results.
    runs : tuple of Run
        All runs, ordered by seed: the first seed of every model comes before the second seed of any model.
    baselines : tuple of str
        Names of the baseline models.
    decode : str
        Method that decodes a pose model's heatmaps to joints for the scores.
    """

    command: str
    comparison_class: type[Comparison]
    out: Path
    runs: tuple[Run, ...]
    baselines: tuple[str, ...]
    decode: str

    @property
    def models(self) -> list[str]:
        """Names of the models, in the order of the YAML file."""
        return list(dict.fromkeys(run.model for run in self.runs))

    def runs_of(self, model: str) -> list[Run]:
        """Return the runs of one model, one per seed."""
        return [run for run in self.runs if run.model == model]


def read_plan(path: Path, out: Path | None, overrides: Sequence[str]) -> Plan:
    """Load a comparison's YAML file; check the configuration of every run, and that started runs have the same settings.

    Parameters
    ----------
    path : Path
        YAML file; see `posekit.lab.compare.config.CompareConfig`.
    out : Path, optional
        Output folder of all runs; default: runs/compare-NAME, with NAME the file name without extension.
    overrides : sequence of str
        Options of the training command for all runs; a model's own settings take precedence.

    Raises
    ------
    ConfigError
        If a key or value is wrong, two models have different data, or a started run in `out` has other settings.
    """
    config = ConfigParser(CompareConfig).read(path)
    out = out or Path("runs") / f"compare-{path.stem}"
    base = path.parent / config.base
    task = task_of_config(base)
    if not task.has("compare"):
        raise ConfigError(f"{base}: posekit compare does not support configurations of posekit {task.command}")
    comparison_class: type[Comparison] = task.load("compare").Comparison
    parser: ConfigParser[Any] = ConfigParser(comparison_class.config_class)
    shared = [*_options(config.shared), *overrides]
    runs = []
    for seed in config.seeds:
        for model, settings in config.models.items():
            options = [*shared, *_options(settings)]
            folder = out / _slug(model) / f"seed-{seed}"
            results = folder / comparison_class.results_folder(config.decode)
            runs.append(_plan_run(parser, base, options, model, seed, folder, results))
    _require_distinct_folders(runs)
    _require_same_data(runs, comparison_class.same_data)
    return Plan(task.command, comparison_class, out, tuple(runs), tuple(config.against), config.decode)


def _plan_run(parser: ConfigParser[Any], base: Path, options: list[str], model: str, seed: int, folder: Path, results: Path) -> Run:
    if any(option.partition("=")[0] == "--seed" for option in options):
        raise ConfigError(f"model {model!r}: seed: remove this key; the comparison's seeds are used instead")
    options = [*options, "--seed", str(seed)]
    try:
        config = with_settled_precision(parser.read(base, options))
    except ConfigError as error:
        raise ConfigError(f"model {model!r}: {error}") from error
    started_with = folder / "config.yaml"
    if started_with.exists():
        changed = changed_settings(with_settled_precision(parser.read(started_with)), config)
        for key, (before, now) in changed.items():
            raise ConfigError(
                f"{folder}: trained with other settings ({key} {before}, not {now}); delete the folder or choose another --out"
            )
    return Run(model, seed, folder, results, ["--config", str(base), *options], config)


def _options(settings: Mapping, prefix: str = "--") -> Iterator[str]:
    """Yield the command-line options that correspond to nested settings."""
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from _options(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"
            yield value if isinstance(value, str) else json.dumps(value)


def _slug(name: str) -> str:
    return re.sub(r"[^\w.]+", "-", name).strip("-.").lower()


def _require_distinct_folders(runs: Sequence[Run]) -> None:
    by_folder: dict[Path, Run] = {}
    for run in runs:
        other = by_folder.setdefault(run.folder, run)
        if other is not run or not _slug(run.model):
            raise ConfigError(f"models {other.model!r} and {run.model!r}: both map to the folder {run.folder}; rename one of them")


def _require_same_data(runs: Sequence[Run], keys: Sequence[str]) -> None:
    first = runs[0]
    for run in runs[1:]:
        for key in keys:
            if getattr(run.config.data, key) != getattr(first.config.data, key):
                raise ConfigError(
                    f"models {first.model!r} and {run.model!r}: data.{key} differs; set the same value for all models"
                )
