"""`posekit export`: a model as one ONNX file."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch

from posekit.choices import DECODE_METHODS
from posekit.command_line import run_command
from posekit.errors import ConfigError, WeightsError
from posekit.files import atomic_write
from posekit.models import load_weights
from posekit.prediction.backends import OnnxBackend, TorchBackend
from posekit.prediction.onnx.export import to_onnx

_DESCRIPTION = """\
Write a model as one ONNX file, with everything from the crop to the joints inside, so that any program that runs ONNX can
use it without posekit; `eval` and `predict` take it as --weights too. Before it is written, it is compared with torch."""

_EPILOG = """\
example:
  %(prog)s --weights runs/lspet/best.safetensors --out lspet.onnx

what the file takes and gives, for any number of people B at once:
  crops    (B, S, S, 3) uint8: red, green, blue; a square around each person, S the model's input size
  joints   (B, K, 2) float32: x, y in pixels of the crop, 0-based, an integer is a pixel's centre
  scores   (B, K) float32: the heatmaps' peaks
  maps     (B, K, S/4, S/4) float32: the heatmaps, after the head's activation
Its metadata "posekit" is JSON with the joints' names, limbs and input size. Needs pip install -e ".[onnx]"."""

_ALLOWED = 1e-4
_CROPS = 2


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Run the command; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog=prog, description=_DESCRIPTION, epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--weights", required=True, metavar="W", help="weights file (.safetensors), or a name of what comes with posekit"
    )
    parser.add_argument("--out", required=True, type=Path, metavar="FILE", help="file to write (.onnx)")
    parser.add_argument("--decode", choices=DECODE_METHODS, default="quarter", help="heatmap to point (default: %(default)s)")
    return run_command(parser, _run, argv)


def _run(args: argparse.Namespace) -> None:
    if args.out.suffix != ".onnx":
        raise ConfigError(f"--out {args.out}: the file's name must end in .onnx")
    model, info = load_weights(args.weights)
    data = to_onnx(model, info, decode=args.decode)
    difference = _difference(OnnxBackend(data, str(args.out)), TorchBackend(model, info))
    if not difference <= _ALLOWED:
        raise WeightsError(
            f"{args.weights}: its ONNX form differs from torch by {difference:.1g}, {_ALLOWED:g} is allowed; not written"
        )
    with atomic_write(args.out) as unfinished:
        unfinished.write_bytes(data)
    print(f"heatmaps as torch's to {difference:.1g} of the highest\nwrote {args.out} ({len(data) / 1e6:.1f} MB)")


def _difference(onnx: OnnxBackend, plain: TorchBackend) -> float:
    """Largest between the maps of a few crops of noise, as a part of the highest value."""
    size = plain.info.input_size
    crops = torch.randint(256, (_CROPS, size, size, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    expected = plain.maps(crops)
    return float((onnx.maps(crops) - expected).abs().max() / expected.abs().max().clamp_min(1))
