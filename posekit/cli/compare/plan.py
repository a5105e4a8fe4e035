"""What a comparison will train: each model with each seed, in a folder of its own, and how far each run is."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jsonargparse import ArgumentParser

from posekit.cli.compare.classes import ClassesCompared
from posekit.cli.compare.kind import Kind
from posekit.cli.compare.poses import PosesCompared
from posekit.cli.compare.run import Run
from posekit.cli.configuration import (
    TRAINING_COMMANDS,
    changed_settings,
    config_parser,
    make_config,
    parse_config,
    settled_config,
    training_kind,
)
from posekit.config import ClassifierConfig, CompareConfig, Config
from posekit.errors import ConfigError

KINDS: dict[type, type[Kind]] = {Config: PosesCompared, ClassifierConfig: ClassesCompared}
"""What can be compared, by its configuration."""


@dataclass(frozen=True)
class Plan:
    """Everything that a comparison trains.

    Parameters
    ----------
    kind : type of Kind
        Of what is trained.
    out : Path
    runs : tuple of Run
        Seed by seed, so that every model has its first seed before any has a second.
    against : tuple of str
        Names of the models that the others' differences are told to.
    """

    kind: type[Kind]
    out: Path
    runs: tuple[Run, ...]
    against: tuple[str, ...]

    @property
    def models(self) -> list[str]:
        """Names, in the order of the comparison's file."""
        return list(dict.fromkeys(run.model for run in self.runs))

    def of(self, model: str) -> list[Run]:
        """A model's runs."""
        return [run for run in self.runs if run.model == model]


def read_plan(path: Path, out: Path | None, overrides: Sequence[str]) -> Plan:
    """Read a comparison's file, and check every configuration in it and every run that was begun.

    Parameters
    ----------
    path : Path
        YAML; see `posekit.config.CompareConfig`.
    out : Path, optional
        Folder of all runs; runs/compare-NAME by default.
    overrides : sequence of str
        Options of the command that trains, for all runs, before each model's own.

    Raises
    ------
    ConfigError
        If a key or value is wrong, models are not scored on the same data, or a run in the folder has other settings.
    """
    parser = config_parser(None, "", CompareConfig)
    comparison = make_config(parser, parse_config(parser, path, kind=CompareConfig), CompareConfig)
    out = out or Path("runs") / f"compare-{path.stem}"
    base, shared = path.parent / comparison.base, [*_options(comparison.shared), *overrides]
    kind = training_kind(base)
    if kind not in KINDS:
        raise ConfigError(f"{base}: is of posekit {TRAINING_COMMANDS[kind]}; only pose models and classifiers can be compared")
    training = config_parser(None, "", kind)
    runs = [
        _plan_run(training, kind, base, out, [*shared, *_options(settings)], model, seed, comparison.decode)
        for seed in comparison.seeds
        for model, settings in comparison.models.items()
    ]
    _require_apart(runs)
    _require_alike(runs, KINDS[kind].same)
    return Plan(KINDS[kind], out, tuple(runs), tuple(comparison.against))


def _plan_run(
    parser: ArgumentParser, kind: type, base: Path, out: Path, options: list[str], model: str, seed: int, decode: str
) -> Run:
    try:
        if any(option.partition("=")[0] == "--seed" for option in options):
            raise ConfigError("seed: the comparison's seeds say it")
        options = [*options, "--seed", str(seed)]
        config = settled_config(parser, parse_config(parser, base, options, kind), kind)
    except ConfigError as error:
        raise ConfigError(f"model {model!r}: {error}") from error
    run = Run(model, seed, out / _slug(model) / f"seed-{seed}", ["--config", str(base), *options], config, decode)
    if (run.folder / "config.yaml").exists():
        _require_same(run, settled_config(parser, parse_config(parser, run.folder / "config.yaml", kind=kind), kind))
    return run


def _options(settings: Mapping, prefix: str = "--") -> Iterator[str]:
    """Command line options of nested settings."""
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from _options(value, f"{prefix}{key}.")
        else:
            yield from (f"{prefix}{key}", value if isinstance(value, str) else json.dumps(value))


def _slug(name: str) -> str:
    return re.sub(r"[^\w.]+", "-", name).strip("-.").lower()


def _require_apart(runs: Sequence[Run]) -> None:
    by_folder: dict[Path, Run] = {}
    for run in runs:
        twin = by_folder.setdefault(run.folder, run)
        if twin is not run or not _slug(run.model):
            raise ConfigError(f"models {twin.model!r} and {run.model!r}: both would be {run.folder}; use other letters or digits")


def _require_alike(runs: Sequence[Run], keys: Sequence[str]) -> None:
    first, *others = runs
    for run in others:
        for key in keys:
            if getattr(run.config.data, key) != getattr(first.config.data, key):
                raise ConfigError(f"models {first.model!r} and {run.model!r}: data.{key} differs; compare on the same data")


def _require_same(run: Run, earlier: Config | ClassifierConfig) -> None:
    for key, (before, now) in changed_settings(earlier, run.config).items():
        raise ConfigError(f"{run.folder}: was trained with other settings ({key} {before}, not {now}): delete it or change --out")
