"""Read MATLAB files (versions 5 to 7.2) without executing any of their content."""

import zlib
from pathlib import Path
from typing import Any

import numpy as np

from posekit.errors import DataError

# Errors that scipy raises for damaged files, in addition to scipy's MatReadError.
_DAMAGE = (OSError, EOFError, ValueError, TypeError, LookupError, UnboundLocalError, NotImplementedError, zlib.error)


def variable_names(path: Path) -> set[str]:
    """Return the names of the variables in a MATLAB file; raise `DataError` if the file cannot be read."""
    return {name for name, *_ in _call_scipy("whosmat", path)}


def load_variables(path: Path, *names: str) -> dict[str, np.ndarray]:
    """Read variables of a MATLAB file.

    Raises
    ------
    DataError
        If the file cannot be read or lacks a variable; the message lists the variables in the file.
    """
    available = variable_names(path)
    for name in names:
        if name not in available:
            listed = ", ".join(sorted(available)) or "none"
            raise DataError(f"{path}: variable {name} not found; variables in the file: {listed}; give another file")
    return _call_scipy("loadmat", path, variable_names=names)


def _call_scipy(function: str, path: Path, **options: Any) -> Any:
    import scipy.io  # imported here, because the slow import would delay --help

    try:
        return getattr(scipy.io, function)(path, appendmat=False, **options)
    except (*_DAMAGE, scipy.io.matlab.MatReadError) as error:
        raise DataError(f"{path}: not a readable MATLAB file ({error!r}); download it again, or save it as version 7.2") from error
