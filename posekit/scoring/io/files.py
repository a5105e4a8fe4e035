"""Reading and writing prediction files; the end of a file's name says which kind it is."""

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
_READ = {".h5 and .hdf5": "HDF5 with preds", ".mat": "MATLAB with preds", ".json": "COCO results"}
_WITH_PEOPLE = {".json": write_results, ".csv": write_table, ".mat": write_submission}


def read_predictions(
    path: str | Path, *, base: int | None = None, skeleton: Skeleton = MPII16, people: People | None = None
) -> Predictions:
    """Read a prediction file.

    ======  =======================================================  ===================================
    suffix  what                                                     base
    ======  =======================================================  ===================================
    .h5     posekit's ``predictions.h5``; the hourglass authors'     ours is 0 and says so; give theirs
    .mat    ``preds`` (N, K, 2 or 3): pytorch-pose's, HRNet's        give it
    .json   COCO results, ours or with an order or index (see coco)  0 by the format
    ======  =======================================================  ===================================

    Parameters
    ----------
    path : str or Path
    base : {0, 1}, optional
        What the file's first pixel is called. Needed where neither the file nor its format says it (`stated_base`).
    skeleton : Skeleton
        Of a file that does not say its own.
    people : People, optional
        Everybody in the split that was predicted. COCO results are compared with their photographs, and
        need them where no result has an ``index``.

    Returns
    -------
    Predictions : 0-based, whatever the file's base.

    Raises
    ------
    PredictionsError
        If the file is of no such kind, cannot be read, does not fit the skeleton, or its base or persons are not known.
    """
    path, suffix = _existing(path)
    if suffix in _HDF5:
        return read_hdf5(path, base=base, skeleton=skeleton)
    if suffix == ".mat":
        return read_matlab(path, base=base, skeleton=skeleton)
    return read_results(path, base=base, skeleton=skeleton, people=people)


def stated_base(path: str | Path) -> int | None:
    """What a prediction file, or its format, says its first pixel is called; None if neither does.

    Raises
    ------
    PredictionsError
        If the file is of no kind that is read, or cannot be read.
    """
    path, suffix = _existing(path)
    if suffix in _HDF5:
        return hdf5_base(path)
    return COCO_BASE if suffix == ".json" else None


def require_writable_kind(path: str | Path) -> None:
    """Raise `OutputError` if the end of the name is of no kind of prediction file that is written."""
    if Path(path).suffix.lower() not in (*_HDF5, *_WITH_PEOPLE):
        raise OutputError(f"{path}: predictions are written as {', '.join(('.h5', *_WITH_PEOPLE))}; choose one of these")


def write_predictions(path: str | Path, predictions: Predictions, *, people: People | None = None) -> None:
    """Write a prediction file; an existing one is replaced only by a whole one.

    ======  ==========================================================================================
    suffix  what
    ======  ==========================================================================================
    .h5     everything; the only kind that keeps dataset, split, skeleton and peaks
    .json   COCO results, with each person's ``index`` and ``image``
    .csv    a row ``index,image,joint,x,y,score`` for each joint
    .mat    ``pred`` in the structure of MPII's official evaluation, 1-based (see submission)
    ======  ==========================================================================================

    Parameters
    ----------
    path : str or Path
    predictions : Predictions
    people : People, optional
        Those who were predicted, for the names of the photographs; needed for all but ``.h5``.

    Raises
    ------
    OutputError
        If the file cannot be written, or its suffix is none of these.
    PredictionsError
        If an index lies beyond the people, or the kind of file cannot hold the skeleton.
    ValueError
        If `people` are needed and not given.
    """
    path = Path(path)
    require_writable_kind(path)
    suffix = path.suffix.lower()
    if suffix in _WITH_PEOPLE:
        _require_people(path, predictions, people)
    with atomic_write(path) as unfinished:
        if suffix in _HDF5:
            write_hdf5(unfinished, predictions)
        else:
            _WITH_PEOPLE[suffix](unfinished, predictions, people)


def _existing(path: str | Path) -> tuple[Path, str]:
    """The path and its suffix."""
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in (*_HDF5, ".mat", ".json"):
        kinds = ", ".join(f"{suffix} ({what})" for suffix, what in _READ.items())
        raise PredictionsError(f"{path}: not a kind of prediction file that is read; these are {kinds}")
    if not path.is_file():
        raise PredictionsError(f"{path}: no such prediction file")
    return path, suffix


def _require_people(path: Path, predictions: Predictions, people: People | None) -> None:
    if people is None:
        raise ValueError(f"people: needed for {path.suffix}, which names their photographs")
    outside = predictions.index[(predictions.index < 0) | (predictions.index >= len(people))]
    if len(outside):
        raise PredictionsError(
            f"{path}: the predictions' index {outside[0]} is out of range: {people.name} {people.split} has {len(people)} persons; "
            "give the people they were made for"
        )
