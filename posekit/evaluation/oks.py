"""COCO's average precision of scored predictions."""

import numpy as np

from posekit.errors import DataError
from posekit.evaluation.score import Scores
from posekit.metrics import average_precision, tight_area

_BORROWED = "COCO's; joints that COCO lacks borrow the nearest one's (pelvis: hip; thorax, neck, head top: shoulder)"


def keypoint_ap(scores: Scores) -> dict:
    """Average precision by object keypoint similarity, one prediction for each person.

    Parameters
    ----------
    scores : Scores
        Everyone of `people` counts, whether or not they have a reference size.

    Returns
    -------
    dict : "AP", "AP50", … in percent, and which sigmas, areas and scores they rest on.

    Raises
    ------
    DataError
        If the skeleton has no sigmas.
    """
    people, predictions = scores.people, scores.predictions
    sigmas = people.skeleton.sigmas
    if sigmas is None:
        raise DataError(f"skeleton {people.skeleton.name} has no OKS sigmas, so AP cannot be told")
    tight = tight_area(people.joints, people.labelled)
    has_area = np.isfinite(people.areas)
    labelled = people.labelled & ~np.isin(people.skeleton.joints, scores.lacking)
    figures = average_precision(
        predictions.joints,
        _person_scores(predictions.scores),
        people.joints,
        labelled,
        people.visible,
        area_N=np.where(has_area, people.areas, tight),
        image_N=people.images,
        sigmas_K=np.array(sigmas),
    )
    return {
        **figures,
        "area": "the annotation's"
        if has_area.all()
        else "that of the tight box of the labelled joints, where the annotation has none",
        "sigmas": _BORROWED,
        "scores": "mean of the joints' scores" if np.isfinite(predictions.scores).any() else "none, so all predictions rank alike",
        "persons": len(people),
    }


def _person_scores(scores_NK: np.ndarray) -> np.ndarray:
    """Mean of each person's joint scores; 1 for all where the source has none."""
    known = np.isfinite(scores_NK)
    return np.where(known.any(1), np.where(known, scores_NK, 0).sum(1) / np.maximum(known.sum(1), 1), 1.0)
