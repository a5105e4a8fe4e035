"""Track people from frame to frame: assign ids, and predict the bounding boxes of people in the next frame."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import linear_sum_assignment

from posekit.geometry import Box
from posekit.metrics import square_iou
from posekit.prediction.pose import DOUBLE, Pose, body_oks

# Minimum OKS between a pose and a person's expected joints to match them; reached if each joint is about 1.8 sigma away.
_SAME_PERSON = 0.2
# A detected box with a higher intersection over union with a tracked person's box belongs to that person.
_SAME_BOX = 0.7
# Time constant of the decay of an unseen person's velocity, in seconds.
_COASTING_S = 1.0
# Weight of each new measurement in the running mean of a person's velocity.
_NEW_MOTION = 0.5
# Increase of the tolerance factor (1 for a person just seen) for each second in which the person is unseen.
_TOLERANCE_PER_S = 3.0
# Minimum fraction of sure joints in a pose: `_SURE_NEW` for a pose that starts a new person, updates a person who was not seen in
# the previous frame, or is confident; `_SURE_FOLLOWED` for a pose that updates a person who was seen in the previous frame.
_SURE_NEW = 0.5
_SURE_FOLLOWED = 0.25
# A pose is not confident if its mean score is below this fraction of the person's usual score. The usual score is a running
# mean in which each new score has the weight `_NEW_SCORE`.
_CONFIDENT_SHARE = 0.5
_NEW_SCORE = 0.1


@dataclass(frozen=True)
class Tracked:
    """One person in one frame.

    The person keeps the `id`, 1 or higher, from frame to frame. The pose is not `confident` if fewer than half of the joints are
    sure, or the mean score is below half of the person's usual mean score: the person may be hidden, cut off by the image border
    or no longer in the image.
    """

    id: int
    pose: Pose
    confident: bool


@dataclass(eq=False)
class _Track:
    """The state of one tracked person.

    `joints` (K, 2) are in image pixels at `time`; NaN for a joint that was never sure. Joints that are not sure move with the
    body. `missed` is the number of frames since the last update.
    """

    id: int
    joints: np.ndarray
    time: float
    usual_score: float
    velocity: np.ndarray = field(default_factory=lambda: np.zeros(2))
    missed: int = 0

    def expected(self, time: float) -> np.ndarray:
        """Return the expected joints (K, 2) at a later time: the whole body moves on with decaying velocity."""
        return self.joints + self.velocity * _COASTING_S * -math.expm1(-(time - self.time) / _COASTING_S)

    def tolerance(self, time: float) -> float:
        """Return the factor by which the allowed distance from the expected joints has grown at a later time."""
        return 1 + _TOLERANCE_PER_S * (time - self.time)

    def update(self, pose: Pose, sure_K: np.ndarray, time: float) -> None:
        """Update joints, velocity and usual score from a pose with enough sure joints."""
        common = sure_K & np.isfinite(self.joints).all(1)
        if common.any() and time > self.time:
            velocity = np.median(pose.keypoints[common] - self.joints[common], axis=0) / (time - self.time)
            self.velocity = self.velocity + _NEW_MOTION * (velocity - self.velocity)
        self.joints = np.where(sure_K[:, None], pose.keypoints, self.expected(time))
        self.usual_score += _NEW_SCORE * (pose.scores.mean() - self.usual_score)
        self.time = time
        self.missed = 0


class Tracker:
    """Assigns ids to people and keeps the ids from frame to frame.

    The tracker extrapolates the motion of each person's body to get the expected joints, and compares poses with them by OKS.
    People who were last seen in the same frame are matched together with the Hungarian method (highest total OKS), starting with
    the people seen most recently; the tolerance grows while a person is unseen. A person unseen for more than `keep` frames is
    forgotten and gets a new id on reappearing. A different person who appears where a person was just lost gets the lost
    person's id, since only positions are compared, not appearance.

    Parameters
    ----------
    min_score : float
        Lowest score of a joint that counts as sure. Only sure joints are used to locate a person.
    keep : int
        Number of frames for which an id is kept while there is no pose with enough sure joints.

    Attributes
    ----------
    lost : list of int
        Ids of tracked people without a pose in the last frame.
    """

    def __init__(self, *, min_score: float = 0.1, keep: int = 30):
        self._min_score = min_score
        self._keep = keep
        self._tracks: list[_Track] = []
        self._last_id = 0
        self._time = -math.inf
        self._boxes: list[Box] = []
        self._frame_size: tuple[float, float] = (math.inf, math.inf)
        self.lost: list[int] = []

    @property
    def following(self) -> bool:
        """Whether at least one person was seen in the last frame."""
        return any(not track.missed for track in self._tracks)

    def boxes(self, frame_size: tuple[int, int], time: float) -> list[Box]:
        """Return the bounding boxes in which to predict the tracked people in the next frame, in order of their ids.

        A box is the tight box around a person's expected joints, enlarged 1.25 times. The centre of the box stays inside the image,
        at the border for a person who has left the image. `frame_size` is (width, height) in pixels; `time` is in seconds.
        """
        self._frame_size = frame_size
        self._boxes = [_box_around(self._expected(track, time)) for track in self._tracks]
        return list(self._boxes)

    def _expected(self, track: _Track, time: float) -> np.ndarray:
        """Return the expected joints (K, 2), shifted so that the person's centre stays inside the image."""
        joints = track.expected(time)
        centre = np.array(_box_around(joints).centre)
        return joints + np.clip(centre, 0, np.subtract(self._frame_size, 1)) - centre

    def update(self, poses: Sequence[Pose], time: float) -> list[Tracked]:
        """Assign ids to the poses of the next frame, and return the people in order of their ids.

        A pose that matches no person starts a new person if at least half of the joints are sure and the box of the pose was not
        returned by `boxes`; otherwise the pose is discarded. Of two poses of one person, the pose with the higher mean score is
        used. `time` is in seconds; raise `ValueError` if `time` is not later than in the previous call.
        """
        if time <= self._time:
            raise ValueError(f"time {time}: expected later than the previous frame's time {self._time}")
        self._time = time
        pairs, unmatched = self._match(self._without_doubles(poses), time)
        for track in self._tracks:
            track.missed += 1
        people = [self._continue(track, pose, time) for track, pose in pairs]
        for pose in unmatched:
            if pose.box not in self._boxes and pose.sure(self._min_score).mean() >= _SURE_NEW:
                people.append(self._start(pose, time))
        self._tracks = [track for track in self._tracks if track.missed <= self._keep]
        self.lost = sorted({track.id for track in self._tracks} - {person.id for person in people})
        return sorted(people, key=lambda person: person.id)

    def _without_doubles(self, poses: Sequence[Pose]) -> list[Pose]:
        kept: list[Pose] = []
        for pose in sorted(poses, key=lambda pose: -pose.scores.mean()):
            sure = pose.sure(self._min_score)
            if all(_similarity(pose, sure, other.keypoints) < DOUBLE for other in kept):
                kept.append(pose)
        return kept

    def _match(self, poses: list[Pose], time: float) -> tuple[list[tuple[_Track, Pose]], list[Pose]]:
        """Return the matched pairs of track and pose, and the poses that match no track."""
        pairs = []
        for missed in sorted({track.missed for track in self._tracks}):
            tracks = [track for track in self._tracks if track.missed == missed]
            similarity = np.zeros((len(tracks), len(poses)))
            for i, track in enumerate(tracks):
                expected = self._expected(track, time)
                for j, pose in enumerate(poses):
                    similarity[i, j] = _similarity(pose, pose.sure(self._min_score), expected, track.tolerance(time))
            matched = set()
            for i, j in zip(*linear_sum_assignment(-similarity), strict=True):
                if similarity[i, j] >= _SAME_PERSON:
                    pairs.append((tracks[i], poses[j]))
                    matched.add(j)
            poses = [pose for j, pose in enumerate(poses) if j not in matched]
        return pairs, poses

    def _continue(self, track: _Track, pose: Pose, time: float) -> Tracked:
        sure = pose.sure(self._min_score)
        share = sure.mean()
        confident = bool(share >= _SURE_NEW and pose.scores.mean() >= _CONFIDENT_SHARE * track.usual_score)
        if share >= (_SURE_FOLLOWED if track.missed == 1 else _SURE_NEW):  # 1: seen in the previous frame
            track.update(pose, sure, time)
        return Tracked(track.id, pose, confident)

    def _start(self, pose: Pose, time: float) -> Tracked:
        self._last_id += 1
        joints = np.where(pose.sure(self._min_score)[:, None], pose.keypoints, np.nan)
        self._tracks.append(_Track(self._last_id, joints, time, pose.scores.mean()))
        return Tracked(self._last_id, pose, True)


def new_boxes(detected: Sequence[Box], followed: Sequence[Box]) -> list[Box]:
    """Return the detected boxes that belong to no tracked person: those with an IoU of at most 0.7 with every followed box."""
    similar = square_iou(_squares(detected), _squares(followed)) > _SAME_BOX
    return [box for box, row in zip(detected, similar, strict=True) if not row.any()]


def _box_around(joints_K2: np.ndarray) -> Box:
    return Box.around(joints_K2[np.isfinite(joints_K2).all(1)])


def _squares(boxes: Sequence[Box]) -> np.ndarray:
    return np.array([(*box.centre, box.side) for box in boxes]).reshape(-1, 3)


def _similarity(pose: Pose, sure_K: np.ndarray, expected_K2: np.ndarray, tolerance: float = 1.0) -> float:
    """Return the OKS of a pose with the expected joints, over the joints that are sure and expected; 0 if there are none."""
    known = np.isfinite(expected_K2).all(1)
    common = sure_K & known
    if not common.any():
        return 0.0
    extent = tolerance * np.ptp(expected_K2[known], axis=0).max()
    return float(body_oks(pose.keypoints[None], expected_K2[None], common[None], np.array([extent]), pose.skeleton)[0])
