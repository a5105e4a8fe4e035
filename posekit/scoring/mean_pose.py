"""The trivial yardstick: what a predictor that never looks at the picture can do."""

import numpy as np

from posekit.people import People
from posekit.scoring.io.predictions import Predictions


def mean_pose(train: People, people: People) -> Predictions:
    """Predict for everybody the mean pose of the training people, put into the person's box.

    Parameters
    ----------
    train : People
        Their labelled joints are averaged, in units of each person's box.
    people : People
        Whose boxes are filled. Their joints are not looked at.

    Returns
    -------
    Predictions : in the skeleton of `people`; NaN for joints that no training person has labelled.

    Raises
    ------
    DataError
        If the two share no joint.
    """
    train = train.mapped_to(people.skeleton)
    placed = (train.joints - train.centres[:, None]) / train.sides[:, None, None]
    total, times = (placed * train.labelled[..., None]).sum(0), train.labelled.sum(0)[:, None]
    mean = np.divide(total, times, out=np.full_like(total, np.nan), where=times > 0)
    joints = people.centres[:, None] + mean * people.sides[:, None, None]
    scores = np.full(people.labelled.shape, np.nan)
    return Predictions(joints, scores, np.arange(len(people)), people.skeleton, people.name, people.split)
