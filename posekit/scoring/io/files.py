"""Read and write prediction files; the suffix of the file name determines the format."""

from pathlib import Path

from posekit.errors import OutputError, PredictionsError
from posekit.files import atomic_write
from posekit.people import People
from posekit.scoring.io.coco import COCO_BASE, read_results, write_results
from posekit.scoring.io.hdf5 import hdf5_base, read_hdf5, write_hdf5
from posekit.scoring.io.matlab import read_matlab, write_submission
from posekit.scoring.io.predictions import Predictions
from posekit.scoring.io.tables import write_table
from posekit.skeletons import MPII16, Skeleton

_HDF5 = (".h5", ".hdf5")
_READABLE = ".h5 and .hdf5 (HDF5 with preds), .mat (MATLAB with preds), .json (COCO results)"
_PEOPLE_WRITERS = {".json": write_results, ".csv": write_table, ".mat": write_submission}


def read_predictions(
    path: str | Path, *, base: int | None = None, skeleton: Skeleton = MPII16, people: People | None = None
) -> Predictions:
    """Read a prediction file.

    ======  =======================================================  ===================================
    suffix  contents                                                 coordinate base
    ======  =======================================================  ===================================
    .h5     ``predictions.h5`` of posekit or the hourglass authors   posekit: in the file; else required
    .mat    ``preds`` (N, K, 2 or 3) of pytorch-pose or HRNet        required
    .json   COCO results, in order or with an index (see `coco`)     always 0
    ======  =======================================================  ===================================

    Parameters
    ----------
    path : str or Path
    base : {0, 1}, optional
        Coordinate base: the coordinate of the first pixel. Required if neither the file nor the format defines it (`stated_base`).
    skeleton : Skeleton
        Skeleton of the predictions, used if the file does not contain one.
    people : People, optional
        All people of the predicted split. COCO results are checked against the people's images. Required for COCO results without
        ``index``.

    Returns
    -------
    Predictions : with 0-based coordinates, whatever the base of the file.

    Raises
    ------
    PredictionsError
        If the file cannot be read, has an unsupported format or another skeleton, or if the coordinate base or the people are
        unknown.
    """
    path = Path(path)
    suffix = _readable_suffix(path)
    if suffix in _HDF5:
        return read_hdf5(path, base=base, skeleton=skeleton)
    if suffix == ".mat":
        return read_matlab(path, base=base, skeleton=skeleton)
    return read_results(path, base=base, skeleton=skeleton, people=people)


def stated_base(path: str | Path) -> int | None:
    """Return the coordinate base that a prediction file or its format defines; None if the base is unknown."""
    path = Path(path)
    suffix = _readable_suffix(path)
    if suffix in _HDF5:
        return hdf5_base(path)
    return COCO_BASE if suffix == ".json" else None


def require_writable_kind(path: str | Path) -> None:
    """Raise `OutputError` if the path's suffix is not a format in which predictions can be written."""
    if Path(path).suffix.lower() not in (*_HDF5, *_PEOPLE_WRITERS):
        suffixes = ", ".join((".h5", *_PEOPLE_WRITERS))
        raise OutputError(f"{path}: predictions can be written as {suffixes}; choose one of these suffixes")


def write_predictions(path: str | Path, predictions: Predictions, *, people: People | None = None) -> None:
    """Write a prediction file atomically.

    ======  ==========================================================================================
    suffix  contents
    ======  ==========================================================================================
    .h5     all fields of `Predictions`; the only format with dataset, split, skeleton and peaks
    .json   COCO results, with each person's ``index`` and ``image``
    .csv    one row ``index,image,joint,x,y,score`` per joint
    .mat    ``pred`` in the format of MPII's official evaluation, 1-based (see `matlab`)
    ======  ==========================================================================================

    Parameters
    ----------
    path : str or Path
    predictions : Predictions
    people : People, optional
        All people of the predicted split, for the image names; required for all formats except ``.h5``.

    Raises
    ------
    OutputError
        If the file cannot be written or has an unsupported suffix.
    PredictionsError
        If an index of the predictions is out of range for `people`, or the format does not support the skeleton.
    ValueError
        If `people` is required but not given.
    """
    path = Path(path)
    require_writable_kind(path)
    suffix = path.suffix.lower()
    if suffix in _HDF5:
        with atomic_write(path) as unfinished:
            write_hdf5(unfinished, predictions)
        return
    if people is None:
        raise ValueError(f"people: required to write {suffix}, which contains the names of the people's images")
    outside = predictions.index[(predictions.index < 0) | (predictions.index >= len(people))]
    if len(outside):
        raise PredictionsError(
            f"{path}: the predictions' index {outside[0]} is out of range: {people.name} {people.split} has {len(people)} people; "
            "pass the people for whom the predictions were made"
        )
    with atomic_write(path) as unfinished:
        _PEOPLE_WRITERS[suffix](unfinished, predictions, people)


def _readable_suffix(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix not in (*_HDF5, ".mat", ".json"):
        raise PredictionsError(f"{path}: predictions can be read from {_READABLE}; use one of these formats")
    if not path.is_file():
        raise PredictionsError(f"{path}: no such file; give the path of a prediction file")
    return suffix
