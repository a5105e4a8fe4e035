"""What every command shares: one-line errors, exit status, `--debug`."""

import argparse
import sys
from collections.abc import Callable, Sequence

from posekit.errors import PosekitError


def run_command(
    parser: argparse.ArgumentParser, run: Callable[[argparse.Namespace], None], argv: Sequence[str] | None = None
) -> int:
    """Parse the command line, run the command, and turn a user's error into one line.

    Returns
    -------
    int : exit status; 0 done, 1 the run failed, 2 the command line or configuration is wrong, 130 interrupted.
    """
    parser.add_argument("--debug", action="store_true", help="show the full traceback of an error")
    args = parser.parse_args(argv)
    try:
        run(args)
    except PosekitError as error:
        if args.debug:
            raise
        print(f"{parser.prog}: error: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        print(f"{parser.prog}: interrupted", file=sys.stderr)
        return 130
    return 0
