"""Predict the people in a video frame by frame; write an annotated video and a file of JSON lines."""

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
from posekit.images import cv2
from posekit.prediction.pose import Pose
from posekit.prediction.smoothing import Smoother
from posekit.prediction.tracking import Tracked, Tracker, new_boxes
from posekit.prediction.video import CODECS, Frame, VideoReader, VideoWriter

PosePredictor = Callable[[np.ndarray, list[Box]], list[Pose]]

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_OUTLINE = (30, 30, 30)


@dataclass(frozen=True)
class VideoSummary:
    """Result of predicting one video.

    Numbers of frames: `frames` written, `skipped` because they could not be decoded, `uncertain` with an uncertain or lost
    person. `people` is the number of tracked people (distinct ids). `fps` is the processing speed in frames per second, including
    reading and writing. `overlay` is the path of the annotated video, `poses` the path of the JSON lines.
    """

    frames: int
    people: int
    skipped: int
    uncertain: int
    fps: float
    overlay: Path
    poses: Path

    def __str__(self) -> str:
        return (
            f"frames: {self.frames}, people: {self.people}, frames with an uncertain or lost person: {self.uncertain}, "
            f"skipped: {self.skipped}; {self.fps:.1f} frames/s\nwrote {self.overlay}, {self.poses}"
        )


def output_name(source: str | Path | int) -> str:
    """Return the stem of the output file names: the video file's stem, or for a webcam "webcam" and the index."""
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
) -> VideoSummary:
    """Predict and track the people in a video; write ``OUT/NAME.overlay.mp4`` and ``OUT/NAME.poses.jsonl``.

    Each line of ``NAME.poses.jsonl`` is a JSON object for one frame: ``frame`` (counted from 0), ``time`` (seconds), ``people``,
    and ``lost`` (ids of tracked people who were not found in this frame). Each entry of ``people`` has ``id``, ``confident``
    (false if the scores have dropped), ``score`` (mean of the joints' scores), ``keypoints`` ([x, y] of each joint of the model's
    skeleton, image pixels), ``scores`` (of each joint) and ``box`` (the model's box: x, y, width, height as in COCO). In the
    video, uncertain people are framed and numbered in purple, with a question mark; the ids of lost people are listed at the
    bottom. Whenever processing stops, both files contain complete frames.

    Frames that cannot be decoded are reported on stderr and skipped.

    Parameters
    ----------
    predictor : callable
        Function from (image, boxes) to one Pose per box, such as `posekit.prediction.predictor.Predictor`.
    source : str, Path or int
        A video file, or the index of a webcam; see `output_name` for NAME.
    boxes : sequence of Box, optional
        Boxes of people in the first frame, in image pixels. The boxes are searched again whenever no person is tracked.
    detect : callable, optional
        Function from an image, (H, W, 3) uint8, to boxes of people; called on the first frame, then on every `every`-th. If
        neither `boxes` nor `detect` is given, the whole image is the box of one person whenever no person is tracked.
    smooth : bool
        Whether to smooth the keypoints over time; see `posekit.prediction.smoothing`.
    sure, min_score : float
        Joints that score below `sure` are ignored in tracking; joints that score below `min_score` are not drawn.

    Raises
    ------
    ImageError
        If the source cannot be opened, or none of its frames can be decoded.
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
            for frame in tqdm(video, total=video.count, desc=name, unit="frame", disable=None):
                tracked = tracker.track(frame)
                people = [_person_to_dict(person) for person in tracked]
                lines.add({"frame": frame.index, "time": round(frame.time, 6), "people": people, "lost": list(tracker.lost)})
                writer.write(_annotate(frame.image, tracked, tracker.lost, min_score))
        finally:
            for skipped in video.skipped:
                frames = f"frame {skipped[0]}" if len(skipped) == 1 else f"frames {skipped[0]} to {skipped[-1]}"
                print(f"skipped: {video.name}: {frames} cannot be decoded", file=sys.stderr)
    assert writer.codec is not None  # VideoReader raises if there is no frame
    if writer.codec != next(iter(CODECS)):
        preferred = next(iter(CODECS.values()))
        print(
            f"{overlay}: encoded as {CODECS[writer.codec]}, because this OpenCV build cannot encode {preferred}; "
            "browsers may not play the video",
            file=sys.stderr,
        )
    return VideoSummary(
        frames=writer.frames,
        people=len(tracker.ids),
        skipped=sum(map(len, video.skipped)),
        uncertain=tracker.uncertain,
        fps=writer.frames / (time.perf_counter() - start),
        overlay=overlay,
        poses=poses,
    )


class _VideoTracker:
    """Predict and track the people in a video, frame by frame.

    `ids` are the ids of all people tracked so far; `uncertain` is the number of frames so far with an uncertain or lost person.
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
        self.ids: set[int] = set()
        self._frames = 0
        self.uncertain = 0

    @property
    def lost(self) -> list[int]:
        """Ids of tracked people who were not found in the last frame."""
        return self._tracker.lost

    def track(self, frame: Frame) -> list[Tracked]:
        """Predict the next frame, and return the tracked people found in this frame."""
        height, width = frame.image.shape[:2]
        boxes = self._tracker.boxes((width, height), frame.time)
        boxes += new_boxes(self._candidates(frame.image), boxes)
        poses = self._predictor(frame.image, boxes) if boxes else []
        tracked = self._tracker.update(poses, frame.time)
        self.ids |= {person.id for person in tracked}
        if self.lost or not all(person.confident for person in tracked):
            self.uncertain += 1
        return self._smoother(tracked, frame.time) if self._smoother else tracked

    def _candidates(self, image: np.ndarray) -> list[Box]:
        """Return boxes that may contain people who are not tracked yet."""
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
    """Write a file of JSON lines; every line in the file is complete, even after a write error."""

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
        """Append a line; if writing fails (e.g. the disk is full), remove the incomplete line."""
        line = (json.dumps(content, allow_nan=False) + "\n").encode()
        end = self._file.tell()
        try:
            if self._file.write(line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            self._file.truncate(end)
            raise self._error(error) from error

    def _error(self, error: OSError) -> OutputError:
        return OutputError(f"{self._path}: cannot be written ({error.strerror or error}); choose another output folder")


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
    """Return a copy of the image with skeletons and ids drawn on it."""
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
    """Draw text just above the point `anchor`, shifted if necessary so that the text lies inside the image."""
    height, width = image.shape[:2]
    scale = max(height / 900, 0.4)
    (text_width, text_height), _ = cv2.getTextSize(text, _FONT, scale, 1)
    x, y = anchor
    left = round(min(max(x, 0), max(width - text_width, 0)))
    bottom = round(min(max(y - text_height / 2, text_height), height - 1))
    for stroke_colour, stroke in ((_OUTLINE, 4), (colour, 2)):
        thickness = max(1, round(stroke * scale))
        cv2.putText(image, text, (left, bottom), _FONT, scale, stroke_colour, thickness, cv2.LINE_AA)
