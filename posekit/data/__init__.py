"""Data sets: annotation files in, `posekit.data.sample.People` out."""

from pathlib import Path

from posekit.data.coco import open_coco
from posekit.data.lsp import open_lsp
from posekit.data.mpii import open_mpii
from posekit.data.pack.read import open_packed
from posekit.errors import ConfigError
from posekit.people import People
from posekit.skeletons import Skeleton

# Kinds whose photographs are there, and besides them what is packed.
WITH_IMAGES = {"mpii": open_mpii, "lsp": open_lsp, "coco": open_coco}
DATASETS = {**WITH_IMAGES, "packed": open_packed}


def open_people(data: str, root: str | Path, split: str = "all", *, skeleton: Skeleton | None = None) -> People:
    """Read a data set's annotated people. No photograph is opened.

    Parameters
    ----------
    data : str
        ``mpii``, ``lsp`` (LSP and LSPET, told apart by the file), ``coco``, or ``packed`` (what `posekit prepare pack` writes).
    root : str or Path
        The data set's folder, or its annotation file.
    split : str
        ``train``, ``valid`` or ``test`` where the data set has it; ``all``; ``random:FRACTION:SEED``,
        a share of the photographs, and ``random-rest:FRACTION:SEED``, the others.
    skeleton : Skeleton, optional
        Joints that are wanted, matched by name; those the data set lacks are not labelled.

    Raises
    ------
    ConfigError
        If there is no such data set or split; the message lists those there are.
    DataError
        If the annotation cannot be read or used.
    """
    if data not in DATASETS:
        raise ConfigError(f"no data set {data!r}; there are {', '.join(DATASETS)}")
    people = DATASETS[data](root, split)
    return people if skeleton is None else people.mapped_to(skeleton)
