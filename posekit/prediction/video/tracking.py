"""Track people from frame to frame: their identities, and the boxes where they are expected next."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import linear_sum_assignment

from posekit.geometry import Box
from posekit.metrics import square_iou
from posekit.prediction.pose import Pose
from posekit.prediction.pose_similarity import DOUBLE, body_oks

# Least OKS between a pose and the person's expected joints: each joint about 1.8 sigma away.
_SAME_PERSON = 0.2
# A detector's box with at least this intersection over union with a followed person's is of that person.
_SAME_BOX = 0.7
# Seconds over which the motion of an unseen person decays.
_COASTING_S = 1.0
# Weight of each new measurement in the motion.
_NEW_MOTION = 0.5
# Growth of the tolerance for an unseen person per second, in tolerances.
_TOLERANCE_PER_S = 3.0
# Least share of sure joints in a pose that starts or finds a person again or is confident; and in one that updates a person seen
# in the frame before.
_SURE_NEW = 0.5
_SURE_FOLLOWED = 0.25
# A pose is not confident below this share of the person's usual mean score, to which each new score contributes with this weight.
_CONFIDENT_SHARE = 0.5
_NEW_SCORE = 0.1


@dataclass(frozen=True)
class Tracked:
    """One person in one frame.

    Parameters
    ----------
    id : int
        Counted from 1; stays with the person.
    pose : Pose
    confident : bool
        False if too few joints score enough, or the mean score has dropped below half of the person's usual one: hidden, cut off,
        or no longer in the image.
    """

    id: int
    pose: Pose
    confident: bool


@dataclass(eq=False)
class _Track:
    """One followed person.

    `joints` (K, 2) are image pixels at `time`, NaN where a joint was never sure. Joints that are not sure move with the body.
    """

    id: int
    joints: np.ndarray
    time: float
    usual_score: float
    velocity: np.ndarray = field(default_factory=lambda: np.zeros(2))
    missed: int = 0

    def expected(self, time: float) -> np.ndarray:
        """Return the joints (K, 2) at a later time, if the whole body keeps moving, slower and slower."""
        return self.joints + self.velocity * _COASTING_S * -math.expm1(-(time - self.time) / _COASTING_S)

    def tolerance(self, time: float) -> float:
        """Return how many times farther than usual the person may be from the expected place."""
        return 1 + _TOLERANCE_PER_S * (time - self.time)

    def update(self, pose: Pose, sure_K: np.ndarray, time: float) -> None:
        """Move to a pose with enough sure joints."""
        common = sure_K & np.isfinite(self.joints).all(1)
        if common.any() and time > self.time:
            velocity = np.median(pose.keypoints[common] - self.joints[common], axis=0) / (time - self.time)
            self.velocity = self.velocity + _NEW_MOTION * (velocity - self.velocity)
        self.joints = np.where(sure_K[:, None], pose.keypoints, self.expected(time))
        self.usual_score += _NEW_SCORE * (pose.scores.mean() - self.usual_score)
        self.time = time
        self.missed = 0


class Tracker:
    """Keeps the identities of people from frame to frame.

    A person is expected where the motion of the whole body leads. Poses are matched to people by OKS with the expected joints
    (Hungarian method: the best sum over all pairs): first to those seen in the frame before, then to unseen ones, the most
    recently seen first; the tolerance grows with the time unseen. After more than `keep` frames unseen a person is forgotten, and
    gets a new id later. Someone who appears where a person has just been lost gets that person's id: only places are compared,
    not appearance.

    Parameters
    ----------
    min_score : float
        Score from which a joint is sure. Only sure joints locate a person.
    keep : int
        Frames for which an id is kept without a pose with enough sure joints.

    Attributes
    ----------
    lost : list of int
        Ids of people who are followed but had no pose in the last frame.
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
        """Whether any person was seen in the last frame."""
        return any(not track.missed for track in self._tracks)

    def boxes(self, frame_size: tuple[int, int], time: float) -> list[Box]:
        """Return the boxes in which to predict the followed people, in order of their ids.

        Parameters
        ----------
        frame_size : (int, int)
            Width and height in pixels.
        time : float
            Seconds, of the frame to predict.

        Returns
        -------
        list of Box : the sure joints' tight box times 1.25, moved with the person. For people who left, it stays at the edge.
        """
        self._frame_size = frame_size
        expected = [self._expected(track, time) for track in self._tracks]
        self._boxes = [Box.around(joints[np.isfinite(joints).all(1)]) for joints in expected]
        return list(self._boxes)

    def _expected(self, track: _Track, time: float) -> np.ndarray:
        """Return the expected joints (K, 2); the centre of a person who left the image stays at its edge."""
        joints = track.expected(time)
        centre = np.array(Box.around(joints[np.isfinite(joints).all(1)]).centre)
        return joints + np.clip(centre, 0, np.subtract(self._frame_size, 1)) - centre

    def update(self, poses: Sequence[Pose], time: float) -> list[Tracked]:
        """Assign ids to the poses of the next frame.

        Parameters
        ----------
        poses : sequence of Pose
            In any order, all of one skeleton. Of two poses of one person, the one with the higher mean score counts.
        time : float
            Seconds; later than at the last update.

        Returns
        -------
        list of Tracked : in order of the ids. A pose that matches no person starts a new one if half of its joints are sure and
            its box is not one of those from `boxes`; otherwise it is left out.

        Raises
        ------
        ValueError
            If `time` is not later.
        """
        if time <= self._time:
            raise ValueError(f"time {time}: expected later than that of the frame before, {self._time}")
        self._time = time
        pairs, unmatched = self._match(self._without_doubles(poses), time)
        for track in self._tracks:
            track.missed += 1
        people = [self._continue(track, pose, time) for track, pose in pairs]
        for pose in unmatched:
            if pose.box not in self._boxes and pose.sure(self._min_score).mean() >= _SURE_NEW:
                people.append(self._start(pose, time))
        self._tracks = [track for track in self._tracks if track.missed <= self._keep]
        present = {person.id for person in people}
        self.lost = sorted(track.id for track in self._tracks if track.id not in present)
        return sorted(people, key=lambda person: person.id)

    def _without_doubles(self, poses: Sequence[Pose]) -> list[Pose]:
        kept: list[Pose] = []
        for pose in sorted(poses, key=lambda pose: -pose.scores.mean()):
            sure = pose.sure(self._min_score)
            if all(_similarity(pose, sure, other.keypoints) < DOUBLE for other in kept):
                kept.append(pose)
        return kept

    def _match(self, poses: list[Pose], time: float) -> tuple[list[tuple[_Track, Pose]], list[Pose]]:
        """Return pairs of a track and its pose, and the poses that match no track."""
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
        if share >= (_SURE_FOLLOWED if track.missed == 1 else _SURE_NEW):  # 1: seen in the frame before
            track.update(pose, sure, time)
        return Tracked(track.id, pose, confident)

    def _start(self, pose: Pose, time: float) -> Tracked:
        self._last_id += 1
        joints = np.where(pose.sure(self._min_score)[:, None], pose.keypoints, np.nan)
        self._tracks.append(_Track(self._last_id, joints, time, pose.scores.mean()))
        return Tracked(self._last_id, pose, True)


def new_boxes(detected: Sequence[Box], followed: Sequence[Box]) -> list[Box]:
    """Return the detected boxes whose IoU with each followed person's box is at most 0.7."""
    similar = square_iou(_squares(detected), _squares(followed)) > _SAME_BOX
    return [box for box, row in zip(detected, similar, strict=True) if not row.any()]


def _squares(boxes: Sequence[Box]) -> np.ndarray:
    return np.array([(*box.centre, box.side) for box in boxes]).reshape(-1, 3)


def _similarity(pose: Pose, sure_K: np.ndarray, expected_K2: np.ndarray, tolerance: float = 1.0) -> float:
    """Return the OKS of a pose's sure joints with the expected ones; 0 without common joints."""
    known = np.isfinite(expected_K2).all(1)
    common = sure_K & known
    if not common.any():
        return 0.0
    extent = tolerance * np.ptp(expected_K2[known], axis=0).max()
    return float(body_oks(pose.keypoints[None], expected_K2[None], common[None], np.array([extent]), pose.skeleton)[0])
