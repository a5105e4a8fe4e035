"""Labelled images to train classifiers on, and the augmentation of small ones."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from posekit.data.cifar import FORMS, SPLITS, read_cifar
from posekit.data.splits import Split, parse_split, random_photographs
from posekit.errors import ConfigError, DataError
from posekit.images import read_image

KINDS = (*FORMS, "folder")
_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp"}
_FOLDERS = {"train": ("train",), "valid": ("valid", "val"), "test": ("test",)}


class ImageFiles(Sequence):
    """Photographs that are read when they are asked for: ``files[i]`` is (H, W, 3) uint8, red, green, blue.

    `posekit.errors.ImageError` where one cannot be read.

    Parameters
    ----------
    paths : (N,) str
    """

    def __init__(self, paths: np.ndarray):
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, places):
        """One photograph of an int; of an array of places or a slice those files, unread."""
        chosen = self.paths[places]
        if isinstance(chosen, np.ndarray):
            return ImageFiles(chosen)
        return np.ascontiguousarray(read_image(chosen)[..., ::-1])


@dataclass(frozen=True, eq=False)
class LabelledImages:
    """A data set to classify.

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

    def select(self, places: np.ndarray, split: str) -> "LabelledImages":
        """Those at some places, (M,) int or (N,) bool, as another split."""
        return replace(self, split=split, images=self.images[places], labels=self.labels[places])


def open_images(kind: str, root: str | Path, split: str) -> LabelledImages:
    """Open labelled images. Those of CIFAR are read whole, a folder's when they are asked for.

    Parameters
    ----------
    kind : str
        ``cifar10``, ``cifar100`` (see `posekit.data.cifar.read_cifar`), or ``folder``: as ImageNet, ``root/SPLIT`` with a
        folder of images for every class, in the order of their names.
    root : str or Path
    split : str
        ``train``, ``test``; of a folder also ``valid`` (which may be called ``val``). ``random:FRACTION:SEED``, a share of the
        images for training, and ``random-rest:FRACTION:SEED``, the others of these: the paper keeps 5,000 of CIFAR's for
        validation, as ``random-rest:0.9:1`` does.

    Raises
    ------
    ConfigError
        If there is no such kind or split; the message lists those there are.
    DataError
        If files are missing or damaged, or a folder holds no classes or a class no image.
    """
    if kind not in KINDS:
        raise ConfigError(f"no kind of images {kind!r}; there are {', '.join(KINDS)}")
    wanted = parse_split(split)
    part = "train" if wanted.kind.startswith("random") else wanted.kind
    splits = tuple(_FOLDERS) if kind == "folder" else SPLITS
    if part not in splits:
        raise ConfigError(f"{kind}: no split {split!r}; there are {', '.join(splits)}, and random ones such as random:0.9:1")
    images = _open_folder(Path(root), part) if kind == "folder" else LabelledImages(kind, part, *read_cifar(kind, root, part))
    return _share(images, wanted) if part != wanted.kind else images


def _share(images: LabelledImages, wanted: Split) -> LabelledImages:
    names = images.images.paths if isinstance(images.images, ImageFiles) else np.arange(len(images)).astype(str)
    drawn = random_photographs(names, wanted.fraction, wanted.seed)
    return images.select(drawn == (wanted.kind == "random"), wanted.text)


def _open_folder(root: Path, split: str) -> LabelledImages:
    folder = next((root / name for name in _FOLDERS[split] if (root / name).is_dir()), None)
    if folder is None:
        raise DataError(f"{root}: no folder {' or '.join(_FOLDERS[split])}; expected one, with a folder of images for every class")
    classes = sorted(entry for entry in _entries(folder) if entry.is_dir())
    if not classes:
        raise DataError(f"{folder}: no folders of classes; expected a folder of images for every class")
    files = [sorted(str(file) for file in _entries(name) if file.suffix.lower() in _SUFFIXES) for name in classes]
    for name, found in zip(classes, files, strict=True):
        if not found:
            raise DataError(f"{name}: no image of this class ({', '.join(sorted(_SUFFIXES))}); add some, or remove the folder")
    labels = np.repeat(np.arange(len(classes)), [len(found) for found in files])
    paths = np.array([path for found in files for path in found], dtype=str)
    return LabelledImages("folder", split, ImageFiles(paths), labels, tuple(name.name for name in classes))


def _entries(folder: Path) -> list[Path]:
    try:
        return [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    except OSError as error:
        raise DataError(f"{folder}: cannot be read ({error.strerror})") from error
