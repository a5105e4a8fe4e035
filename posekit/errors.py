"""Errors that a user can cause. Commands print them as one line, without a traceback."""

from typing import Any


class PosekitError(Exception):
    """Base of all errors that a user can cause; the message says what is wrong, where, and what to do."""

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
    """A person's box has no area or lies wholly outside the image."""


class WeightsError(PosekitError):
    """A weights file is damaged or unsuitable."""


class PredictionsError(PosekitError):
    """A prediction file does not match the people to score it on."""


class OutputError(PosekitError):
    """An output folder or file cannot be written."""


def require(condition: bool, key: str, value: Any, expected: str) -> None:
    """Raise `ConfigError` unless a condition on a setting holds; the message names key, expectation and value."""
    if not condition:
        raise ConfigError(f"{key}: expected {expected}, got {value!r}")


def choose(key: str, value: str, choices: tuple[str, ...]) -> None:
    """Raise `ConfigError` unless a setting is one of the choices."""
    require(value in choices, key, value, "one of " + ", ".join(choices))
