"""What every command shares: one-line errors, exit status, `--debug`."""

import argparse
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from posekit.errors import PosekitError

DEBUG_HELP = "show the full traceback of an error"


class Terminated(KeyboardInterrupt):
    """SIGTERM, which within `sigterm_interrupts` ends the work as Ctrl-C does."""


@contextmanager
def sigterm_interrupts() -> Iterator[None]:
    """Let SIGTERM raise `Terminated`, so that what is done is kept. Only of use in the main thread."""

    def terminate(signum, frame):
        raise Terminated

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def run_command(
    parser: argparse.ArgumentParser, run: Callable[[argparse.Namespace], None], argv: Sequence[str] | None = None
) -> int:
    """Parse the command line and run the command, guarded.

    Returns
    -------
    int : exit status, see `guarded`.
    """
    parser.add_argument("--debug", action="store_true", help=DEBUG_HELP)
    given = sys.argv[1:] if argv is None else argv
    args = parser.parse_args([text for text in given if text != "--debug"])  # which may stand behind a subcommand too
    return guarded(parser.prog, lambda: run(args), debug="--debug" in given)


def guarded(prog: str, run: Callable[[], None], *, debug: bool) -> int:
    """Run, and turn a user's error into one line.

    Returns
    -------
    int : 0 done, 1 the run failed, 2 the command line or configuration is wrong, 130 or 143 interrupted.
    """
    try:
        run()
    except PosekitError as error:
        if debug:
            raise
        print(f"{prog}: {error.label}: {error}", file=sys.stderr)
        return error.exit_status
    except BrokenPipeError:  # who reads our output, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains once more at its end
        return 1
    except KeyboardInterrupt as stop:
        print(f"{prog}: interrupted", file=sys.stderr)
        return 128 + (signal.SIGTERM if isinstance(stop, Terminated) else signal.SIGINT)
    return 0
