"""Save matplotlib figures."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from posekit.files import atomic_write

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def save_figure(figure: "Figure", path: Path) -> None:
    """Save a figure in the format given by the suffix of the path.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    import matplotlib

    # Type 42 fonts: publishers reject Type 3 fonts, matplotlib's default.
    with atomic_write(path) as unfinished, matplotlib.rc_context({"pdf.fonttype": 42}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # file names may contain characters that are in no installed font
        figure.savefig(unfinished)
