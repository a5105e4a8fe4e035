"""Predict a video's people frame by frame; write an annotated video and a file of JSON lines."""

import errno
import json
import math
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from posekit.drawing.pose import MIDDLE, WRONG
from posekit.errors import OutputError
from posekit.files import writable_folder
from posekit.geometry import Box
from posekit.opencv import cv2
from posekit.prediction.pose import Pose
from posekit.prediction.video.reader import Frame, VideoReader
from posekit.prediction.video.smoothing import Smoother
from posekit.prediction.video.tracking import Tracked, Tracker, new_boxes
from posekit.prediction.video.writer import CODECS, VideoWriter

PosePredictor = Callable[[np.ndarray, list[Box]], list[Pose]]

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_OUTLINE = (30, 30, 30)


@dataclass(frozen=True)
class VideoSummary:
    """Result of a video.

    Parameters
    ----------
    frames : int
        Frames written.
    people : int
        People with different ids.
    skipped : int
        Frames that could not be decoded.
    uncertain : int
        Frames in which a person is uncertain or lost.
    fps : float
        Frames per second, from reading to writing.
    codec : str
        Of the annotated video, one of `posekit.prediction.video.writer.CODECS`.
    overlay, poses : Path
        The annotated video, and the JSON lines.
    """

    frames: int
    people: int
    skipped: int
    uncertain: int
    fps: float
    codec: str
    overlay: Path
    poses: Path

    def __str__(self) -> str:
        return (
            f"frames: {self.frames}, people: {self.people}, frames with an uncertain or lost person: {self.uncertain}, "
            f"skipped: {self.skipped}; {self.fps:.1f} frames/s\nwrote {self.overlay}, {self.poses}"
        )


def output_name(source: str | Path | int) -> str:
    """Start of the names of a video's outputs: the file's stem, or "webcam" and the index."""
    return f"webcam{source}" if isinstance(source, int) else Path(source).stem


def predict_video(
    predictor: PosePredictor,
    source: str | Path | int,
    out: str | Path,
    *,
    boxes: Sequence[Box] | None = None,
    detect: Callable[[np.ndarray], Sequence[Box]] | None = None,
    every: int = 30,
    smooth: bool = False,
    sure: float = 0.1,
    min_score: float = 0.1,
    progress: bool = True,
) -> VideoSummary:
    """Predict and track the people of a video; write ``OUT/NAME.overlay.mp4`` and ``OUT/NAME.poses.jsonl``.

    Each line of the latter is one frame: ``frame`` (counted from 0), ``time`` (seconds), ``people``, and ``lost`` (ids of
    tracked people who are not found in this frame). Each of the people has ``id``, ``confident`` (false if the scores have
    dropped), ``score`` (mean), ``keypoints`` ([x, y] for each joint of the model's skeleton, image pixels), ``scores`` and ``box``
    (the model's box: x, y, width, height as in COCO). Both files hold complete frames whenever the work stops. In the video,
    uncertain people are framed and numbered in purple, with a question mark; lost people are listed below.

    Frames that cannot be decoded are reported on stderr and skipped.

    Parameters
    ----------
    predictor : callable
        Image, boxes -> one Pose for each box, such as `posekit.prediction.predictor.Predictor`.
    source : str, Path or int
        A video file, or the index of a webcam: NAME is the file's stem, or "webcam" and the index.
    out : str or Path
        Folder to write; created if needed.
    boxes : sequence of Box, optional
        People in the first frame, image pixels. The boxes are searched again whenever no person is tracked.
    detect : callable, optional
        Image (H, W, 3) uint8 -> boxes of people: called in the first frame and every `every` frames. Without `boxes` and
        `detect`, the whole image is searched whenever no person is tracked.
    every : int
        Number of frames between calls of `detect`.
    smooth : bool
        Filter the keypoints; see `posekit.prediction.video.smoothing`.
    sure : float
        Joints with lower scores are ignored in tracking.
    min_score : float
        Joints with lower scores are not drawn.
    progress : bool
        Show a progress bar, if stderr is a terminal.

    Returns
    -------
    VideoSummary

    Raises
    ------
    ImageError
        If the source cannot be opened, or none of its frames decoded.
    OutputError
        If an output cannot be written.
    """
    name = output_name(source)
    folder = writable_folder(out)
    overlay = folder / f"{name}.overlay.mp4"
    poses = folder / f"{name}.poses.jsonl"
    tracker = _VideoTracker(predictor, boxes, detect, every=every, smooth=smooth, sure=sure)
    start = time.perf_counter()
    with VideoReader(source) as video, VideoWriter(overlay, video.fps, source=source) as writer, _JsonLines(poses) as lines:
        try:
            for frame in tqdm(video, total=video.count, desc=name, unit="frame", disable=None if progress else True):
                tracked = tracker.track(frame)
                lines.add(_frame_to_dict(frame, tracked, tracker.lost))
                writer.write(_annotate(frame.image, tracked, tracker.lost, min_score))
        finally:
            _report_skipped(video)
    assert writer.codec is not None  # VideoReader raises if there is no frame
    _report_codec(writer.path, writer.codec)
    return VideoSummary(
        frames=writer.frames,
        people=tracker.people,
        skipped=sum(map(len, video.skipped)),
        uncertain=tracker.uncertain,
        fps=writer.frames / (time.perf_counter() - start),
        codec=writer.codec,
        overlay=overlay,
        poses=poses,
    )


class _VideoTracker:
    """Predicts and tracks the people of a video, frame by frame.

    Attributes
    ----------
    uncertain : int
        Number of frames so far in which a person is uncertain or lost.
    """

    def __init__(
        self,
        predictor: PosePredictor,
        boxes: Sequence[Box] | None,
        detect: Callable[[np.ndarray], Sequence[Box]] | None,
        *,
        every: int,
        smooth: bool,
        sure: float,
    ):
        self._predictor = predictor
        self._boxes = boxes
        self._detect = detect
        self._every = every
        self._tracker = Tracker(min_score=sure)
        self._smoother = Smoother(min_score=sure) if smooth else None
        self._ids: set[int] = set()
        self._frames = 0
        self.uncertain = 0

    @property
    def people(self) -> int:
        """Number of people so far, with different ids."""
        return len(self._ids)

    @property
    def lost(self) -> list[int]:
        """Ids of people who are tracked, but were not found in the last frame."""
        return self._tracker.lost

    def track(self, frame: Frame) -> list[Tracked]:
        """Return the people of the next frame."""
        height, width = frame.image.shape[:2]
        boxes = self._tracker.boxes((width, height), frame.time)
        boxes += new_boxes(self._candidates(frame.image), boxes)
        poses = self._predictor(frame.image, boxes) if boxes else []
        tracked = self._tracker.update(poses, frame.time)
        self._ids |= {person.id for person in tracked}
        if self.lost or not all(person.confident for person in tracked):
            self.uncertain += 1
        return self._smoother(tracked, frame.time) if self._smoother else tracked

    def _candidates(self, image: np.ndarray) -> list[Box]:
        """Boxes that may hold people who are not tracked yet."""
        detected: list[Box] = []
        if self._detect and self._frames % self._every == 0:
            detected = list(self._detect(image))
        self._frames += 1
        if self._tracker.following:
            return detected
        if self._boxes is None and self._detect is None:
            return [Box.of_image(image)]
        return [*(self._boxes or ()), *detected]


class _JsonLines:
    """A file of JSON lines, each complete even after an error."""

    def __init__(self, path: Path):
        self._path = path

    def __enter__(self) -> "_JsonLines":
        try:
            self._file = self._path.open("wb", buffering=0)
        except OSError as error:
            raise self._error(error) from error
        return self

    def __exit__(self, *exception: object) -> None:
        self._file.close()

    def add(self, content: dict) -> None:
        """Append a line; if the disk is full, remove the part that was written."""
        line = (json.dumps(content, allow_nan=False) + "\n").encode()
        end = self._file.tell()
        try:
            if self._file.write(line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            self._file.truncate(end)
            raise self._error(error) from error

    def _error(self, error: OSError) -> OutputError:
        return OutputError(f"{self._path}: cannot be written ({error.strerror or error}); choose another place")


def _frame_to_dict(frame: Frame, tracked: Sequence[Tracked], lost: Sequence[int]) -> dict:
    people = [_person_to_dict(person) for person in tracked]
    return {"frame": frame.index, "time": round(frame.time, 6), "people": people, "lost": list(lost)}


def _person_to_dict(person: Tracked) -> dict:
    pose = person.pose
    coco = pose.to_coco(0)
    return {
        "id": person.id,
        "confident": person.confident,
        "score": coco["score"],
        "keypoints": [[_number(x), _number(y)] for x, y in pose.keypoints.tolist()],
        "scores": [_number(score) for score in pose.scores.tolist()],
        "box": coco["box"],
    }


def _number(value: float) -> float | None:
    return round(value, 4) if math.isfinite(value) else None


def _annotate(image: np.ndarray, tracked: Sequence[Tracked], lost: Sequence[int], min_score: float) -> np.ndarray:
    """Draw skeletons and ids on a copy of the image."""
    image = image.copy()
    for person in tracked:
        image = person.pose.draw(image, min_score=min_score)
        if not person.confident:
            _draw_box(image, person.pose.box)
    for person in tracked:
        text = f"{person.id}" if person.confident else f"{person.id}?"
        _draw_text(image, text, person.pose.top(min_score), MIDDLE if person.confident else WRONG)
    if lost:
        _draw_text(image, f"lost: {', '.join(map(str, lost))}", (12, image.shape[0] - 12), WRONG)
    return image


def _draw_box(image: np.ndarray, box: Box) -> None:
    x, y = box.centre
    half = box.side / 2
    top_left = (round(x - half), round(y - half))
    bottom_right = (round(x + half), round(y + half))
    cv2.rectangle(image, top_left, bottom_right, WRONG, max(1, image.shape[0] // 360), cv2.LINE_AA)


def _draw_text(image: np.ndarray, text: str, anchor: tuple[float, float], colour: tuple[int, int, int]) -> None:
    """Draw text just above the anchor, moved into the image if necessary."""
    height, width = image.shape[:2]
    scale = max(height / 900, 0.4)
    (text_width, text_height), _ = cv2.getTextSize(text, _FONT, scale, 1)
    x, y = anchor
    left = round(min(max(x, 0), max(width - text_width, 0)))
    bottom = round(min(max(y - text_height / 2, text_height), height - 1))
    for stroke_colour, stroke in ((_OUTLINE, 4), (colour, 2)):
        thickness = max(1, round(stroke * scale))
        cv2.putText(image, text, (left, bottom), _FONT, scale, stroke_colour, thickness, cv2.LINE_AA)


def _report_skipped(video: VideoReader) -> None:
    for skipped in video.skipped:
        frames = f"frame {skipped[0]}" if len(skipped) == 1 else f"frames {skipped[0]} to {skipped[-1]}"
        print(f"skipped: {video.name}: {frames} cannot be decoded", file=sys.stderr)


def _report_codec(path: Path, codec: str) -> None:
    preferred = next(iter(CODECS))
    if codec != preferred:
        print(
            f"{path}: written as {CODECS[codec]}, as this OpenCV cannot write {CODECS[preferred]}; browsers may not play it",
            file=sys.stderr,
        )
