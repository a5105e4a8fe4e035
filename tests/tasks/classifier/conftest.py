"""Images of three classes for the tests of the classifier."""

from pathlib import Path

import numpy as np
import pytest

from posekit.images import cv2

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
    """Folder with ``tiny.yaml``, which trains a classifier on noisy images that are mostly blue, green or red."""
    root = tmp_path_factory.mktemp("classes")
    rng = np.random.default_rng(0)
    for split, count in (("train", 12), ("valid", 5)):
        for channel, name in enumerate(CLASSES):
            (root / "colours" / split / name).mkdir(parents=True)
            for i in range(count):
                image = rng.integers(60, size=(12, 10, 3), dtype=np.uint8)
                image[..., channel] += 100
                cv2.imwrite(str(root / "colours" / split / name / f"{i}.png"), image)
    (root / "tiny.yaml").write_text(CLASSIFIER.format(root=root))
    return root
