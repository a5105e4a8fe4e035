"""Smooth keypoints over time with the One-Euro filter: little jitter for still keypoints, little lag for fast keypoints."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from posekit.prediction.tracking import Tracked


class OneEuro:
    """The One-Euro filter (Casiez, Roussel and Vogel, CHI 2012), applied to each coordinate of K points.

    Parameters
    ----------
    min_cutoff : float
        Cutoff frequency of the low-pass filter for a still point, in Hz: lower values reduce jitter.
    beta : float
        Increase of the cutoff frequency with speed, in Hz per unit of length per second: higher values reduce lag.
    speed_cutoff : float
        Cutoff frequency of the low-pass filter of the speed, in Hz.
    longest_gap : float
        If a point was missing for more seconds than this, its filter restarts.
    """

    def __init__(self, *, min_cutoff: float = 1.5, beta: float = 7.0, speed_cutoff: float = 1.0, longest_gap: float = 0.5):
        self._min_cutoff = min_cutoff
        self._beta = beta
        self._speed_cutoff = speed_cutoff
        self._longest_gap = longest_gap
        self._time = -math.inf
        self._points: np.ndarray | None = None
        self._speed = np.empty((0, 2))
        self._times = np.empty(0)

    def __call__(self, points_K2: ArrayLike, time: float) -> np.ndarray:
        """Return the filtered points (K, 2) float64 of the next frame; NaN where a point is missing, that is, not finite.

        A point that reappears within `longest_gap` is filtered from the last position, over the time since that position. The unit
        of length is the same in all calls; `time` is in seconds. Raise `ValueError` if `time` is not later than in the previous
        call, or the number of points changes.
        """
        points = np.asarray(points_K2, dtype=np.float64)
        seen = np.all(np.isfinite(points), axis=1)
        if self._points is None:
            self._points = np.full(points.shape, np.nan)
            self._speed = np.zeros(points.shape)
            self._times = np.full(len(points), -np.inf)
        if points.shape != self._points.shape:
            raise ValueError(f"points: expected {self._points.shape} as in the previous frame, got {points.shape}")
        if time <= self._time:
            raise ValueError(f"time {time}: expected later than the previous frame's time {self._time}")
        self._time = time
        passed = time - self._times
        known = seen & (passed <= self._longest_gap)
        new = seen & ~known
        self._points[new] = points[new]
        self._speed[new] = 0.0
        self._points[known], self._speed[known] = self._filter(
            points[known], self._points[known], self._speed[known], passed[known, None]
        )
        self._times[seen] = time
        return np.where(seen[:, None], self._points, np.nan)

    def _filter(
        self, points_N2: np.ndarray, before_N2: np.ndarray, speed_N2: np.ndarray, passed_N1: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the filtered points (N, 2) and their new filtered speeds (N, 2)."""
        speed = speed_N2 + _share(self._speed_cutoff, passed_N1) * ((points_N2 - before_N2) / passed_N1 - speed_N2)
        cutoff = self._min_cutoff + self._beta * np.abs(speed)
        return before_N2 + _share(cutoff, passed_N1) * (points_N2 - before_N2), speed


def _share(cutoff: float | np.ndarray, passed: np.ndarray) -> np.ndarray:
    """Return the weight of a new value in an exponential low-pass filter, `passed` seconds after the last value."""
    return 1 / (1 + 1 / (2 * np.pi * cutoff * passed))


class Smoother:
    """Smooths the keypoints of tracked people, with a separate `OneEuro` filter for each person.

    A filter's unit of length is the side of the person's first box, so that people of all sizes are filtered equally.

    Parameters
    ----------
    min_score : float
        Keypoints with a lower score count as missing and are returned unchanged.
    """

    def __init__(self, *, min_score: float = 0.1):
        self._min_score = min_score
        self._filters: dict[int, tuple[float, OneEuro]] = {}

    def __call__(self, tracked: Sequence[Tracked], time: float) -> list[Tracked]:
        """Return the people of the next frame with smoothed keypoints; `time` is in seconds, later than in the previous call."""
        people = []
        for person in tracked:
            pose = person.pose
            if person.id not in self._filters:
                self._filters[person.id] = (pose.box.side, OneEuro())
            unit, one_euro = self._filters[person.id]
            measured = np.where((pose.scores >= self._min_score)[:, None], pose.keypoints, np.nan)
            filtered = unit * one_euro(measured / unit, time)
            keypoints = np.where(np.isfinite(filtered), filtered, pose.keypoints)
            people.append(replace(person, pose=replace(pose, keypoints=keypoints)))
        return people
