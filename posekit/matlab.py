"""MATLAB files (version 5 to 7.2), read without running or unpickling anything."""

import zlib
from pathlib import Path

import numpy as np
from scipy.io import loadmat, whosmat
from scipy.io.matlab import MatReadError

from posekit.errors import DataError

# What scipy raises on damaged files.
_UNREADABLE = (
    OSError,
    EOFError,
    ValueError,
    TypeError,
    LookupError,
    UnboundLocalError,
    NotImplementedError,
    MatReadError,
    zlib.error,
)


def variable_names(path: Path) -> set[str]:
    """Names of the variables in a MATLAB file.

    Raises
    ------
    DataError
        If the file cannot be read.
    """
    try:
        return {name for name, *_ in whosmat(path, appendmat=False)}
    except _UNREADABLE as error:
        raise DataError(f"{path}: not a MATLAB file that can be read ({error!r}); fetch or save it again") from error


def load_variables(path: Path, *names: str) -> dict[str, np.ndarray]:
    """Variables of a MATLAB file (version 5 to 7.2).

    Raises
    ------
    DataError
        If the file cannot be read or lacks a variable; the message lists those it has.
    """
    found = variable_names(path)
    missing = [name for name in names if name not in found]
    if missing:
        raise DataError(f"{path}: no variable {missing[0]} among {', '.join(sorted(found)) or 'none'}; is it the right file?")
    try:
        return loadmat(path, appendmat=False, variable_names=names)
    except _UNREADABLE as error:
        raise DataError(f"{path}: not a MATLAB file that can be read ({error!r}); fetch or save it again") from error
