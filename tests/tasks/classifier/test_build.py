"""Loss and images built from a classifier's configuration."""

import numpy as np
import pytest
import torch

from posekit.errors import DataError
from posekit.images import write_image
from posekit.losses import BCE, OHEM, AnchorLoss, CrossEntropy, FocalLoss
from posekit.tasks.classifier.build import build_class_loss, build_images
from posekit.tasks.classifier.config import ClassifierLossConfig, ImagesConfig


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"name": "bce"}, BCE()),
        ({"name": "ce", "ohem": 0.5}, OHEM(CrossEntropy(), 0.5)),
        ({"name": "focal", "gamma": 1.5}, FocalLoss(1.5)),
        ({"gamma": 1.5, "margin": 0.1, "anchor": "both"}, AnchorLoss(1.5, 0.1, "both")),
        ({"anchor": 0.8}, AnchorLoss(0.5, anchor=0.8)),
    ],
)
def test_the_loss_is_as_configured(options, expected):
    logits = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 1, 2, 3, 0, 1])
    loss = build_class_loss(ClassifierLossConfig(**options))
    assert type(loss) is type(expected) and loss(logits, labels) == expected(logits, labels)


def test_splits_with_other_classes_are_refused(tmp_path):
    for split, names in (("train", "ab"), ("val", "ac")):
        for name in names:
            write_image(tmp_path / "x" / split / name / "0.png", np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(DataError, match=r"valid and train.* b;"):
        build_images(ImagesConfig("folder", "x", str(tmp_path), valid="valid", test="valid"))
