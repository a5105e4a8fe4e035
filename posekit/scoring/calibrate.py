"""Calibrate a model's heatmap peaks on scored predictions for people who are not in the training set."""

import numpy as np

from posekit.metrics import reliability_bins
from posekit.metrics.calibration import Calibration, fit_calibration
from posekit.scoring.score import Scores


def calibrate(scores: Scores) -> tuple[Calibration, float]:
    """Learn to convert the height of a joint's peak to the probability that the joint is within the metric's threshold.

    Parameters
    ----------
    scores : Scores
        Scores of predictions that contain peaks (`posekit.prediction.Predictor.predict_people`).

    Returns
    -------
    calibration : Calibration
        Calibration learned from all people, with the joints in the order of the people's skeleton.
    error : float
        Expected calibration error by two-fold cross-validation over the people.

    Raises
    ------
    ValueError
        If the predictions have no peaks, or no joint is evaluated.
    """
    if scores.predictions.heights is None:
        raise ValueError("scores: expected predictions that contain the heatmaps' peaks (peaks and heights), got none")
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
