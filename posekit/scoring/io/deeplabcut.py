"""Write predictions in DeepLabCut's format: a CSV table with three or four header rows.

The table has one row per image. The header rows are ``scorer``, ``bodyparts`` and ``coords`` (x, y, likelihood). If any image has
several people, a header row ``individuals`` follows ``scorer``. To read the table with pandas, use
``read_csv(path, header=[0, 1, 2], index_col=0)``, or ``header=[0, 1, 2, 3]`` with ``individuals``.

Source of the format: Nath et al., Nature Protocols 2019; Lauer et al., Nature Methods 2022 (individuals).
"""

from collections.abc import Sequence
from pathlib import Path

from posekit.scoring.io.image_poses import ImagePeople, write_csv
from posekit.skeletons import Skeleton

_SCORER = "posekit"
_COORDS = ("x", "y", "likelihood")


def write_deeplabcut(path: Path, images: Sequence[ImagePeople], skeleton: Skeleton) -> None:
    """Write the table; if an image has fewer people than others, the cells of the missing people are empty."""
    count = max([1, *(len(people.boxes) for people in images)])
    individuals = ["individuals"]
    bodyparts = ["bodyparts"]
    coords = ["coords"]
    for number in range(1, count + 1):
        for joint in skeleton.joints:
            individuals += [f"person{number}"] * len(_COORDS)
            bodyparts += [joint] * len(_COORDS)
            coords += _COORDS
    width = len(coords)
    header = [["scorer", *[_SCORER] * (width - 1)], bodyparts, coords]
    if count > 1:
        header.insert(1, individuals)
    rows = []
    for people in images:
        row: list = [people.image]
        for cells in people.cells():
            row += cells
        rows.append(row + [""] * (width - len(row)))
    write_csv(path, header, rows)
