"""Errors that a user can cause, and checks of arguments. Commands print an error as one line, without a traceback."""

from functools import cache
from typing import Any


class PosekitError(Exception):
    """Base class of all errors that a user can cause; the message states what is wrong, where, and how to correct it."""

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
    """A prediction file cannot be read or does not match the annotated people."""


class OutputError(PosekitError):
    """An output folder or file cannot be written."""


def require(condition: bool, key: str, value: Any, expected: str) -> None:
    """Raise `ConfigError` unless `condition` is true; the message names the key, the expected values and the given value."""
    if not condition:
        raise ConfigError(f"{key}: expected {expected}, got {value!r}")


def choose(key: str, value: str, choices: tuple[str, ...]) -> None:
    """Raise `ConfigError` unless the value of the setting `key` is one of the choices."""
    require(value in choices, key, value, "one of " + ", ".join(choices))


def require_array(name: str, array: Any, shape: tuple, dtype: str = "") -> None:
    """Raise `ValueError` unless an array has the given shape and dtype.

    Parameters
    ----------
    name : str
        Name of the array in the error message.
    array : numpy.ndarray or torch.Tensor
    shape : tuple of int or str
        Expected shape. A letter stands for any size; the same letter always stands for the same size.
    dtype : str
        Expected dtype name or a prefix of the name, e.g. "float32" or "float"; by default, any dtype.
    """
    actual = tuple(array.shape)
    expected = tuple(shape)
    if len(actual) == len(shape):
        sizes = dict(zip(shape, actual, strict=True))
        expected = tuple(sizes[size] if isinstance(size, str) else size for size in shape)
    if actual != expected:
        raise ValueError(f"{name}: expected {str(shape).replace(chr(39), '')}, got {actual}")
    actual_dtype = _dtype_name(array.dtype)
    if not actual_dtype.startswith(dtype):
        raise ValueError(f"{name}: expected {dtype}, got {actual_dtype}")


@cache  # str(dtype) is slow in numpy, and the arrays of every crop are checked
def _dtype_name(dtype) -> str:
    return str(dtype).removeprefix("torch.")
