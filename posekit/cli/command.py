"""What every command shares: one-line errors, exit status, `--debug`."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence

from posekit.errors import PosekitError

DEBUG_HELP = "show the full traceback of an error"


def run_command(
    parser: argparse.ArgumentParser, run: Callable[[argparse.Namespace], None], argv: Sequence[str] | None = None
) -> int:
    """Parse the command line and run the command, guarded.

    Returns
    -------
    int : exit status, see `guarded`.
    """
    parser.add_argument("--debug", action="store_true", help=DEBUG_HELP)
    args = parser.parse_args(argv)
    return guarded(parser.prog, lambda: run(args), debug=args.debug)


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
    except KeyboardInterrupt:
        print(f"{prog}: interrupted", file=sys.stderr)
        return 130
    return 0
