"""The optimizer and the precision that a configuration describes."""

import pytest
import torch
from torch import nn

from posekit.training.build import build_optimizer, resolved_precision
from posekit.training.config import OptimizerConfig, TrainConfig


@pytest.mark.parametrize(
    ("processor", "expected"), [({"avx512_bf16": True}, "bf16"), ({"amx_bf16": True}, "bf16"), ({"avx2": True}, "no"), ({}, "no")]
)
def test_auto_precision_is_bf16_only_where_the_processor_multiplies_in_it(monkeypatch, processor, expected):
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
