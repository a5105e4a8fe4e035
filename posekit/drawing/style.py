"""The common look of posekit's figures, legible in a two-column paper.

Colours are those of Okabe and Ito for colour-blind readers (Color Universal Design, 2008); maps have
matplotlib's "inferno" or "berlin", whose lightness grows evenly. A light grid, no frame.
"""

import textwrap
from collections.abc import Sequence

# Black and white are the page's to change (a report may be read light on dark); what lies on a bar is not.
BLUE, RED, SKY, ORANGE, PALE, INK = "#0072b2", "#d55e00", "#56b4e9", "#e69f00", "#c8c8c8", "#000000"
ON_DARK, ON_LIGHT = "#fefefe", "#1a1a1a"
# Colours of models or curves, with that of numbers on them.
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
# Once all colours are used, lines differ in these.
DASHES = ("-", "--", ":")
# matplotlib's names of the colours of a map whose values begin at 0, and of one whose values lie about a middle.
COLOUR_MAP, DIVERGING = "inferno", "berlin"

# Inches: a column of a two-column paper, and its page.
COLUMN, PAGE = 3.3, 6.9
DPI = 200
# Points: text, and small text. A letter is about 0.6 times as wide.
TEXT, SMALL, _LETTER = 7.5, 6.0, 0.6


def canvas(height: float, *, width: float = COLUMN, rows: int = 1, columns: int = 1, **options):
    """A figure with one pair of axes, or several in a flat array.

    Parameters
    ----------
    height, width : float
        Inches.
    rows, columns : int
        Of axes.
    **options
        Of ``Figure.subplots``.

    Returns
    -------
    figure : matplotlib.figure.Figure
    axes : matplotlib.axes.Axes or (rows * columns,) array of such
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


def name_axes(axes, x: str, y: str = "") -> None:
    """Label the axes."""
    axes.set_xlabel(plain(x), fontsize=TEXT)
    axes.set_ylabel(plain(y), fontsize=TEXT)


def name_rows(panels, names: Sequence[str]) -> None:
    """Name rows of bars at 0, 1, … from the top, at the left of the first of axes that lie side by side or share their rows."""
    panels[0].set_yticks(range(len(names)), [shortened(name, 18) for name in names])
    panels[0].set_ylim(max(len(names), 1) - 0.5, -0.5)
    for axes in panels:
        axes.grid(False, axis="y")
        axes.tick_params(axis="y", length=0)


def legend(figure, axes) -> None:
    """Put a legend of the axes above the figure, in as many columns as fit."""
    handles, labels = axes.get_legend_handles_labels()
    if labels:
        columns = _columns(labels, 72 * figure.get_figwidth())
        place = {"loc": "outside upper center", "ncols": columns, "columnspacing": 1.0, "handlelength": 1.6}
        figure.legend(handles, labels, fontsize=TEXT, frameon=False, **place)


def _columns(labels: Sequence[str], points: float) -> int:
    """The most columns, filled one after the other, for which so many points are wide enough."""
    for columns in range(len(labels), 1, -1):
        lines = -(-len(labels) // columns)
        widest = [max(map(len, labels[i : i + lines])) for i in range(0, len(labels), lines)]
        if TEXT * sum(_LETTER * letters + 3.8 for letters in widest) < points:  # with the sample and the gaps
            return len(widest)
    return 1


def shortened(name: str, letters: int = 32) -> str:
    """A name of at most so many letters, its middle left out, as `plain` text."""
    if len(name) > letters:
        name = f"{name[: letters // 2 - 1]}…{name[-(letters // 2) :]}"
    return plain(name)


def wrapped(text: str, inches: float, size: float = TEXT) -> str:
    """`plain` text, broken into lines that fit into so many inches at a size in points; words that are longer are shortened."""
    letters = max(8, int(72 * inches / (_LETTER * size)))
    lines = [
        line for part in text.splitlines() for line in textwrap.wrap(part, letters, break_long_words=False, break_on_hyphens=False)
    ]
    return "\n".join(shortened(line, letters) for line in lines)


def plain(text: str) -> str:
    """Text in which matplotlib finds no formula, and that it does not leave out of legends, as it does "_x"."""
    return (" " if text.startswith("_") else "") + text.replace("$", r"\$")
