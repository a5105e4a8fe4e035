"""Data sets: read annotation files as `posekit.people.People`."""

from pathlib import Path

from posekit.data.coco import open_coco
from posekit.data.lsp import open_lsp
from posekit.data.mpii import open_mpii
from posekit.data.pack.read import open_packed
from posekit.errors import ConfigError
from posekit.people import People
from posekit.skeletons import Skeleton

WITH_IMAGES = {"mpii": open_mpii, "lsp": open_lsp, "coco": open_coco}
"""Readers of data sets with image files."""
DATASETS = {**WITH_IMAGES, "packed": open_packed}
"""Readers of all data sets."""


def open_people(data: str, root: str | Path, split: str = "all", *, skeleton: Skeleton | None = None) -> People:
    """Read a data set's annotated people; no image is opened.

    Parameters
    ----------
    data : str
        ``mpii``, ``lsp`` (LSP or LSPET, depending on the file), ``coco``, or ``packed`` (written by `posekit prepare pack`).
    root : str or Path
        The data set's folder, or its annotation file.
    split : str
        ``train``, ``valid`` or ``test`` if the data set has it; ``all``; ``random:FRACTION:SEED``,
        a share of the images, and ``random-rest:FRACTION:SEED``, the others.
    skeleton : Skeleton, optional
        Wanted joints, matched by name; joints missing in the data set are not labelled.

    Raises
    ------
    ConfigError
        If there is no such data set or split; the message lists the choices.
    DataError
        If the annotation cannot be read or used.
    """
    if data not in DATASETS:
        raise ConfigError(f"no data set {data!r}; choose from {', '.join(DATASETS)}")
    people = DATASETS[data](root, split)
    return people if skeleton is None else people.mapped_to(skeleton)
