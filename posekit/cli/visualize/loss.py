"""`posekit visualize loss`: figures 2 and A-1 of the paper."""

import argparse

from posekit.cli.visualize.output import write_plot
from posekit.drawing.loss import loss_curves, loss_surface
from posekit.files import writable_folder


def run(args: argparse.Namespace) -> None:
    """Plot loss and gradient as functions of the predicted probability of a background pixel."""
    out = writable_folder(args.out)
    gammas = list(dict.fromkeys(args.gammas))
    anchors = list(dict.fromkeys(args.anchors))
    write_plot(loss_curves(gammas, anchors), out, "loss")
    write_plot(loss_surface(gammas), out, "loss-surface")
