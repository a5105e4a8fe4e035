"""Read and write prediction files; the file name's suffix determines the format."""

from pathlib import Path

from posekit.errors import OutputError, PredictionsError
from posekit.files import atomic_write
from posekit.people import People
from posekit.scoring.io.coco import COCO_BASE, read_results, write_results
from posekit.scoring.io.hdf5 import hdf5_base, read_hdf5, write_hdf5
from posekit.scoring.io.matlab import read_matlab
from posekit.scoring.io.predictions import Predictions
from posekit.scoring.io.submission import write_submission
from posekit.scoring.io.table import write_table
from posekit.skeletons import MPII16, Skeleton

_HDF5 = (".h5", ".hdf5")
_READABLE = ".h5 and .hdf5 (HDF5 with preds), .mat (MATLAB with preds), .json (COCO results)"
_PEOPLE_WRITERS = {".json": write_results, ".csv": write_table, ".mat": write_submission}


def read_predictions(
    path: str | Path, *, base: int | None = None, skeleton: Skeleton = MPII16, people: People | None = None
) -> Predictions:
    """Read a prediction file.

    ======  =======================================================  ===================================
    suffix  contents                                                 base
    ======  =======================================================  ===================================
    .h5     posekit's ``predictions.h5``; the hourglass authors'     posekit's states 0; else give it
    .mat    ``preds`` (N, K, 2 or 3): pytorch-pose's, HRNet's        give it
    .json   COCO results, in order or with an index (see `coco`)     0 by the format
    ======  =======================================================  ===================================

    Parameters
    ----------
    path : str or Path
    base : {0, 1}, optional
        Coordinate of the first pixel. Required if neither the file nor its format states it (`stated_base`).
    skeleton : Skeleton
        Skeleton of a file that does not state its own.
    people : People, optional
        All people of the split that was predicted. COCO results are checked against their images, and
        need them if no result has an ``index``.

    Returns
    -------
    Predictions : 0-based, for any base of the file.

    Raises
    ------
    PredictionsError
        If the file has another format, cannot be read, does not fit the skeleton, or its base or people are unknown.
    """
    path = Path(path)
    suffix = _readable_suffix(path)
    if suffix in _HDF5:
        return read_hdf5(path, base=base, skeleton=skeleton)
    if suffix == ".mat":
        return read_matlab(path, base=base, skeleton=skeleton)
    return read_results(path, base=base, skeleton=skeleton, people=people)


def stated_base(path: str | Path) -> int | None:
    """Return the coordinate base that a prediction file or its format states; None if neither does.

    Raises
    ------
    PredictionsError
        If the file's format is not supported, or it cannot be read.
    """
    path = Path(path)
    suffix = _readable_suffix(path)
    if suffix in _HDF5:
        return hdf5_base(path)
    return COCO_BASE if suffix == ".json" else None


def require_writable_kind(path: str | Path) -> None:
    """Raise `OutputError` if predictions cannot be written in the format of the path's suffix."""
    if Path(path).suffix.lower() not in (*_HDF5, *_PEOPLE_WRITERS):
        raise OutputError(f"{path}: predictions are written as {', '.join(('.h5', *_PEOPLE_WRITERS))}; choose one of these")


def write_predictions(path: str | Path, predictions: Predictions, *, people: People | None = None) -> None:
    """Write a prediction file, whole or not at all.

    ======  ==========================================================================================
    suffix  contents
    ======  ==========================================================================================
    .h5     everything; the only format with dataset, split, skeleton and peaks
    .json   COCO results, with each person's ``index`` and ``image``
    .csv    a row ``index,image,joint,x,y,score`` for each joint
    .mat    ``pred`` in the structure of MPII's official evaluation, 1-based (see submission)
    ======  ==========================================================================================

    Parameters
    ----------
    path : str or Path
    predictions : Predictions
    people : People, optional
        The people who were predicted, for the images' names; required except for ``.h5``.

    Raises
    ------
    OutputError
        If the file cannot be written, or its suffix is none of these.
    PredictionsError
        If an index is out of range for the people, or the format does not support the skeleton.
    ValueError
        If `people` are required and not given.
    """
    path = Path(path)
    require_writable_kind(path)
    suffix = path.suffix.lower()
    if suffix in _HDF5:
        with atomic_write(path) as unfinished:
            write_hdf5(unfinished, predictions)
        return
    if people is None:
        raise ValueError(f"people: required for {suffix}, which names their images")
    outside = predictions.index[(predictions.index < 0) | (predictions.index >= len(people))]
    if len(outside):
        raise PredictionsError(
            f"{path}: the predictions' index {outside[0]} is out of range: {people.name} {people.split} has {len(people)} people; "
            "give the people they were made for"
        )
    with atomic_write(path) as unfinished:
        _PEOPLE_WRITERS[suffix](unfinished, predictions, people)


def _readable_suffix(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix not in (*_HDF5, ".mat", ".json"):
        raise PredictionsError(f"{path}: predictions are read from {_READABLE}; choose one of these")
    if not path.is_file():
        raise PredictionsError(f"{path}: no such prediction file")
    return suffix
