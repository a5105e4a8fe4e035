"""Where the true class stands among a classifier's scores."""

import numpy as np
from numpy.typing import ArrayLike


def true_ranks(scores_NC: ArrayLike, labels_N: ArrayLike) -> np.ndarray:
    """How many classes a classifier prefers to the true one.

    The top-k error is the share of images whose rank is k or more.

    Parameters
    ----------
    scores_NC : (N, C) float
        Logits or probabilities. NaN comes last; of equal scores the lower class goes first, as `numpy.argmax` has it.
    labels_N : (N,) int
        True classes.

    Returns
    -------
    (N,) int64 : from 0, the true class is the first choice, to C - 1; C where all scores are NaN.
    """
    scores, labels = np.asarray(scores_NC), np.asarray(labels_N)
    if scores.ndim != 2 or labels.shape != scores.shape[:1]:
        raise ValueError(f"scores and labels: expected (N, C) and (N,), got {scores.shape} and {labels.shape}")
    order = np.argsort(-scores, axis=1, kind="stable")
    ranks = (order == labels[:, None]).argmax(1)
    return np.where(np.isnan(scores).all(1), scores.shape[1], ranks)
