"""Person detectors, which find the bounding boxes of people in an image.

A detector is any callable that takes an image and returns the bounding boxes of the people in it.
"""

import ast
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from posekit.errors import WeightsError
from posekit.geometry import Box
from posekit.images import cv2
from posekit.metrics import square_iou
from posekit.prediction.onnx import onnx_errors, open_onnx, read_onnx_file
from posekit.prediction.pose import Pose, body_oks, distinct
from posekit.prediction.predictor import Predictor, load_image

BOX_MARGIN = 1.25
"""Ratio of a proposed box's side to the longer side of the tight box around the person's keypoints."""
CANDIDATES = 100
"""Maximum number of proposed boxes that are used."""
# A proposed box supports a pose if the box and the pose's tight square have at least this intersection over union. The box's
# score times the weight is then added to the confidence in the pose.
_SUPPORT_IOU = 0.5
_SUPPORT_WEIGHT = 0.5
# Minimum confidence in a person if scores are probabilities, and if scores are peaks. Chosen on scenes composed of people that
# were not in the training data of either network: 5 of 6 people are found, with one false person per 3 scenes.
_MIN_PROBABILITY = 0.65
_MIN_PEAK = 0.25
# Poses with at least this OKS are the same person. The value is low, because missing one of two close people is better than
# detecting one person twice.
_SAME_OKS = 0.2

_ADVICE = "export it again, or choose another detector"
_LAYOUTS = (
    "one output in the layout of YOLOv8 or 11 (1, 4 + classes, N), YOLOv5 or 7 (1, N, 5 + classes), Ultralytics' RT-DETR "
    "(1, N, 4 + classes) or an end-to-end export (1, N, 6); or outputs named boxes, scores and labels, as from RT-DETR and SSD"
)
# YOLO's values: side of the input if the file does not fix the side, and the grey that pads the image.
_SIDE = 640
_GREY = 114
# Boxes with at least this intersection over union belong to the same person.
_SAME_BOX = 0.6
# If no coordinate exceeds this value, coordinates are fractions of the input, otherwise pixels. A fraction can exceed 1 because
# a box may reach beyond the image.
_MAX_FRACTION = 2.0
_DTYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(uint8)": np.uint8}


class PoseDetector:
    """Finds people: a network proposes boxes, and the pose model confirms or rejects them.

    The pose model runs in each proposed box and in the whole image. The confidence in a pose is the mean score of the pose plus
    half the score of the proposed box around the pose. The mean score is evidence of joints; the box score is evidence that the
    joints form a body. Of similar poses, only the most confident one is kept.

    Parameters
    ----------
    predictor : Predictor
    candidates : callable
        Takes an image, (H, W, 3) uint8 BGR, and returns proposed boxes with scores, the highest score first; for example a
        `posekit.tasks.person_finder.finder.CentreFinder`.
    """

    def __init__(self, predictor: Predictor, candidates: Callable[[np.ndarray], Sequence[tuple[Box, float]]]):
        self._predictor = predictor
        self._candidates = candidates
        self._min_confidence = _MIN_PROBABILITY if predictor.calibrated else _MIN_PEAK

    def __call__(self, image: str | Path | np.ndarray) -> list[Box]:
        """Return the bounding boxes of people, in image pixels, the most confident first.

        The image is a path or array as for `Predictor`.

        Raises
        ------
        ImageError
            If the image cannot be read, or the array is not an image.
        """
        pixels = load_image(image)
        candidates = [(Box.of_image(pixels), 0.0), *self._candidates(pixels)[:CANDIDATES]]
        poses = self._predictor(pixels, [box for box, _ in candidates])
        confidence = np.array([pose.scores.mean() for pose in poses]) + _SUPPORT_WEIGHT * _box_scores(poses, candidates)
        order = np.argsort(-confidence, kind="stable")
        people = [poses[i] for i in order if confidence[i] >= self._min_confidence]
        return [people[i].box for i in distinct(_similarity(people) >= _SAME_OKS)]


def _box_scores(poses: Sequence[Pose], candidates: Sequence[tuple[Box, float]]) -> np.ndarray:
    """Return (N,) scores: for each pose the highest score of the boxes that overlap the pose enough, or 0 without such a box."""
    keypoints = np.array([pose.keypoints for pose in poses])
    low = keypoints.min(1)
    high = keypoints.max(1)
    tight = np.column_stack([(low + high) / 2, (high - low).max(1)])
    proposed = np.array([(*box.centre, box.side / BOX_MARGIN) for box, _ in candidates])
    scores = np.array([score for _, score in candidates])
    return ((square_iou(tight, proposed) >= _SUPPORT_IOU) * scores).max(1)


def _similarity(poses: Sequence[Pose]) -> np.ndarray:
    """Return the OKS (N, N) of all pairs of poses.

    Models confuse front and back views, so each pair is also compared with left and right joints swapped in one pose; the higher
    OKS is returned.
    """
    if not poses:
        return np.zeros((0, 0))
    count = len(poses)
    skeleton = poses[0].skeleton
    keypoints = np.array([pose.keypoints for pose in poses])
    first = keypoints.repeat(count, 0)
    second = np.tile(keypoints, (count, 1, 1))
    extents = np.ptp(second, axis=1).max(1)
    compared = np.ones(first.shape[:2], bool)
    plain = body_oks(first, second, compared, extents, skeleton)
    mirrored = body_oks(first, second[:, skeleton.flip_order], compared, extents, skeleton)
    return np.maximum(plain, mirrored).reshape(count, count)


class OnnxDetector:
    """Finds people with a YOLO-, RT-DETR- or SSD-style detector in ONNX Runtime.

    The image is resized to fit into the network's input, aligned to the top left corner: RGB from 0 to 1, or from 0 to 255 if
    the input is uint8. The layout of the outputs is recognised from their names, shapes and values. If the file has Ultralytics'
    metadata, people are the class "person"; otherwise people are class 0, or class 1 for SSD, whose class 0 is the background.

    Parameters
    ----------
    path : str or Path
        An ONNX file with standard ONNX operators only.
    min_score : float
        Boxes with a lower score are discarded.

    Raises
    ------
    WeightsError
        If the file cannot be read, or is not a detector with a known layout; the message lists the inputs or outputs found.
    ConfigError
        If onnx or onnxruntime is not installed.
    """

    def __init__(self, path: str | Path, *, min_score: float = 0.5):
        self._name = str(path)
        self._min_score = min_score
        self._session = open_onnx(read_onnx_file(path), self._name, _ADVICE)
        self._person = _person_class(self._session.get_modelmeta().custom_metadata_map, self._name)
        self._image_input, self._size_input = self._find_inputs()
        self._channels_last = self._image_input.shape[-1] == 3
        height, width = self._image_input.shape[-3:-1] if self._channels_last else self._image_input.shape[-2:]
        self._height = height if isinstance(height, int) and height > 0 else _SIDE
        self._width = width if isinstance(width, int) and width > 0 else _SIDE
        self(np.zeros((_SIDE, _SIDE, 3), np.uint8))  # an unknown layout raises here, before any image is read

    def __call__(self, image: str | Path | np.ndarray) -> list[Box]:
        """Return the bounding boxes of people, in image pixels, the highest score first.

        The image is a path or array as for `Predictor`. Each box is a square; its side is 1.25 times the longer side of the
        detector's rectangle.

        Raises
        ------
        ImageError
            If the image cannot be read, or the array is not an image.
        WeightsError
            If running the detector fails.
        """
        inputs, scale = self._prepare(load_image(image))
        with onnx_errors(self._name, "cannot be run", _ADVICE):
            results = self._session.run(None, inputs)
        names = [output.name for output in self._session.get_outputs()]
        corners, scores = self._read_people(dict(zip(names, results, strict=True)))
        if np.abs(corners).max(initial=0) <= _MAX_FRACTION:
            corners = corners * np.tile((self._width, self._height), 2)
        rectangles = np.column_stack([corners[:, :2], corners[:, 2:] - corners[:, :2]]).astype(float) / scale
        valid = np.isfinite(rectangles).all(1) & (rectangles[:, 2:] > 0).all(1)
        rectangles = rectangles[valid].tolist()
        kept = cv2.dnn.NMSBoxes(rectangles, scores[valid].tolist(), self._min_score, _SAME_BOX)
        return [Box.from_xywh(*rectangles[index]) for index in np.ravel(kept).astype(int)]

    def _find_inputs(self) -> tuple[Any, str | None]:
        """Return the image input, and the name of the image size input or None."""
        inputs = self._session.get_inputs()
        images = [entry for entry in inputs if entry.type in _DTYPES and len(entry.shape) in (3, 4) and 3 in entry.shape]
        others = [entry.name for entry in inputs if entry not in images]
        if len(images) != 1 or others not in ([], ["orig_target_sizes"]):
            actual = ", ".join(f"{entry.name} {entry.shape} {entry.type}" for entry in inputs)
            raise WeightsError(
                f"{self._name}: inputs: expected an image (1, 3, H, W) and optionally orig_target_sizes (RT-DETR), "
                f"got {actual}; {_ADVICE}"
            )
        return images[0], others[0] if others else None

    def _prepare(self, image: np.ndarray) -> tuple[dict[str, np.ndarray], float]:
        """Return the network's inputs by name, and the scale factor from image pixels to input pixels."""
        scale = min(self._height / image.shape[0], self._width / image.shape[1])
        height, width = (max(1, round(scale * length)) for length in image.shape[:2])
        canvas = np.full((self._height, self._width, 3), _GREY, np.uint8)
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        canvas[:height, :width] = cv2.resize(image, (width, height), interpolation=method)[..., ::-1]
        dtype = _DTYPES[self._image_input.type]
        pixels = canvas if dtype == np.uint8 else (canvas / 255).astype(dtype)
        pixels = np.ascontiguousarray(pixels if self._channels_last else pixels.transpose(2, 0, 1))
        if len(self._image_input.shape) == 4:
            pixels = pixels[None]
        inputs = {self._image_input.name: pixels}
        if self._size_input:
            inputs[self._size_input] = np.array([[self._width, self._height]])
        return inputs, scale

    def _read_people(self, results: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Return the boxes (N, 4) and scores (N,) of people, without other classes.

        Boxes are left, top, right, bottom, in pixels or fractions of the network's input.
        """
        boxes = _find(results, "box")
        scores = _find(results, "score")
        labels = _find(results, "label", "class")
        if boxes is not None and scores is not None and labels is not None and boxes.size == 4 * scores.size == 4 * labels.size:
            default = 0 if self._size_input else 1
            people = labels.ravel() == (default if self._person is None else self._person)
            corners = boxes.reshape(-1, 4)[people]
            if any(name.startswith("detection_") for name in results):  # TensorFlow's order is top, left, bottom, right
                corners = corners[:, [1, 0, 3, 2]]
            return corners, scores.ravel()[people]
        tables = list(results.values())
        if len(tables) == 1 and tables[0].ndim == 3 and len(tables[0]) == 1:
            table = _read_table(tables[0][0], self._person or 0)
            if table is not None:
                return table
        shapes = ", ".join(f"{name} {result.shape}" for name, result in results.items())
        raise WeightsError(f"{self._name}: outputs: expected {_LAYOUTS}, got {shapes}; {_ADVICE}")


def _person_class(metadata: Mapping[str, str], name: str) -> int | None:
    """Return the class number of people from Ultralytics' metadata; None without such metadata.

    If the detector has only one class, that class counts as people, whatever its name.
    """
    try:
        classes = dict(ast.literal_eval(metadata["names"]))
    except (KeyError, ValueError, SyntaxError, TypeError):
        return None
    for number, class_name in classes.items():
        if class_name == "person" or len(classes) == 1:
            return number
    raise WeightsError(f"{name}: expected a class named person, got {', '.join(map(str, classes.values()))}; {_ADVICE}")


def _find(results: Mapping[str, np.ndarray], *words: str) -> np.ndarray | None:
    """Return the first output whose name contains one of the words; None if there is none."""
    for name, result in results.items():
        if any(word in name.lower() for word in words):
            return result
    return None


def _read_table(table: np.ndarray, person: int) -> tuple[np.ndarray, np.ndarray] | None:
    """Return boxes and scores as `OnnxDetector._read_people` does; None if the table has no known layout."""
    rows, columns = table.shape
    if columns == 6 and (table[:, 5] == table[:, 5].round()).all():  # end-to-end: corners, score, class
        people = table[table[:, 5] == person]
        return people[:, :4], people[:, 4]
    if 5 + person <= rows < columns:  # YOLOv8: one column for each box
        return _corners(table[:4].T), table[4 + person]
    if not 5 + person <= columns <= rows:
        return None
    if np.abs(table[:, :4]).max() <= _MAX_FRACTION:  # Ultralytics' RT-DETR
        return _corners(table[:, :4]), table[:, 4 + person]
    if columns < 6 + person:
        return None
    return _corners(table[:, :4]), table[:, 4] * table[:, 5 + person]  # YOLOv5: objectness times class score


def _corners(boxes_N4: np.ndarray) -> np.ndarray:
    """Convert boxes from centre x, y, width, height to left, top, right, bottom (N, 4)."""
    centres = boxes_N4[:, :2]
    sizes = boxes_N4[:, 2:]
    return np.concatenate([centres - sizes / 2, centres + sizes / 2], axis=1)
