"""`posekit export`: write a model as one ONNX file."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from posekit.choices import DECODE_METHODS
from posekit.command_line import run_command

_DESCRIPTION = """\
Write a model as one ONNX file that maps crops to keypoints, so that any program that runs ONNX can use it without posekit;
`eval` and `predict` read it as --weights too. Before the file is written, its heatmaps are compared with torch's."""

_EPILOG = """\
example:
  %(prog)s --weights runs/lspet/best.safetensors --out lspet.onnx

inputs and outputs of the network, for any number of people B at once:
  crops    (B, S, S, 3) uint8: red, green, blue; a square around each person, S the model's input size
  joints   (B, K, 2) float32: x, y in pixels of the crop, 0-based, an integer is a pixel's centre
  scores   (B, K) float32: the heatmaps' peaks
  maps     (B, K, S/4, S/4) float32: the heatmaps, after the head's activation
Its metadata "posekit" is JSON with the joints' names, limbs and input size. Requires pip install -e ".[onnx]"."""


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Run the command; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog=prog, description=_DESCRIPTION, epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--weights", required=True, metavar="W", help="weights file (.safetensors), or the name of weights that come with posekit"
    )
    parser.add_argument("--out", required=True, type=Path, metavar="FILE", help="file to write (.onnx)")
    parser.add_argument(
        "--decode", choices=DECODE_METHODS, default="quarter", help="how a heatmap becomes a point (default: %(default)s)"
    )
    return run_command(parser, _run, argv)


def _run(args: argparse.Namespace) -> None:
    from posekit.cli.export.run import run

    run(args)
