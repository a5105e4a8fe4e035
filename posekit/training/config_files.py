"""Read YAML configuration files, apply command line overrides, and check every key and type."""

import difflib
import re
from argparse import ArgumentError, RawDescriptionHelpFormatter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar, get_args

import yaml
from jsonargparse import ArgumentParser, DefaultHelpFormatter, Namespace

from posekit.errors import ConfigError
from posekit.files import atomic_write

Config = TypeVar("Config")

FREE_SETTINGS = ("data.root", "train.device", "train.workers")
"""Settings that do not change the training result."""

# Matches an unknown key in the error messages of jsonargparse.
_UNKNOWN_KEY = re.compile(r"(?:accept option|unrecognized arguments:|option|key) '?(?:--)?([\w.]+)", re.IGNORECASE)


class _HelpFormatter(DefaultHelpFormatter, RawDescriptionHelpFormatter):
    """Show the default of each field, and keep the line breaks of the description."""


class ConfigParser(Generic[Config]):
    """Parser of the configuration files of one task.

    Parameters
    ----------
    config_class : type
        Frozen dataclass of the configuration. Each field becomes a command line option of `parser`.
    prog, description : str
        Name and description of the command for the help text.
    """

    def __init__(self, config_class: type[Config], prog: str | None = None, description: str = ""):
        self.config_class = config_class
        self.parser = ArgumentParser(
            prog=prog, description=description, exit_on_error=False, allow_abbrev=False, formatter_class=_HelpFormatter
        )
        self.parser.add_class_arguments(config_class, as_group=True)

    def read(self, path: str | Path, overrides: Sequence[str] = ()) -> Config:
        """Read a configuration file.

        Parameters
        ----------
        path : str or Path
            YAML file.
        overrides : sequence of str
            Command line options that override the file, such as ``["--train.epochs", "5"]``.

        Raises
        ------
        ConfigError
            If the file cannot be read, a key is unknown (the message suggests the most similar key), or a value has the wrong
            type or is out of range.
        """
        if not Path(path).is_file():
            raise ConfigError(f"{path}: no such configuration file; see configs/")
        try:
            from_file = self.parser.parse_path(str(path), defaults=True)
            parsed = self.parser.parse_args(list(overrides), namespace=from_file)
        except (ArgumentError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path}: {self._one_line(str(error))}") from error
        _require_values(parsed, self.config_class, path)
        sections = self.parser.instantiate(parsed)
        return self.config_class(**vars(sections))

    def _one_line(self, message: str) -> str:
        message = " ".join(message.split())
        if "Got value: False" in message or "Got value: True" in message:
            return message + "; write the words no, off, yes and on in quotes, as YAML reads them as false and true"
        unknown = _UNKNOWN_KEY.search(message)
        nearest = difflib.get_close_matches(unknown[1], list(_keys(self.config_class)), n=1, cutoff=0.5) if unknown else []
        return f"{message}; did you mean {nearest[0]}?" if nearest else message


def write_config(config: Any, path: Path) -> None:
    """Write a configuration as YAML for `ConfigParser.read`; raises `posekit.errors.OutputError` if writing fails."""
    text = yaml.safe_dump(asdict(config), sort_keys=False, allow_unicode=True)
    with atomic_write(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")


def changed_settings(before: Any, after: Any) -> dict[str, tuple]:
    """Map each dotted key that differs between two configurations to (before, after), except `FREE_SETTINGS`."""
    old = dict(_flatten(asdict(before)))
    new = dict(_flatten(asdict(after)))
    return {key: (old[key], new[key]) for key in old if key not in FREE_SETTINGS and old[key] != new[key]}


def free_options(config: Any) -> list[str]:
    """Return the values of `FREE_SETTINGS` in a configuration as command line options."""
    settings = dict(_flatten(asdict(config)))
    options = []
    for key in FREE_SETTINGS:
        options += [f"--{key}", str(settings[key])]
    return options


def _require_values(parsed: Namespace, config_class: type, path: str | Path, prefix: str = "") -> None:
    """Raise `ConfigError` for a key without a value, which YAML permits."""
    for field in fields(config_class):
        key = prefix + field.name
        value = getattr(parsed, field.name)
        if isinstance(field.type, type) and is_dataclass(field.type):
            if not isinstance(value, Namespace):
                raise ConfigError(f"{path}: {key}: expected a section with keys; add keys, or delete {key}")
            _require_values(value, field.type, path, f"{key}.")
        elif value is None:
            raise ConfigError(f"{path}: {key}: expected a value; add one, or delete {key}")


def _keys(config_class: type, prefix: str = "") -> Iterator[str]:
    """Yield every valid key of a configuration file, without and with the dotted prefix."""
    for field in fields(config_class):
        yield field.name
        yield prefix + field.name
        for part in (field.type, *get_args(field.type)):
            if isinstance(part, type) and is_dataclass(part):
                yield from _keys(part, f"{prefix}{field.name}.")


def _flatten(settings: Mapping, prefix: str = "") -> Iterator[tuple[str, object]]:
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value
