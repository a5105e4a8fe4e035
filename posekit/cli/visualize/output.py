"""Write figures to files, and print the paths."""

import re
from pathlib import Path

from posekit.drawing.style import save_figure


def write_plot(figure, folder: Path, name: str) -> None:
    """Write a matplotlib figure of lines and bars as PNG, SVG and PDF.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    folder : Path
        An existing folder.
    name : str
        File name without suffix.

    Raises
    ------
    OutputError
        If a file cannot be written.
    """
    for suffix in ("png", "svg", "pdf"):
        _write(figure, folder / f"{name}.{suffix}")


def write_png(figure, folder: Path, name: str) -> None:
    """Write a matplotlib figure of images or heatmaps as PNG only; arguments as in `write_plot`."""
    _write(figure, folder / f"{name}.png")


def _write(figure, path: Path) -> None:
    save_figure(figure, path)
    print(f"wrote {path}")


def file_name(text: str) -> str:
    """Replace characters that are unsafe in file names by hyphens."""
    return re.sub(r"[^\w.]+", "-", text)
