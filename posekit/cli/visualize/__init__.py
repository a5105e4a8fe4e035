"""`posekit visualize`: draw figures of losses, models, predictions and training runs."""

import importlib
from collections.abc import Sequence

from posekit.cli.visualize.parser import build_parser
from posekit.command_line import run_command


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Run the command and return the exit status."""
    return run_command(build_parser(prog), lambda args: importlib.import_module(args.module).run(args), argv)
