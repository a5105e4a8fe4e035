import copy

import pytest
import torch
from torch import nn

from posekit.models import StackedHourglass
from posekit.models.hourglass import Hourglass, Residual


def small(joints=5, stacks=2, features=8, depth=2, **options):
    torch.manual_seed(0)
    return StackedHourglass(joints, stacks, features, depth, **options)


def count(model):
    return sum(parameter.numel() for parameter in model.parameters())


# 6.73 M and 25.59 M are the counts of the published PyTorch networks; papers round them to 6.7 M and 25.6 M.
@pytest.mark.parametrize("stacks, published, exact", [(2, 6.7e6, 6_730_912), (8, 25.6e6, 25_594_624)])
def test_parameter_counts_are_the_published_ones(stacks, published, exact):
    with torch.device("meta"):
        parameters = count(StackedHourglass(joints=16, stacks=stacks))
    assert parameters == exact
    assert abs(parameters - published) <= 0.01 * published


def test_the_stem_of_small_networks_is_small():
    stem = StackedHourglass(features=32).stem
    assert [stem[0].out_channels, *(stem[i].branch[8].out_channels for i in (3, 5, 6))] == [8, 16, 32, 32]


def test_each_stack_gives_maps_of_a_quarter_of_the_size():
    maps = small(stacks=3)(torch.randn(2, 3, 32, 48))
    assert [tuple(stack.shape) for stack in maps] == [(2, 5, 8, 12)] * 3


def test_no_images():
    assert small().eval()(torch.zeros(0, 3, 16, 16))[-1].shape == (0, 5, 4, 4)


@pytest.mark.parametrize("shape", [(1, 3, 24, 32), (1, 3, 32, 20), (1, 1, 32, 32), (3, 32, 32)])
def test_images_of_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match=r"images: .*16"):
        small()(torch.zeros(shape))


@pytest.mark.parametrize(
    "options, message",
    [({"features": 10}, "multiple of 4, got 10"), ({"features": 0}, "multiple of 4"), ({"head": "softmax"}, "sigmoid, linear")],
)
def test_impossible_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        small(**options)


@pytest.mark.parametrize("prior", [0.01, 0.2])
def test_every_pixel_starts_near_the_prior(prior):
    model = small(features=64, depth=3, prior=prior)
    for logits in model(torch.randn(4, 3, 64, 64)):
        assert model.activate(logits).mean().item() == pytest.approx(prior, rel=0.25)


def test_linear_head_starts_at_zero_and_leaves_logits_alone():
    model = small(head="linear")
    assert all((output.bias == 0).all() for output in model.outputs)
    logits = torch.randn(2, 3, 4, 5)
    assert model.activate(logits) is logits


def test_initial_weights_depend_on_the_seed_alone():
    first = small().state_dict()
    second = small().state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_every_weight_learns():
    model = small(stacks=3, blocks=2)
    sum(logits.square().mean() for logits in model(torch.randn(4, 3, 32, 32))).backward()
    # A convolution's bias before a batch normalisation has no effect; its gradient is rounding.
    assert [name for name, weight in model.named_parameters() if weight.grad is None] == []
    assert [name for name, weight in model.named_parameters() if name.endswith("weight") and weight.grad.abs().max() == 0] == []


def test_later_stacks_take_in_earlier_predictions():
    model = small().eval()
    images = torch.randn(1, 3, 16, 16)
    first, second = model(images)
    with torch.no_grad():
        model.outputs[0].bias += 1
    moved_first, moved_second = model(images)
    torch.testing.assert_close(moved_first, first + 1)
    assert (moved_second - second).abs().max() > 1e-3


@pytest.mark.parametrize(
    "module", [Residual(4, 6), Residual(4, 4), Hourglass(1, 4)], ids=["residual skip", "residual", "hourglass"]
)
def test_in_place_operations_keep_gradients_right(module):
    torch.manual_seed(1)
    x = torch.randn(2, 4, 2, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(copy.deepcopy(module).double(), x)


def test_hourglass_adds_its_input_and_the_pooled_input():
    hourglass = Hourglass(1, 4).eval()
    for residual in hourglass.modules():  # every residual becomes the identity
        if isinstance(residual, Residual):
            torch.nn.init.zeros_(residual.branch[8].weight)
            torch.nn.init.zeros_(residual.branch[8].bias)
    x = torch.arange(32.0).reshape(1, 4, 2, 4)
    pooled = x[..., 1::2, 1::2].repeat_interleave(2, -1).repeat_interleave(2, -2)
    torch.testing.assert_close(hourglass(x), x + pooled)


@pytest.fixture
def settled():
    """A network whose running statistics are those of its input."""
    model = small()
    images = torch.randn(8, 3, 32, 32)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # the running statistics are the mean over all batches
    model(images)
    return model.eval(), images


def test_channels_last_computes_the_same(settled):
    model, images = settled
    expected = model(images)[-1]
    model.to(memory_format=torch.channels_last)
    torch.testing.assert_close(model(images.contiguous(memory_format=torch.channels_last))[-1], expected, atol=1e-4, rtol=1e-4)


def test_half_precision_stays_near(settled):
    model, images = settled
    expected = model(images)[-1]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = model(images)[-1]
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), expected, atol=0.05, rtol=0.05)
