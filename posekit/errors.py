"""Errors that a user can cause. Commands print such an error as one line, without a traceback."""

from typing import Any


class PosekitError(Exception):
    """Base class of all errors that a user can cause; the message says what is wrong, where, and what to do."""

    exit_status = 1
    label = "error"


class ConfigError(PosekitError):
    """The command line or the configuration is invalid."""

    exit_status = 2


class DataError(PosekitError):
    """An annotation file or a data folder cannot be used."""


class ImageError(DataError):
    """An image is missing, truncated or not an image."""


class BoxError(DataError):
    """The box of a person has no area or lies completely outside the image."""


class WeightsError(PosekitError):
    """A weights file is damaged or does not fit the model."""


class PredictionsError(PosekitError):
    """A prediction file does not match the annotated people that it is scored against."""


class OutputError(PosekitError):
    """An output folder or file cannot be written."""


def require(condition: bool, key: str, value: Any, expected: str) -> None:
    """Raise `ConfigError` unless `condition` is true; the message names the key, the expected values and the given value."""
    if not condition:
        raise ConfigError(f"{key}: expected {expected}, got {value!r}")


def choose(key: str, value: str, choices: tuple[str, ...]) -> None:
    """Raise `ConfigError` unless the value of the setting `key` is one of the choices."""
    require(value in choices, key, value, "one of " + ", ".join(choices))
