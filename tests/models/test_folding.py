"""Folding changes the network, not its outputs."""

import copy

import pytest
import torch
from torch import nn

from posekit.models import StackedHourglass
from posekit.models.folding import fold


def trained(module, seed=0):
    """Give every normalisation the statistics and factors that training may give it, negative and vanishing ones too."""
    generator = torch.Generator().manual_seed(seed)
    for norm in (part for part in module.modules() if isinstance(part, nn.BatchNorm2d)):
        norm.running_mean.normal_(generator=generator)
        norm.running_var.uniform_(0.2, 3, generator=generator)
        norm.weight.data.normal_(generator=generator)
        norm.bias.data.normal_(generator=generator)
        norm.weight.data[:3] = torch.tensor([0.0, -1e-30, 1e-6])
        norm.bias.data[:1] = 0.7
    return module.eval()


@torch.no_grad()
@pytest.mark.parametrize("options", [{}, {"blocks": 2}, {"stem": (4, 12, 8)}, {"head": "linear", "stacks": 3}], ids=str)
def test_every_stack_gives_the_same_outputs(options):
    torch.manual_seed(0)
    model = trained(StackedHourglass(joints=5, features=16, depth=2, **{"stacks": 2, **options}))
    folded = fold(model)
    images = torch.randn(2, 3, 32, 48)
    for before, after in zip(model(images), folded(images), strict=True):
        scale = before.abs().max()
        assert scale > 1
        assert (before - after).abs().max() < 1e-4 * scale
        assert (model.activate(before) - folded.activate(after)).abs().max() < 1e-4 * (scale if model.head == "linear" else 1)


def test_no_normalisation_is_left():
    folded = fold(StackedHourglass(joints=5, stacks=2, features=8, depth=2).eval())
    assert not [part for part in folded.modules() if isinstance(part, nn.BatchNorm2d)]
    assert not any(parameter.requires_grad for parameter in folded.parameters())
    assert not folded.training


@torch.no_grad()
@pytest.mark.parametrize(
    "convolution",
    [nn.Conv2d(6, 7, 3, padding=1), nn.Conv2d(6, 7, 1, padding=1), nn.Conv2d(6, 6, 1, groups=2), nn.Conv2d(6, 7, 1, bias=False)],
    ids=["3x3", "padded", "groups", "without bias"],
)
def test_a_convolution_that_cannot_take_the_shift_is_not_changed(convolution):
    block = trained(nn.Sequential(nn.BatchNorm2d(6), nn.ReLU(inplace=True), convolution))
    folded = fold(block)
    assert isinstance(folded[0], nn.BatchNorm2d)
    images = torch.randn(2, 6, 5, 7)
    torch.testing.assert_close(folded(images.clone()), block(images.clone()))


@torch.no_grad()
def test_known_values():
    """relu(2 x + 3) and relu(-2 x + 3), each times 10, plus 5."""
    norm = nn.BatchNorm2d(2, eps=0)
    convolution = nn.Conv2d(2, 2, 1)
    norm.weight.data = torch.tensor([2.0, -2.0])
    norm.bias.data.fill_(3.0)
    convolution.weight.data = 10 * torch.eye(2)[:, :, None, None]
    convolution.bias.data.fill_(5.0)
    folded = fold(nn.Sequential(norm, nn.ReLU(), convolution).eval())
    assert len(folded) == 2
    x = torch.tensor([-2.0, -1.0, 0.0, 1.0, 2.0])
    outputs = folded(x.expand(1, 2, 1, 5))[0, :, 0]
    torch.testing.assert_close(outputs, torch.tensor([[5.0, 15, 35, 55, 75], [75, 55, 35, 15, 5]]))


def test_the_model_is_not_changed():
    model = trained(StackedHourglass(joints=5, stacks=1, features=12, depth=1))
    before = copy.deepcopy(model.state_dict())
    fold(model)
    assert model.state_dict().keys() == before.keys()
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_a_model_in_training_is_refused():
    with pytest.raises(ValueError, match="training mode"):
        fold(StackedHourglass(joints=5, stacks=1, features=8, depth=1))
