"""Detectors of every layout: tiny networks with constant results, the same two people in each."""

import numpy as np
import pytest

from posekit.errors import ConfigError, WeightsError
from posekit.geometry import Box
from posekit.prediction.detect.onnx_detector import OnnxDetector

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

# Two people, a double of the first, one with a low score, and an object of another class: x, y, width, height, input pixels.
RECTANGLES = np.array([[10, 20, 30, 80], [60, 40, 20, 50], [11, 21, 30, 79], [100, 10, 20, 60], [5, 5, 100, 40]], np.float32)
SCORES = np.array([0.9, 0.7, 0.8, 0.3, 0.95], np.float32)
CLASSES = np.array([0, 0, 0, 0, 1])
SIZE = 160, 128
# The input has half the resolution of the image.
IMAGE = np.zeros((256, 320, 3), np.uint8)
CORNERS = np.concatenate([RECTANGLES[:, :2], RECTANGLES[:, :2] + RECTANGLES[:, 2:]], 1)
CENTRES = np.concatenate([RECTANGLES[:, :2] + RECTANGLES[:, 2:] / 2, RECTANGLES[:, 2:]], 1)
SHARES = np.array([*SIZE, *SIZE], np.float32)
EXPECTED = [Box.from_xywh(20, 40, 60, 160), Box.from_xywh(120, 80, 40, 100)]
_TYPES = {np.dtype(np.float32): 1, np.dtype(np.int64): 7, np.dtype(np.uint8): 2}


@pytest.fixture
def write(tmp_path):
    """Write a network with constant results; returns its path."""

    def write(results, *, shape=(1, 3, 128, 160), kind=1, sizes=False, names=None):
        helper = onnx.helper
        entries = [helper.make_tensor_value_info("images", kind, shape)]
        entries += [helper.make_tensor_value_info("orig_target_sizes", 7, (1, 2))] if sizes else []
        nodes = [
            helper.make_node("Constant", [], [name], value=onnx.numpy_helper.from_array(np.ascontiguousarray(result), name))
            for name, result in results.items()
        ]
        outputs = [helper.make_tensor_value_info(name, _TYPES[result.dtype], result.shape) for name, result in results.items()]
        model = helper.make_model(
            helper.make_graph(nodes, "detector", entries, outputs), opset_imports=[helper.make_opsetid("", 17)], ir_version=8
        )
        if names is not None:
            helper.set_model_props(model, {"names": str(names)})
        onnx.save(model, tmp_path / "detector.onnx")
        return tmp_path / "detector.onnx"

    return write


def one_hot(scores, classes, count):
    table = np.zeros((len(scores), count), np.float32)
    table[np.arange(len(scores)), classes] = scores
    return table


def padded(table, rows):
    return np.concatenate([table, np.zeros((rows - len(table), table.shape[1]), np.float32)])


def yolov8(classes=CLASSES, count=4):
    return {"output0": padded(np.column_stack([CENTRES, one_hot(SCORES, classes, count)]), 40).T[None]}


def yolov5():
    objectness = np.array([0.95, 0.75, 0.85, 0.9, 0.97], np.float32)
    table = np.column_stack([CENTRES, objectness, one_hot(SCORES / objectness, CLASSES, 3)])
    return {"output0": padded(table, 60)[None].astype(np.float32)}


def end_to_end():
    return {"output0": padded(np.column_stack([CORNERS, SCORES, CLASSES]).astype(np.float32), 30)[None]}


def rtdetr_of_ultralytics():
    return {"output0": padded(np.column_stack([CENTRES / SHARES, one_hot(SCORES, CLASSES, 4)]), 30)[None].astype(np.float32)}


def listed(boxes, labels):
    return {"labels": labels[None].astype(np.int64), "boxes": boxes[None].astype(np.float32), "scores": SCORES[None]}


def tensorflow():
    boxes = (CORNERS / SHARES)[:, [1, 0, 3, 2]].astype(np.float32)
    return {
        "detection_boxes": boxes[None],
        "detection_classes": (CLASSES + 1)[None].astype(np.float32),
        "detection_scores": SCORES[None],
        "num_detections": np.array([5.0], np.float32),
    }


@pytest.mark.parametrize(
    ("results", "options"),
    [
        (yolov8(), {}),
        (yolov8(), {"shape": ("batch", 3, 128, 160)}),
        (yolov8(1 - CLASSES), {"names": {0: "helmet", 1: "person", 2: "dog", 3: "cat"}}),
        (yolov8(0 * CLASSES, 1) | {}, {"names": {0: "pedestrian"}}),
        (yolov5(), {}),
        (end_to_end(), {}),
        (rtdetr_of_ultralytics(), {}),
        (listed(CORNERS, CLASSES), {"sizes": True}),
        (listed(CORNERS, CLASSES + 1), {}),
        (listed(CORNERS / SHARES, CLASSES + 1), {"shape": (3, 128, 160)}),
        (tensorflow(), {"shape": (1, 128, 160, 3), "kind": 2}),
    ],
    ids=[
        "YOLOv8", "YOLOv8 of any batch", "YOLOv8 that names its classes", "YOLOv8 of one class", "YOLOv5", "end-to-end",
        "Ultralytics' RT-DETR", "RT-DETR", "SSD", "SSD with shares", "TensorFlow's SSD",
    ],
)  # fmt: skip
def test_every_layout_gives_the_same_people(write, results, options):
    boxes = OnnxDetector(write(results, **options))(IMAGE)
    if options.get("names") == {0: "pedestrian"}:  # the only class is people, so the object is one too
        boxes = boxes[1:]
    assert len(boxes) == 2
    for box, expected in zip(boxes, EXPECTED, strict=True):
        assert box.centre == pytest.approx(expected.centre, abs=1e-3)
        assert box.side == pytest.approx(expected.side, abs=1e-3)


def test_boxes_below_the_least_score_are_left_out(write):
    path = write(yolov8())
    assert len(OnnxDetector(path, min_score=0.2)(IMAGE)) == 3
    assert len(OnnxDetector(path, min_score=0.8)(IMAGE)) == 1


def test_an_open_input_has_640_pixels(write):
    """One pixel of the image is then two of the input."""
    boxes = OnnxDetector(write(yolov8(), shape=(1, 3, "height", "width")))(np.zeros((320, 256, 3), np.uint8))
    assert boxes[0].side == pytest.approx(80 / 2 * 1.25)


def test_an_image_without_people_gives_no_boxes(write):
    assert OnnxDetector(write({"output0": np.zeros((1, 0, 6), np.float32)}))(IMAGE) == []


@pytest.mark.parametrize(
    ("results", "options", "message"),
    [
        ({"map": np.zeros((1, 3, 8, 8), np.float32)}, {}, r"detector\.onnx: .*map \(1, 3, 8, 8\)"),
        ({"a": np.zeros((1, 9, 4), np.float32), "b": np.zeros((1, 9), np.float32)}, {}, r"a \(1, 9, 4\), b \(1, 9\)"),
        ({"output0": np.zeros((1, 9, 4), np.float32)}, {}, r"output0 \(1, 9, 4\)"),
        (yolov8(), {"shape": (1, 1, 128, 160)}, r"images \[1, 1, 128, 160\] tensor\(float\)"),
        (yolov8(), {"names": {0: "cat", 1: "dog"}}, "cat, dog"),
    ],
)
def test_other_networks_are_refused(write, results, options, message):
    with pytest.raises(WeightsError, match=message):
        OnnxDetector(write(results, **options))


def test_bad_files(tmp_path, without, write):
    with pytest.raises(WeightsError, match=r"no\.onnx: .*No such file"):
        OnnxDetector(tmp_path / "no.onnx")
    (tmp_path / "bad.onnx").write_bytes(b"nothing of the kind")
    with pytest.raises(WeightsError, match=r"bad\.onnx"):
        OnnxDetector(tmp_path / "bad.onnx")
    path = write(yolov8())
    without("onnxruntime")
    with pytest.raises(ConfigError, match=r"onnxruntime.*the detector self"):
        OnnxDetector(path)
