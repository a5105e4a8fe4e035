"""Somebody's person detector in ONNX Runtime: from a picture to the boxes of its people, whichever layout its results have."""

import ast
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from posekit.errors import WeightsError
from posekit.geometry import Box
from posekit.opencv import cv2
from posekit.prediction.onnx.session import check_onnx, onnx_errors, open_session
from posekit.prediction.predictor import picture

_ADVICE = "export it anew, or choose another detector"
_LAYOUTS = (
    "a table of YOLOv8 or 11 (1, 4 + classes, N), YOLOv5 or 7 (1, N, 5 + classes), Ultralytics' RT-DETR (1, N, 4 + classes) or "
    "end-to-end (1, N, 6); or outputs called boxes, scores and labels, as RT-DETR and SSD have them"
)
# Side of the input where the file leaves it open, and what fills it beside the picture: YOLO's.
_SIDE, _GREY = 640, 114
# Boxes of this intersection over union are about the same person.
_SAME_BOX = 0.6
# Coordinates up to this are shares of the input, larger ones pixels: a box may reach a little beyond the picture.
_SHARES = 2.0
_DTYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(uint8)": np.uint8}


class OnnxDetector:
    """Finds people by a YOLO-, RT-DETR- or SSD-style detector.

    The picture is fitted into the top left corner of the network's input: red, green, blue, from 0 to 1, or to 255 where it takes
    bytes. The layout of the results is told from their names, shapes and values. People are the class "person" of Ultralytics'
    metadata; without them class 0, and of SSD 1, since its 0 is the background.

    Parameters
    ----------
    path : str or Path
        An ONNX file of ONNX's own operators alone.
    min_score : float
        Boxes that score less are left out.

    Raises
    ------
    WeightsError
        If the file cannot be read, or is no detector of a known layout: the message tells what was found.
    ConfigError
        If onnx or onnxruntime is not installed.
    """

    def __init__(self, path: str | Path, *, min_score: float = 0.5):
        self._name, self._min_score = str(path), min_score
        try:
            data = Path(path).read_bytes()
        except OSError as error:
            raise WeightsError(f"{path}: cannot be read ({error.strerror or error})") from error
        model = check_onnx(data, self._name, _ADVICE)
        self._person = _class_of_people({entry.key: entry.value for entry in model.metadata_props}, self._name)
        self._session = open_session(data, self._name, _ADVICE)
        self._picture, self._sizes = self._inputs()
        self(np.zeros((_SIDE, _SIDE, 3), np.uint8))  # so that an unknown layout is told before any work

    def __call__(self, image: str | Path | np.ndarray) -> list[Box]:
        """Boxes of people, image pixels: a quarter larger than the detector's rectangles, the surest first.

        Parameters
        ----------
        image : path or array
            As `Predictor` takes it.

        Raises
        ------
        ImageError
            If the image cannot be read or is no picture.
        WeightsError
            If the network fails.
        """
        fed, scale = self._fed(picture(image))
        with onnx_errors(self._name, "fails", _ADVICE):
            results = self._session.run(None, fed)
        names = [output.name for output in self._session.get_outputs()]
        corners, scores = self._people(dict(zip(names, results, strict=True)))
        if np.abs(corners).max(initial=0) <= _SHARES:
            corners = corners * np.tile(self._size, 2)
        rectangles = np.column_stack([corners[:, :2], corners[:, 2:] - corners[:, :2]]).astype(float) / scale
        sound = np.isfinite(rectangles).all(1) & (rectangles[:, 2:] > 0).all(1)
        rectangles, scores = rectangles[sound].tolist(), scores[sound].tolist()
        kept = cv2.dnn.NMSBoxes(rectangles, scores, self._min_score, _SAME_BOX)
        return [Box.from_xywh(*rectangles[index]) for index in np.ravel(kept).astype(int)]

    def _inputs(self):
        """The input that takes the picture, and the name of the one that takes its size, if there is one."""
        entries = self._session.get_inputs()
        pictures = [entry for entry in entries if entry.type in _DTYPES and len(entry.shape) in (3, 4) and 3 in entry.shape]
        others = [entry.name for entry in entries if entry not in pictures]
        if len(pictures) != 1 or others not in ([], ["orig_target_sizes"]):
            found = ", ".join(f"{entry.name} {entry.shape} {entry.type}" for entry in entries)
            raise WeightsError(
                f"{self._name}: its inputs are {found}; expected a picture (1, 3, H, W) and RT-DETR's orig_target_sizes; {_ADVICE}"
            )
        return pictures[0], (others or [None])[0]

    @property
    def _channels_last(self) -> bool:
        return self._picture.shape[-1] == 3

    @property
    def _size(self) -> tuple[int, int]:
        """Width and height of the input."""
        height, width = self._picture.shape[-3:-1] if self._channels_last else self._picture.shape[-2:]
        return tuple(side if isinstance(side, int) and side > 0 else _SIDE for side in (width, height))

    def _fed(self, image: np.ndarray) -> tuple[dict[str, np.ndarray], float]:
        """What goes into the network, and how many of its pixels one of the image's is."""
        width, height = self._size
        scale = min(height / image.shape[0], width / image.shape[1])
        rows, columns = (max(1, round(scale * length)) for length in image.shape[:2])
        canvas = np.full((height, width, 3), _GREY, np.uint8)
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        canvas[:rows, :columns] = cv2.resize(image, (columns, rows), interpolation=method)[..., ::-1]
        dtype = _DTYPES[self._picture.type]
        pixels = canvas if dtype == np.uint8 else (canvas / 255).astype(dtype)
        pixels = np.ascontiguousarray(pixels if self._channels_last else pixels.transpose(2, 0, 1))
        fed = {self._picture.name: pixels.reshape((1,) * (len(self._picture.shape) - 3) + pixels.shape)}
        return fed | ({self._sizes: np.array([[width, height]])} if self._sizes else {}), scale

    def _people(self, results: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Left, top, right, bottom (N, 4) in the input, pixels or shares; and scores (N,): of people alone."""
        boxes, scores, labels = (_find(results, *words) for words in (("box",), ("score",), ("label", "class")))
        if boxes is not None and scores is not None and labels is not None and boxes.size == 4 * scores.size == 4 * labels.size:
            person = self._person if self._person is not None else int(self._sizes is None)
            people = labels.ravel() == person
            tensorflow = any(name.startswith("detection_") for name in results)  # its boxes have y first
            return boxes.reshape(-1, 4)[people][:, [1, 0, 3, 2] if tensorflow else [0, 1, 2, 3]], scores.ravel()[people]
        found = list(results.values())
        table = found[0][0] if len(found) == 1 and found[0].ndim == 3 and len(found[0]) == 1 else np.empty((0, 0))
        people = _read_table(table, self._person or 0)
        if people is None:
            shapes = ", ".join(f"{name} {result.shape}" for name, result in results.items())
            raise WeightsError(f"{self._name}: its results are {shapes}; expected {_LAYOUTS}; {_ADVICE}")
        return people


def _class_of_people(metadata: Mapping[str, str], name: str) -> int | None:
    """Its number as Ultralytics' metadata has it; None where there are none. The only class is people, whatever it is called."""
    try:
        classes = dict(ast.literal_eval(metadata["names"]))
    except (KeyError, ValueError, SyntaxError, TypeError):
        return None
    people = [number for number, called in classes.items() if called == "person" or len(classes) == 1]
    if not people:
        raise WeightsError(f"{name}: finds {', '.join(map(str, classes.values()))}, but no person; {_ADVICE}")
    return people[0]


def _find(results: Mapping[str, np.ndarray], *words: str) -> np.ndarray | None:
    """The first result whose name has one of the words in it."""
    return next((result for name, result in results.items() if any(word in name.lower() for word in words)), None)


def _read_table(table: np.ndarray, person: int) -> tuple[np.ndarray, np.ndarray] | None:
    """Corners and scores as of `OnnxDetector._people`; None if it is no table of a known layout."""
    rows, columns = table.shape
    if columns == 6 and (table[:, 5] == table[:, 5].round()).all():  # end-to-end: corners, score, class
        people = table[table[:, 5] == person]
        return people[:, :4], people[:, 4]
    if 5 + person <= rows < columns:  # YOLOv8: a column for each box
        return _corners(table[:4].T), table[4 + person]
    if not 5 + person <= columns <= rows:
        return None
    if np.abs(table[:, :4]).max() <= _SHARES:  # Ultralytics' RT-DETR
        return _corners(table[:, :4]), table[:, 4 + person]
    if columns < 6 + person:
        return None
    return _corners(table[:, :4]), table[:, 4] * table[:, 5 + person]  # YOLOv5: whether it is anything, and what it would be


def _corners(boxes_N4: np.ndarray) -> np.ndarray:
    """Of middles, widths and heights: left, top, right, bottom."""
    middles, sizes = boxes_N4[:, :2], boxes_N4[:, 2:]
    return np.concatenate([middles - sizes / 2, middles + sizes / 2], axis=1)
