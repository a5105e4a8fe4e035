"""Fixtures of the tests of commands: a model that is right by construction, images for it, and `posekit predict` with it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from posekit.cli.predict import main as predict_main
from posekit.images import cv2
from posekit.models import ModelInfo
from posekit.prediction import predictor
from posekit.skeletons import Skeleton

SPOTS = Skeleton(
    name="spots", joints=("nose", "left_hand", "right_hand"), limbs=(("left_hand", "right_hand"), ("nose", "left_hand"))
)


class SpotFinder(nn.Module):
    """Joint k is the brightest spot of channel k of BGR (models get RGB)."""

    def forward(self, images):
        return [torch.logit(F.avg_pool2d(images.flip(1), 4).clamp(1e-4, 1 - 1e-4))]

    def activate(self, logits):
        return logits.sigmoid()


@pytest.fixture
def spots() -> np.ndarray:
    """(3, 2) image pixels of the joints of `SPOTS`."""
    return np.array([[80.3, 61.8], [105.0, 90.5], [62.6, 110.2]])


@pytest.fixture
def spot_weights(monkeypatch, tmp_path) -> Path:
    """Path of a weights file that loads as `SpotFinder`."""
    info = ModelInfo(SPOTS, 128, stacks=1, features=4, depth=1, head="sigmoid", mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    monkeypatch.setattr(predictor, "load_weights", lambda path, device: (SpotFinder(), info))
    path = tmp_path / "spots.safetensors"
    path.touch()
    return path


@pytest.fixture
def write_spots(spots) -> Callable[..., Path]:
    """Function that writes an image of 200 x 150 pixels with three spots, and returns its path."""

    def write(path, points=spots, height=150, width=200, sigma=4.0):
        y, x = np.mgrid[:height, :width]
        channels = [np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * sigma**2)) for px, py in points]
        path.parent.mkdir(parents=True, exist_ok=True)
        image = (255 * np.stack(channels, -1)).round().astype(np.uint8)
        path.write_bytes(cv2.imencode(path.suffix, image)[1].tobytes())
        return path

    return write


@pytest.fixture
def predict(spot_weights, tmp_path):
    """Run the command with the spots' model, into "out" by default; one person fills the image unless boxes are given."""

    def predict(*arguments):
        arguments = [*map(str, arguments), "--weights", str(spot_weights), "--device", "cpu", "--refine", "0"]
        if "--out" not in arguments:
            arguments += ["--out", str(tmp_path / "out")]
        if not any(argument.startswith("--box") for argument in arguments):
            arguments += ["--detect", "none"]
        return predict_main(arguments, prog="posekit predict")

    return predict
