"""What is made once and kept in the user's cache folder: entries are there whole or not at all, and damaged ones are not there."""

import contextlib
import hashlib
import os
from pathlib import Path

from posekit.errors import OutputError
from posekit.files import atomic_write, writable_folder

_SUFFIX = ".onnx-form"
# Entries kept; the longest unused go first.
_KEPT = 20


def folder() -> Path:
    """posekit's folder in ``XDG_CACHE_HOME``, by default ``~/.cache``; it need not be there yet.

    Raises
    ------
    OutputError
        If the variable is not set and the user has no home.
    """
    chosen = Path(os.environ.get("XDG_CACHE_HOME", ""))
    try:
        return (chosen if chosen.is_absolute() else Path.home() / ".cache") / "posekit"
    except RuntimeError as error:
        raise OutputError(f"no cache folder ({error}); set XDG_CACHE_HOME to a folder that can be written") from error


def require_writable() -> None:
    """Make the folder, and see before long work that files can be written into it.

    Raises
    ------
    OutputError
        If not.
    """
    try:
        writable_folder(folder())
    except OutputError as error:
        reason = error.__cause__ and getattr(error.__cause__, "strerror", None)
        raise OutputError(f"{folder()}: cannot be written ({reason}); set XDG_CACHE_HOME to a folder that can") from error


def read(key: str) -> bytes | None:
    """The entry of that key; None if there is none, or it is damaged or cannot be read."""
    try:
        path = folder() / (key + _SUFFIX)
        entry = path.read_bytes()
    except (OSError, OutputError):
        return None
    digest, data = entry[:32], entry[32:]
    if hashlib.sha256(data).digest() != digest:
        return None
    with contextlib.suppress(OSError):  # of somebody else's, the time cannot be set
        path.touch()
    return data


def write(key: str, data: bytes) -> None:
    """Keep an entry, and of all entries only the `_KEPT` last used.

    Raises
    ------
    OutputError
        If it cannot be written; the entry that was there before is kept.
    """
    with atomic_write(folder() / (key + _SUFFIX)) as unfinished:
        unfinished.write_bytes(hashlib.sha256(data).digest() + data)
    with contextlib.suppress(OSError):  # another process may clear away at the same time
        for path in sorted(folder().glob("*" + _SUFFIX), key=lambda path: path.stat().st_mtime)[:-_KEPT]:
            path.unlink()
