"""Images with class labels, for training classifiers."""

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
    """Sequence of images that are loaded on access from the `paths` (N,): ``files[i]`` is (H, W, 3) uint8, RGB.

    ``files[i]`` raises `posekit.errors.ImageError` if the file cannot be read.
    """

    def __init__(self, paths: np.ndarray):
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: Any) -> Any:
        """Load the image at an integer index; for a slice or an index array return `ImageFiles` without loading."""
        paths = self.paths[index]
        if isinstance(paths, np.ndarray):
            return ImageFiles(paths)
        return np.ascontiguousarray(read_image(paths)[..., ::-1])


@dataclass(frozen=True, eq=False)
class LabelledImages:
    """One split of a classification data set.

    Parameters
    ----------
    name, split : str
        Data set and split.
    images : (N, H, W, 3) uint8, or `ImageFiles`
        RGB.
    labels : (N,) int64
        Indices into `classes`.
    classes : tuple of str
        Class names.
    """

    name: str
    split: str
    images: np.ndarray | ImageFiles
    labels: np.ndarray
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    def select(self, indices: np.ndarray, split: str) -> "LabelledImages":
        """Return the images at integer indices (M,), or where a boolean mask (N,) is True, as a split named `split`."""
        return replace(self, split=split, images=self.images[indices], labels=self.labels[indices])


def open_images(kind: str, root: str | Path, split: str) -> LabelledImages:
    """Open a classification data set. CIFAR is loaded into memory; the images of a folder are loaded on access.

    Parameters
    ----------
    kind : str
        ``cifar10`` or ``cifar100`` (see `posekit.data.cifar.read_cifar`), or ``folder``: the layout of ImageNet, where
        ``root/SPLIT`` contains a folder of images for every class. Classes are sorted by name.
    root : str or Path
        Path of the data set.
    split : str
        ``train`` or ``test``; with ``folder`` also ``valid`` (the folder ``valid`` or ``val``). ``random:FRACTION:SEED`` is a
        random fraction of the training images, ``random-rest:FRACTION:SEED`` the remaining training images. For example
        ``random-rest:0.9:1`` gives 5,000 of CIFAR's training images, the number that the paper uses for validation.

    Raises
    ------
    ConfigError
        If the kind or split does not exist; the message lists the choices.
    DataError
        If files are missing or damaged, if a folder has no class folders, or if a class folder has no images.
    """
    if kind not in KINDS:
        raise ConfigError(f"unknown kind of image data set {kind!r}; choose from {', '.join(KINDS)}")
    wanted = parse_split(split)
    part = "train" if wanted.kind.startswith("random") else wanted.kind
    splits = tuple(_FOLDERS) if kind == "folder" else SPLITS
    if part not in splits:
        raise ConfigError(f"{kind}: no split {split!r}; choose from {', '.join(splits)} or a random split such as random:0.9:1")
    images = _open_folder(Path(root), part) if kind == "folder" else LabelledImages(kind, part, *read_cifar(kind, root, part))
    if part == wanted.kind:
        return images
    names = images.images.paths if isinstance(images.images, ImageFiles) else np.arange(len(images)).astype(str)
    drawn = random_images(names, wanted.fraction, wanted.seed)
    return images.select(drawn == (wanted.kind == "random"), split)


def _open_folder(root: Path, split: str) -> LabelledImages:
    folder = next((root / name for name in _FOLDERS[split] if (root / name).is_dir()), None)
    if folder is None:
        raise DataError(f"{root}: no folder {' or '.join(_FOLDERS[split])} found; expected this folder, with a subfolder per class")
    class_folders = [entry for entry in _visible_entries(folder) if entry.is_dir()]
    if not class_folders:
        raise DataError(f"{folder}: no class folders; expected one folder of images per class")
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
