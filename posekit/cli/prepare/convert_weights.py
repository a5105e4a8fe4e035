"""`posekit prepare convert-weights`: convert a published hourglass checkpoint to a posekit weights file."""

import argparse

from posekit.models import convert_weights


def run(args: argparse.Namespace) -> None:
    """Write the weights file."""
    info = convert_weights(args.source, args.target)
    print(f"{args.target}: {info.stacks} stacks of {info.features} features, {len(info.skeleton)} joints, {info.input_size} px")
