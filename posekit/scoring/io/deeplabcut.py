"""DeepLabCut's table of predicted points: CSV whose first rows, three or four, name the columns.

Rows are photographs. Columns are named by ``scorer``, ``bodyparts`` and ``coords`` (x, y, likelihood), with
``individuals`` after ``scorer`` where some photograph has several people. pandas reads it with
``read_csv(path, header=[0, 1, 2], index_col=0)``, or ``header=[0, 1, 2, 3]``.

Source of the format: Nath et al., Nature Protocols 2019; Lauer et al., Nature Methods 2022 (individuals).
"""

from collections.abc import Sequence
from pathlib import Path

from posekit.scoring.io.image_poses import PhotographPeople, write_csv
from posekit.skeletons import Skeleton

_SCORER = "posekit"
_COORDS = ("x", "y", "likelihood")


def write_deeplabcut(path: Path, photographs: Sequence[PhotographPeople], skeleton: Skeleton) -> None:
    """Write the table; cells are empty for people whom a photograph does not have."""
    people, k = max((len(photograph.boxes) for photograph in photographs), default=1), len(skeleton)
    individuals = range(1, max(people, 1) + 1)
    columns = [(f"person{number}", joint, part) for number in individuals for joint in skeleton.joints for part in _COORDS]
    names, joints, parts = zip(*columns, strict=True)
    header = [["scorer", *[_SCORER] * len(columns)], ["bodyparts", *joints], ["coords", *parts]]
    if len(individuals) > 1:
        header.insert(1, ["individuals", *names])
    write_csv(path, header, (_row(photograph, len(individuals) * k) for photograph in photographs))


def _row(photograph: PhotographPeople, width: int) -> list:
    found = [value for _, person in photograph.rows() for joint in person for value in joint]
    return [photograph.image, *found, *[""] * (len(_COORDS) * width - len(found))]
