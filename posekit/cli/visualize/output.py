"""Writing what was drawn."""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

from posekit.drawing.figures import save_figure

_OUT = Path("figures")
_PICTURE, _PLOT = ("png",), ("png", "svg", "pdf")


def add_out(parser: argparse.ArgumentParser) -> None:
    """Add the option that says where to write."""
    parser.add_argument("--out", type=Path, default=_OUT, metavar="DIR", help="folder to write (default: %(default)s)")


def write_plot(figure, folder: Path, name: str) -> list[Path]:
    """Write a matplotlib figure of lines and bars as PNG, SVG and PDF.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    folder : Path
        It exists.
    name : str
        Of the files, without their ending.

    Returns
    -------
    list of Path

    Raises
    ------
    OutputError
        If a file cannot be written.
    """
    return _write(figure, folder, name, _PLOT)


def write_picture(figure, folder: Path, name: str) -> list[Path]:
    """Write a matplotlib figure of photographs and maps as PNG alone; otherwise like `write_plot`."""
    return _write(figure, folder, name, _PICTURE)


def _write(figure, folder: Path, name: str, kinds: Sequence[str]) -> list[Path]:
    paths = [folder / f"{name}.{kind}" for kind in kinds]
    for path in paths:
        save_figure(figure, path)
    return paths


def tell_written(paths: Sequence[Path]) -> None:
    """Print what was written, a line for each file."""
    for path in paths:
        print(f"wrote {path}")


def file_name(text: str) -> str:
    """A text as a part of a file's name."""
    return re.sub(r"[^\w.]+", "-", text)
