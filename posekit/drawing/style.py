"""Common style of posekit's figures, legible in a two-column paper.

The colours are from Okabe and Ito's palette for colour-blind readers (Color Universal Design, 2008). Maps use matplotlib's
colour maps "inferno" or "berlin", whose lightness changes evenly.
"""

import textwrap
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from posekit.files import atomic_write

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE = "#0072b2"
RED = "#d55e00"
SKY = "#56b4e9"
ORANGE = "#e69f00"
PALE = "#c8c8c8"
INK = "#000000"
# Text on bars. Not pure black or white, since the report's dark mode swaps these two colours.
ON_DARK = "#fefefe"
ON_LIGHT = "#1a1a1a"
# Colours of models or curves, each with the colour of text on a bar of that colour.
SERIES = (
    (BLUE, ON_DARK),
    (ORANGE, ON_LIGHT),
    ("#009e73", ON_DARK),
    ("#cc79a7", ON_LIGHT),
    (SKY, ON_LIGHT),
    (RED, ON_DARK),
    ("#7f7f7f", ON_DARK),
    ("#000000", "#ffffff"),
)
_DASHES = ("-", "--", ":")
DOTTED = (0, (1, 1.5))
"""matplotlib's line style of vertical marks."""
# matplotlib's colour maps: sequential for values from 0, and diverging for values around a middle.
COLOUR_MAP = "inferno"
DIVERGING = "berlin"

# Width in inches of one column, and of both columns, of a two-column paper.
COLUMN = 3.3
PAGE = 6.9
DPI = 200
# Font sizes in points.
TEXT = 7.5
SMALL = 6.0
_LETTER = 0.6  # approximate width of a letter / font size


def curve_style(i: int) -> dict[str, Any]:
    """Return colour and line style of curve number `i`; when all colours of `SERIES` are used, the next line style follows."""
    colour, _ = SERIES[i % len(SERIES)]
    return {"color": colour, "linestyle": _DASHES[i // len(SERIES) % len(_DASHES)]}


def canvas(height: float, *, width: float = COLUMN, rows: int = 1, columns: int = 1, **options: Any) -> "tuple[Figure, Any]":
    """Create a figure of `height` x `width` inches; `options` are passed to ``Figure.subplots``.

    Return the figure, and its Axes or, if there are several, a (rows * columns,) array of Axes.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False, **options).ravel()
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.3, linewidth=0.5)
        axes.set_axisbelow(True)
        axes.tick_params(labelsize=TEXT, length=2)
    return figure, panels if len(panels) > 1 else panels[0]


def name_axes(axes: "Axes", x: str, y: str = "") -> None:
    """Set the labels of the x and y axis."""
    axes.set_xlabel(plain(x), fontsize=TEXT)
    axes.set_ylabel(plain(y), fontsize=TEXT)


def name_rows(panels: "Sequence[Axes]", names: Sequence[str]) -> None:
    """Label rows of bars at y = 0, 1, … from the top; of panels side by side, only the first has the labels."""
    panels[0].set_yticks(range(len(names)), [shortened(name, 18) for name in names])
    panels[0].set_ylim(max(len(names), 1) - 0.5, -0.5)
    for axes in panels:
        axes.grid(False, axis="y")
        axes.tick_params(axis="y", length=0)


def legend(figure: "Figure", axes: "Axes") -> None:
    """Add a legend for the curves or bars of the axes above the figure, in as many columns as fit."""
    handles, labels = axes.get_legend_handles_labels()
    if not labels:
        return
    figure.legend(
        handles,
        labels,
        loc="outside upper center",
        ncols=_legend_columns(labels, 72 * figure.get_figwidth()),
        columnspacing=1.0,
        handlelength=1.6,
        fontsize=TEXT,
        frameon=False,
    )


def _legend_columns(labels: Sequence[str], width_pt: float) -> int:
    """Return the largest number of legend columns that fits into the width; entries fill the columns one after the other."""
    for columns in range(len(labels), 1, -1):
        lines = -(-len(labels) // columns)
        letters = [max(map(len, labels[i : i + lines])) for i in range(0, len(labels), lines)]
        needed = sum(TEXT * (_LETTER * count + 3.8) for count in letters)  # 3.8: handle and gaps
        if needed < width_pt:
            return len(letters)
    return 1


def shortened(name: str, letters: int = 32) -> str:
    """Shorten a name to at most `letters` letters by removing the middle, and escape the result with `plain`."""
    if len(name) > letters:
        name = f"{name[: letters // 2 - 1]}…{name[-(letters // 2) :]}"
    return plain(name)


def wrapped(text: str, inches: float, size: float = TEXT) -> str:
    """Wrap text to a width in inches at a font size in points, shorten words that are too long, and escape with `plain`."""
    letters = max(8, int(72 * inches / (_LETTER * size)))
    lines = []
    for paragraph in text.splitlines():
        lines += textwrap.wrap(paragraph, letters, break_long_words=False, break_on_hyphens=False)
    return "\n".join(shortened(line, letters) for line in lines)


def plain(text: str) -> str:
    """Escape text for matplotlib, which would show text between "$" as a formula and leave labels such as "_x" out of legends."""
    text = text.replace("$", r"\$")
    return f" {text}" if text.startswith("_") else text


def save_figure(figure: "Figure", path: Path) -> None:
    """Save a figure in the format given by the suffix of the path; raise `OutputError` if the file cannot be written."""
    import matplotlib

    # Type 42 fonts: publishers reject Type 3 fonts, matplotlib's default.
    with atomic_write(path) as unfinished, matplotlib.rc_context({"pdf.fonttype": 42}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # file names may contain characters that are in no installed font
        figure.savefig(unfinished)
