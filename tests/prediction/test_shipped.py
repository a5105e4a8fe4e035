"""The weights that come along, on real photographs: whatever runs them, and in however many threads, the joints are the same."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import posekit
from posekit.data import open_people
from posekit.weights import shipped

NEAR_PX = 0.05


@pytest.fixture
def people(real_data):
    people = open_people("lsp", real_data / "lspet", "random:0.1111:0")
    return [people[index] for index in range(40)]


def keypoints(predictor, people):
    return np.array([predictor(person.image_path, [person.box])[0].keypoints for person in people])


@pytest.fixture(autouse=True)
def cache_home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


@pytest.mark.parametrize("name", shipped())
def test_torch_and_onnx_find_the_same_joints(name, people):
    pytest.importorskip("onnxruntime")
    plain, onnx = (keypoints(posekit.load(name, device="cpu", backend=backend), people) for backend in ("torch", "onnx"))
    np.testing.assert_allclose(onnx, plain, rtol=0, atol=NEAR_PX)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's own
def test_the_compiled_network_finds_the_same_joints(people):
    plain, compiled = (posekit.load("lspet-small", device="cpu", backend=backend) for backend in ("torch", "compiled"))
    assert compiled.backend.name == "compiled"
    for person in people[:8]:
        (expected,), (found,) = (predictor(person.image_path, [person.box]) for predictor in (plain, compiled))
        np.testing.assert_allclose(found.keypoints, expected.keypoints, rtol=0, atol=NEAR_PX)
        np.testing.assert_allclose(found.peaks, expected.peaks, rtol=0, atol=1e-4)


def test_threads_share_a_predictor(people):
    predictor = posekit.load("lspet-small", device="cpu")
    with ThreadPoolExecutor(4) as pool:  # 40 people: the ONNX form is made on the way
        found = list(pool.map(lambda person: predictor(person.image_path, [person.box])[0].keypoints, people))
    alone = keypoints(posekit.load("lspet-small", device="cpu", backend="torch"), people)
    np.testing.assert_allclose(found, alone, rtol=0, atol=NEAR_PX)
