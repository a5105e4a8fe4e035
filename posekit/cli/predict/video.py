"""A video's people, frame by frame: an annotated video and a file of JSON lines."""

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
from posekit.prediction.predictor import Predictor
from posekit.prediction.video.reader import Frame, VideoReader
from posekit.prediction.video.smoothing import Smoother
from posekit.prediction.video.tracking import Tracked, Tracker, new_boxes
from posekit.prediction.video.writer import CODECS, VideoWriter

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_DARK = (30, 30, 30)


@dataclass(frozen=True)
class VideoSummary:
    """What came of a video.

    Parameters
    ----------
    frames : int
        Written.
    people : int
        Ids that were given.
    skipped : int
        Frames that could not be decoded.
    uncertain : int
        Frames in which someone is uncertain or lost.
    fps : float
        Frames that were read, predicted, drawn and written a second.
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

    def __str__(self):
        lines = [
            f"frames: {self.frames}, people: {self.people}, frames in which someone is uncertain or lost: {self.uncertain}, "
            f"skipped: {self.skipped}; {self.fps:.1f} frames/s",
            f"wrote {self.overlay} and {self.poses}",
        ]
        return "\n".join(lines)


def output_name(source: str | Path | int) -> str:
    """How the files of a video begin: the file's stem, or "webcam" and the index."""
    return f"webcam{source}" if isinstance(source, int) else Path(source).stem


def predict_video(
    predictor: Predictor,
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
    """Follow the people of a video; write ``OUT/NAME.overlay.mp4`` and ``OUT/NAME.poses.jsonl``.

    Each line of the latter is one frame: ``frame`` (counted from 0), ``time`` (seconds), ``people``, and ``lost`` (ids of those who
    are followed, but not found in this frame). Each of the people has ``id``, ``confident`` (false where the scores have
    dropped), ``score`` (mean), ``keypoints`` ([x, y] for each joint of the model's skeleton, image pixels), ``scores`` and ``box``
    (x, y, width, height as COCO has it: where the model looked). Both files hold whole frames whenever the work stops.
    In the video, whoever is uncertain is framed and numbered in purple, with a question mark; those who are lost are named below.

    Frames that cannot be decoded are named on stderr and skipped.

    Parameters
    ----------
    predictor : Predictor
        Any callable from an image and its boxes to one Pose for each.
    source : str, Path or int
        A video file, or the index of a webcam: NAME is the file's stem, or "webcam" and the index.
    out : str or Path
        A folder; it is made.
    boxes : sequence of Box, optional
        Where people are in the first frame, image pixels. They are looked at again whenever nobody is in sight.
    detect : callable, optional
        From an image (H, W, 3) uint8 to the boxes of people: asked in the first frame and every `every` frames. Without
        `boxes` and `detect`, the whole picture is looked at whenever nobody is in sight.
    every : int
        Frames from one call of `detect` to the next.
    smooth : bool
        Filter the keypoints; see `posekit.prediction.video.smoothing`.
    sure : float
        Joints that score less do not tell who is who, nor that somebody is there.
    min_score : float
        Joints that score less are not drawn.
    progress : bool
        Whether to show a progress bar; only on a terminal.

    Returns
    -------
    VideoSummary

    Raises
    ------
    ImageError
        If the source cannot be opened or not one of its frames decoded.
    OutputError
        If something cannot be written.
    """
    name = output_name(source)
    overlay, poses = (writable_folder(out) / f"{name}.{kind}" for kind in ("overlay.mp4", "poses.jsonl"))
    follower = _Follower(predictor, boxes, detect, every, smooth, sure)
    began = time.perf_counter()
    with VideoReader(source) as video, VideoWriter(overlay, video.fps, source=source) as writer, _Lines(poses) as lines:
        try:
            for frame in tqdm(video, total=video.count, desc=name, unit="frame", disable=None if progress else True):
                tracked = follower.follow(frame)
                lines.add(_to_dict(frame, tracked, follower.lost))
                writer.write(_drawn(frame.image, tracked, follower.lost, min_score))
        finally:
            _name_skipped(video)
    skipped = sum(map(len, video.skipped))
    fps = writer.frames / (time.perf_counter() - began)
    _name_codec(writer)
    return VideoSummary(writer.frames, follower.people, skipped, follower.uncertain, fps, writer.codec, overlay, poses)


class _Follower:
    """Predicts, frame by frame, and tells who is who."""

    def __init__(self, predictor, boxes, detect, every, smooth, sure):
        self._predictor, self._boxes, self._detect, self._every = predictor, boxes, detect, every
        self._tracker = Tracker(min_score=sure)
        self._smoother = Smoother(min_score=sure) if smooth else None
        self._ids: set[int] = set()
        self._frames = self.uncertain = 0

    @property
    def people(self) -> int:
        """Ids that were given."""
        return len(self._ids)

    @property
    def lost(self) -> list[int]:
        """Ids of those who are followed, but were not found in the last frame."""
        return self._tracker.lost

    def follow(self, frame: Frame) -> list[Tracked]:
        """The people of the next frame."""
        height, width = frame.image.shape[:2]
        boxes = self._tracker.boxes((width, height), frame.time)
        boxes += new_boxes(self._looked_for(frame.image), boxes)
        tracked = self._tracker.update(self._predictor(frame.image, boxes) if boxes else [], frame.time)
        self._ids |= {person.id for person in tracked}
        self.uncertain += bool(self.lost) or not all(person.confident for person in tracked)
        return self._smoother(tracked, frame.time) if self._smoother else tracked

    def _looked_for(self, image: np.ndarray) -> list[Box]:
        """Boxes in which someone may be who is not followed."""
        due = self._frames % self._every == 0
        self._frames += 1
        found = list(self._detect(image)) if self._detect and due else []
        if self._tracker.following:
            return found
        if self._boxes is None and self._detect is None:
            return [Box.of_picture(image)]
        return [*(self._boxes or ()), *found]


class _Lines:
    """A file of JSON lines that holds whole lines, whatever happens."""

    def __init__(self, path: Path):
        self._path = path

    def __enter__(self):
        try:
            self._file = self._path.open("wb", buffering=0)
        except OSError as error:
            raise self._error(error) from error
        return self

    def __exit__(self, *exception):
        self._file.close()

    def add(self, content: dict) -> None:
        """Append a line; one that does not fit on the disk is taken back."""
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


def _to_dict(frame: Frame, tracked: Sequence[Tracked], lost: Sequence[int]) -> dict:
    people = [_person(person) for person in tracked]
    return {"frame": frame.index, "time": round(frame.time, 6), "people": people, "lost": list(lost)}


def _person(person: Tracked) -> dict:
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


def _drawn(image: np.ndarray, tracked: Sequence[Tracked], lost: Sequence[int], min_score: float) -> np.ndarray:
    for person in tracked:
        image = person.pose.draw(image, min_score=min_score)
        if not person.confident:
            _frame(image, person.pose.box)
    image = image if tracked else image.copy()
    for person in tracked:
        text, colour = (f"{person.id}", MIDDLE) if person.confident else (f"{person.id}?", WRONG)
        _write(image, text, person.pose.top(min_score), colour)
    if lost:
        _write(image, f"lost: {', '.join(map(str, lost))}", (12, image.shape[0] - 12), WRONG)
    return image


def _frame(image: np.ndarray, box: Box) -> None:
    corners = ([round(value + sign * box.side / 2) for value in box.centre] for sign in (-1, 1))
    cv2.rectangle(image, *corners, WRONG, max(1, image.shape[0] // 360), cv2.LINE_AA)


def _write(image: np.ndarray, text: str, place: tuple[float, float], colour: tuple[int, int, int]) -> None:
    height, width = image.shape[:2]
    scale = max(height / 900, 0.4)
    (wide, high), _ = cv2.getTextSize(text, _FONT, scale, 1)
    corner = round(min(max(place[0], 0), max(width - wide, 0))), round(min(max(place[1] - high / 2, high), height - 1))
    for tone, stroke in ((_DARK, 4), (colour, 2)):
        cv2.putText(image, text, corner, _FONT, scale, tone, max(1, round(stroke * scale)), cv2.LINE_AA)


def _name_skipped(video: VideoReader) -> None:
    for lost in video.skipped:
        which = f"frame {lost[0]}" if len(lost) == 1 else f"frames {lost[0]} to {lost[-1]}"
        print(f"skipped: {video.name}: {which} cannot be decoded", file=sys.stderr)


def _name_codec(writer: VideoWriter) -> None:
    best, *_ = CODECS.values()
    used = CODECS[writer.codec]
    if used != best:
        print(f"{writer.path} is {used}, for this OpenCV cannot write {best}: players open it, browsers do not", file=sys.stderr)
