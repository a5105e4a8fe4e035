"""CIFAR-10 and CIFAR-100 in their official binary and python forms, and CIFAR-10 as JPEG files in one HDF5 file.

Source: Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009. The python form is pickled: its opcodes are
read, but of what they name nothing is called but stand-ins for the three names of an array.
"""

import io
import pickle
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from posekit.errors import DataError
from posekit.images import decode_image

SPLITS = ("train", "test")
_SIDE = 32
_BYTES = 3 * _SIDE**2
# What a damaged file can make of the reading of a pickle, as the module pickle says, and of the parts of an array.
_DAMAGE = (
    pickle.UnpicklingError,
    EOFError,
    ImportError,
    AttributeError,
    LookupError,
    ValueError,
    TypeError,
    OverflowError,
    MemoryError,
)

Labelled = tuple[np.ndarray, np.ndarray, tuple[str, ...]]


@dataclass(frozen=True)
class Form:
    """Where the official forms of a CIFAR keep what.

    Parameters
    ----------
    binary, python : str
        Folders that the official archives unpack to.
    files : dict of str to tuple of str
        Files of each split; those of the binary form end in ``.bin``.
    names : str
        File of the classes' names in the binary form.
    meta, meta_key : str
        File of the classes' names in the python form, and what they are called in it.
    labels : str
        What the labels are called in the python form.
    label_bytes : int
        Bytes before each image in the binary form; the last is the label.
    """

    binary: str
    python: str
    files: dict[str, tuple[str, ...]]
    names: str
    meta: str
    meta_key: str
    labels: str
    label_bytes: int


FORMS = {
    "cifar10": Form(
        binary="cifar-10-batches-bin",
        python="cifar-10-batches-py",
        files={"train": tuple(f"data_batch_{number}" for number in range(1, 6)), "test": ("test_batch",)},
        names="batches.meta.txt",
        meta="batches.meta",
        meta_key="label_names",
        labels="labels",
        label_bytes=1,
    ),
    "cifar100": Form(
        binary="cifar-100-binary",
        python="cifar-100-python",
        files={"train": ("train",), "test": ("test",)},
        names="fine_label_names.txt",
        meta="meta",
        meta_key="fine_label_names",
        labels="fine_labels",
        label_bytes=2,
    ),
}


def read_cifar(kind: str, root: str | Path, split: str) -> Labelled:
    """Read a split, in the form that is there: binary, python or HDF5.

    Parameters
    ----------
    kind : {"cifar10", "cifar100"}
        Of CIFAR-100 the 100 fine classes.
    root : str or Path
        The unpacked folder, the folder that holds it, or an HDF5 file of JPEG files. That has groups ``train`` and ``test`` with
        ``jpeg`` (bytes, uint8), ``offset`` (N + 1, where each begins) and ``label``, and the attribute ``classes``.
    split : {"train", "test"}

    Returns
    -------
    images : (N, 32, 32, 3) uint8
        Red, green, blue.
    labels : (N,) int64
    classes : tuple of str

    Raises
    ------
    DataError
        If no form is there, or a file is missing or damaged.
    """
    form, root = FORMS[kind], Path(root)
    if root.is_file():
        return _checked(*_read_hdf5(root, split), root)
    binary, python = ([root, root / name] for name in (form.binary, form.python))
    for folder in binary:
        if (folder / form.names).is_file():
            return _checked(*_read_binary(folder, form, split), folder)
    for folder in python:
        if (folder / form.meta).is_file():
            return _checked(*_read_python(folder, form, split), folder)
    raise DataError(
        f"{root}: neither {form.names} (binary form) nor {form.meta} (python form) is here or in {form.binary} or {form.python}; "
        f"give the unpacked folder of {kind}, or an HDF5 file"
    )


def _checked(images: np.ndarray, labels: np.ndarray, classes: tuple[str, ...], source: Path) -> Labelled:
    if not len(images):
        raise DataError(f"{source}: holds no image; unpack the archive anew")
    if labels.min() < 0 or labels.max() >= len(classes):
        raise DataError(
            f"{source}: labels from {labels.min()} to {labels.max()} with {len(classes)} classes; damaged, unpack it anew"
        )
    return images, labels, classes


def _planes(data: np.ndarray) -> np.ndarray:
    """(N, 3072), a plane of each colour, to (N, 32, 32, 3)."""
    return np.ascontiguousarray(data.reshape(-1, 3, _SIDE, _SIDE).transpose(0, 2, 3, 1))


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; unpack the whole archive") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error


def _read_binary(folder: Path, form: Form, split: str) -> Labelled:
    batches = [_read_records(folder / f"{name}.bin", form.label_bytes) for name in form.files[split]]
    records = np.concatenate(batches)
    labels = records[:, form.label_bytes - 1].astype(np.int64)
    classes = tuple(_read_bytes(folder / form.names).decode("utf-8", "replace").split())
    return _planes(records[:, form.label_bytes :]), labels, classes


def _read_records(path: Path, label_bytes: int) -> np.ndarray:
    data, size = np.frombuffer(_read_bytes(path), np.uint8), label_bytes + _BYTES
    if len(data) % size:
        raise DataError(f"{path}: {len(data)} bytes are not whole images of {size} each; truncated or damaged, unpack it anew")
    return data.reshape(-1, size)


def _read_python(folder: Path, form: Form, split: str) -> Labelled:
    batches = [_read_batch(folder / name, form.labels) for name in form.files[split]]
    images, labels = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    path = folder / form.meta
    names = _entry(_read_pickle(path), form.meta_key, path)
    if not isinstance(names, list) or not all(isinstance(name, bytes) for name in names):
        raise DataError(f"{path}: {form.meta_key} is no list of names; damaged, unpack it anew")
    return _planes(images), labels, tuple(name.decode("utf-8", "replace") for name in names)


def _read_batch(path: Path, key: str) -> tuple[np.ndarray, np.ndarray]:
    batch = _read_pickle(path)
    data, labels = _entry(batch, "data", path), _entry(batch, key, path)
    try:
        images = data.array()
        labels = np.array(labels, np.int64)
    except _DAMAGE as error:
        raise DataError(f"{path}: its images or labels cannot be used ({error}); damaged, unpack it anew") from error
    if images.shape[1:] != (_BYTES,) or labels.shape != images.shape[:1]:
        raise DataError(f"{path}: images {images.shape} and labels {labels.shape}, expected (N, {_BYTES}) and (N,); unpack it anew")
    return images, labels


def _entry(content: object, key: str, path: Path) -> object:
    if not isinstance(content, dict) or key.encode() not in content:
        raise DataError(f"{path}: holds no {key}; not a file of CIFAR's python form, or a damaged one")
    return content[key.encode()]


class _Named:
    """What stands in a pickle for one of an array's names, and keeps what it is given; nothing of numpy is called by it."""

    def __init__(self, *arguments):
        self.arguments, self.state = arguments, ()

    def __setstate__(self, state):
        self.state = state

    def array(self) -> np.ndarray:
        """The array of bytes that the state describes; version, shape, type, order, data. `ValueError` if it is another."""
        _, shape, kind, by_columns, data = self.state
        if kind.arguments[0] not in (b"u1", "u1"):
            raise ValueError("not an array of bytes")
        return np.frombuffer(data, np.uint8).reshape(shape, order="F" if by_columns else "C")


class _Reader(pickle.Unpickler):
    """Reads a pickle of nothing but numbers, strings, lists, dictionaries and arrays of numbers."""

    _MODULES = ("numpy", "numpy.core.multiarray", "numpy._core.multiarray")
    _NAMES = ("ndarray", "dtype", "_reconstruct")

    def find_class(self, module, name):
        """Stand-ins for the names of an array; `pickle.UnpicklingError` for any other."""
        if module in self._MODULES and name in self._NAMES:
            return _Named
        raise pickle.UnpicklingError(f"it names {module!r} {name!r}, which CIFAR's files do not")


def _read_pickle(path: Path) -> object:
    try:
        return _Reader(io.BytesIO(_read_bytes(path)), encoding="bytes").load()
    except _DAMAGE as error:
        reason = " ".join(str(error).split())  # pickle's own messages may have several lines
        raise DataError(f"{path}: not a file of CIFAR's python form, or a damaged one ({reason}); nothing was executed") from error


def _read_hdf5(path: Path, split: str) -> Labelled:
    try:
        with h5py.File(path) as file:
            group = file[split]
            data, offsets, labels = (group[name][()] for name in ("jpeg", "offset", "label"))
            classes = tuple(np.asarray(file.attrs["classes"]).astype(str).tolist())
    except (OSError, KeyError, RuntimeError, TypeError, ValueError, AttributeError) as error:  # what h5py raises for damaged files
        raise DataError(f"{path}: not a file with {split}/jpeg, offset, label and classes that can be read ({error})") from error
    if len(offsets) != len(labels) + 1 or offsets[0] != 0 or offsets[-1] != len(data) or (np.diff(offsets) < 0).any():
        raise DataError(
            f"{path}: {len(labels)} labels of {split} do not fit {len(offsets)} offsets into {len(data)} bytes; damaged"
        )
    images = np.empty((len(labels), _SIDE, _SIDE, 3), np.uint8)
    for number, (start, end) in enumerate(zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)):
        image = decode_image(data[start:end], f"{path}: {split} {number}")
        if image.shape != images.shape[1:]:
            raise DataError(f"{path}: {split} {number} is {image.shape[1]}x{image.shape[0]} pixels, expected {_SIDE}x{_SIDE}")
        images[number] = image[..., ::-1]
    return images, labels.astype(np.int64), classes
