"""Writing a matplotlib figure."""

import warnings
from pathlib import Path

from posekit.files import atomic_write


def save_figure(figure, path: Path) -> None:
    """Write a figure as the kind of file that the path's ending says.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    import matplotlib

    # Publishers refuse matplotlib's own choice of font, Type 3.
    with atomic_write(path) as unfinished, matplotlib.rc_context({"pdf.fonttype": 42}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # of a file's name, that no font here has
        figure.savefig(unfinished)
