"""A small hourglass whose heatmaps have clear peaks, and a cache folder for each test."""

import sys

import pytest
import torch
from torch import nn

from posekit.models import ModelInfo, StackedHourglass, save_weights
from posekit.skeletons import LSP14

SIZE = 64


@pytest.fixture(autouse=True)
def cache_home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(params=["sigmoid", "linear"])
def small(request):
    """A model and its description, with statistics and factors as after training."""
    return make_small(request.param)


@pytest.fixture
def sigmoid():
    return make_small("sigmoid")


def make_small(head, seed=0):
    torch.manual_seed(seed)
    model = StackedHourglass(joints=14, stacks=2, features=8, depth=2, head=head)
    for norm in (part for part in model.modules() if isinstance(part, nn.BatchNorm2d)):
        nn.init.normal_(norm.running_mean)
        nn.init.uniform_(norm.running_var, 0.5, 2)
        nn.init.uniform_(norm.weight, -0.5, 1)
        nn.init.normal_(norm.bias)
    nn.init.normal_(model.outputs[-1].weight, std=0.1)
    info = ModelInfo(
        LSP14, SIZE, stacks=2, features=8, depth=2, head=head, mean=(0.4, 0.45, 0.5), std=(0.2, 0.3, 0.25), notes={"seed": seed}
    )
    return model.eval(), info


@pytest.fixture
def weights(sigmoid, tmp_path):
    save_weights(tmp_path / "w.safetensors", *sigmoid)
    return tmp_path / "w.safetensors"


@pytest.fixture
def crops():
    """Make any number of random crops."""
    return lambda count: torch.randint(256, (count, SIZE, SIZE, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def without(monkeypatch):
    """Make a package look as if it were not installed."""
    return lambda package: monkeypatch.setitem(sys.modules, package, None)
