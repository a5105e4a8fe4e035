"""Person detectors: `PoseDetector` with a predictor and proposals that know where the people are, and `OnnxDetector`."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from posekit.errors import ConfigError, ImageError, WeightsError
from posekit.geometry import Box
from posekit.prediction.detect import OnnxDetector, PoseDetector
from posekit.prediction.pose import Pose
from posekit.skeletons import LSP14

K = len(LSP14)
# Keypoints of a person 40 wide and 100 high around the centre, left and right apart.
BODY = np.column_stack([np.where(np.arange(K) % 2, -20, 20), np.linspace(-50, 50, K)])
PEOPLE = np.array([[70.0, 90.0], [210.0, 120.0]])
SCENE = np.zeros((240, 320, 3), np.uint8)


class FakePredictor:
    """Finds the person nearest to a box's centre and wholly in it; without one, gives a pose of low score."""

    info = SimpleNamespace(input_size=64)
    device = torch.device("cpu")
    calibrated = True

    def __init__(self, people=PEOPLE, sure=0.8, elsewhere=0.1, turn=False):
        self.people = people
        self.sure = sure
        self.elsewhere = elsewhere
        self.turn = turn
        self.boxes = 0

    def __call__(self, image, boxes):
        self.boxes += len(boxes)
        return [self._predict(box) for box in boxes]

    def _predict(self, box):
        inside = [person for person in self.people if np.abs(person - box.centre).max() <= box.side / 2 - 50]
        if not inside:
            return Pose(BODY * box.side / 125 + box.centre, np.full(K, self.elsewhere), box, LSP14)
        body = BODY[LSP14.flip_order] if self.turn and box.centre[0] % 2 < 1 else BODY
        person = min(inside, key=lambda person: np.hypot(*(person - box.centre)))
        return Pose(body + person, np.full(K, self.sure - box.side / 1e5), box, LSP14)  # smaller boxes give higher scores


def proposing(score=0.4, people=PEOPLE):
    """Proposes each person, again slightly displaced, and two places without people."""
    boxes = [Box(tuple(person), 125.0) for person in people]
    beside = [Box((person[0] + 1, person[1] - 9), 130.0) for person in people]
    empty = [Box((280.0, 40.0), 60.0), Box((20.0, 220.0), 30.0)]
    return lambda image: [(box, score) for box in (*boxes, *beside)] + [(box, score / 2) for box in empty]


def nothing(image):
    return []


def found(predictor, candidates, image=SCENE):
    return sorted(PoseDetector(predictor, candidates)(image), key=lambda box: box.centre)


@pytest.mark.parametrize(
    "predictor", [FakePredictor(), FakePredictor(sure=0.5), FakePredictor(turn=True)], ids=["sure", "unsure", "turner"]
)
def test_each_person_is_found_once(predictor):
    boxes = found(predictor, proposing())
    assert [box.centre for box in boxes] == [pytest.approx(tuple(person), abs=10) for person in PEOPLE]
    assert [box.side for box in boxes] == pytest.approx([125, 125], rel=0.05)


@pytest.mark.parametrize(("sure", "score", "count"), [(0.5, 0.32, 2), (0.5, 0.28, 0), (0.3, 0.72, 2), (0.3, 0.68, 0)])
def test_confidence_is_the_mean_score_and_half_the_box_score(sure, score, count):
    assert len(found(FakePredictor(sure=sure), proposing(score))) == count


def test_a_box_supports_only_the_pose_that_lies_in_it():
    """Boxes elsewhere do not raise the confidence in the pose found in the whole image."""
    image = np.zeros((240, 320, 3), np.uint8)
    small_and_elsewhere = [(Box((20.0, 220.0), 30.0), 0.9)]
    assert found(FakePredictor(PEOPLE[1:], sure=0.6), lambda image: small_and_elsewhere, image) == []
    assert len(found(FakePredictor(PEOPLE[1:], sure=0.6), lambda image: [(Box(tuple(PEOPLE[1]), 125.0), 0.9)], image)) == 1


def test_uncalibrated_peaks_have_a_lower_threshold():
    predictor = FakePredictor(sure=0.2)
    assert found(predictor, proposing(0.2)) == []
    predictor.calibrated = False
    assert len(found(predictor, proposing(0.2))) == 2


def test_an_image_without_people_gives_no_boxes():
    assert found(FakePredictor([]), proposing()) == []
    assert found(FakePredictor([]), nothing) == []


def test_a_person_without_a_proposal_is_found_in_the_whole_image():
    (box,) = found(FakePredictor(PEOPLE[:1]), nothing)
    assert box == Box.from_xywh(0, 0, 320, 240, margin=1.0)


@pytest.mark.parametrize("size", [(1, 1), (1, 90), (40, 30)])
def test_small_images(size):
    assert found(FakePredictor([]), nothing, np.zeros((*size, 3), np.uint8)) == []


def test_a_missing_image(tmp_path):
    with pytest.raises(ImageError, match=r"gone\.jpg"):
        PoseDetector(FakePredictor(), nothing)(tmp_path / "gone.jpg")


def test_at_most_a_hundred_proposals_are_used():
    predictor = FakePredictor([])
    assert found(predictor, lambda image: [(Box((160.0, 120.0), 150), 0.5)] * 1000) == []
    assert predictor.boxes == 1 + 100


def test_the_refined_box_surrounds_the_keypoints_that_score_enough():
    scores = np.full(K, 0.5)
    scores[-1] = 0.05
    pose = Pose(BODY.astype(float), scores, Box((9, 9), 300), LSP14)
    assert pose.refined_box() == Box.around(BODY[:-1], margin=1.4)
    assert pose.refined_box(min_score=0.6) == pose.box
    assert pose.refined_box(min_score=0) == Box.around(BODY, margin=1.4)


# ONNX detectors of every layout: tiny networks with constant results, the same two people in each.

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
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")

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


def test_an_onnx_detector_without_people_gives_no_boxes(write):
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
