"""Helpers that all commands share: signals, parsers, exit status and error messages, argument types, and short file names."""

import argparse
import os
import pkgutil
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count, takewhile
from pathlib import Path
from typing import Any

from posekit.errors import BoxError, PosekitError
from posekit.geometry import Box

DEBUG_HELP = "show the full traceback of an error"


class Terminated(KeyboardInterrupt):
    """Raised on SIGTERM within `sigterm_interrupts`, to stop the command in the same way as Ctrl-C."""


@contextmanager
def handle_signals(handler: Callable[[int, Any], None], *signums: int) -> Iterator[None]:
    """Install a signal handler within the context; on exit, restore each earlier handler, unless `handler` has been replaced."""
    earlier = {signum: signal.signal(signum, handler) for signum in signums}
    try:
        yield
    finally:
        for signum, before in earlier.items():
            if signal.getsignal(signum) is handler:
                signal.signal(signum, before)


@contextmanager
def sigterm_interrupts() -> Iterator[None]:
    """Let SIGTERM raise `Terminated`, so that a command can save finished work. Works in the main thread only."""

    def terminate(signum: int, frame: Any) -> None:
        raise Terminated

    with handle_signals(terminate, signal.SIGTERM):
        yield


def new_parser(prog: str | None, description: str, epilog: str = "") -> argparse.ArgumentParser:
    """Make a parser that prints description and epilog with their line breaks."""
    formatter = argparse.RawDescriptionHelpFormatter
    return argparse.ArgumentParser(prog=prog, description=description, epilog=epilog, formatter_class=formatter)


def add_subcommand(
    commands: argparse._SubParsersAction, name: str, function: str, summary: str, description: str, epilog: str = ""
) -> argparse.ArgumentParser:
    """Add the parser of a subcommand; `function` is the function that `run_subcommand` imports and runs, as MODULE:NAME."""
    formatter = argparse.RawDescriptionHelpFormatter
    parser = commands.add_parser(name, help=summary, description=description, epilog=epilog, formatter_class=formatter)
    parser.set_defaults(function=function)
    return parser


def run_subcommand(args: argparse.Namespace) -> None:
    """Import and run the function of the chosen subcommand."""
    pkgutil.resolve_name(args.function)(args)


def run_command(
    parser: argparse.ArgumentParser, run: Callable[[argparse.Namespace], None], argv: Sequence[str] | None = None
) -> int:
    """Parse the command line and run the command.

    Returns
    -------
    int : the exit status, see `guarded`.
    """
    parser.add_argument("--debug", action="store_true", help=DEBUG_HELP)
    argv = sys.argv[1:] if argv is None else argv
    args = parser.parse_args([text for text in argv if text != "--debug"])  # --debug is also valid after a subcommand
    return guarded(parser.prog, lambda: run(args), debug="--debug" in argv)


def guarded(prog: str, run: Callable[[], None], *, debug: bool) -> int:
    """Call `run`; print a `PosekitError` as one line on stderr.

    Returns
    -------
    int : exit status: 0 success, 1 failure, 2 invalid command line or configuration, 130 Ctrl-C, 143 SIGTERM.
    """
    try:
        run()
    except PosekitError as error:
        if debug:
            raise
        print(f"{prog}: {error.label}: {error}", file=sys.stderr)
        return error.exit_status
    except BrokenPipeError:  # the program that reads the output, e.g. `head`, has closed the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # avoid a second error at exit
        return 1
    except KeyboardInterrupt as stop:
        print(f"{prog}: interrupted", file=sys.stderr)
        return 128 + (signal.SIGTERM if isinstance(stop, Terminated) else signal.SIGINT)
    return 0


def add_source_options(parser: argparse._ActionsContainer, kinds: Iterable[str], *, required: bool = True) -> None:
    """Add the options `--data` and `--root`, which select a data set; `kinds` are the choices of `--data`."""
    parser.add_argument("--data", required=required, choices=tuple(kinds), help="data set format; lsp means LSP or LSPET")
    parser.add_argument("--root", required=required, type=Path, metavar="DIR", help="folder or annotation file of the data set")


def positive(text: str) -> int:
    """Parse a whole number of at least 1."""
    return _whole(text, 1)


def not_negative(text: str) -> int:
    """Parse a whole number of at least 0."""
    return _whole(text, 0)


def _whole(text: str, minimum: int) -> int:
    if not text.isdecimal() or int(text) < minimum:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number of at least {minimum}")
    return int(text)


def above_zero(text: str) -> float:
    """Parse a finite number above 0."""
    value = _number(text)
    if value is None or value <= 0:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a number above 0")
    return value


def exponent(text: str) -> float:
    """Parse a focusing exponent (gamma) from 0 to 10; the paper uses values up to 5."""
    return _up_to(10, text)


def probability(text: str) -> float:
    """Parse a number from 0 to 1."""
    return _up_to(1, text)


def _up_to(maximum: float, text: str) -> float:
    value = _number(text)
    if value is None or not 0 <= value <= maximum:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a number from 0 to {maximum}")
    return value


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if abs(value) < float("inf") else None


def box(text: str) -> Box:
    """Parse the rectangle x,y,w,h around a person, and return the square box that `Box.from_xywh` makes of the rectangle."""
    try:
        x, y, width, height = map(float, text.split(","))
        return Box.from_xywh(x, y, width, height)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: expected x,y,w,h, four numbers separated by commas") from None
    except BoxError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def short_names(paths: Sequence[Path]) -> list[str]:
    """Return a short name for each path: the file name or, if two file names are equal, the parts in which the paths differ.

    Parameters
    ----------
    paths : sequence of Path
        Files or folders, all different.
    """
    names = [path.resolve().name for path in paths]
    if len(set(names)) == len(names):
        return names
    parts = [path.resolve().parts for path in paths]
    start = _shared_length(parts)
    rests = [path_parts[start:] for path_parts in parts]
    end = _shared_length([rest[::-1] for rest in rests])
    return ["/".join(rest[: len(rest) - end]) or "." for rest in rests]


def numbered(name: str) -> Iterator[str]:
    """Yield NAME, NAME-2, NAME-3 …, so that the caller can choose the first free name."""
    yield name
    for number in count(2):
        yield f"{name}-{number}"


def _shared_length(paths: Sequence[Sequence[str]]) -> int:
    """Count the leading parts that all paths share."""
    shared = takewhile(lambda parts: len(set(parts)) == 1, zip(*paths, strict=False))
    return len(list(shared))
