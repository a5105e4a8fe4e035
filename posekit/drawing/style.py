"""Style of posekit's figures, legible in a two-column paper.

Colours are Okabe and Ito's for colour-blind readers (Color Universal Design, 2008); maps use matplotlib's
"inferno" or "berlin", whose lightness grows evenly. A light grid, no frame.
"""

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE = "#0072b2"
RED = "#d55e00"
SKY = "#56b4e9"
ORANGE = "#e69f00"
PALE = "#c8c8c8"
INK = "#000000"
# Text on bars. Neither black nor white: a report shown light on dark swaps those two.
ON_DARK = "#fefefe"
ON_LIGHT = "#1a1a1a"
# Colours of models or curves, each with the colour of text on it.
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
# Lines change dashes once all colours are used.
DASHES = ("-", "--", ":")
# matplotlib's colour maps for values from 0, and for values around a middle.
COLOUR_MAP = "inferno"
DIVERGING = "berlin"

# Widths in inches, of one column and of the page of a two-column paper.
COLUMN = 3.3
PAGE = 6.9
DPI = 200
# Font sizes in points.
TEXT = 7.5
SMALL = 6.0
_LETTER = 0.6  # a letter's width as a share of the font size, about


def canvas(height: float, *, width: float = COLUMN, rows: int = 1, columns: int = 1, **options: Any) -> "tuple[Figure, Any]":
    """Create a figure with one pair of axes, or with several in a flat array.

    Parameters
    ----------
    height, width : float
        Inches.
    rows, columns : int
        Of axes.
    **options
        Passed to ``Figure.subplots``.

    Returns
    -------
    figure : matplotlib.figure.Figure
    axes : matplotlib.axes.Axes or (rows * columns,) array of them
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
    """Label the axes."""
    axes.set_xlabel(plain(x), fontsize=TEXT)
    axes.set_ylabel(plain(y), fontsize=TEXT)


def name_rows(panels: "Sequence[Axes]", names: Sequence[str]) -> None:
    """Name rows of bars at 0, 1, … from the top, to the left of the first of the panels, which lie side by side."""
    panels[0].set_yticks(range(len(names)), [shortened(name, 18) for name in names])
    panels[0].set_ylim(max(len(names), 1) - 0.5, -0.5)
    for axes in panels:
        axes.grid(False, axis="y")
        axes.tick_params(axis="y", length=0)


def legend(figure: "Figure", axes: "Axes") -> None:
    """Put a legend of the axes above the figure, in as many columns as fit."""
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
    """The largest number of columns, filled one after the other, that fits into the width."""
    for columns in range(len(labels), 1, -1):
        lines = -(-len(labels) // columns)
        letters = [max(map(len, labels[i : i + lines])) for i in range(0, len(labels), lines)]
        needed = sum(TEXT * (_LETTER * count + 3.8) for count in letters)  # with the handle and the gaps
        if needed < width_pt:
            return len(letters)
    return 1


def shortened(name: str, letters: int = 32) -> str:
    """Shorten a name to at most `letters` letters by leaving out its middle; the result is `plain` text."""
    if len(name) > letters:
        name = f"{name[: letters // 2 - 1]}…{name[-(letters // 2) :]}"
    return plain(name)


def wrapped(text: str, inches: float, size: float = TEXT) -> str:
    """Break text into lines of at most `inches` at a font size in points; longer words are shortened, and the result is `plain`."""
    letters = max(8, int(72 * inches / (_LETTER * size)))
    lines = []
    for paragraph in text.splitlines():
        lines += textwrap.wrap(paragraph, letters, break_long_words=False, break_on_hyphens=False)
    return "\n".join(shortened(line, letters) for line in lines)


def plain(text: str) -> str:
    """Escape text so that matplotlib shows it as it is: no formulas between "$", and no label such as "_x" left out of legends."""
    text = text.replace("$", r"\$")
    return f" {text}" if text.startswith("_") else text
