"""Plan of a comparison: the YAML file, the interface to the compared task, and one run (with a folder) per model and seed."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol

from posekit.choices import DECODE_METHODS
from posekit.errors import ConfigError, choose, require
from posekit.scoring.repeats import Evaluation, Repeats
from posekit.tasks import task_of_config
from posekit.training.build import with_settled_precision
from posekit.training.command import Training, has_checkpoint
from posekit.training.config_files import ConfigParser, changed_settings
from posekit.training.log import read_metrics


@dataclass(frozen=True)
class CompareConfig:
    """Models to train and compare.

    Parameters
    ----------
    base : str
        Path of the training configuration that all models start from, relative to the folder of the comparison's YAML file.
    models : dict of str to dict
        Model name, as shown in tables -> settings in which the model differs from the base, as nested keys of a training
        configuration.
    shared : dict
        Settings that override the base in all models.
    seeds : list of int
        Random seeds; each model is trained once per seed.
    against : list of str
        Names of the baseline models; the results show how much every other model differs from each baseline.
    decode : str
        Method that decodes heatmaps to joints for the scores: quarter, dark or argmax. Validation during training always uses
        quarter.
    """

    base: str
    models: dict[str, dict]
    shared: dict = field(default_factory=dict)
    seeds: list[int] = field(default_factory=lambda: [0, 1, 2])
    against: list[str] = field(default_factory=list)
    decode: str = "quarter"

    def __post_init__(self):
        require(bool(self.models), "models", self.models, "at least one model")
        for name in self.models:
            require(isinstance(name, str), "models", name, "strings as model names (put numbers, yes and no in quotes)")
        distinct = len(set(self.seeds)) == len(self.seeds)
        require(bool(self.seeds) and distinct, "seeds", self.seeds, "at least one seed, without duplicates")
        require(all(seed >= 0 for seed in self.seeds), "seeds", self.seeds, "integers of at least 0")
        choose("decode", self.decode, DECODE_METHODS)
        for name in self.against:
            require(name in self.models, "against", name, "one of the models: " + ", ".join(self.models))


class Comparison(Protocol):
    """Scoring and tabulation of one task's runs; the `compare` module of each task implements this protocol as `Comparison`."""

    open: ClassVar[Callable[[Any], Training]]
    """Function that creates a `Training` from a training configuration."""
    same_data: Sequence[str]
    """Keys of the configuration's ``data`` section that must be equal in all runs, so that all runs use the same data."""
    metric_column: str
    """Name of the validation metric: a column of a run's metrics.csv."""
    kept: Sequence[str]
    """Keys that are copied from each run's metrics.json to results.yaml."""
    resampled: str
    """Unit that the bootstrap resamples in addition to seeds: "persons" or "images"."""
    summary: str
    """Sizes of the training and test data, as text for the terminal."""

    def __init__(self, training: Any) -> None:
        """Take the evaluation data from the first run's `Training`; all runs are scored on this data."""

    @staticmethod
    def results_folder(decode: str) -> str:
        """Return the name of the subfolder of a run that holds the scores of the last epoch's weights."""

    def evaluate(self, config: Any, weights: Path, results: Path, decode: str) -> Evaluation:
        """Score a weights file, and write the predictions into the folder `results`."""

    def repeats(self, results: Mapping[int, Path]) -> Repeats:
        """Load the scores of one model's runs; `results` maps the seed of each run to the results folder."""

    def figures(self, metrics: Mapping) -> dict[str, float]:
        """Return the scores for results.csv by column title, from a run's metrics.json; raise `KeyError` if a score is missing."""

    def caption(self, config: Any, decode: str, models: Mapping[str, Any]) -> str:
        """Return the caption of the score table."""

    def groups(self, models: Mapping[str, Any]) -> list[str]:
        """Return the names of the scores to plot, for example of the joint groups."""

    def metric(self, models: Mapping[str, Any]) -> str:
        """Return the name of the metric, for the axis label."""


@dataclass(frozen=True, eq=False)  # compared by identity, so that a run can be a dictionary's key
class Run:
    """Training of one model with one seed.

    Parameters
    ----------
    model : str
        Name of the model in the comparison.
    seed : int
    folder : Path
    results : Path
        Folder with the scores of the last epoch's weights.
    arguments : list of str
        Arguments of the training command, without --out.
    config : PoseConfig or ClassifierConfig
        The training configuration that results from `arguments`.
    """

    model: str
    seed: int
    folder: Path
    results: Path
    arguments: list[str]
    config: Any

    @property
    def name(self) -> str:
        """Model and seed, for messages."""
        return f"{self.model}, seed {self.seed}"

    @property
    def started(self) -> bool:
        """Whether the run has a checkpoint to resume from."""
        return has_checkpoint(self.folder)

    @property
    def done(self) -> bool:
        """Whether the run is trained and scored."""
        return (self.results / "metrics.json").exists()

    def rows(self) -> list[dict[str, float]]:
        """Load the rows of the run's metrics.csv, one per finished epoch; empty if the file does not exist."""
        path = self.folder / "metrics.csv"
        return read_metrics(path) if path.exists() else []


@dataclass(frozen=True)
class Plan:
    """All runs of a comparison.

    Parameters
    ----------
    command : str
        Subcommand of ``posekit`` that trains each run, for example "train".
    comparison_class : type of Comparison
    out : Path
        Output folder of all runs and results.
    runs : tuple of Run
        All runs, ordered by seed: the first seed of every model comes before the second seed of any model.
    baselines : tuple of str
        Names of the baseline models.
    decode : str
        See `CompareConfig`.
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
    """Load a comparison's YAML file (see `CompareConfig`), and check the configuration of every run.

    Parameters
    ----------
    path : Path
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
    parser: ConfigParser[Any] = ConfigParser(task.load("config").CONFIG_CLASS)
    shared = [*_options(config.shared), *overrides]
    runs = []
    for seed in config.seeds:
        for model, settings in config.models.items():
            options = [*shared, *_options(settings)]
            folder = out / _slug(model) / f"seed-{seed}"
            results = folder / comparison_class.results_folder(config.decode)
            runs.append(_plan_run(parser, base, options, model, seed, folder, results))
    _check_models(runs, comparison_class.same_data)
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


def _check_models(runs: Sequence[Run], same_data: Sequence[str]) -> None:
    """Require that the runs have distinct folders, and equal values of the keys `same_data`."""
    by_folder: dict[Path, Run] = {}
    for run in runs:
        other = by_folder.setdefault(run.folder, run)
        if other is not run or not _slug(run.model):
            raise ConfigError(f"models {other.model!r} and {run.model!r}: both map to the folder {run.folder}; rename one of them")
    first = runs[0]
    for run in runs:
        for key in same_data:
            if getattr(run.config.data, key) != getattr(first.config.data, key):
                raise ConfigError(
                    f"models {first.model!r} and {run.model!r}: data.{key} differs; set the same value for all models"
                )
