"""`posekit visualize`: see what the loss does."""

import argparse
from collections.abc import Sequence

from posekit.cli.visualize.comparison import add_comparison
from posekit.cli.visualize.explore import add_explore
from posekit.cli.visualize.heatmaps import add_heatmaps
from posekit.cli.visualize.loss import add_loss
from posekit.cli.visualize.penalty import add_penalty
from posekit.cli.visualize.predictions import add_predictions
from posekit.cli.visualize.targets import add_targets
from posekit.cli.visualize.training import add_training
from posekit.command_line import run_command

_DESCRIPTION = """\
See what the loss does to a model, and what the model does to photographs.

Pictures are written as PNG, plots as PNG, SVG and PDF. The functions behind them are in posekit.drawing."""


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Run the command; returns the exit status."""
    return run_command(_parser(prog), lambda args: args.run(args), argv)


def _parser(prog: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=prog, description=_DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for add in (add_penalty, add_loss, add_targets, add_predictions, add_training, add_comparison, add_heatmaps, add_explore):
        add(commands)
    return parser
