"""Baseline that ignores the image: place the mean pose of the training set in each person's box."""

import numpy as np

from posekit.people import People
from posekit.scoring.io.predictions import Predictions


def mean_pose(train: People, people: People) -> Predictions:
    """Predict the mean pose of the training people for each person, scaled to the person's box.

    Parameters
    ----------
    train : People
        Training people. Their labelled joints are averaged in coordinates relative to each person's box.
    people : People
        People for whom the pose is predicted; only their boxes are used.

    Returns
    -------
    Predictions : in the skeleton of `people`; NaN for joints that are not labelled for any training person.

    Raises
    ------
    DataError
        If the skeletons of `train` and `people` have no joint in common.
    """
    train = train.mapped_to(people.skeleton)
    relative = (train.joints - train.centres[:, None]) / train.sides[:, None, None]
    total = (relative * train.labelled[..., None]).sum(0)
    count = train.labelled.sum(0)[:, None]
    mean = np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)
    joints = people.centres[:, None] + mean * people.sides[:, None, None]
    scores = np.full(people.labelled.shape, np.nan)
    return Predictions(joints, scores, np.arange(len(people)), people.skeleton, people.name, people.split)
