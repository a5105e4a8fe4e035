"""People followed from frame to frame: who is who, and where to look next."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import linear_sum_assignment

from posekit.geometry import Box
from posekit.metrics import square_iou
from posekit.prediction.pose import Pose
from posekit.prediction.pose_similarity import DOUBLE, body_oks

# Least OKS of a pose with where its person is expected: each joint about 1.8 sigma away.
_SAME_PERSON = 0.2
# A detector's box of this intersection over union with one that is looked at anyway tells nothing new.
_SAME_BOX = 0.7
# Seconds over which an unseen person's motion dies away.
_COASTING_S = 1.0
# Share of each new measurement in the motion.
_NEW_MOTION = 0.5
# By how much the tolerance for a person out of sight grows in a second, in tolerances.
_DOUBT_PER_S = 3.0
# Share of its joints that are sure in a pose that begins a person, brings one back or is confident; and in one that only tells
# where someone in sight is.
_FOUND, _FOLLOWED = 0.5, 0.25
# Share of the person's usual mean score below which a pose is not confident, and share of each new score in the usual one.
_USUAL, _NEW_LEVEL = 0.5, 0.1


@dataclass(frozen=True)
class Tracked:
    """A person of one frame.

    Parameters
    ----------
    id : int
        Counted from 1; stays with the person.
    pose : Pose
    confident : bool
        False where too few joints score enough, or the scores have dropped to less than half of what this person usually has:
        hidden, cut off, or no longer there.
    """

    id: int
    pose: Pose
    confident: bool


@dataclass(eq=False)
class _Track:
    """One followed person.

    `joints` (K, 2) are image pixels at `time`, NaN where a joint was never sure: those that are not sure move with the body.
    """

    id: int
    joints: np.ndarray
    time: float
    level: float
    velocity: np.ndarray = field(default_factory=lambda: np.zeros(2))
    missed: int = 0

    def expected(self, time: float) -> np.ndarray:
        """Joints (K, 2) at a later time, if the whole body keeps moving, slower and slower."""
        return self.joints + self.velocity * _COASTING_S * -math.expm1(-(time - self.time) / _COASTING_S)

    def tolerance(self, time: float) -> float:
        """How many times further than usual the person may be from where they are expected."""
        return 1 + _DOUBT_PER_S * (time - self.time)

    def see(self, pose: Pose, sure_K: np.ndarray, time: float) -> None:
        """Take over a pose of enough sure joints."""
        common = sure_K & np.isfinite(self.joints).all(1)
        if common.any() and time > self.time:
            moved = np.median(pose.keypoints[common] - self.joints[common], axis=0) / (time - self.time)
            self.velocity = self.velocity + _NEW_MOTION * (moved - self.velocity)
        self.joints = np.where(sure_K[:, None], pose.keypoints, self.expected(time))
        self.level += _NEW_LEVEL * (pose.scores.mean() - self.level)
        self.time, self.missed = time, 0


class Tracker:
    """Keeps people apart from frame to frame.

    Each person is expected where the motion of the whole body leads. Poses are matched to people by OKS with that (Hungarian
    method: the best sum over all): first to those who were seen in the frame before, then to those who are out of sight, the
    shortest time first; the tolerance grows with that time. Who is out of sight for more than `keep` frames is forgotten, and
    gets a new id later. Whoever enters where someone was just lost is taken for that person: only places are compared, not looks.

    Parameters
    ----------
    min_score : float
        Score at which a joint is sure. Others tell nothing about where the person is.
    keep : int
        Frames for which an id is kept without a pose that has enough sure joints.

    Attributes
    ----------
    lost : list of int
        Ids of people who are followed, but had no pose in the last frame.
    """

    def __init__(self, *, min_score: float = 0.1, keep: int = 30):
        self._min_score, self._keep = min_score, keep
        self._tracks: list[_Track] = []
        self._last_id, self._time = 0, -math.inf
        self._looked_in: list[Box] = []
        self._frame_size: tuple[float, float] = (math.inf, math.inf)
        self.lost: list[int] = []

    @property
    def following(self) -> bool:
        """Whether anyone was seen in the last frame."""
        return any(not track.missed for track in self._tracks)

    def boxes(self, frame_size: tuple[int, int], time: float) -> list[Box]:
        """Where to look for the people who are followed, in order of their ids.

        Parameters
        ----------
        frame_size : (int, int)
            Width and height in pixels.
        time : float
            Seconds; of the frame in which to look.

        Returns
        -------
        list of Box : the sure joints' tight box times 1.25, moved with the person. Who has left is looked for at the edge.
        """
        self._frame_size = frame_size
        expected = [self._expected(track, time) for track in self._tracks]
        self._looked_in = [Box.around(joints[np.isfinite(joints).all(1)]) for joints in expected]
        return list(self._looked_in)

    def _expected(self, track: _Track, time: float) -> np.ndarray:
        """Joints (K, 2) where the person is expected; the middle of who has left the picture stays at its edge."""
        joints = track.expected(time)
        middle = np.array(Box.around(joints[np.isfinite(joints).all(1)]).centre)
        return joints + np.clip(middle, 0, np.subtract(self._frame_size, 1)) - middle

    def update(self, poses: Sequence[Pose], time: float) -> list[Tracked]:
        """Tell who is who in the next frame.

        Parameters
        ----------
        poses : sequence of Pose
            In any order; all of one skeleton. Of doubles, the one of the higher mean score counts.
        time : float
            Seconds; later than that of the update before.

        Returns
        -------
        list of Tracked : in order of the ids. A pose that fits nobody begins a person if half of its joints are sure and its box
            is none of those in which `boxes` follows someone; otherwise it is left out.

        Raises
        ------
        ValueError
            If `time` is not later.
        """
        if time <= self._time:
            raise ValueError(f"time {time}: expected later than that of the frame before, {self._time}")
        self._time = time
        pairs, rest = self._matched_in_turn(self._without_doubles(poses), time)
        for track in self._tracks:
            track.missed += 1
        tracked = [self._continued(track, pose, time) for track, pose in pairs]
        new = [pose for pose in rest if pose.box not in self._looked_in and self._sure(pose).mean() >= _FOUND]
        tracked += [self._begun(pose, time) for pose in new]
        self._tracks = [track for track in self._tracks if track.missed <= self._keep]
        self.lost = sorted({track.id for track in self._tracks} - {person.id for person in tracked})
        return sorted(tracked, key=lambda person: person.id)

    def _sure(self, pose: Pose) -> np.ndarray:
        return (pose.scores >= self._min_score) & np.isfinite(pose.keypoints).all(1)

    def _without_doubles(self, poses: Sequence[Pose]) -> list[Pose]:
        kept: list[Pose] = []
        for pose in sorted(poses, key=lambda pose: -pose.scores.mean()):
            if all(_similarity(pose, self._sure(pose), other.keypoints) < DOUBLE for other in kept):
                kept.append(pose)
        return kept

    def _matched_in_turn(self, poses: list[Pose], time: float) -> tuple[list[tuple[_Track, Pose]], list[Pose]]:
        pairs = []
        for missed in sorted({track.missed for track in self._tracks}):
            found, poses = self._matched([track for track in self._tracks if track.missed == missed], poses, time)
            pairs += found
        return pairs, poses

    def _matched(self, tracks: list[_Track], poses: list[Pose], time: float) -> tuple[list[tuple[_Track, Pose]], list[Pose]]:
        """Pairs of a person and their pose, and the poses that are left."""
        similar = np.zeros((len(tracks), len(poses)))
        for (i, j), _ in np.ndenumerate(similar):
            track = tracks[i]
            similar[i, j] = _similarity(poses[j], self._sure(poses[j]), self._expected(track, time), track.tolerance(time))
        pairs = [(i, j) for i, j in zip(*linear_sum_assignment(-similar), strict=True) if similar[i, j] >= _SAME_PERSON]
        taken = {j for _, j in pairs}
        return [(tracks[i], poses[j]) for i, j in pairs], [pose for j, pose in enumerate(poses) if j not in taken]

    def _continued(self, track: _Track, pose: Pose, time: float) -> Tracked:
        sure, usual = self._sure(pose), track.level
        if sure.mean() >= (_FOLLOWED if track.missed == 1 else _FOUND):  # 1: in sight in the frame before
            track.see(pose, sure, time)
        return Tracked(track.id, pose, bool(sure.mean() >= _FOUND and pose.scores.mean() >= _USUAL * usual))

    def _begun(self, pose: Pose, time: float) -> Tracked:
        self._last_id += 1
        joints = np.where(self._sure(pose)[:, None], pose.keypoints, np.nan)
        self._tracks.append(_Track(self._last_id, joints, time, pose.scores.mean()))
        return Tracked(self._last_id, pose, True)


def new_boxes(found: Sequence[Box], followed: Sequence[Box]) -> list[Box]:
    """Of the boxes of a detector, those that are not about the same (IoU above 0.7) as one in which someone is followed."""
    squares = (np.array([(*box.centre, box.side) for box in boxes]).reshape(-1, 3) for boxes in (found, followed))
    new = (square_iou(*squares) <= _SAME_BOX).all(1)
    return [box for box, alone in zip(found, new, strict=True) if alone]


def _similarity(pose: Pose, sure_K: np.ndarray, expected_K2: np.ndarray, tolerance: float = 1.0) -> float:
    """OKS of a pose's sure joints with where they are expected; 0 where there is none in common."""
    known = np.isfinite(expected_K2).all(1)
    common = sure_K & known
    if not common.any():
        return 0.0
    extent = tolerance * np.ptp(expected_K2[known], axis=0).max()
    return float(body_oks(pose.keypoints[None], expected_K2[None], common[None], np.array([extent]), pose.skeleton)[0])
