"""COCO's AP of scored predictions."""

from dataclasses import replace

import numpy as np
import pytest

from posekit.data import open_people
from posekit.errors import DataError
from posekit.scoring.io.predictions import Predictions
from posekit.scoring.mean_pose import mean_pose
from posekit.scoring.oks import keypoint_ap
from posekit.scoring.score import score
from posekit.skeletons import COCO17, Skeleton


@pytest.fixture(scope="module")
def coco(real_data):
    return open_people("coco", real_data / "coco" / "test_coco.json")


def test_the_truth_has_ap_100_on_real_annotations(coco):
    found = keypoint_ap(score(coco, Predictions(coco.joints, np.ones(coco.labelled.shape), np.arange(len(coco)), COCO17)))
    assert found["AP"] == pytest.approx(100)
    assert found["area"] == "the annotation's"
    assert found["persons"] == len(coco)


def test_the_mean_pose_has_a_low_ap(coco):
    assert keypoint_ap(score(coco, mean_pose(coco, coco)))["AP"] < 50


def test_people_without_areas_name_the_area_that_is_used(real_data):
    people = open_people("lsp", real_data / "lsp", "test").select(np.arange(7))
    found = keypoint_ap(score(people, Predictions(people.joints, np.full((7, 14), np.nan), np.arange(7), people.skeleton)))
    assert "tight box" in found["area"]
    assert found["AP"] == pytest.approx(100)


def test_a_skeleton_without_sigmas(real_data):
    people = open_people("lsp", real_data / "lsp", "test")
    people = replace(people, skeleton=Skeleton("hound", people.skeleton.joints))
    with pytest.raises(DataError, match=r"hound.*sigmas"):
        keypoint_ap(score(people, mean_pose(people, people)))
