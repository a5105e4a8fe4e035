"""Load CIFAR-10 and CIFAR-100 from the official binary or python version, or from an HDF5 file of JPEG images.

Source: Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009. The python version consists of pickles,
which are parsed without calling any function that is named in a pickle: the three numpy names needed for an array are replaced by
placeholders, and all other names are rejected.
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
# Exceptions that pickle (according to the documentation of pickle) and numpy raise for damaged files.
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
class _Form:
    """File names and keys of the official archives of one data set: the binary version and the python version."""

    binary: str  # top-level folder in the binary archive
    python: str  # top-level folder in the python archive
    files: dict[str, tuple[str, ...]]  # file names per split; the binary version adds the extension .bin
    names: str  # file with the class names in the binary version
    meta: str  # file with the class names in the python version
    meta_key: str  # key of the class names in the python version
    labels: str  # key of the labels in the python version
    label_bytes: int  # number of bytes before each image in the binary version; the last of these bytes is the label


FORMS = {
    "cifar10": _Form(
        binary="cifar-10-batches-bin",
        python="cifar-10-batches-py",
        files={"train": tuple(f"data_batch_{number}" for number in range(1, 6)), "test": ("test_batch",)},
        names="batches.meta.txt",
        meta="batches.meta",
        meta_key="label_names",
        labels="labels",
        label_bytes=1,
    ),
    "cifar100": _Form(
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
    """Load a split of CIFAR from the binary version, the python version or an HDF5 file, depending on what `root` contains.

    Parameters
    ----------
    kind : {"cifar10", "cifar100"}
        CIFAR-100 is loaded with its 100 fine classes.
    root : str or Path
        The folder with the unpacked files, its parent folder, or an HDF5 file. The HDF5 file has the groups ``train`` and ``test``
        with ``jpeg`` ((bytes,) uint8, all JPEG files concatenated), ``offset`` ((N + 1,), the start of each JPEG file and
        the end of the last one) and ``label`` (N,), and the attribute ``classes``.
    split : {"train", "test"}

    Returns
    -------
    images : (N, 32, 32, 3) uint8, RGB.
    labels : (N,) int64, indices into `classes`.
    classes : tuple of str

    Raises
    ------
    DataError
        If `root` contains neither version, or a file is missing or damaged.
    """
    images, labels, classes = _read_any(kind, Path(root), split)
    if not len(images):
        raise DataError(f"{root}: contains no images; unpack the archive again")
    if labels.min() < 0 or labels.max() >= len(classes):
        raise DataError(
            f"{root}: labels from {labels.min()} to {labels.max()}, but only {len(classes)} classes; unpack the archive again"
        )
    return images, labels, classes


def _read_any(kind: str, root: Path, split: str) -> Labelled:
    form = FORMS[kind]
    if root.is_file():
        return _read_hdf5(root, split)
    for folder in (root, root / form.binary):
        if (folder / form.names).is_file():
            return _read_binary(folder, form, split)
    for folder in (root, root / form.python):
        if (folder / form.meta).is_file():
            return _read_python(folder, form, split)
    raise DataError(
        f"{root}: found neither {form.names} (binary version) nor {form.meta} (python version) in this folder, {form.binary}/ or "
        f"{form.python}/; give the folder of the unpacked {kind} archive, or an HDF5 file"
    )


def _to_images(data: np.ndarray) -> np.ndarray:
    """Convert images (N, 3072), stored channel by channel, to (N, 32, 32, 3)."""
    return np.ascontiguousarray(data.reshape(-1, 3, _SIDE, _SIDE).transpose(0, 2, 3, 1))


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; unpack the whole archive") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error


def _read_binary(folder: Path, form: _Form, split: str) -> Labelled:
    records = np.concatenate([_read_records(folder / f"{name}.bin", form.label_bytes) for name in form.files[split]])
    labels = records[:, form.label_bytes - 1].astype(np.int64)
    classes = tuple(_read_bytes(folder / form.names).decode("utf-8", "replace").split())
    return _to_images(records[:, form.label_bytes :]), labels, classes


def _read_records(path: Path, label_bytes: int) -> np.ndarray:
    data = np.frombuffer(_read_bytes(path), np.uint8)
    size = label_bytes + _BYTES
    if len(data) % size:
        raise DataError(f"{path}: size of {len(data)} bytes is not a multiple of {size} (one image); unpack the archive again")
    return data.reshape(-1, size)


def _read_python(folder: Path, form: _Form, split: str) -> Labelled:
    batches = [_read_batch(folder / name, form.labels) for name in form.files[split]]
    images = np.concatenate([batch_images for batch_images, _ in batches])
    labels = np.concatenate([batch_labels for _, batch_labels in batches])
    path = folder / form.meta
    names = _entry(_read_pickle(path), form.meta_key, path)
    if not isinstance(names, list) or not all(isinstance(name, bytes) for name in names):
        raise DataError(f"{path}: {form.meta_key} is not a list of names; unpack the archive again")
    return _to_images(images), labels, tuple(name.decode("utf-8", "replace") for name in names)


def _read_batch(path: Path, key: str) -> tuple[np.ndarray, np.ndarray]:
    batch = _read_pickle(path)
    data = _entry(batch, "data", path)
    labels = _entry(batch, key, path)
    try:
        images = data.array()
        labels = np.array(labels, np.int64)
    except _DAMAGE as error:
        raise DataError(f"{path}: the images or labels are damaged ({error}); unpack the archive again") from error
    if images.shape[1:] != (_BYTES,) or labels.shape != images.shape[:1]:
        raise DataError(
            f"{path}: expected images (N, {_BYTES}) and labels (N,), got {images.shape}, {labels.shape}; unpack the archive again"
        )
    return images, labels


def _entry(content: Any, key: str, path: Path) -> Any:
    if not isinstance(content, dict) or key.encode() not in content:
        raise DataError(f"{path}: the key {key} is missing; the file is damaged, or not from the python version of CIFAR")
    return content[key.encode()]


class _Placeholder:
    """Replaces the numpy functions and classes named in a pickle; stores the arguments and state without calling numpy."""

    def __init__(self, *arguments: Any):
        self.arguments = arguments
        self.state: Any = ()

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def array(self) -> np.ndarray:
        """Return the stored uint8 array; raise `ValueError` if the array has another dtype."""
        _, shape, dtype, is_fortran_order, data = self.state
        if dtype.arguments[0] not in (b"u1", "u1"):
            raise ValueError("not an array of bytes")
        return np.frombuffer(data, np.uint8).reshape(shape, order="F" if is_fortran_order else "C")


class _Unpickler(pickle.Unpickler):
    """Unpickler for numbers, strings, lists, dictionaries and numeric arrays only."""

    def find_class(self, module: str, name: str) -> Any:
        """Return a placeholder for a name needed to build an array; raise `pickle.UnpicklingError` for any other name."""
        is_numpy = module in ("numpy", "numpy.core.multiarray", "numpy._core.multiarray")
        if is_numpy and name in ("ndarray", "dtype", "_reconstruct"):
            return _Placeholder
        raise pickle.UnpicklingError(f"the pickle refers to {module!r} {name!r}, which no original CIFAR file contains")


def _read_pickle(path: Path) -> Any:
    try:
        return _Unpickler(io.BytesIO(_read_bytes(path)), encoding="bytes").load()
    except _DAMAGE as error:
        reason = " ".join(str(error).split())  # pickle's own messages may have several lines
        raise DataError(
            f"{path}: the file is damaged, or not from the python version of CIFAR ({reason}); no code in the file was run"
        ) from error


def _read_hdf5(path: Path, split: str) -> Labelled:
    try:
        with h5py.File(path) as file:
            group = file[split]
            data = group["jpeg"][()]
            offsets = group["offset"][()]
            labels = group["label"][()]
            classes = tuple(np.asarray(file.attrs["classes"]).astype(str).tolist())
    except (OSError, KeyError, RuntimeError, TypeError, ValueError, AttributeError) as error:  # raised by h5py for damaged files
        raise DataError(
            f"{path}: not a readable HDF5 file with {split}/jpeg, {split}/offset, {split}/label and attribute classes ({error})"
        ) from error
    if len(offsets) != len(labels) + 1 or offsets[0] != 0 or offsets[-1] != len(data) or (np.diff(offsets) < 0).any():
        raise DataError(
            f"{path}: {split}: {len(labels)} labels, {len(offsets)} offsets and {len(data)} JPEG bytes do not fit together; "
            "the file is damaged"
        )
    images = np.empty((len(labels), _SIDE, _SIDE, 3), np.uint8)
    for i, (start, end) in enumerate(itertools.pairwise(offsets.tolist())):
        image = decode_image(data[start:end], f"{path}: {split} {i}")
        if image.shape != images.shape[1:]:
            raise DataError(f"{path}: {split} {i} is {image.shape[1]}x{image.shape[0]} pixels, expected {_SIDE}x{_SIDE}")
        images[i] = image[..., ::-1]
    return images, labels.astype(np.int64), classes
