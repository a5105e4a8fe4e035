"""`posekit export`: export a model to ONNX."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from posekit.choices import DECODE_METHODS
from posekit.command_line import run_command

_DESCRIPTION = """\
Export a model to one ONNX file that maps crops to keypoints. Any program that runs ONNX can use the file without posekit;
posekit's own `eval` and `predict` accept the file as --weights. Before the file is written, the heatmaps of the ONNX model
are compared with those of the PyTorch model."""

_EPILOG = """\
example:
  %(prog)s --weights runs/lspet/best.safetensors --out lspet.onnx

input of the ONNX model, for a batch of B people:
  crops    (B, S, S, 3) uint8: a square RGB crop around each person; S is the model's input size
outputs, for K joints:
  joints   (B, K, 2) float32: x, y in pixels of the crop; 0-based, integers are pixel centres
  scores   (B, K) float32: peak value of each heatmap
  maps     (B, K, S/4, S/4) float32: the heatmaps, after the activation of the model's head
The file's metadata entry "posekit" is JSON with joint names, limbs and input size.
This command requires the optional dependencies: pip install -e ".[onnx]"."""


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Run the command and return the exit status."""
    parser = argparse.ArgumentParser(
        prog=prog, description=_DESCRIPTION, epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--weights", required=True, metavar="W", help="a weights file (.safetensors) or the name of bundled weights"
    )
    parser.add_argument("--out", required=True, type=Path, metavar="FILE", help="path of the .onnx file to write")
    parser.add_argument(
        "--decode",
        choices=DECODE_METHODS,
        default="quarter",
        help="method to read a joint's position from its heatmap (default: %(default)s)",
    )
    return run_command(parser, _run, argv)


def _run(args: argparse.Namespace) -> None:
    from posekit.cli.export.run import run

    run(args)
