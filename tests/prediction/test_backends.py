"""All back ends give the same results, and files from strangers can do no harm."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

import posekit
from posekit import heatmaps
from posekit.choices import DECODE_METHODS
from posekit.errors import ConfigError, OutputError, WeightsError
from posekit.images import read_image
from posekit.models import normalise
from posekit.prediction import backends
from posekit.prediction import onnx as onnx_exports
from posekit.prediction.backends import AutoBackend, OnnxBackend, TorchBackend, open_backend
from posekit.prediction.onnx import to_onnx
from posekit.prediction.test_time import PYRAMID, TestTimeAugmentation
from posekit.skeletons import MPII16

CPU = torch.device("cpu")


@pytest.fixture
def form(sigmoid):
    return to_onnx(*sigmoid)


@pytest.fixture
def onnx_file(form, tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(form)
    return path


def entries(cache_home):
    return sorted((cache_home / "posekit").glob("*"))


@pytest.mark.parametrize("decode", DECODE_METHODS)
def test_back_ends_give_the_results_of_the_model(small, crops, decode):
    model, info = small
    with torch.inference_mode():
        expected = model.activate(model(normalise(crops(5), info.mean, info.std))[-1])
    joints, scores = heatmaps.decode(expected, method=decode, stride=4)
    for backend in (TorchBackend(model, info), OnnxBackend(to_onnx(model, info), "it")):
        assert backend.info == info
        torch.testing.assert_close(backend.maps(crops(5)), expected, atol=1e-4, rtol=0)
        backend_joints, backend_scores = backend.joints(crops(5), decode)
        torch.testing.assert_close(backend_joints, joints, atol=1e-3, rtol=0)
        torch.testing.assert_close(backend_scores, scores, atol=1e-4, rtol=0)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_missing_compiler_is_named(sigmoid, crops):
    from torch._inductor import config

    torch.compiler.reset()
    with (
        config.patch({"cpp.cxx": ("no-such-compiler",)}),
        pytest.raises(ConfigError, match="no-such-compiler"),
    ):
        open_backend("compiled", *sigmoid, CPU).maps(crops(1))


def test_lower_precision_gives_similar_maps(sigmoid, crops):
    expected = TorchBackend(*sigmoid).maps(crops(4))
    backend = open_backend("auto", *sigmoid, CPU, "bf16")
    assert backend.name == "torch bf16"
    maps = backend.maps(crops(4))
    assert maps.dtype == torch.float32
    assert not torch.equal(maps, expected)
    # bf16 has 8 bits: each of about thirty layers rounds by up to 0.4 %.
    assert (maps - expected).abs().mean() < 0.02


@pytest.mark.parametrize(
    "views", [TestTimeAugmentation(), TestTimeAugmentation(flip=True), PYRAMID], ids=["plain", "flip", "pyramid"]
)
def test_back_ends_agree_for_all_views(real_data, weights, onnx_file, views):
    photo = real_data / "photos" / "man_running.jpg"
    expected = posekit.load(weights, device="cpu", views=views, backend="torch")(photo)[0]
    for path, backend in ((weights, "onnx"), (onnx_file, "auto"), (onnx_file, "onnx")):
        predictor = posekit.load(path, device="cpu", views=views, backend=backend)
        assert predictor.choices["backend"] == "onnx"
        (pose,) = predictor(photo)
        assert np.abs(pose.keypoints - expected.keypoints).max() < 1e-3 * max(read_image(photo).shape)
        np.testing.assert_allclose(pose.scores, expected.scores, atol=1e-4)


def test_auto_makes_the_onnx_form_once_after_some_crops(sigmoid, crops, cache_home, monkeypatch, capsys):
    backend = open_backend("auto", *sigmoid, CPU)
    expected = TorchBackend(*sigmoid).maps(crops(16))
    for _ in range(2):
        assert backend.name == "torch"
        torch.testing.assert_close(backend.maps(crops(15)), expected[:15])
    assert not cache_home.exists()
    torch.testing.assert_close(backend.maps(crops(2)), TorchBackend(*sigmoid).maps(crops(2)), atol=1e-4, rtol=0)
    assert backend.name == "onnx"
    assert len(entries(cache_home)) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert str(cache_home / "posekit") in line
    monkeypatch.setattr(onnx_exports, "to_onnx", None)
    for name in ("auto", "onnx"):
        assert open_backend(name, *sigmoid, CPU).name == "onnx"


def test_other_weights_have_another_onnx_form(sigmoid, cache_home, crops):
    model, info = sigmoid
    first = open_backend("onnx", model, info, CPU)
    model.outputs[-1].bias.data += 0.5
    second = open_backend("onnx", model, info, CPU)
    assert (second.maps(crops(1)) > first.maps(crops(1))).all()
    open_backend("onnx", model, info.with_notes(name="mine"), CPU)
    assert len(entries(cache_home)) == 3


@pytest.mark.parametrize("damage", [lambda data: data[:-1000], lambda data: b"", lambda data: data[:5000] + b"?" + data[5001:]])
def test_a_damaged_cache_entry_is_replaced(sigmoid, crops, cache_home, damage):
    open_backend("onnx", *sigmoid, CPU)
    (entry,) = entries(cache_home)
    whole = entry.read_bytes()
    entry.write_bytes(damage(whole))
    assert open_backend("auto", *sigmoid, CPU).name == "torch"
    assert open_backend("onnx", *sigmoid, CPU).name == "onnx"
    assert open_backend("auto", *sigmoid, CPU).name == "onnx"
    assert len(entry.read_bytes()) == len(whole)


def test_prediction_works_without_a_writable_cache_folder(sigmoid, crops, cache_home, capsys):
    cache_home.write_text("a file where the folder should be")
    backend = open_backend("auto", *sigmoid, CPU)
    for _ in range(2):
        assert len(backend.maps(crops(40))) == 40
    assert backend.name == "torch"
    (line,) = capsys.readouterr().err.splitlines()
    assert str(cache_home) in line and "XDG_CACHE_HOME" in line
    assert open_backend("onnx", *sigmoid, CPU).name == "onnx", "on request it is made for this run"
    assert str(cache_home) in capsys.readouterr().err


def test_the_cache_keeps_the_most_recently_used_entries(cache_home, monkeypatch):
    monkeypatch.setattr(onnx_exports, "_CACHED", 2)
    for age, key in enumerate(("old", "older", "new")):
        onnx_exports._write_cache(key, key.encode())
        os.utime(cache_home / "posekit" / f"{key}.onnx-form", (age, age))
    assert onnx_exports._read_cache("old") is None
    assert onnx_exports._read_cache("older") == b"older"  # which makes it the newest
    onnx_exports._write_cache("last", b"")
    assert [onnx_exports._read_cache(key) for key in ("older", "new", "last")] == [b"older", None, b""]


def test_a_relative_cache_folder_is_ignored(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", "here")
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert onnx_exports.cache_folder() == tmp_path / ".cache" / "posekit"


def test_prediction_works_without_a_home_folder(monkeypatch, sigmoid):
    def nowhere():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", nowhere)
    with pytest.raises(OutputError, match="XDG_CACHE_HOME"):
        onnx_exports.require_writable_cache()
    assert open_backend("auto", *sigmoid, CPU).name == "torch"


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_without_the_packages_torch_is_the_default(sigmoid, package, monkeypatch, without):
    find = backends.find_spec
    monkeypatch.setattr(backends, "find_spec", lambda name: None if name == package else find(name))
    without(package)
    assert isinstance(open_backend("auto", *sigmoid, CPU), TorchBackend)
    with pytest.raises(ConfigError, match=rf"{package}.*\[onnx\]"):
        open_backend("onnx", *sigmoid, CPU)


def test_unavailable_options_are_refused(sigmoid, onnx_file):
    with pytest.raises(ConfigError, match=r"'tensorrt'.* auto, torch, compiled, onnx"):
        open_backend("tensorrt", *sigmoid, CPU)
    with pytest.raises(ConfigError, match=r"onnx.*cuda"):
        open_backend("onnx", *sigmoid, torch.device("cuda"))
    with pytest.raises(ConfigError, match=r"'torch'.*model\.onnx"):
        posekit.load(onnx_file, backend="torch")
    with pytest.raises(ConfigError, match=r"onnx.*meta"):
        posekit.load(onnx_file, device="meta")
    with pytest.raises(ConfigError, match=r"'int8'.* no, bf16, fp16"):
        open_backend("torch", *sigmoid, CPU, "int8")
    with pytest.raises(ConfigError, match="fp16"):
        open_backend("torch", *sigmoid, CPU, "fp16")
    for opened in (lambda: open_backend("onnx", *sigmoid, CPU, "bf16"), lambda: posekit.load(onnx_file, precision="bf16")):
        with pytest.raises(ConfigError, match=r"onnx.*bf16"):
            opened()


def test_auto_is_torch_on_a_gpu(sigmoid):
    assert isinstance(open_backend("auto", *sigmoid, torch.device("meta")), TorchBackend)
    assert isinstance(open_backend("auto", *sigmoid, CPU), AutoBackend)


def changed(form, change):
    graph = onnx.load_model_from_string(form)
    change(graph)
    return graph.SerializeToString()


def external(graph):
    tensor = graph.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "/etc/hostname"


def hidden_external(graph):
    """External weights in a branch of an If, which only a walk through the whole file finds."""
    tensor = onnx.TensorProto(name="w", data_type=onnx.TensorProto.FLOAT, dims=[1], data_location=onnx.TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="weights.bin")
    branch = onnx.helper.make_graph([], "branch", [], [onnx.helper.make_tensor_value_info("w", 1, [1])], [tensor])
    graph.graph.node.append(onnx.helper.make_node("If", ["scores"], ["w2"], then_branch=branch, else_branch=branch))


def custom(graph):
    graph.graph.node[3].domain = "com.microsoft"


def own_function(graph):
    graph.opset_import.append(onnx.helper.make_opsetid("mine", 1))
    graph.functions.append(onnx.helper.make_function("mine", "f", ["a"], ["b"], [], graph.opset_import[:1]))


def unknown_operator(graph):
    graph.graph.node[3].op_type = "Explode"


def another_skeleton(graph):
    graph.metadata_props[0].value = graph.metadata_props[0].value.replace('"version": 1', '"version": 99')


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (external, "another file"),
        (hidden_external, "another file"),
        (custom, "'com.microsoft'"),
        (own_function, "'mine'"),
        (unknown_operator, "Explode"),
        (lambda graph: graph.ClearField("metadata_props"), "'posekit'"),
        (lambda graph: graph.graph.output.pop(), "crops, joints, scores, maps"),
        (another_skeleton, "99"),
        (lambda graph: setattr(graph.metadata_props[1], "value", "eval"), "'eval'"),
        (lambda graph: graph.graph.initializer.pop(), ""),
    ],
)
def test_unsafe_files_are_refused(form, tmp_path, change, message):
    path = tmp_path / "strange.onnx"
    path.write_bytes(changed(form, change))
    with pytest.raises(WeightsError, match=rf"strange\.onnx: .*({message})") as error:
        posekit.load(path)
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize("cut", [0, 1, 100, 5000, -1])
def test_a_truncated_file(form, tmp_path, cut):
    path = tmp_path / "cut.onnx"
    path.write_bytes(form[:cut])
    with pytest.raises(WeightsError, match=r"cut\.onnx: ") as error:
        posekit.load(path)
    assert len(str(error.value).splitlines()) == 1


def test_a_file_that_claims_more_joints_than_it_has(sigmoid, form, tmp_path, crops):
    claim = replace(sigmoid[1], skeleton=MPII16).to_json()
    data = changed(form, lambda graph: setattr(graph.metadata_props[0], "value", claim))
    with pytest.raises(WeightsError, match=r"it: maps: .*\(2, 16\)"):
        OnnxBackend(data, "it").maps(crops(2))


def test_crops_of_another_size_are_refused(form):
    with pytest.raises(WeightsError, match=r"^it: "):
        OnnxBackend(form, "it").maps(torch.zeros(1, 32, 32, 3, dtype=torch.uint8))


@pytest.mark.parametrize("decode", ["quarter", "dark"])
def test_chunks_of_crops_keep_their_order(sigmoid, form, crops, monkeypatch, decode):
    for backend in (TorchBackend(*sigmoid), OnnxBackend(form, "it")):
        maps = backend.maps(crops(7))
        joints, scores = backend.joints(crops(7), decode)
        with monkeypatch.context() as patch:
            patch.setattr(backends, "_CHUNK_VALUES", 3 * 8 * 16 * 16 + 1)
            assert [len(chunk) for chunk in backends._chunks(crops(7), backend.info)] == [3, 3, 1]
            torch.testing.assert_close(backend.maps(crops(7)), maps)
            torch.testing.assert_close(backend.joints(crops(7), decode), (joints, scores), atol=1e-3, rtol=0)
    assert [len(chunk) for chunk in backends._chunks(crops(7), sigmoid[1])] == [7], "a small network takes all at once"
