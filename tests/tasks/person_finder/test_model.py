"""Weights files of person finders."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from posekit.errors import WeightsError
from posekit.models import load_weights, save_weights
from posekit.tasks.person_finder.model import CentresInfo
from posekit.weights import locate

INFO = CentresInfo((32.0, 64.0, 128.0), 8, 2, "", (0.5, 0.4, 0.3), (0.2, 0.2, 0.25))


@pytest.fixture
def model():
    torch.manual_seed(0)
    return INFO.build().eval()


@pytest.fixture
def path(model, tmp_path):
    save_weights(tmp_path / "a.safetensors", model, INFO.with_notes(loss="anchor"))
    return tmp_path / "a.safetensors"


def test_weights_read_back_as_written(path, model):
    again, info = load_weights(path, info_class=CentresInfo)
    images = torch.randn(2, 3, 64, 32)
    torch.testing.assert_close(again(images), model(images))
    assert again(images)[0].shape == (2, 3, 16, 8)
    assert info == INFO.with_notes(loss="anchor") and not again.training


def test_half_precision_is_nearly_the_same(path, model, tmp_path):
    save_weights(tmp_path / "half.safetensors", model, INFO, half=True)
    halves = load_file(tmp_path / "half.safetensors")
    for name, tensor in load_file(path).items():
        assert halves[name].dtype == (torch.float16 if tensor.is_floating_point() else tensor.dtype)
    again, _ = load_weights(tmp_path / "half.safetensors", info_class=CentresInfo)
    images = torch.randn(1, 3, 32, 32)
    torch.testing.assert_close(again(images), model(images), atol=1e-2, rtol=1e-2)


def test_every_pixel_starts_from_the_prior(model):
    assert model(torch.randn(1, 3, 32, 32))[0].sigmoid().median().item() == pytest.approx(0.01, rel=0.2)


def test_other_files_are_refused(path):
    with pytest.raises(WeightsError, match=r"posekit-centres.*\(posekit\)"):
        load_weights(path)
    with pytest.raises(WeightsError, match=r"\(posekit\).*posekit-centres"):
        load_weights(locate("lspet-small"), info_class=CentresInfo)


def test_files_that_do_not_fit_their_description(path, tmp_path):
    tensors = load_file(path)
    for metadata, message in (
        (INFO.to_json().replace("128.0", "128.0, 256.0"), "b.safetensors"),
        (INFO.to_json().replace("32.0, 64.0", "64.0, 32.0"), "sizes.*64.0, 32.0"),
        (INFO.to_json().replace('"features": 8', '"features": 9'), "features.*4.*got 9"),
        (INFO.to_json().replace('"encoder": ""', '"encoder": "vgg"'), "encoder.*vgg"),
        (INFO.to_json().replace('"version": 1', '"version": 7'), "7"),
        ("{}", "version"),
    ):
        save_file(tensors, tmp_path / "b.safetensors", {"posekit-centres": metadata})
        with pytest.raises(WeightsError, match=message):
            load_weights(tmp_path / "b.safetensors", info_class=CentresInfo)
