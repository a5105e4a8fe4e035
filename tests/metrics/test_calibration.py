"""Calibrated scores are probabilities, never fall with the peak, and are stored in the weights file."""

from dataclasses import replace

import numpy as np
import pytest

from posekit.metrics.calibration import Calibration, fit_calibration, reliability_bins
from posekit.models import ModelInfo
from posekit.skeletons import LSP14


def people(n, seed=0, power=1.0):
    """Peaks of two joints; the first is right with probability peak ** power, the second with half of that."""
    rng = np.random.default_rng(seed)
    peaks = rng.random((n, 2))
    return peaks, rng.random((n, 2)) < peaks**power * (1, 0.5), np.ones((n, 2), bool)


@pytest.mark.parametrize("power", [0.5, 1.0, 3.0])
def test_probabilities_are_the_shares_of_right_joints_on_other_people(power):
    found = fit_calibration(*people(4000, 0, power), groups=[[0], [1]])
    peaks, correct, _ = people(4000, 1, power)
    assert np.abs(found(peaks) - peaks**power * (1, 0.5)).mean() < 0.025
    error = reliability_bins(found(peaks), correct).calibration_error
    assert error < 0.03
    assert reliability_bins(peaks, correct).calibration_error > 2.5 * error


def test_never_falls_even_where_the_shares_do():
    peaks, correct, counted = people(2000)
    found = fit_calibration(1 - peaks, correct, counted, groups=[[0, 1]])  # the higher, the more often wrong
    assert np.ptp(found(np.linspace(0.1, 1, 50)[:, None].repeat(2, 1))) < 0.05


def test_a_group_of_few_joints_uses_all_joints():
    peaks, correct, counted = people(300)
    counted[20:, 0] = False
    found = fit_calibration(peaks, correct, counted, groups=[[0], [1]])
    together = fit_calibration(peaks, correct, counted, groups=[[0, 1]])
    alone = fit_calibration(peaks, correct, counted & [[False, True]], groups=[[0, 1]])
    assert found.peaks == (together.peaks[0], alone.peaks[1])


def test_probabilities_at_and_between_and_beyond_the_knots():
    found = Calibration([[0.2, 0.4]], [[0.1, 0.9]])
    probabilities = found([[-1.0], [0.0], [0.05], [0.1], [0.2], [0.3], [0.4], [7.0], [np.nan]])[:, 0]
    assert probabilities == pytest.approx([0.0, 0.0, 0.05, 0.1, 0.1, 0.5, 0.9, 0.9, np.nan], nan_ok=True)
    assert Calibration([[-0.1, 0.4]], [[0.1, 0.9]])([[-0.2], [0.4]])[:, 0] == pytest.approx([0.1, 0.9])  # of a linear head
    assert found(np.zeros((0, 1))).shape == (0, 1)


def test_only_joints_that_count_are_learned_from():
    peaks, correct, counted = people(500)
    spoiled = peaks.copy()
    counted[::3] = False
    spoiled[::3] = np.nan
    expected = fit_calibration(peaks[counted.all(1)], correct[counted.all(1)], counted[counted.all(1)], groups=[[0], [1]])
    assert fit_calibration(spoiled, correct, counted, groups=[[0], [1]]) == expected
    with pytest.raises(ValueError, match=r"^calibration: "):
        fit_calibration(peaks, correct, np.zeros_like(counted), groups=[[0, 1]])
    with pytest.raises(ValueError, match=r"^groups: joint 1 "):
        fit_calibration(peaks, correct, counted, groups=[[0]])


@pytest.mark.parametrize(
    ("peaks", "probabilities"),
    [
        ([[0.1]], [[0.1, 0.2]]),
        ([[]], [[]]),
        ([[0.2, 0.2]], [[0.1, 0.2]]),
        ([[0.1, 0.2]], [[0.5, 0.4]]),
        ([[0.1]], [[1.5]]),
        ([[np.nan]], [[0.5]]),
    ],
)
def test_impossible_knots_are_refused(peaks, probabilities):
    with pytest.raises(ValueError, match=r"^calibration: "):
        Calibration(peaks, probabilities)


def test_calibrations_are_stored_in_the_weights_description():
    info = ModelInfo(LSP14, 64, 1, 8, 2, "sigmoid", (0.5,) * 3, (0.2,) * 3)
    assert ModelInfo.from_json(info.to_json()) == info  # a file without
    calibration = Calibration([[0.1, 0.7]] * 14, [[0.0, 0.8]] * 14)
    with_it = replace(info, calibrations={"1": calibration, "1 mirrored": calibration})
    assert ModelInfo.from_json(with_it.to_json()) == with_it
    with pytest.raises(ValueError, match=r"^calibrations, views 1: .*14.*3"):
        replace(info, calibrations={"1": Calibration([[0.1]] * 3, [[0.0]] * 3)})
    with pytest.raises(ValueError, match="calibration"):
        ModelInfo.from_json(with_it.to_json().replace("0.7", "-3"))


def test_known_bins():
    scores = np.array([0.9, 0.1, 0.7, 0.3, 0.5])
    found = reliability_bins(scores, scores > 0.4, bins=2)
    assert found.counts.tolist() == [2, 3]
    np.testing.assert_allclose(found.score, [0.2, 0.7])
    np.testing.assert_array_equal(found.share, [0.0, 1.0])
    assert found.low.tolist() == [0.1, 0.5] and found.high.tolist() == [0.3, 0.9]
    assert found.calibration_error == pytest.approx(0.4 * 0.2 + 0.6 * 0.3)


@pytest.mark.parametrize("bins", [1, 3, 7, 10, 1000])
def test_agrees_with_slicing_the_sorted_joints(bins):
    rng = np.random.default_rng(0)
    scores = rng.random((31, 5))  # all differ
    correct = rng.random(scores.shape) < scores
    found = reliability_bins(scores, correct, bins)
    order = np.argsort(scores, axis=None)
    at = 0
    for i, count in enumerate(found.counts):
        part = order[at : at + count]
        assert found.score[i] == pytest.approx(scores.flat[part].mean())
        assert found.share[i] == pytest.approx(correct.flat[part].mean())
        assert (found.low[i], found.high[i]) == (scores.flat[part].min(), scores.flat[part].max())
        at += count
    assert at == scores.size and len(found.counts) == min(bins, scores.size)
    assert np.ptp(found.counts) <= 1, "equal counts"


def test_a_score_that_is_the_probability_of_being_right_has_nearly_no_error():
    rng = np.random.default_rng(0)
    scores = rng.random(200_000)
    correct = rng.random(scores.shape) < scores
    # The spread of a bin's share is at most 0.5 / sqrt(20,000) = 0.0035, of its mean absolute value 0.8 times that.
    assert reliability_bins(scores, correct).calibration_error < 0.004
    assert reliability_bins(scores / 2, correct).calibration_error == pytest.approx(0.25, abs=0.004)


def test_equal_scores_share_a_bin_so_order_does_not_matter():
    scores = np.array([0.5] * 6 + [0.9] * 2)
    correct = np.array([True, False] * 4)
    found = reliability_bins(scores, correct, bins=4)
    assert found.counts.tolist() == [6, 2]
    assert found.share.tolist() == [0.5, 0.5]
    again = reliability_bins(scores[::-1], correct[::-1], bins=4)
    assert again.share.tolist() == found.share.tolist() and again.counts.tolist() == found.counts.tolist()


@pytest.mark.parametrize("missing", [np.nan, np.inf])
def test_joints_without_a_score_are_left_out(missing):
    found = reliability_bins([0.2, missing, 0.4], np.array([False, True, True]), bins=1)
    assert found.counts.tolist() == [2] and found.share.tolist() == [0.5]


def test_no_joint_gives_no_bin_and_no_error():
    found = reliability_bins(np.zeros((0, 3)), np.zeros((0, 3), bool))
    assert all(len(part) == 0 for part in (found.low, found.high, found.score, found.share, found.counts))
    assert np.isnan(found.calibration_error)


def test_wrong_arguments():
    with pytest.raises(ValueError, match=r"expected bool of shape \(5,\), got bool of \(3,\)"):
        reliability_bins(np.zeros(5), np.zeros(3, bool))
    with pytest.raises(ValueError, match="got float64"):
        reliability_bins(np.zeros(5), np.zeros(5))
    with pytest.raises(ValueError, match="bins: expected at least 1, got 0"):
        reliability_bins(np.zeros(5), np.zeros(5, bool), 0)
