"""`posekit export`: export a model to ONNX."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from posekit.choices import DECODE_METHODS
from posekit.command_line import new_parser, run_command
from posekit.errors import ConfigError, WeightsError
from posekit.files import atomic_write

if TYPE_CHECKING:
    from posekit.prediction.backends import OnnxBackend, TorchBackend

_DESCRIPTION = """\
Export a model to one ONNX file that maps crops to keypoints. ONNX Runtime can run the file without posekit installed;
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
This command requires the optional ONNX packages: pip install -e ".[onnx]"."""


# Largest allowed difference between ONNX and PyTorch heatmap values, relative to the highest value.
_TOLERANCE = 1e-4


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Run the command and return the exit status."""
    parser = new_parser(prog, _DESCRIPTION, _EPILOG)
    add = parser.add_argument
    add("--weights", required=True, metavar="W", help="a weights file (.safetensors) or the name of bundled weights")
    add("--out", required=True, type=Path, metavar="FILE", help="path of the .onnx file to write")
    add(
        "--decode", choices=DECODE_METHODS, default="quarter",
        help="method to read a joint's position from its heatmap (default: %(default)s)",
    )  # fmt: skip
    return run_command(parser, _run, argv)


def _run(args: argparse.Namespace) -> None:
    """Convert the model to ONNX, compare the heatmaps of ONNX and PyTorch, and write the file."""
    from posekit.models import load_weights
    from posekit.prediction.backends import OnnxBackend, TorchBackend
    from posekit.prediction.onnx import to_onnx

    if args.out.suffix != ".onnx":
        raise ConfigError(f"--out {args.out}: the file name must end in .onnx")
    model, info = load_weights(args.weights)
    data = to_onnx(model, info, decode=args.decode)
    difference = _relative_difference(OnnxBackend(data, str(args.out)), TorchBackend(model, info))
    if not difference <= _TOLERANCE:  # also true if the difference is NaN
        raise WeightsError(
            f"{args.weights}: the ONNX heatmaps differ from PyTorch by {difference:.1g}, more than {_TOLERANCE:g}; not written"
        )
    with atomic_write(args.out) as unfinished:
        unfinished.write_bytes(data)
    print(f"largest heatmap difference from PyTorch: {difference:.1g} of the peak value")
    print(f"wrote {args.out} ({len(data) / 1e6:.1f} MB)")


def _relative_difference(onnx: "OnnxBackend", reference: "TorchBackend") -> float:
    """Return the largest heatmap difference on random crops, relative to the highest heatmap value (or to 1 if that is lower)."""
    import torch

    size = reference.info.input_size
    crops = torch.randint(256, (2, size, size, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    expected = reference.maps(crops)
    return float((onnx.maps(crops) - expected).abs().max() / expected.abs().max().clamp_min(1))
