"""Labelled images for training classifiers."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from posekit.data.cifar import FORMS, SPLITS, read_cifar
from posekit.data.splits import parse_split, random_images
from posekit.errors import ConfigError, DataError
from posekit.images import read_image

KINDS = (*FORMS, "folder")
_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp"}
_FOLDERS = {"train": ("train",), "valid": ("valid", "val"), "test": ("test",)}


class ImageFiles(Sequence):
    """Image files that are read on access: ``files[i]`` is (H, W, 3) uint8, red, green, blue.

    Access raises `posekit.errors.ImageError` if the file cannot be read.

    Parameters
    ----------
    paths : (N,) str
    """

    def __init__(self, paths: np.ndarray):
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: Any) -> Any:
        """Read the image at an integer; return other `ImageFiles`, unread, for an array or a slice."""
        paths = self.paths[index]
        if isinstance(paths, np.ndarray):
            return ImageFiles(paths)
        return np.ascontiguousarray(read_image(paths)[..., ::-1])


@dataclass(frozen=True, eq=False)
class LabelledImages:
    """A data set for classification.

    Parameters
    ----------
    name, split : str
    images : (N, H, W, 3) uint8, or `ImageFiles`
        Red, green, blue.
    labels : (N,) int64
        Index into `classes`.
    classes : tuple of str
    """

    name: str
    split: str
    images: np.ndarray | ImageFiles
    labels: np.ndarray
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    def select(self, indices: np.ndarray, split: str) -> "LabelledImages":
        """Select images by integers (M,) or by a mask (N,), as another split."""
        return replace(self, split=split, images=self.images[indices], labels=self.labels[indices])


def open_images(kind: str, root: str | Path, split: str) -> LabelledImages:
    """Open labelled images; CIFAR is read at once, a folder's images on access.

    Parameters
    ----------
    kind : str
        ``cifar10``, ``cifar100`` (see `posekit.data.cifar.read_cifar`), or ``folder``: like ImageNet, ``root/SPLIT`` with a
        folder of images for every class; classes are in the order of their names.
    root : str or Path
    split : str
        ``train``, ``test``; for a folder also ``valid`` (or ``val``). ``random:FRACTION:SEED``, a share of the training images, and
        ``random-rest:FRACTION:SEED``, the other training images: the paper uses 5,000 of CIFAR's for validation, as
        ``random-rest:0.9:1`` does.

    Raises
    ------
    ConfigError
        If there is no such kind or split; the message lists the choices.
    DataError
        If files are missing or damaged, or a folder has no classes or a class no images.
    """
    if kind not in KINDS:
        raise ConfigError(f"no kind of images {kind!r}; choose from {', '.join(KINDS)}")
    wanted = parse_split(split)
    part = "train" if wanted.kind.startswith("random") else wanted.kind
    splits = tuple(_FOLDERS) if kind == "folder" else SPLITS
    if part not in splits:
        raise ConfigError(f"{kind}: no split {split!r}; choose from {', '.join(splits)} and random splits such as random:0.9:1")
    images = _open_folder(Path(root), part) if kind == "folder" else LabelledImages(kind, part, *read_cifar(kind, root, part))
    if part == wanted.kind:
        return images
    names = images.images.paths if isinstance(images.images, ImageFiles) else np.arange(len(images)).astype(str)
    drawn = random_images(names, wanted.fraction, wanted.seed)
    return images.select(drawn == (wanted.kind == "random"), split)


def _open_folder(root: Path, split: str) -> LabelledImages:
    folder = next((root / name for name in _FOLDERS[split] if (root / name).is_dir()), None)
    if folder is None:
        raise DataError(f"{root}: no folder {' or '.join(_FOLDERS[split])}; expected one, with a folder of images for every class")
    class_folders = [entry for entry in _visible_entries(folder) if entry.is_dir()]
    if not class_folders:
        raise DataError(f"{folder}: no class folders; expected a folder of images for every class")
    paths: list[str] = []
    labels: list[int] = []
    for label, class_folder in enumerate(class_folders):
        files = [str(file) for file in _visible_entries(class_folder) if file.suffix.lower() in _SUFFIXES]
        if not files:
            raise DataError(f"{class_folder}: no images ({', '.join(sorted(_SUFFIXES))}); add some, or remove the folder")
        paths += files
        labels += [label] * len(files)
    classes = tuple(class_folder.name for class_folder in class_folders)
    return LabelledImages("folder", split, ImageFiles(np.array(paths, dtype=str)), np.array(labels, np.int64), classes)


def _visible_entries(folder: Path) -> list[Path]:
    try:
        return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    except OSError as error:
        raise DataError(f"{folder}: cannot be read ({error.strerror})") from error
