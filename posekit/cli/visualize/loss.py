"""`posekit visualize loss`: figures 2 and A-1 of the paper."""

import argparse

from posekit.cli.visualize.output import add_out, tell_written, write_plot
from posekit.command_line import exponent, probability
from posekit.drawing.loss import loss_curves, loss_surface
from posekit.files import writable_folder

_DESCRIPTION = """\
What anchor loss charges for background, beside cross entropy and focal loss (the paper's figures 2 and A-1).

The numbers come from the losses that training uses: each is the cost of one background pixel of probability q on
a map whose joint has probability q*, the anchor; gradients are autograd's."""

_EPILOG = """\
examples:
  %(prog)s --out figures
  several exponents, a row for each, and an untrained beside a sure network
    %(prog)s --gamma 0.5 2 5 --anchor 0.05 0.95

what is written, each as .png, .svg and .pdf:
  OUT/loss            loss L on the left and gradient dL/dq on the right, against q
  OUT/loss-surface    anchor loss on the left and its ratio to cross entropy on the right, over q and q*

how to read it: right of its dot, where q = q*, a line of anchor loss lies above the dotted cross entropy, since
background that scores higher than the joint is charged more, and left of it below; gradients cross before
the dot, because they also count that the factor (1 + q - q*)^gamma grows.

Cross entropy is -log(1 - q): BCE of one output, and the same curve as CE of a softmax over two classes."""


def add_loss(commands: argparse._SubParsersAction) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "loss",
        help="loss and gradient against the background's probability, beside cross entropy and focal loss",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_out(parser)
    parser.add_argument(
        "--gamma", dest="gammas", nargs="+", type=exponent, default=[2.0], metavar="G",
        help="focusing exponents of anchor loss and focal loss, 0 to 10 (default: 2)",
    )  # fmt: skip
    parser.add_argument(
        "--anchor", dest="anchors", nargs="+", type=probability, default=[0.1, 0.5, 0.9], metavar="Q",
        help="anchor probabilities q*, 0 to 1 (default: 0.1 0.5 0.9)",
    )  # fmt: skip
    parser.set_defaults(run=_loss)


def _loss(args: argparse.Namespace) -> None:
    out, gammas, anchors = writable_folder(args.out), list(dict.fromkeys(args.gammas)), list(dict.fromkeys(args.anchors))
    tell_written(write_plot(loss_curves(gammas, anchors), out, "loss"))
    tell_written(write_plot(loss_surface(gammas), out, "loss-surface"))
