"""Implementation of `posekit export`."""

import argparse

import torch

from posekit.errors import ConfigError, WeightsError
from posekit.files import atomic_write
from posekit.models import load_weights
from posekit.prediction.backends import OnnxBackend, TorchBackend
from posekit.prediction.onnx import to_onnx

# Largest allowed difference between ONNX and PyTorch heatmap values, relative to the highest value.
_TOLERANCE = 1e-4
_CROPS = 2


def run(args: argparse.Namespace) -> None:
    """Convert the model to ONNX, compare its heatmaps with PyTorch's, and write the file."""
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
    print(
        f"largest heatmap difference from PyTorch: {difference:.1g} of the peak value\nwrote {args.out} ({len(data) / 1e6:.1f} MB)"
    )


def _relative_difference(onnx: OnnxBackend, reference: TorchBackend) -> float:
    """Return the largest heatmap difference on random crops, relative to the highest heatmap value (or to 1 if that is lower)."""
    size = reference.info.input_size
    crops = torch.randint(256, (_CROPS, size, size, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    expected = reference.maps(crops)
    return float((onnx.maps(crops) - expected).abs().max() / expected.abs().max().clamp_min(1))
