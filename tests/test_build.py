"""What a configuration becomes."""

import pytest
import torch

from posekit.build import resolved_precision
from posekit.config import TrainConfig


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
