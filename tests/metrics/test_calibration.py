"""Calibrated scores are probabilities, never fall with the peak, and are stored in the weights file."""

from dataclasses import replace

import numpy as np
import pytest

from posekit.metrics import reliability_bins
from posekit.metrics.calibration import Calibration, fit_calibration
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
