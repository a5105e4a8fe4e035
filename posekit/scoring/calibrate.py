"""Calibrate a model's peaks on scored predictions of people that it was not trained on."""

import numpy as np

from posekit.metrics import reliability_bins
from posekit.metrics.calibration import Calibration, fit_calibration
from posekit.scoring.score import Scores


def calibrate(scores: Scores) -> tuple[Calibration, float]:
    """Learn the probability that a joint is within the metric's threshold from the height of its peak.

    Parameters
    ----------
    scores : Scores
        Of predictions with peaks (`posekit.prediction.Predictor.predict_people`).

    Returns
    -------
    calibration : Calibration
        In the order of the people's skeleton, learned from all people.
    error : float
        Expected calibration error by two-fold cross-validation over the people.

    Raises
    ------
    ValueError
        If the predictions have no peaks, or no joint counts.
    """
    if scores.predictions.heights is None:
        raise ValueError("scores: expected predictions with the heatmaps' peaks")
    peaks = scores.predictions.heights[:, :, 0]
    correct = scores.pck.correct
    counted = scores.pck.counted
    groups = [*scores.people.skeleton.group_indices.values(), range(len(scores.people.skeleton))]
    even = np.arange(len(peaks)) % 2 == 0
    probabilities = np.empty_like(peaks)
    for test, train in ((even, ~even), (~even, even)):
        probabilities[test] = fit_calibration(peaks[train], correct[train], counted[train], groups)(peaks[test])
    error = reliability_bins(probabilities[counted], correct[counted]).calibration_error
    return fit_calibration(peaks, correct, counted, groups), error
