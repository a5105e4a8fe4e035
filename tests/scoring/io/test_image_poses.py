"""Files of people without annotation."""

import csv
import json

import h5py
import numpy as np
import pytest

from posekit.geometry import Box
from posekit.scoring.io.coco import joints_extent, write_dataset
from posekit.scoring.io.files import read_predictions
from posekit.scoring.io.hdf5 import write_images_hdf5
from posekit.scoring.io.predictions import ImagePeople
from posekit.scoring.io.tables import write_deeplabcut, write_long, write_wide
from posekit.skeletons import Skeleton

SKELETON = Skeleton("two", ("head", "left_hand"), (("head", "left_hand"),))


def image_people(image, *people):
    """Each person is ((x, y, score), (x, y, score))."""
    numbers = np.array(people, float).reshape(-1, 2, 3)
    boxes = tuple(Box((place, 2), 10) for place in range(len(people)))
    return ImagePeople(image, 60, 40, numbers[..., :2], numbers[..., 2], boxes)


TWO = image_people("in/a.jpg", ((1.25, 2, 0.5), (3, 4.123456, 0.25)), ((9, 8, 1), (np.nan, np.nan, np.nan)))
EMPTY = image_people("in/b.jpg")
ONE = image_people("in/below/c.jpg", ((5, 6, 0.75), (7, 8, 0.05)))


def rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def test_a_row_for_each_joint(tmp_path):
    write_long(tmp_path / "p.csv", [TWO, EMPTY, ONE], SKELETON)
    assert (tmp_path / "p.csv").read_text() == (
        "image,person,joint,x,y,score\n"
        "in/a.jpg,1,head,1.25,2.0,0.5\nin/a.jpg,1,left_hand,3.0,4.1235,0.25\n"
        "in/a.jpg,2,head,9.0,8.0,1.0\nin/a.jpg,2,left_hand,,,\n"
        "in/below/c.jpg,1,head,5.0,6.0,0.75\nin/below/c.jpg,1,left_hand,7.0,8.0,0.05\n"
    )


def test_a_row_for_each_person(tmp_path):
    write_wide(tmp_path / "p.csv", [TWO, ONE], SKELETON)
    assert rows(tmp_path / "p.csv") == [
        ["image", "person", "head.x", "head.y", "head.score", "left_hand.x", "left_hand.y", "left_hand.score"],
        ["in/a.jpg", "1", "1.25", "2.0", "0.5", "3.0", "4.1235", "0.25"],
        ["in/a.jpg", "2", "9.0", "8.0", "1.0", "", "", ""],
        ["in/below/c.jpg", "1", "5.0", "6.0", "0.75", "7.0", "8.0", "0.05"],
    ]


def test_deeplabcuts_table_of_one_person_has_three_rows_of_names(tmp_path):
    write_deeplabcut(tmp_path / "p.csv", [ONE, EMPTY], SKELETON)
    assert rows(tmp_path / "p.csv") == [
        ["scorer", *["posekit"] * 6],
        ["bodyparts", "head", "head", "head", "left_hand", "left_hand", "left_hand"],
        ["coords", "x", "y", "likelihood", "x", "y", "likelihood"],
        ["in/below/c.jpg", "5.0", "6.0", "0.75", "7.0", "8.0", "0.05"],
        ["in/b.jpg", "", "", "", "", "", ""],
    ]


def test_deeplabcuts_table_of_several_people_names_individuals(tmp_path):
    write_deeplabcut(tmp_path / "p.csv", [TWO, ONE], SKELETON)
    scorer, individuals, bodyparts, coords, *found = rows(tmp_path / "p.csv")
    assert scorer == ["scorer", *["posekit"] * 12]
    assert individuals == ["individuals", *["person1"] * 6, *["person2"] * 6]
    assert bodyparts[7:10] == ["head"] * 3
    assert coords == ["coords", *["x", "y", "likelihood"] * 4]
    assert found[0][7:] == ["9.0", "8.0", "1.0", "", "", ""]
    assert found[1][7:] == [""] * 6


def test_hdf5_is_read_as_predictions_of_no_data_set(tmp_path):
    write_images_hdf5(tmp_path / "p.h5", [TWO, EMPTY, ONE], SKELETON)
    found = read_predictions(tmp_path / "p.h5")
    np.testing.assert_array_equal(found.joints, np.concatenate([TWO.joints, ONE.joints]))
    np.testing.assert_array_equal(found.scores, np.concatenate([TWO.scores, ONE.scores]))
    assert (found.dataset, found.skeleton) == ("photographs", SKELETON)
    with h5py.File(tmp_path / "p.h5") as file:
        assert list(file["image"].asstr()) == ["in/a.jpg", "in/a.jpg", "in/below/c.jpg"]
        assert file["person"][()].tolist() == [1, 2, 1]
        assert file["size"][()].tolist() == [[60, 40]] * 3
        assert file["box"][()].tolist() == [[0, 2, 10], [1, 2, 10], [0, 2, 10]]


def test_hdf5_of_no_people(tmp_path):
    write_images_hdf5(tmp_path / "p.h5", [EMPTY], SKELETON)
    assert read_predictions(tmp_path / "p.h5").joints.shape == (0, 2, 2)
    with h5py.File(tmp_path / "p.h5") as file:
        assert [file[name].shape for name in ("image", "person", "size", "box")] == [(0,), (0,), (0, 2), (0, 3)]


def test_a_data_set_has_the_joints_that_score_enough(tmp_path):
    write_dataset(tmp_path / "d.json", [TWO, EMPTY, ONE], SKELETON, 0.3)
    content = json.loads((tmp_path / "d.json").read_text())
    assert content["images"] == [
        {"id": place, "file_name": name, "width": 60, "height": 40}
        for place, name in enumerate(("a.jpg", "b.jpg", "below/c.jpg"), 1)
    ]
    assert [person["image_id"] for person in content["annotations"]] == [1, 1, 3]
    assert content["annotations"][0] == {
        "id": 1, "image_id": 1, "category_id": 1, "keypoints": [1.25, 2.0, 2, 0.0, 0.0, 0], "keypoint_scores": [0.5, 0.25],
        "bbox": [1.25, 2.0, 0.0, 0.0], "area": 0.0, "num_keypoints": 1, "iscrowd": 0,
    }  # fmt: skip
    assert content["annotations"][1]["keypoint_scores"] == [1.0, 0.0]
    assert content["categories"][0]["skeleton"] == [[1, 2]]


def test_people_of_low_score_are_not_in_the_data_set(tmp_path):
    write_dataset(tmp_path / "d.json", [ONE], SKELETON, 0.9)
    assert json.loads((tmp_path / "d.json").read_text())["annotations"] == []


def test_the_extent_of_joints():
    joints = np.array([[3.0, 10.0], [np.nan, 0.0], [1.0, 14.0]])
    assert joints_extent(joints) == {"bbox": [1.0, 10.0, 2.0, 4.0], "area": 8.0, "num_keypoints": 2, "iscrowd": 0}
    assert joints_extent(joints[1:2]) == {"bbox": [0.0, 0.0, 0.0, 0.0], "area": 0.0, "num_keypoints": 0, "iscrowd": 0}


def test_shapes_that_do_not_fit():
    with pytest.raises(ValueError, match=r"^scores: .*\(1, 2\).*\(1, 3\)"):
        ImagePeople("a.jpg", 6, 4, np.zeros((1, 2, 2)), np.zeros((1, 3)), (Box((0, 0), 1),))
    with pytest.raises(ValueError, match=r"\(1, 2, 2\)"):
        ImagePeople("a.jpg", 6, 4, np.zeros((1, 2, 2)), np.zeros((1, 2)), ())
