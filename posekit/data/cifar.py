"""CIFAR-10 and CIFAR-100 in their official binary and python forms, and CIFAR-10 as JPEG files in one HDF5 file.

Source: Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009. The python form is pickled. Its opcodes are
interpreted, but nothing that they name is called: the three names of an array are replaced by placeholders, others are refused.
"""

import io
import itertools
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from posekit.errors import DataError
from posekit.images import decode_image

SPLITS = ("train", "test")
_SIDE = 32
_BYTES = 3 * _SIDE**2
# Raised for a damaged pickle, according to the documentation of pickle, and for damaged parts of an array.
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
    """Files and keys of the official forms.

    Parameters
    ----------
    binary, python : str
        Folders in the official archives.
    files : dict of str to tuple of str
        Files of each split; in the binary form they end in ``.bin``.
    names : str
        File of the class names in the binary form.
    meta, meta_key : str
        File of the class names in the python form, and their key in it.
    labels : str
        Key of the labels in the python form.
    label_bytes : int
        Bytes before each image in the binary form; the last one is the label.
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
    """Read a split, in whichever form is present: binary, python or HDF5.

    Parameters
    ----------
    kind : {"cifar10", "cifar100"}
        CIFAR-100 has the 100 fine classes.
    root : str or Path
        The unpacked folder, the folder around it, or an HDF5 file of JPEG files: groups ``train`` and ``test`` with
        ``jpeg`` (bytes, uint8), ``offset`` (N + 1, start of each file) and ``label``, and the attribute ``classes``.
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
        If no form is present, or a file is missing or damaged.
    """
    form = FORMS[kind]
    root = Path(root)
    if root.is_file():
        return _require_labels(_read_hdf5(root, split), root)
    for folder in (root, root / form.binary):
        if (folder / form.names).is_file():
            return _require_labels(_read_binary(folder, form, split), folder)
    for folder in (root, root / form.python):
        if (folder / form.meta).is_file():
            return _require_labels(_read_python(folder, form, split), folder)
    raise DataError(
        f"{root}: neither {form.names} (binary form) nor {form.meta} (python form) in it or its {form.binary} or {form.python}; "
        f"give the unpacked folder of {kind}, or an HDF5 file"
    )


def _require_labels(content: Labelled, source: Path) -> Labelled:
    images, labels, classes = content
    if not len(images):
        raise DataError(f"{source}: holds no images; unpack the archive again")
    if labels.min() < 0 or labels.max() >= len(classes):
        raise DataError(
            f"{source}: labels from {labels.min()} to {labels.max()} with {len(classes)} classes; damaged, unpack it again"
        )
    return content


def _to_images(data: np.ndarray) -> np.ndarray:
    """Rearrange (N, 3072), one plane per colour, to (N, 32, 32, 3)."""
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
    return _to_images(records[:, form.label_bytes :]), labels, classes


def _read_records(path: Path, label_bytes: int) -> np.ndarray:
    data = np.frombuffer(_read_bytes(path), np.uint8)
    size = label_bytes + _BYTES
    if len(data) % size:
        raise DataError(f"{path}: {len(data)} bytes are no multiple of an image's {size}; truncated or damaged, unpack it again")
    return data.reshape(-1, size)


def _read_python(folder: Path, form: Form, split: str) -> Labelled:
    batches = [_read_batch(folder / name, form.labels) for name in form.files[split]]
    images = np.concatenate([batch_images for batch_images, _ in batches])
    labels = np.concatenate([batch_labels for _, batch_labels in batches])
    path = folder / form.meta
    names = _entry(_read_pickle(path), form.meta_key, path)
    if not isinstance(names, list) or not all(isinstance(name, bytes) for name in names):
        raise DataError(f"{path}: {form.meta_key} is not a list of names; damaged, unpack it again")
    return _to_images(images), labels, tuple(name.decode("utf-8", "replace") for name in names)


def _read_batch(path: Path, key: str) -> tuple[np.ndarray, np.ndarray]:
    batch = _read_pickle(path)
    data = _entry(batch, "data", path)
    labels = _entry(batch, key, path)
    try:
        images = data.array()
        labels = np.array(labels, np.int64)
    except _DAMAGE as error:
        raise DataError(f"{path}: its images or labels are damaged ({error}); unpack it again") from error
    if images.shape[1:] != (_BYTES,) or labels.shape != images.shape[:1]:
        raise DataError(f"{path}: images {images.shape}, labels {labels.shape}, expected (N, {_BYTES}) and (N,); unpack it again")
    return images, labels


def _entry(content: Any, key: str, path: Path) -> Any:
    if not isinstance(content, dict) or key.encode() not in content:
        raise DataError(f"{path}: no {key} in it; damaged, or not a file of CIFAR's python form")
    return content[key.encode()]


class _Placeholder:
    """Stands for numpy's names in a pickle and stores their arguments and state; nothing of numpy is called."""

    def __init__(self, *arguments: Any):
        self.arguments = arguments
        self.state: Any = ()

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def array(self) -> np.ndarray:
        """Return the array of bytes in the state; raise `ValueError` if it has another dtype."""
        _, shape, dtype, is_fortran_order, data = self.state
        if dtype.arguments[0] not in (b"u1", "u1"):
            raise ValueError("not an array of bytes")
        return np.frombuffer(data, np.uint8).reshape(shape, order="F" if is_fortran_order else "C")


class _Unpickler(pickle.Unpickler):
    """Reads pickles of numbers, strings, lists, dictionaries and arrays of numbers, and no others."""

    _MODULES = ("numpy", "numpy.core.multiarray", "numpy._core.multiarray")
    _NAMES = ("ndarray", "dtype", "_reconstruct")

    def find_class(self, module: str, name: str) -> Any:
        """Return a placeholder for the names of an array; raise `pickle.UnpicklingError` for any other."""
        if module in self._MODULES and name in self._NAMES:
            return _Placeholder
        raise pickle.UnpicklingError(f"it names {module!r} {name!r}, which CIFAR's files do not contain")


def _read_pickle(path: Path) -> Any:
    try:
        return _Unpickler(io.BytesIO(_read_bytes(path)), encoding="bytes").load()
    except _DAMAGE as error:
        reason = " ".join(str(error).split())  # pickle's own messages may have several lines
        raise DataError(f"{path}: damaged, or not a file of CIFAR's python form ({reason}); nothing was executed") from error


def _read_hdf5(path: Path, split: str) -> Labelled:
    try:
        with h5py.File(path) as file:
            group = file[split]
            data = group["jpeg"][()]
            offsets = group["offset"][()]
            labels = group["label"][()]
            classes = tuple(np.asarray(file.attrs["classes"]).astype(str).tolist())
    except (OSError, KeyError, RuntimeError, TypeError, ValueError, AttributeError) as error:  # raised by h5py for damaged files
        raise DataError(f"{path}: not a readable file with {split}/jpeg, offset, label and classes ({error})") from error
    if len(offsets) != len(labels) + 1 or offsets[0] != 0 or offsets[-1] != len(data) or (np.diff(offsets) < 0).any():
        raise DataError(
            f"{path}: {len(labels)} labels of {split} do not fit {len(offsets)} offsets into {len(data)} bytes; damaged"
        )
    images = np.empty((len(labels), _SIDE, _SIDE, 3), np.uint8)
    for i, (start, end) in enumerate(itertools.pairwise(offsets.tolist())):
        image = decode_image(data[start:end], f"{path}: {split} {i}")
        if image.shape != images.shape[1:]:
            raise DataError(f"{path}: {split} {i} is {image.shape[1]}x{image.shape[0]} pixels, expected {_SIDE}x{_SIDE}")
        images[i] = image[..., ::-1]
    return images, labels.astype(np.int64), classes
