"""The base of a prediction file is detected if one scores better, else it is an error."""

import re
from dataclasses import replace

import numpy as np
import pytest
from scipy.io import loadmat

from posekit.data import open_people
from posekit.errors import PredictionsError
from posekit.scoring.coordinate_base import detect_base
from posekit.scoring.io.files import read_predictions
from posekit.scoring.io.predictions import Predictions
from posekit.skeletons import MPII16


@pytest.fixture(scope="module")
def mpii(real_data):
    return open_people("mpii", real_data / "mpii", "valid")


def test_the_published_hourglass_predictions_count_from_1(real_data, mpii):
    path = real_data / "mpii" / "predictions" / "valid-ours.h5"
    found = detect_base(mpii, lambda base: read_predictions(path, base=base), "valid-ours.h5")
    assert found.base == 1
    assert found.auc[1] == pytest.approx(59.69, abs=0.01)
    assert found.auc[0] < 59.69 - found.difference.low
    assert re.search(r" 1\b.*AUC 59\.69,", str(found))


def test_tompsons_predictions_count_from_1(real_data, mpii):
    file = loadmat(real_data / "mpii" / "annot" / "detections_our_format.mat", variable_names=["pos_pred_src"])
    joints = file["pos_pred_src"].transpose(2, 0, 1).astype(np.float64)
    plain = Predictions(joints, np.full(joints.shape[:2], np.nan), np.arange(len(joints)), MPII16)
    assert detect_base(mpii, lambda base: replace(plain, joints=joints - base), "tompson").base == 1
    assert detect_base(mpii, lambda base: replace(plain, joints=joints - 1 - base), "tompson, shifted").base == 0


def test_no_base_is_detected_on_random_joints(mpii):
    joints = np.random.default_rng(0).uniform(0, 900, mpii.joints.shape)
    plain = Predictions(joints, np.full(joints.shape[:2], np.nan), np.arange(len(joints)), MPII16)
    with pytest.raises(PredictionsError, match=r"^rubbish\.h5: .*AUC 0\.19 .* 0\.19 .*--base 1"):
        detect_base(mpii, lambda base: replace(plain, joints=joints - base), "rubbish.h5")
