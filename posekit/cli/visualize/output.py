"""Write figures, and print where."""

import re
from pathlib import Path

from posekit.drawing.figures import save_figure


def write_plot(figure, folder: Path, name: str) -> None:
    """Write a matplotlib figure of lines and bars as PNG, SVG and PDF.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    folder : Path
        It exists.
    name : str
        Name of the files, without suffix.

    Raises
    ------
    OutputError
        If a file cannot be written.
    """
    for suffix in ("png", "svg", "pdf"):
        _write(figure, folder / f"{name}.{suffix}")


def write_png(figure, folder: Path, name: str) -> None:
    """Write a matplotlib figure of images and maps as PNG alone; otherwise like `write_plot`."""
    _write(figure, folder / f"{name}.png")


def _write(figure, path: Path) -> None:
    save_figure(figure, path)
    print(f"wrote {path}")


def file_name(text: str) -> str:
    """Turn a text into a part of a file's name."""
    return re.sub(r"[^\w.]+", "-", text)
