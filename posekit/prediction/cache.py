"""Files in the user's cache folder. An entry is there whole or not at all; a damaged one counts as missing."""

import contextlib
import hashlib
import os
from pathlib import Path

from posekit.errors import OutputError
from posekit.files import atomic_write, writable_folder

_SUFFIX = ".onnx-form"
# Entries kept; the least recently used are deleted first.
_KEPT = 20


def folder() -> Path:
    """Return posekit's folder in ``XDG_CACHE_HOME``, by default ``~/.cache``. It may not exist yet.

    Raises
    ------
    OutputError
        If the variable is not set and the user has no home folder.
    """
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    try:
        return (base if base.is_absolute() else Path.home() / ".cache") / "posekit"
    except RuntimeError as error:
        raise OutputError(f"no cache folder ({error}); set XDG_CACHE_HOME to a folder that can be written") from error


def require_writable() -> None:
    """Make the folder and check, before long work, that files can be written into it.

    Raises
    ------
    OutputError
        If they cannot.
    """
    try:
        writable_folder(folder())
    except OutputError as error:
        reason = error.__cause__ and getattr(error.__cause__, "strerror", None)
        raise OutputError(f"{folder()}: cannot be written ({reason}); set XDG_CACHE_HOME to a folder that can") from error


def read(key: str) -> bytes | None:
    """Return the entry of that key; None if it is missing, damaged or cannot be read."""
    try:
        path = folder() / (key + _SUFFIX)
        entry = path.read_bytes()
    except (OSError, OutputError):
        return None
    digest = entry[:32]
    data = entry[32:]
    if hashlib.sha256(data).digest() != digest:
        return None
    with contextlib.suppress(OSError):  # only the file's owner can set its time
        path.touch()
    return data


def write(key: str, data: bytes) -> None:
    """Write an entry, then delete all but the `_KEPT` most recently used ones.

    Raises
    ------
    OutputError
        If it cannot be written; an earlier entry of that key is kept.
    """
    with atomic_write(folder() / (key + _SUFFIX)) as unfinished:
        unfinished.write_bytes(hashlib.sha256(data).digest() + data)
    with contextlib.suppress(OSError):  # another process may delete entries at the same time
        for path in sorted(folder().glob("*" + _SUFFIX), key=lambda path: path.stat().st_mtime)[:-_KEPT]:
            path.unlink()
