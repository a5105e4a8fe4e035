"""Cache of ONNX exports in the user's cache folder. Entries are written atomically; a damaged entry counts as missing."""

import contextlib
import hashlib
import os
from pathlib import Path

from posekit.errors import OutputError
from posekit.files import atomic_write, writable_folder

_SUFFIX = ".onnx-form"
# Maximum number of entries; the least recently used entries are deleted first.
_KEPT = 20


def folder() -> Path:
    """Return the path of posekit's cache folder, which may not exist yet: ``posekit`` in ``XDG_CACHE_HOME`` or in ``~/.cache``.

    Raises
    ------
    OutputError
        If ``XDG_CACHE_HOME`` is not set to an absolute path and the user has no home folder.
    """
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    try:
        return (base if base.is_absolute() else Path.home() / ".cache") / "posekit"
    except RuntimeError as error:
        raise OutputError(f"no cache folder ({error}); set XDG_CACHE_HOME to a writable folder") from error


def require_writable() -> None:
    """Create the cache folder and check that it is writable, before work that takes long.

    Raises
    ------
    OutputError
        If the cache folder is not writable.
    """
    try:
        writable_folder(folder())
    except OutputError as error:
        reason = error.__cause__ and getattr(error.__cause__, "strerror", None)
        raise OutputError(f"{folder()}: cannot be written ({reason}); set XDG_CACHE_HOME to a writable folder") from error


def read(key: str) -> bytes | None:
    """Return the data stored under `key`; None if the entry is missing, damaged or cannot be read."""
    try:
        path = folder() / (key + _SUFFIX)
        entry = path.read_bytes()
    except (OSError, OutputError):
        return None
    digest = entry[:32]
    data = entry[32:]
    if hashlib.sha256(data).digest() != digest:
        return None
    with contextlib.suppress(OSError):  # only the file's owner can update its modification time
        path.touch()
    return data


def write(key: str, data: bytes) -> None:
    """Write an entry, then delete all entries except the `_KEPT` most recently used ones.

    Raises
    ------
    OutputError
        If the entry cannot be written; an existing entry with the same key is kept.
    """
    with atomic_write(folder() / (key + _SUFFIX)) as unfinished:
        unfinished.write_bytes(hashlib.sha256(data).digest() + data)
    with contextlib.suppress(OSError):  # another process may delete entries at the same time
        for path in sorted(folder().glob("*" + _SUFFIX), key=lambda path: path.stat().st_mtime)[:-_KEPT]:
            path.unlink()
