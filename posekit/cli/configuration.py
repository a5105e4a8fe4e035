"""Reading the training configuration: YAML, overridden on the command line, every key and type checked."""

import difflib
import re
from argparse import ArgumentError, RawDescriptionHelpFormatter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from typing import Any, get_args

import yaml
from jsonargparse import ArgumentParser, DefaultHelpFormatter, Namespace

from posekit.build import resolved_precision
from posekit.config import ClassifierConfig, Config, DetectorConfig
from posekit.errors import ConfigError
from posekit.files import replacing

# How jsonargparse names a key that it does not know.
_UNKNOWN = re.compile(r"(?:accept option|unrecognized arguments:|option|key) '?(?:--)?([\w.]+)", re.IGNORECASE)


# The commands that train, by what they are configured with.
TRAINING_COMMANDS = {Config: "train", ClassifierConfig: "train-classifier", DetectorConfig: "train-detector"}
FREE = ("data.root", "train.device", "train.workers")
"""Settings that do not change what is learned."""
# Keys of data by which their files are told from those of pose models.
_TOLD_BY = {"images": ClassifierConfig, "people": DetectorConfig}


def config_parser(prog: str | None, description: str, kind: type = Config) -> ArgumentParser:
    """A parser with an option for every field of a configuration."""
    parser = ArgumentParser(prog=prog, description=description, exit_on_error=False, allow_abbrev=False)
    parser.formatter_class = _Help
    parser.add_class_arguments(kind, as_group=True)
    return parser


class _Help(DefaultHelpFormatter, RawDescriptionHelpFormatter):
    """Fields with their defaults, and a description whose lines stay as they are."""


def parse_config(parser: ArgumentParser, path: str | Path, overrides: Sequence[str] = (), kind: type = Config) -> Namespace:
    """Read a configuration file and what the command line overrides.

    Returns
    -------
    Namespace : the fields of the configuration, as plain values.

    Raises
    ------
    ConfigError
        If the file cannot be read, a key is unknown (the message names the nearest valid one), or a
        value is of the wrong kind.
    """
    if not Path(path).is_file():
        raise ConfigError(f"{path}: no such configuration file; see configs/")
    try:
        from_file = parser.parse_path(str(path), defaults=True)
        parsed = parser.parse_args(list(overrides), namespace=from_file)
    except (ArgumentError, UnicodeDecodeError) as error:
        if kind in TRAINING_COMMANDS and "models" in _contents(path):
            raise ConfigError(f"{path}: is a comparison: posekit compare trains it") from error
        if kind in TRAINING_COMMANDS and training_kind(path) is not kind:
            other = TRAINING_COMMANDS[training_kind(path)]
            raise ConfigError(f"{path}: is a configuration of posekit {other}, not of {TRAINING_COMMANDS[kind]}") from error
        raise ConfigError(f"{path}: {_one_line(str(error), kind)}") from error
    _require_values(parsed, kind, path)
    return parsed


def _require_values(parsed: Namespace, kind: type, path: str | Path, prefix: str = "") -> None:
    """Refuse keys with nothing after them, which YAML allows everywhere."""
    for field in fields(kind):
        key, value, nested = prefix + field.name, getattr(parsed, field.name), is_dataclass(field.type)
        if value is None or (nested and not isinstance(value, Namespace)):
            raise ConfigError(f"{path}: {key}: expected {'keys below it' if nested else 'a value'}; or leave it out")
        if nested:
            _require_values(value, field.type, path, f"{key}.")


def training_kind(path: str | Path) -> type:
    """What a training configuration's file configures: with data.images a classifier, with data.people a detector, else poses."""
    data = _contents(path).get("data")
    return next((kind for key, kind in _TOLD_BY.items() if isinstance(data, dict) and key in data), Config)


def _contents(path: str | Path) -> dict:
    """What a file's outermost keys are; none if it cannot be read, of which whoever reads it says what is wrong."""
    try:
        contents = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return contents if isinstance(contents, dict) else {}


def make_config(parser: ArgumentParser, parsed: Namespace, kind: type = Config):
    """The configuration that was parsed, of that kind.

    Raises
    ------
    ConfigError
        If a value is out of range.
    """
    made = parser.instantiate(parsed)
    return kind(**{field.name: getattr(made, field.name) for field in fields(kind)})


def settled_config(parser: ArgumentParser, parsed: Namespace, kind: type = Config):
    """The training configuration, its precision settled in `parsed` too: a run must go on with what it began with."""
    parsed.train.precision = resolved_precision(make_config(parser, parsed, kind).train)
    return make_config(parser, parsed, kind)


def changed_settings(before: Any, after: Any) -> dict[str, tuple]:
    """By dotted keys, what a configuration has and another has instead, without `FREE`."""
    first, second = (dict(_flat(asdict(config))) for config in (before, after))
    return {key: (first[key], second[key]) for key in first if key not in FREE and first[key] != second[key]}


def free_options(config: Any) -> list[str]:
    """The configuration's `FREE` settings as command line options."""
    settings = dict(_flat(asdict(config)))
    return [text for key in FREE for text in (f"--{key}", str(settings[key]))]


def _flat(settings: Mapping, prefix: str = "") -> Iterator[tuple[str, object]]:
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def write_config(parser: ArgumentParser, parsed: Namespace, path: Path, kind: type = Config) -> None:
    """Write the resolved configuration as YAML that `--config` reads."""
    only = {field.name for field in fields(kind)}
    kept = parsed.clone()
    for name in set(vars(kept)) - only:
        kept.pop(name)
    with replacing(path) as unfinished:
        unfinished.write_text(parser.dump(kept, skip_validation=True), encoding="utf-8")


def _one_line(message: str, kind: type) -> str:
    message = " ".join(message.split())
    unknown = _UNKNOWN.search(message)
    near = difflib.get_close_matches(unknown[1], list(_keys(kind)), n=1, cutoff=0.5) if unknown else []
    if "Got value: False" in message or "Got value: True" in message:
        return message + "; YAML takes no, off, yes and on for false and true: put quotes around them"
    return message + (f"; did you mean {near[0]}?" if near else "")


def _keys(kind: type, prefix: str = "") -> Iterator[str]:
    for field in fields(kind):
        yield field.name
        yield prefix + field.name
        for part in (field.type, *get_args(field.type)):
            if is_dataclass(part):
                yield from _keys(part, f"{prefix}{field.name}.")
