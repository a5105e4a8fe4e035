"""What the tests of commands share: a model that is right by construction, pictures for it, and images of classes."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from posekit.inference import predictor
from posekit.models import ModelInfo
from posekit.opencv import cv2
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
    """(3, 2): where the spots of a picture are, of `SPOTS`' joints."""
    return np.array([[80.3, 61.8], [105.0, 90.5], [62.6, 110.2]])


@pytest.fixture
def spot_weights(monkeypatch, tmp_path) -> Path:
    """Path of a weights file that stands for `SpotFinder`."""
    info = ModelInfo(SPOTS, 128, stacks=1, features=4, depth=1, head="sigmoid", mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    monkeypatch.setattr(predictor, "load_weights", lambda path, device: (SpotFinder(), info))
    path = tmp_path / "spots.safetensors"
    path.touch()
    return path


@pytest.fixture
def write_spots(spots) -> Callable[..., Path]:
    """Write a picture of 200 x 150 pixels with three spots; gives its path."""

    def write(path, points=spots, height=150, width=200, sigma=4.0):
        y, x = np.mgrid[:height, :width]
        channels = [np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * sigma**2)) for px, py in points]
        path.parent.mkdir(parents=True, exist_ok=True)
        picture = (255 * np.stack(channels, -1)).round().astype(np.uint8)
        path.write_bytes(cv2.imencode(path.suffix, picture)[1].tobytes())
        return path

    return write


CLASSES = ("blue", "green", "red")
CLASSIFIER = """
data: {{root: {root}, images: folder, path: colours, valid: valid, test: valid, size: 8, pad: 1}}
model: {{name: resnet20}}
loss: {{name: anchor, gamma: 0.5, warmup_epochs: 1}}
optimizer: {{name: sgd, lr: 0.05, schedule: steps, milestones: [2]}}
train: {{epochs: 2, batch_size: 8, keep_epochs: [1], device: cpu, workers: 0}}
"""


@pytest.fixture(scope="session")
def colours(tmp_path_factory) -> Path:
    """Folder with ``tiny.yaml``, which trains a classifier on noisy pictures that are mostly blue, green or red."""
    root = tmp_path_factory.mktemp("classes")
    rng = np.random.default_rng(0)
    for split, count in (("train", 12), ("valid", 5)):
        for channel, name in enumerate(CLASSES):
            (root / "colours" / split / name).mkdir(parents=True)
            for i in range(count):
                picture = rng.integers(60, size=(12, 10, 3), dtype=np.uint8)
                picture[..., channel] += 100
                cv2.imwrite(str(root / "colours" / split / name / f"{i}.png"), picture)
    (root / "tiny.yaml").write_text(CLASSIFIER.format(root=root))
    return root
