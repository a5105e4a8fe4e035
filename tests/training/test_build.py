"""What a configuration becomes."""

import numpy as np
import pytest
import torch
from torch import nn

from posekit.errors import DataError
from posekit.images import write_image
from posekit.losses import BCE, OHEM, AnchorLoss, CrossEntropy, FocalLoss
from posekit.tasks.classifier.build import build_class_loss, build_images
from posekit.tasks.classifier.config import ClassifierLossConfig, ImagesConfig
from posekit.training.build import build_optimizer, resolved_precision
from posekit.training.config import OptimizerConfig, TrainConfig


@pytest.mark.parametrize(
    ("processor", "expected"), [({"avx512_bf16": True}, "bf16"), ({"amx_bf16": True}, "bf16"), ({"avx2": True}, "no"), ({}, "no")]
)
def test_auto_precision_is_bf16_only_where_the_processor_multiplies_in_it(monkeypatch, processor, expected):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: processor, raising=False)
    assert resolved_precision(TrainConfig(precision="auto", device="cpu")) == expected


def test_auto_precision_on_a_pytorch_that_cannot_tell(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert resolved_precision(TrainConfig(precision="auto", device="cpu")) == "no"


@pytest.mark.parametrize("name", ["no", "bf16", "fp16"])
def test_a_named_precision_stays(name):
    assert resolved_precision(TrainConfig(precision=name, device="cpu")) == name


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
def test_losses_of_classifiers_are_as_configured(options, expected):
    logits, labels = torch.randn(6, 4, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 2, 3, 0, 1])
    loss = build_class_loss(ClassifierLossConfig(**options))
    assert type(loss) is type(expected) and loss(logits, labels) == expected(logits, labels)


def test_sgd_has_its_momentum():
    config = OptimizerConfig(name="sgd", lr=0.1, momentum=0.8, nesterov=True, weight_decay=1e-4, schedule="constant")
    (group,) = build_optimizer(config, nn.Linear(1, 1)).param_groups
    assert (group["lr"], group["momentum"], group["nesterov"], group["weight_decay"]) == (0.1, 0.8, True, 1e-4)


def test_splits_with_other_classes_are_refused(tmp_path):
    for split, names in (("train", "ab"), ("val", "ac")):
        for name in names:
            write_image(tmp_path / "x" / split / name / "0.png", np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(DataError, match="valid and train have other classes, such as b; complete one"):
        build_images(ImagesConfig("folder", "x", str(tmp_path), valid="valid", test="valid"))
