"""The weights that come with posekit, on real images: every back end finds the same keypoints, in any number of threads."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import posekit
from posekit.data import open_people
from posekit.prediction import backends
from posekit.weights import shipped

NEAR_PX = 0.05
NAMES = [name if name == "lspet-small" else pytest.param(name, marks=pytest.mark.slow) for name in shipped()]


@pytest.fixture(scope="module")
def people(real_data):
    people = open_people("lsp", real_data / "lspet", "random:0.1111:0")
    return [people[index] for index in range(6)]


def keypoints(predictor, people):
    poses = predictor.predict_images([person.image_path for person in people], [[person.box] for person in people])
    return np.array([pose.keypoints for (pose,) in poses])


@pytest.mark.parametrize("name", NAMES)
def test_torch_and_onnx_find_the_same_keypoints(name, people):
    pytest.importorskip("onnxruntime")
    expected = keypoints(posekit.load(name, device="cpu", backend="torch"), people)
    actual = keypoints(posekit.load(name, device="cpu", backend="onnx"), people)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=NEAR_PX)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's own
def test_the_compiled_network_finds_the_same_keypoints(people):
    plain = posekit.load("lspet-small", device="cpu", backend="torch")
    compiled = posekit.load("lspet-small", device="cpu", backend="compiled")
    assert compiled.backend.name == "compiled"
    for person in people:
        (expected,) = plain(person.image_path, [person.box])
        (actual,) = compiled(person.image_path, [person.box])
        np.testing.assert_allclose(actual.keypoints, expected.keypoints, rtol=0, atol=NEAR_PX)
        np.testing.assert_allclose(actual.peaks, expected.peaks, rtol=0, atol=1e-4)


def test_threads_share_a_predictor(people, monkeypatch):
    pytest.importorskip("onnxruntime")
    monkeypatch.setattr(backends, "_MIN_CROPS", 3)  # the ONNX form is made while the threads predict
    predictor = posekit.load("lspet-small", device="cpu")
    with ThreadPoolExecutor(4) as pool:
        actual = list(pool.map(lambda person: predictor(person.image_path, [person.box])[0].keypoints, people))
    assert predictor.backend.name == "onnx"
    expected = keypoints(posekit.load("lspet-small", device="cpu", backend="torch"), people)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=NEAR_PX)
