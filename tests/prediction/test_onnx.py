"""The ONNX form gives the model's results in any program that runs ONNX: these tests do not use posekit's session."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from posekit import heatmaps
from posekit.choices import DECODE_METHODS
from posekit.errors import ConfigError
from posekit.geometry import Box, Crop
from posekit.images import read_image
from posekit.models import ModelInfo, normalise
from posekit.prediction.onnx import to_onnx


def run(data, crops):
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {"crops": crops.numpy()}), strict=True))


@torch.inference_mode()
def from_torch(model, info, crops, decode):
    maps = model.activate(model(normalise(crops, info.mean, info.std))[-1])
    joints, scores = heatmaps.decode(maps, method=decode, stride=4)
    return maps.numpy(), joints.numpy(), scores.numpy()


def require_same(results, maps, joints, scores, decode):
    """DARK divides by the curvature at the peak. It is small here, so rounding of 1e-7 becomes 1e-3 px."""
    assert maps.std() > 0.01, "the maps are not flat"
    np.testing.assert_allclose(results["maps"], maps, atol=1e-4)
    np.testing.assert_allclose(results["scores"], scores, atol=1e-4)
    same = results["maps"].reshape(*scores.shape, -1).argmax(-1) == maps.reshape(*scores.shape, -1).argmax(-1)
    assert same.mean() > 0.98
    np.testing.assert_allclose(results["joints"][same], joints[same], atol=0.01)
    own, _ = heatmaps.decode(torch.from_numpy(results["maps"]), method=decode, stride=4)
    np.testing.assert_allclose(results["joints"], own, atol=2e-4)


@pytest.mark.parametrize("decode", DECODE_METHODS)
def test_results_are_those_of_torch_for_any_number_of_crops(small, crops, decode):
    model, info = small
    data = to_onnx(model, info, decode=decode)
    for count in (1, 3, 8):
        results = run(data, crops(count))
        assert results["joints"].shape == (count, 14, 2)
        assert results["scores"].shape == (count, 14)
        assert results["maps"].shape == (count, 14, 16, 16)
        assert all(result.dtype == np.float32 for result in results.values())
        require_same(results, *from_torch(model, info, crops(count), decode), decode)


def test_a_real_image(real_data, sigmoid):
    model, info = sigmoid
    image = read_image(real_data / "photos" / "man_running.jpg")
    boxes = [Box((250.0, 260.0), side) for side in (150.0, 400.0, 700.0)]
    crops = torch.from_numpy(np.stack([Crop(box, info.input_size).warp_rgb(image) for box in boxes]))
    require_same(run(to_onnx(model, info), crops), *from_torch(model, info, crops, "quarter"), "quarter")


def test_metadata_describe_the_model(sigmoid):
    model, info = sigmoid
    graph = onnx.load_model_from_string(to_onnx(model, info, decode="argmax"))
    metadata = {entry.key: entry.value for entry in graph.metadata_props}
    assert ModelInfo.from_json(metadata["posekit"]) == info
    assert metadata["posekit_decode"] == "argmax"
    assert {operators.domain for operators in graph.opset_import} == {""}
    assert "BatchNormalization" in {node.op_type for node in graph.graph.node}, "not folded: ONNX Runtime is fastest with it"
    sizes = [[size.dim_param or size.dim_value for size in output.type.tensor_type.shape.dim] for output in graph.graph.output]
    assert sizes == [["people", 14, 2], ["people", 14], ["people", 14, 16, 16]]
    assert graph.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "people"


def test_the_model_is_not_changed(sigmoid, crops):
    model, info = sigmoid
    before = from_torch(model, info, crops(2), "quarter")
    to_onnx(model, info)
    for old, new in zip(before, from_torch(model, info, crops(2), "quarter"), strict=True):
        np.testing.assert_array_equal(old, new)
    assert not model.training


def test_an_unknown_decoding_is_refused(sigmoid):
    with pytest.raises(ConfigError, match=r"'softmax'.* quarter, dark, argmax"):
        to_onnx(*sigmoid, decode="softmax")


def test_a_missing_package_is_named(sigmoid, without):
    without("onnx")
    with pytest.raises(ConfigError, match=r"onnx.*\[onnx\]"):
        to_onnx(*sigmoid)
