"""What a model's peaks are worth, learned from scored predictions on people that it was not trained on."""

import numpy as np

from posekit.metrics import reliability_bins
from posekit.metrics.calibration import Calibration, fit_calibration
from posekit.scoring.score import Scores


def calibrate(scores: Scores) -> tuple[Calibration, float]:
    """Learn the probability that a joint is right, within the metric's threshold, from the height of its peak.

    Parameters
    ----------
    scores : Scores
        Of predictions with peaks (`posekit.prediction.Predictor.predict_people`).

    Returns
    -------
    calibration : Calibration
        In the order of the people's skeleton, learned from all of them.
    error : float
        Expected calibration error for people that it was not learned from: of each half of them, learned from the other.

    Raises
    ------
    ValueError
        If the predictions have no peaks, or no joint counts.
    """
    if scores.predictions.heights is None:
        raise ValueError("scores: expected predictions with the heatmaps' peaks")
    peaks, correct, counted = scores.predictions.heights[:, :, 0], scores.pck.correct, scores.pck.counted
    groups = [*scores.people.skeleton.group_indices.values(), range(len(scores.people.skeleton))]

    def learned_from(rows: np.ndarray) -> Calibration:
        return fit_calibration(peaks[rows], correct[rows], counted[rows], groups)

    first = np.arange(len(peaks)) % 2 == 0
    probabilities = np.empty_like(peaks)
    for half in (first, ~first):
        probabilities[half] = learned_from(~half)(peaks[half])
    error = reliability_bins(probabilities[counted], correct[counted]).calibration_error
    return learned_from(np.ones(len(peaks), bool)), error
