"""The conventions in use give the figures that are published for the same predictions."""

import re
from dataclasses import replace

import numpy as np
import pytest

from posekit.data import open_people
from posekit.errors import PredictionsError
from posekit.scoring.io.files import read_predictions
from posekit.scoring.io.predictions import Predictions, mean_pose
from posekit.scoring.protocols import conventions, conventions_table, detect_base
from posekit.scoring.score import score
from posekit.skeletons import MPII16


def figures(people, predictions, **options) -> dict[str, float]:
    return {row.name: row.percent for row in conventions(people, predictions, **options)}


def test_published_figures_of_tompson_et_al(mpii, tompson):
    found = figures(mpii, tompson)
    # What the public evaluators print for these predictions.
    assert found["PCKh@0.5, pooled over 14 joints"] == pytest.approx(82.34, abs=0.005)
    assert found["PCKh@0.5, plain mean over 14 joints"] == pytest.approx(81.46, abs=0.005)
    assert found["PCKh@0.5, pooled over all 16 joints, pelvis and thorax too"] == pytest.approx(71.52, abs=0.005)
    # 11,135 of 38,430 joints, in float32 and float64 alike; quoted as 28.98, which is 28.975 rounded once more.
    assert found["PCKh at 0.10, pooled"] == pytest.approx(100 * 11135 / 38430)
    assert found["PCKh at 0.11, pooled"] == pytest.approx(33.14, abs=0.005)


def test_published_figures_of_the_hourglass_in_every_truth(real_data, mpii, hourglass):
    found = figures(mpii, hourglass, root=str(real_data / "mpii"))
    assert found["PCKh@0.5, pooled over 14 joints"] == pytest.approx(88.035, abs=0.001)
    assert found["PCKh@0.5, plain mean over 14 joints"] == pytest.approx(87.56, abs=0.005)
    truths = {name: value for name, value in found.items() if "truth of" in name}
    assert list(truths) == [
        f"PCKh@0.5, pooled, truth of annot/{name}" for name in ("detections_our_format.mat", "mpii_annotations.json.gz", "valid.h5")
    ]
    assert truths["PCKh@0.5, pooled, truth of annot/detections_our_format.mat"] == found["PCKh@0.5, pooled over 14 joints"]
    assert 0 < max(truths.values()) - min(truths.values()) < 0.2
    # At this threshold a wrong base is all but invisible, which is why it goes unnoticed; the AUC shows it.
    assert found["PCKh@0.5, pooled, predictions off by +1 pixel"] < found["PCKh@0.5, pooled over 14 joints"]
    assert found["PCKh@0.5, pooled, predictions off by -1 pixel"] == pytest.approx(87.92, abs=0.005)
    # Three published truths, three figures; reproduced with numpy from the files.
    assert truths["PCKh@0.5, pooled, truth of annot/mpii_annotations.json.gz"] == pytest.approx(88.04, abs=0.01)
    assert truths["PCKh@0.5, pooled, truth of annot/valid.h5"] == pytest.approx(88.04, abs=0.02)


def test_a_distance_of_exactly_the_threshold_is_correct_unless_it_must_be_below(mpii):
    joints = mpii.joints.copy()
    true_x = mpii.joints[:, 0, 0]
    x = true_x + 0.5 * mpii.head_sizes
    joints[:, 0, 0] = np.where(x - true_x == 0.5 * mpii.head_sizes, x, true_x)
    found = figures(mpii, Predictions(joints, np.full(joints.shape[:2], np.nan), np.arange(len(joints)), MPII16))
    assert found["PCKh@0.5, pooled over 14 joints"] == 100
    assert found["PCKh@0.5, pooled over 14 joints, distance < threshold"] < 100


def test_conventions_of_lsp_and_their_table(real_data):
    people = open_people("lsp", real_data / "lsp", "test")
    predictions = mean_pose(people, people)
    rows = conventions(people, predictions)
    scores = score(people, predictions)
    assert rows[0].percent == scores.pooled_mean
    percents = {row.name: row.percent for row in rows}
    assert percents["PCK@0.2, mean of the 7 groups"] == pytest.approx(np.mean(list(scores.groups.values())))
    lines = conventions_table(rows, scores).splitlines()
    assert lines[0].startswith("lsp test, 1,000 ")
    assert len(lines) == len(rows) + 2
    assert lines[2].split()[0] == f"{scores.pooled_mean:.3f}"


def test_the_published_hourglass_predictions_count_from_1(real_data, mpii):
    path = real_data / "mpii" / "predictions" / "valid-ours.h5"
    found = detect_base(mpii, lambda base: read_predictions(path, base=base), "valid-ours.h5")
    assert found.base == 1
    assert found.auc[1] == pytest.approx(59.69, abs=0.01)
    assert found.auc[0] < 59.69 - found.difference.low
    assert re.search(r" 1\b.*AUC 59\.69,", str(found))


@pytest.mark.parametrize("base_of_file", [0, 1])
def test_the_base_of_tompsons_predictions_is_detected(mpii, tompson, base_of_file):
    found = detect_base(mpii, lambda base: replace(tompson, joints=tompson.joints + base_of_file - base), "tompson")
    assert found.base == base_of_file


def test_no_base_is_detected_on_random_joints(mpii):
    joints = np.random.default_rng(0).uniform(0, 900, mpii.joints.shape)
    plain = Predictions(joints, np.full(joints.shape[:2], np.nan), np.arange(len(joints)), MPII16)
    with pytest.raises(PredictionsError, match=r"^rubbish\.h5: .*AUC 0\.19 .* 0\.19 .*--base 1"):
        detect_base(mpii, lambda base: replace(plain, joints=joints - base), "rubbish.h5")
