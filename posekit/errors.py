"""Errors that a user can cause. Commands print them as one line, without a traceback."""


class PosekitError(Exception):
    """Base of every error a user can cause; the message says what is wrong, where, and what to do."""

    exit_status = 1
    label = "error"


class ConfigError(PosekitError):
    """The command line or the configuration is wrong."""

    exit_status = 2


class DataError(PosekitError):
    """An annotation file or a data folder cannot be used as it is."""


class ImageError(DataError):
    """An image is missing, truncated or not an image."""


class BoxError(DataError):
    """A person's box has no area or lies wholly outside the picture."""


class WeightsError(PosekitError):
    """A weights file is damaged, or does not fit what it is asked to do."""


class PredictionsError(PosekitError):
    """A prediction file does not fit the people it is to be scored on."""


class OutputError(PosekitError):
    """An output folder or file cannot be written."""


def require(condition: bool, key: str, value, expected: str) -> None:
    """Raise a `ConfigError` that names the key, what it expects and what it got."""
    if not condition:
        raise ConfigError(f"{key}: expected {expected}, got {value!r}")


def choose(key: str, value: str, choices: tuple[str, ...]) -> None:
    """Require one of the choices."""
    require(value in choices, key, value, "one of " + ", ".join(choices))
