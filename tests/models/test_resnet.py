import sys
from types import ModuleType

import pytest
import torch
from torch import nn

from posekit.errors import ConfigError
from posekit.models import SmallResNet, build_classifier
from posekit.models.resnet import Block, start_from_prior


def count(model):
    return sum(parameter.numel() for parameter in model.parameters())


def count_by_hand(depth, classes):
    """Weights of the convolutions, two numbers per channel for each normalisation, the last layer."""
    total = 3 * 16 * 9 + 2 * 16
    channels = 16
    for width in (16, 32, 64):
        for _ in range((depth - 2) // 6):
            total += 9 * channels * width + 9 * width * width + 4 * width
            channels = width
    return total + 64 * classes + classes


# He et al., table 6, in millions with 10 classes, to two digits.
@pytest.mark.parametrize(
    "name, published, exact",
    [("resnet20", 0.27, 269_722), ("resnet32", 0.46, 464_154), ("resnet56", 0.85, 853_018), ("resnet110", 1.7, 1_727_962)],
)
def test_parameter_counts_are_the_published_ones(name, published, exact):
    with torch.device("meta"):
        parameters = count(build_classifier(name, 10))
    assert parameters == exact == count_by_hand(int(name[6:]), 10)
    assert float(f"{parameters / 1e6:.2g}") == published


@pytest.mark.parametrize("depth", [20, 32, 56, 110])
def test_depth_counts_the_layers_with_weights(depth):
    with torch.device("meta"):
        model = SmallResNet(100, depth)
    assert sum(isinstance(module, nn.Conv2d | nn.Linear) for module in model.modules()) == depth
    assert count(model) == count_by_hand(depth, 100)


def test_one_logit_per_class_for_any_image_size():
    model = build_classifier("resnet20", 7)
    assert model(torch.randn(2, 3, 32, 32)).shape == (2, 7)
    assert model(torch.randn(2, 3, 33, 40)).shape == (2, 7)
    assert model.eval()(torch.zeros(0, 3, 32, 32)).shape == (0, 7)


def test_maps_are_halved_twice():
    shapes = []
    model = SmallResNet(10)
    for block in model.features:
        block.register_forward_hook(lambda _module, _inputs, output: shapes.append(tuple(output.shape[1:])))
    model(torch.randn(2, 3, 32, 32))
    assert shapes == [(16, 32, 32)] * 6 + [(32, 16, 16)] * 3 + [(64, 8, 8)] * 3


def test_shortcut_takes_every_other_pixel_and_adds_empty_channels():
    block = Block(2, 6, stride=2)
    nn.init.zeros_(block.branch[4].weight)  # the branch adds nothing
    x = torch.rand(1, 2, 5, 4)
    y = block(x)
    assert y.shape == (1, 6, 3, 2)
    torch.testing.assert_close(y[:, 2:4], x[..., ::2, ::2])
    assert (y[:, [0, 1, 4, 5]] == 0).all()


def test_convolutions_have_he_initialisation():
    torch.manual_seed(0)
    for module in SmallResNet(10).modules():
        if isinstance(module, nn.Conv2d):
            fan_in = module.weight[0].numel()
            assert module.weight.std().item() == pytest.approx((2 / fan_in) ** 0.5, rel=0.15)


@pytest.mark.parametrize("classes, prior, expected", [(10, None, 0.1), (100, None, 0.01), (10, 0.3, 0.3)])
def test_every_class_starts_near_the_prior(classes, prior, expected):
    torch.manual_seed(0)
    q = build_classifier("resnet20", classes, prior=prior)(torch.randn(16, 3, 32, 32)).sigmoid()
    torch.testing.assert_close(q, torch.full_like(q, expected), rtol=0.5, atol=0)


def test_the_same_seed_gives_the_same_network():
    networks = []
    for _ in range(2):
        torch.manual_seed(3)
        networks.append(build_classifier("resnet20", 10).state_dict())
    assert all(torch.equal(networks[0][name], networks[1][name]) for name in networks[0])


@pytest.mark.parametrize("depth", [2, 18, 21])
def test_impossible_depths_are_refused(depth):
    with pytest.raises(ValueError, match=f"depth: .*{depth}"):
        SmallResNet(10, depth)


@pytest.mark.parametrize("options, message", [({"classes": 1}, "classes"), ({"classes": 10, "prior": 1.0}, "prior")])
def test_impossible_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        build_classifier("resnet20", **options)


def test_unknown_names_list_the_choices():
    with pytest.raises(ConfigError, match=r"'resnet18'.* resnet20, resnet32, resnet56, resnet110, resnet50"):
        build_classifier("resnet18", 10)


def test_resnet50_without_torchvision_names_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision", None)
    monkeypatch.setitem(sys.modules, "torchvision.models", None)
    with pytest.raises(ConfigError, match=r"pip install \"posekit\[imagenet\]\"") as error:
        build_classifier("resnet50", 1000)
    assert "\n" not in str(error.value)


class Stranger(nn.Module):
    """What is asked of torchvision's network."""

    def __init__(self, *, weights, num_classes):
        super().__init__()
        assert weights is None
        self.fc = nn.Linear(2048, num_classes)


def test_resnet50_is_torchvisions_with_our_last_layer(monkeypatch):
    package, models = ModuleType("torchvision"), ModuleType("torchvision.models")
    package.models, models.resnet50 = models, Stranger
    monkeypatch.setitem(sys.modules, "torchvision", package)
    monkeypatch.setitem(sys.modules, "torchvision.models", models)
    model = build_classifier("resnet50", 1000)
    torch.testing.assert_close(model.fc.bias.sigmoid(), torch.full((1000,), 0.001))


def test_resnet50_where_torchvision_is_installed():
    pytest.importorskip("torchvision", reason="torchvision is not installed")
    with torch.device("meta"):
        assert count(build_classifier("resnet50", 1000)) == 25_557_032


def test_last_layer_is_overwritten_whole():
    layer = nn.Linear(4, 5)
    nn.init.constant_(layer.weight, 100.0)
    start_from_prior(layer)
    assert layer.weight.abs().max() < 0.1
