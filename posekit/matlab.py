"""Read MATLAB files (version 5 to 7.2); nothing in them is executed."""

import zlib
from pathlib import Path

import numpy as np
from scipy.io import loadmat, whosmat
from scipy.io.matlab import MatReadError

from posekit.errors import DataError

# Raised by scipy for damaged files.
_DAMAGE = (
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
    """Return the names of the variables in a MATLAB file.

    Raises
    ------
    DataError
        If the file cannot be read.
    """
    try:
        return {name for name, *_ in whosmat(path, appendmat=False)}
    except _DAMAGE as error:
        raise DataError(f"{path}: not a readable MATLAB file ({error!r}); download or save it again") from error


def load_variables(path: Path, *names: str) -> dict[str, np.ndarray]:
    """Read variables of a MATLAB file.

    Raises
    ------
    DataError
        If the file cannot be read or lacks a variable; the message lists its variables.
    """
    available = variable_names(path)
    for name in names:
        if name not in available:
            listed = ", ".join(sorted(available)) or "none"
            raise DataError(f"{path}: no variable {name} in it; it has {listed}; is it the right file?")
    try:
        return loadmat(path, appendmat=False, variable_names=names)
    except _DAMAGE as error:
        raise DataError(f"{path}: not a readable MATLAB file ({error!r}); download or save it again") from error
