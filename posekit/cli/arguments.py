"""Options and kinds of arguments that several commands take."""

import argparse
from collections.abc import Iterable
from pathlib import Path

from posekit.errors import BoxError
from posekit.geometry import Box


def add_source_options(parser: argparse._ActionsContainer, kinds: Iterable[str], *, required: bool = True) -> None:
    """Options that name a data set of one of these kinds."""
    parser.add_argument("--data", required=required, choices=tuple(kinds), help="kind of data set; lsp reads LSP and LSPET")
    parser.add_argument("--root", required=required, type=Path, metavar="DIR", help="the data set's folder, or its annotation file")


def positive(text: str) -> int:
    """A whole number of at least 1."""
    return _at_least(1, text)


def not_negative(text: str) -> int:
    """A whole number of at least 0."""
    return _at_least(0, text)


def _at_least(least: int, text: str) -> int:
    if not text.isdecimal() or int(text) < least:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number of at least {least}")
    return int(text)


def above_zero(text: str) -> float:
    """A finite number above 0."""
    value = _number(text)
    if value is None or value <= 0:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a number above 0")
    return value


def exponent(text: str) -> float:
    """A focusing exponent, 0 to 10; the paper goes up to 5."""
    return _up_to(10, text)


def probability(text: str) -> float:
    """A number from 0 to 1."""
    return _up_to(1, text)


def _up_to(most: float, text: str) -> float:
    value = _number(text)
    if value is None or not 0 <= value <= most:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a number from 0 to {most}")
    return value


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if abs(value) < float("inf") else None


def box(text: str) -> Box:
    """A rectangle x,y,w,h around a person, as the box of `Box.from_xywh`."""
    try:
        x, y, width, height = map(float, text.split(","))
        return Box.from_xywh(x, y, width, height)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not x,y,w,h: four numbers with commas between") from None
    except BoxError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
