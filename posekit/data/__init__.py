"""Load the annotation files of data sets as `posekit.people.People`."""

from pathlib import Path

from posekit.choices import DATASETS
from posekit.data.coco import open_coco
from posekit.data.lsp import open_lsp
from posekit.data.mpii import open_mpii
from posekit.data.pack import open_packed
from posekit.errors import ConfigError
from posekit.people import People
from posekit.skeletons import Skeleton

_LOADERS = {"mpii": open_mpii, "lsp": open_lsp, "coco": open_coco, "packed": open_packed}


def open_people(data: str, root: str | Path, split: str = "all", *, skeleton: Skeleton | None = None) -> People:
    """Load the annotated people of a data set without opening any image.

    Parameters
    ----------
    data : str
        ``mpii``, ``lsp`` (LSP or LSPET, depending on the file), ``coco``, or ``packed`` (written by `posekit prepare pack`).
    root : str or Path
        The folder or the annotation file of the data set.
    split : str
        ``train``, ``valid`` or ``test``, if the data set has this split; ``all``; ``random:FRACTION:SEED``, a random fraction of
        the images; or ``random-rest:FRACTION:SEED``, the images that are not in ``random:FRACTION:SEED``.
    skeleton : Skeleton, optional
        Skeleton to convert to: joints are matched by name, and joints missing in the data set are not labelled. By default, the
        skeleton of the data set is kept.

    Raises
    ------
    ConfigError
        If the data set or split does not exist; the message lists the choices.
    DataError
        If the annotation file cannot be read or used.
    """
    if data not in DATASETS:
        raise ConfigError(f"unknown data set {data!r}; choose from {', '.join(DATASETS)}")
    people = _LOADERS[data](root, split)
    return people if skeleton is None else people.mapped_to(skeleton)
