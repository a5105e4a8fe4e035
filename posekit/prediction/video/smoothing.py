"""One-Euro filter: little jitter where joints are still, little lag where they are fast."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from posekit.prediction.pose import Pose
from posekit.prediction.video.tracking import Tracked


class OneEuro:
    """The filter of Casiez, Roussel and Vogel (CHI 2012), on each coordinate of K points apart.

    Parameters
    ----------
    min_cutoff : float
        Hz, of the low-pass filter where a point is still: lower is steadier.
    beta : float
        Hz by which the cutoff rises for each unit of length a second of speed: higher lags less.
    speed_cutoff : float
        Hz, of the low-pass filter of the speed.
    longest_gap : float
        Seconds after which a point that was missing starts anew.
    """

    def __init__(self, *, min_cutoff: float = 1.5, beta: float = 7.0, speed_cutoff: float = 1.0, longest_gap: float = 0.5):
        self._min_cutoff, self._beta, self._speed_cutoff, self._longest_gap = min_cutoff, beta, speed_cutoff, longest_gap
        self._points = self._speed = self._times = None

    def __call__(self, points_K2: np.ndarray, time: float) -> np.ndarray:
        """Filter the points of the next frame.

        Parameters
        ----------
        points_K2 : (K, 2) float
            In any one unit of length; a point that is not finite is missing.
        time : float
            Seconds.

        Returns
        -------
        (K, 2) float64 : NaN where a point is missing; a point that comes back within the longest gap is filtered on from where it
            was, with the time that has passed.

        Raises
        ------
        ValueError
            If `time` is not later than that of the frame before, or the number of points changes.
        """
        points = np.asarray(points_K2, dtype=np.float64)
        seen = np.isfinite(points).all(1)
        if self._points is None:
            self._points, self._speed = np.full(points.shape, np.nan), np.zeros(points.shape)
            self._times, self._time = np.full(len(points), -np.inf), -np.inf
        if points.shape != self._points.shape:
            raise ValueError(f"points: expected {self._points.shape} as before, got {points.shape}")
        if time <= self._time:
            raise ValueError(f"time {time}: expected later than that of the frame before, {self._time}")
        self._time = time
        passed = time - self._times
        known = seen & (passed <= self._longest_gap)
        self._points[seen & ~known], self._speed[seen & ~known] = points[seen & ~known], 0.0
        self._advance(known, points[known], passed[known, None])
        self._times[seen] = time
        return np.where(seen[:, None], self._points, np.nan)

    def _advance(self, known_K: np.ndarray, points_N2: np.ndarray, passed_N1: np.ndarray) -> None:
        before, speed = self._points[known_K], self._speed[known_K]
        speed += _share(self._speed_cutoff, passed_N1) * ((points_N2 - before) / passed_N1 - speed)
        cutoff = self._min_cutoff + self._beta * np.abs(speed)
        self._points[known_K] = before + _share(cutoff, passed_N1) * (points_N2 - before)
        self._speed[known_K] = speed


def _share(cutoff, passed):
    """Of a new value in an exponential low-pass filter of that cutoff frequency, after that time."""
    return 1 / (1 + 1 / (2 * np.pi * cutoff * passed))


class Smoother:
    """Filters the joints of tracked people, each with a `OneEuro` of their own.

    Lengths are counted in sides of the box in which a person was first seen, so that people of any size are treated alike.

    Parameters
    ----------
    min_score : float
        Joints that score less are taken as missing: they come out as they are, and pull no others away.
    **options
        Of `OneEuro`, in box sides.
    """

    def __init__(self, *, min_score: float = 0.1, **options: float):
        self._min_score, self._options = min_score, options
        self._people: dict[int, tuple[float, OneEuro]] = {}

    def __call__(self, tracked: Sequence[Tracked], time: float) -> list[Tracked]:
        """The people of the next frame with filtered keypoints; `time` in seconds, later than that of the frame before."""
        return [replace(person, pose=self._filtered(person, time)) for person in tracked]

    def _filtered(self, person: Tracked, time: float) -> Pose:
        pose = person.pose
        if person.id not in self._people:
            self._people[person.id] = pose.box.side, OneEuro(**self._options)
        unit, one_euro = self._people[person.id]
        measured = np.where((pose.scores >= self._min_score)[:, None], pose.keypoints, np.nan)
        filtered = unit * one_euro(measured / unit, time)
        return replace(pose, keypoints=np.where(np.isfinite(filtered), filtered, pose.keypoints))
