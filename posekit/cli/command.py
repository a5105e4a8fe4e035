"""What every command shares: one-line errors, exit status, `--debug`, output folders."""

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from posekit.errors import OutputError, PosekitError

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
    except KeyboardInterrupt:
        print(f"{prog}: interrupted", file=sys.stderr)
        return 130
    return 0


def writable_folder(folder: str | Path) -> Path:
    """Make an output folder, and see now, before long work, that files can be written into it.

    Raises
    ------
    OutputError
        If not.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written ({error.strerror}); choose another --out") from error
