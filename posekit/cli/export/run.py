"""The work of `posekit export`."""

import argparse

import torch

from posekit.errors import ConfigError, WeightsError
from posekit.files import atomic_write
from posekit.models import load_weights
from posekit.prediction.backends import OnnxBackend, TorchBackend
from posekit.prediction.onnx.export import to_onnx

# Largest difference of a heatmap value from torch's, as a fraction of the highest one.
_TOLERANCE = 1e-4
_CROPS = 2


def run(args: argparse.Namespace) -> None:
    """Convert the model, compare it with torch, and write the file."""
    if args.out.suffix != ".onnx":
        raise ConfigError(f"--out {args.out}: the file name must end in .onnx")
    model, info = load_weights(args.weights)
    data = to_onnx(model, info, decode=args.decode)
    difference = _relative_difference(OnnxBackend(data, str(args.out)), TorchBackend(model, info))
    if not difference <= _TOLERANCE:  # NaN is no match either
        raise WeightsError(
            f"{args.weights}: the ONNX model differs from torch by {difference:.1g} ({_TOLERANCE:g} is allowed); not written"
        )
    with atomic_write(args.out) as unfinished:
        unfinished.write_bytes(data)
    print(f"heatmaps differ from torch by {difference:.1g} of the highest value\nwrote {args.out} ({len(data) / 1e6:.1f} MB)")


def _relative_difference(onnx: OnnxBackend, reference: TorchBackend) -> float:
    """Largest difference of the heatmaps of random crops, as a fraction of the highest value."""
    size = reference.info.input_size
    crops = torch.randint(256, (_CROPS, size, size, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    expected = reference.maps(crops)
    return float((onnx.maps(crops) - expected).abs().max() / expected.abs().max().clamp_min(1))
