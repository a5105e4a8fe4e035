"""Compute COCO's average precision of scored predictions."""

import numpy as np

from posekit.errors import DataError
from posekit.metrics import average_precision, tight_area
from posekit.people import People
from posekit.scoring.score import Scores

_BORROWED = "COCO's; joints that COCO lacks borrow the nearest one's (pelvis: hip; thorax, neck, head top: shoulder)"


def require_sigmas(people: People) -> None:
    """Raise `DataError` if the people's skeleton has no OKS sigmas."""
    if people.skeleton.sigmas is None:
        raise DataError(f"skeleton {people.skeleton.name} has no OKS sigmas, which AP needs; score without AP")


def keypoint_ap(scores: Scores) -> dict:
    """Average precision based on object keypoint similarity, with one prediction for each person.

    Parameters
    ----------
    scores : Scores
        Scored predictions. All people are evaluated, including those without a reference size.

    Returns
    -------
    dict : "AP", "AP50", … in percent; "area", "sigmas" and "scores" describe their inputs; "persons" is the number of people.

    Raises
    ------
    DataError
        If the skeleton has no OKS sigmas.
    """
    people = scores.people
    predictions = scores.predictions
    require_sigmas(people)
    has_area = np.isfinite(people.areas)
    results = average_precision(
        predictions.joints,
        _person_scores(predictions.scores),
        people.joints,
        scores.labelled,
        people.visible,
        area_N=np.where(has_area, people.areas, tight_area(people.joints, people.labelled)),
        image_N=people.image_paths,
        sigmas_K=np.array(people.skeleton.sigmas),
    )
    tight = "that of the tight box of the labelled joints, where the annotation has none"
    return {
        **results,
        "area": "the annotation's" if has_area.all() else tight,
        "sigmas": _BORROWED,
        "scores": "mean of the joints' scores" if np.isfinite(predictions.scores).any() else "none, so all predictions rank alike",
        "persons": len(people),
    }


def _person_scores(scores_NK: np.ndarray) -> np.ndarray:
    """(N,) float64 array: mean of each person's finite joint scores; 0 for people without any."""
    known = np.isfinite(scores_NK)
    return np.where(known, scores_NK, 0).sum(1) / np.maximum(known.sum(1), 1)
