import numpy as np
import pytest

from posekit.metrics.reliability import reliability_bins


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
