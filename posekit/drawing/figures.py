"""Write a matplotlib figure."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from posekit.files import atomic_write

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def save_figure(figure: "Figure", path: Path) -> None:
    """Write a figure in the format that the path's suffix names.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    import matplotlib

    # Publishers refuse matplotlib's default font type, Type 3.
    with atomic_write(path) as unfinished, matplotlib.rc_context({"pdf.fonttype": 42}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # letters of file names that no installed font has
        figure.savefig(unfinished)
