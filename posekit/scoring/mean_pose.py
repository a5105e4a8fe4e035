"""Baseline: the mean pose in each person's box, without looking at the image."""

import numpy as np

from posekit.people import People
from posekit.scoring.io.predictions import Predictions


def mean_pose(train: People, people: People) -> Predictions:
    """Predict for each person the mean pose of the training people, placed in the person's box.

    Parameters
    ----------
    train : People
        Their labelled joints are averaged, in units of each person's box.
    people : People
        People to predict; only their boxes are used.

    Returns
    -------
    Predictions : in the skeleton of `people`; NaN for joints that are labelled for no training person.

    Raises
    ------
    DataError
        If the two share no joint.
    """
    train = train.mapped_to(people.skeleton)
    relative = (train.joints - train.centres[:, None]) / train.sides[:, None, None]
    total = (relative * train.labelled[..., None]).sum(0)
    count = train.labelled.sum(0)[:, None]
    mean = np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)
    joints = people.centres[:, None] + mean * people.sides[:, None, None]
    scores = np.full(people.labelled.shape, np.nan)
    return Predictions(joints, scores, np.arange(len(people)), people.skeleton, people.name, people.split)
