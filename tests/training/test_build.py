"""Optimizer, precision and notes built from a configuration."""

import pytest
import torch
from torch import nn

from posekit.training.build import build_optimizer, resolved_precision, training_notes
from posekit.training.config import OptimizerConfig, TrainConfig
from tests.fixtures.people import make_people


@pytest.mark.parametrize(
    ("processor", "expected"), [({"avx512_bf16": True}, "bf16"), ({"amx_bf16": True}, "bf16"), ({"avx2": True}, "no"), ({}, "no")]
)
def test_auto_precision_is_bf16_only_if_the_processor_supports_bf16(monkeypatch, processor, expected):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: processor, raising=False)
    assert resolved_precision(TrainConfig(precision="auto", device="cpu")) == expected


def test_auto_precision_is_no_on_an_older_pytorch(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert resolved_precision(TrainConfig(precision="auto", device="cpu")) == "no"


@pytest.mark.parametrize("name", ["no", "bf16", "fp16"])
def test_a_named_precision_stays(name):
    assert resolved_precision(TrainConfig(precision=name, device="cpu")) == name


def test_sgd_has_its_momentum():
    config = OptimizerConfig(name="sgd", lr=0.1, momentum=0.8, nesterov=True, weight_decay=1e-4, schedule="constant")
    (group,) = build_optimizer(config, nn.Linear(1, 1)).param_groups
    assert (group["lr"], group["momentum"], group["nesterov"], group["weight_decay"]) == (0.1, 0.8, True, 1e-4)


@pytest.mark.parametrize(("loss", "has_gamma"), [("anchor", True), ("focal", True), ("bce", False), ("mse", False), ("ce", False)])
def test_notes_have_gamma_only_if_the_loss_has_gamma(loss, has_gamma):
    notes = training_notes(loss, 2.0, make_people())
    assert notes["loss"] == loss and notes.get("gamma") == (2.0 if has_gamma else None)
    assert list(notes)[-1] == "trained_on"
