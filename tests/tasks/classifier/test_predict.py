"""Weights files of classifiers."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from posekit.errors import WeightsError
from posekit.models import build_classifier, load_weights, save_weights
from posekit.tasks.classifier.predict import ClassifierInfo
from posekit.weights import locate

INFO = ClassifierInfo("resnet20", ("cat", "dog", "Öl"), 32, "sigmoid", (0.5, 0.4, 0.3), (0.2, 0.2, 0.25))


@pytest.fixture
def model():
    torch.manual_seed(0)
    return build_classifier("resnet20", 3).eval()


@pytest.fixture
def path(model, tmp_path):
    save_weights(tmp_path / "a.safetensors", model, INFO.with_notes(loss="anchor"))
    return tmp_path / "a.safetensors"


def test_weights_read_back_as_written(path, model):
    again, info = load_weights(path, info_class=ClassifierInfo)
    images = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(again(images), model(images))
    assert info == INFO.with_notes(loss="anchor") and not again.training


def test_other_files_are_refused(path, tmp_path):
    with pytest.raises(WeightsError, match=r"posekit-classifier.*\(posekit\)"):
        load_weights(path)
    with pytest.raises(WeightsError, match=r"\(posekit\).*posekit-classifier"):
        load_weights(locate("lspet-small"), info_class=ClassifierInfo)
    save_file({"a": torch.zeros(1)}, tmp_path / "foreign.safetensors")
    with pytest.raises(WeightsError, match=r"foreign\.safetensors"):
        load_weights(tmp_path / "foreign.safetensors", info_class=ClassifierInfo)
    with pytest.raises(WeightsError, match=r"none\.safetensors"):
        load_weights(tmp_path / "none.safetensors", info_class=ClassifierInfo)


def test_files_that_do_not_fit_their_description(path, tmp_path):
    tensors = load_file(path)
    for metadata, message in (
        (INFO.to_json().replace("resnet20", "resnet32"), "b.safetensors"),
        (INFO.to_json().replace("resnet20", "vgg"), "network.*resnet20.*vgg"),
        (INFO.to_json().replace('"version": 1', '"version": 7'), "7"),
        (INFO.to_json().replace('"head": "sigmoid"', '"head": "linear"'), "head.*sigmoid.*linear"),
        ("{}", "version"),
    ):
        save_file(tensors, tmp_path / "b.safetensors", {"posekit-classifier": metadata})
        with pytest.raises(WeightsError, match=message):
            load_weights(tmp_path / "b.safetensors", info_class=ClassifierInfo)
