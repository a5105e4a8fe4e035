import math

import numpy as np
import pytest

from posekit.geometry import Box
from posekit.prediction.pose import Pose
from posekit.prediction.smoothing import OneEuro, Smoother
from posekit.prediction.tracking import Tracked
from posekit.skeletons import LSP14

K = len(LSP14)


class Scalar:
    """The paper's algorithm 1 for one number, step by step."""

    def __init__(self, min_cutoff, beta, speed_cutoff):
        self.min_cutoff = min_cutoff
        self.beta = beta
        self.speed_cutoff = speed_cutoff
        self.x = self.dx = self.t = None

    def __call__(self, x, t):
        if self.x is None:
            self.x, self.dx, self.t = x, 0.0, t
            return x
        rate = 1 / (t - self.t)
        a = self.alpha(rate, self.speed_cutoff)
        self.dx = a * (x - self.x) * rate + (1 - a) * self.dx
        a = self.alpha(rate, self.min_cutoff + self.beta * abs(self.dx))
        self.x = a * x + (1 - a) * self.x
        self.t = t
        return self.x

    def alpha(self, rate, cutoff):
        tau = 1 / (2 * math.pi * cutoff)
        return 1 / (1 + tau * rate)


def noisy(frames=60, k=3, seed=0):
    rng = np.random.default_rng(seed)
    times = np.cumsum(rng.uniform(0.02, 0.06, frames))  # frames are dropped, so times are uneven
    return times, np.cumsum(rng.normal(0, 3, (frames, k, 2)), axis=0)


def test_each_coordinate_follows_the_paper():
    times, points = noisy()
    options = {"min_cutoff": 1.3, "beta": 0.4, "speed_cutoff": 0.8}
    one_euro = OneEuro(**options)
    scalars = [Scalar(1.3, 0.4, 0.8) for _ in range(6)]
    for t, point in zip(times, points, strict=True):
        expected = [scalar(x, t) for scalar, x in zip(scalars, point.ravel(), strict=True)]
        np.testing.assert_allclose(one_euro(point, t).ravel(), expected, rtol=1e-12)


def test_known_first_steps():
    # A step of 1 after 0.1 s, beta 0: the cutoff of 1 Hz weights the new value with 1 / (1 + 1 / (2 pi 0.1)).
    one_euro = OneEuro(min_cutoff=1.0, beta=0.0)
    assert one_euro([[0.0, 5.0]], 0.0).tolist() == [[0.0, 5.0]]
    np.testing.assert_allclose(one_euro([[1.0, 5.0]], 0.1), [[1 / (1 + 1 / (0.2 * math.pi)), 5.0]])


def test_missing_points_are_missing_and_leave_the_others_alone():
    times, points = noisy()
    whole = OneEuro()
    gappy = OneEuro()
    for i, (t, point) in enumerate(zip(times, points, strict=True)):
        holes = point.copy()
        if 20 <= i < 24:
            holes[1] = np.nan, 7.0
        filtered = gappy(holes, t)
        np.testing.assert_array_equal(np.isnan(filtered).all(1), [False, 20 <= i < 24, False])
        np.testing.assert_array_equal(filtered[[0, 2]], whole(point, t)[[0, 2]])


def test_a_short_gap_counts_as_passed_time():
    one_euro = OneEuro(min_cutoff=1.0, beta=0.5, longest_gap=0.5)
    scalar = Scalar(1.0, 0.5, 1.0)
    for t, x in [(0.0, 0.0), (0.1, 3.0), (0.2, None), (0.3, None), (0.4, 5.0), (0.5, 6.0)]:
        filtered = one_euro([[math.nan if x is None else x, 0.0]], t)
        if x is not None:
            assert filtered[0, 0] == pytest.approx(scalar(x, t), rel=1e-12)


def test_after_a_long_gap_a_point_starts_anew():
    one_euro = OneEuro(longest_gap=0.5)
    for t in (0.0, 0.1, 0.2):
        one_euro([[100 * t, 0.0], [1.0, 1.0]], t)
    one_euro([[np.nan, np.nan], [1.0, 1.0]], 0.5)
    assert one_euro([[900.0, 40.0], [1.0, 1.0]], 0.8).tolist() == [[900.0, 40.0], [1.0, 1.0]]
    assert one_euro([[900.0, 40.0], [1.0, 1.0]], 0.9)[0].tolist() == [900.0, 40.0]  # the old speed is forgotten


def test_still_points_get_steadier_and_fast_ones_do_not_lag():
    rng = np.random.default_rng(0)
    still = OneEuro()
    fast = OneEuro()
    filtered = [still(0.02 * rng.normal(size=(K, 2)), t / 30) for t in range(200)]
    assert np.std(filtered[20:]) < 0.6 * 0.02
    lags = [2.0 * t / 30 - fast([[2.0 * t / 30, 0.0]], t / 30)[0, 0] for t in range(60)]
    assert lags[-1] < 2 * 2.0 / 30  # the distance of two frames


def test_impossible_inputs_are_refused():
    one_euro = OneEuro()
    one_euro(np.zeros((2, 2)), 1.0)
    with pytest.raises(ValueError, match=r"1\.0"):
        one_euro(np.zeros((2, 2)), 1.0)
    with pytest.raises(ValueError, match=r"\(2, 2\).*\(3, 2\)"):
        one_euro(np.zeros((3, 2)), 2.0)


def tracked(number, x, side=200.0, scores=None):
    keypoints = np.column_stack([np.full(K, float(x)), np.arange(K, dtype=float)])
    return Tracked(number, Pose(keypoints, np.full(K, 0.9) if scores is None else scores, Box((x, 0), side), LSP14), True)


def test_people_are_filtered_separately():
    smoother = Smoother()
    alone = Smoother()
    smoother([tracked(1, 100), tracked(2, 500)], 0.0)
    alone([tracked(1, 100)], 0.0)
    first, second = smoother([tracked(1, 110), tracked(2, 500)], 0.1)
    assert 100 < first.pose.keypoints[0, 0] < 110
    np.testing.assert_allclose(second.pose.keypoints, tracked(2, 500).pose.keypoints)
    np.testing.assert_array_equal(first.pose.keypoints, alone([tracked(1, 110)], 0.1)[0].pose.keypoints)
    assert (first.id, first.confident, first.pose.box) == (1, True, Box((110, 0), 200))


def test_people_of_any_size_are_treated_alike():
    small = Smoother()
    large = Smoother()
    for t, x in enumerate([0, 10, 14, 30]):
        one = small([tracked(1, x, side=200.0)], t / 25)[0].pose.keypoints[:, 0]
        other = large([tracked(1, 5 * x, side=1000.0)], t / 25)[0].pose.keypoints[:, 0]
        np.testing.assert_allclose(5 * one, other)


def test_keypoints_of_low_score_are_not_filtered():
    smoother = Smoother(min_score=0.2)
    low = np.full(K, 0.9)
    low[3] = 0.1
    smoother([tracked(1, 100)], 0.0)
    jump = smoother([tracked(1, 300, scores=low)], 0.1)[0].pose.keypoints[:, 0]
    assert jump[3] == 300 and (np.delete(jump, 3) < 299).all()
    after = smoother([tracked(1, 100)], 0.2)[0].pose.keypoints[:, 0]
    assert after[3] == pytest.approx(100)
