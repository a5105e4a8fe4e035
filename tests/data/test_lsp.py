import re

import numpy as np
import pytest
from scipy.io import savemat

from posekit.data import open_people
from posekit.data.lsp import open_lsp
from posekit.errors import ConfigError, DataError


def save(folder, array) -> None:
    savemat(folder / "joints.mat", {"joints": array})


def lspet_array(count: int) -> np.ndarray:
    """(14, 3, N): joint k of person i at (10 k + i, 5 k), all labelled."""
    k, i = np.meshgrid(np.arange(14.0), np.arange(count), indexing="ij")
    return np.stack([10 * k + i, 5 * k, np.ones_like(k)], axis=1)


def lsp_array(count: int) -> np.ndarray:
    """(3, 14, N): the same coordinates, nothing occluded."""
    array = lspet_array(count).transpose(1, 0, 2).copy()
    array[2] = 0
    return array


def test_lspet_is_recognised_by_its_shape(tmp_path):
    array = lspet_array(3)
    array[4, :, 1] = (-250.5, -322.25, 0)  # meaningless where not labelled
    save(tmp_path, array)
    people = open_lsp(tmp_path)
    assert people.name == "lspet"
    assert people.image_paths.tolist() == [str(tmp_path / "images" / f"im0000{i}.jpg") for i in (1, 2, 3)]
    np.testing.assert_array_equal(people.joints[2, 5], [52, 25])
    np.testing.assert_array_equal(people.joints[1, 4], [0, 0])
    assert people.labelled.sum() == 3 * 14 - 1
    assert not people.labelled[1, 4]
    assert not people.visible[1, 4]
    assert np.isnan(people.head_sizes).all()


def test_lsp_third_row_means_occluded(tmp_path):
    array = lsp_array(3)
    array[2, 4, 1] = 1
    save(tmp_path, array)
    people = open_lsp(tmp_path / "joints.mat")
    assert people.name == "lsp"
    assert people.image_paths[2] == str(tmp_path / "images" / "im0003.jpg")
    np.testing.assert_array_equal(people.joints[2, 5], [52, 25])
    assert people.labelled.all()
    assert np.argwhere(~people.visible).tolist() == [[1, 4]]


def test_the_box_is_around_the_labelled_joints(tmp_path):
    array = lspet_array(1)
    array[13, :, 0] = (9000, 9000, 0)
    save(tmp_path, array)
    (person,) = open_lsp(tmp_path)
    assert person.box.centre == (60, 30)  # x 0…120, y 0…60
    assert person.box.side == 1.25 * 120
    assert "labelled joints" in open_lsp(tmp_path).box_source


def test_people_without_a_labelled_joint_are_left_out_and_counted(tmp_path):
    array = lspet_array(4)
    array[:, 2, 1] = 0
    save(tmp_path, array)
    people = open_lsp(tmp_path, "train")
    assert [image[-5] for image in people.image_paths] == ["1", "3", "4"]
    assert people.left_out == {"no labelled joint": 1}


@pytest.mark.parametrize("array", [lspet_array(1)[..., 0], lsp_array(1)[..., 0]])
def test_a_single_person_whose_last_axis_matlab_dropped(tmp_path, array):
    save(tmp_path, array)
    assert len(open_lsp(tmp_path)) == 1


@pytest.mark.parametrize("shape", [(2, 14, 3), (14, 2, 5), (3, 16, 4), (14, 14, 3), (5,), (3, 14, 2, 2)])
def test_another_shape_is_named(tmp_path, shape):
    save(tmp_path, np.zeros(shape))
    actual = re.escape(str(np.atleast_2d(np.zeros(shape)).shape))
    with pytest.raises(DataError, match=rf"joints\.mat: .*{actual}.*\(3, 14, N\).*\(14, 3, N\)"):
        open_lsp(tmp_path)


def test_joints_that_are_not_numbers(tmp_path):
    save(tmp_path, np.full((3, 14, 2), "a", dtype=object))
    with pytest.raises(DataError, match=r"joints\.mat: .*object"):
        open_lsp(tmp_path)


def test_an_empty_array_has_no_people(tmp_path):
    save(tmp_path, np.zeros((14, 3, 0)))
    with pytest.raises(DataError, match="lspet all"):
        open_lsp(tmp_path)


@pytest.mark.parametrize("value", [np.nan, np.inf, -1e7])
def test_impossible_coordinates_name_the_person(tmp_path, value):
    array = lspet_array(3)
    array[6, 0, 1] = value
    save(tmp_path, array)
    with pytest.raises(DataError, match=r"1 of 3 .*joint coordinates.*im00002\.jpg"):
        open_lsp(tmp_path)


def test_impossible_coordinates_of_an_unlabelled_joint_are_ignored(tmp_path):
    array = lspet_array(2)
    array[6, :, 1] = (np.nan, 1e9, 0)
    save(tmp_path, array)
    assert len(open_lsp(tmp_path)) == 2


def test_missing_file_and_missing_variable(tmp_path):
    with pytest.raises(DataError, match=r"joints\.mat: .*images/"):
        open_lsp(tmp_path)
    savemat(tmp_path / "joints.mat", {"points": np.zeros(3)})
    with pytest.raises(DataError, match=r"joints\.mat: .*\bjoints\b.* points"):
        open_lsp(tmp_path)


def test_a_truncated_file(tmp_path):
    save(tmp_path, lspet_array(5))
    data = (tmp_path / "joints.mat").read_bytes()
    (tmp_path / "joints.mat").write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match=r"joints\.mat: "):
        open_lsp(tmp_path)


def test_splits_of_files_of_other_sizes(tmp_path):
    save(tmp_path, lsp_array(1999))
    with pytest.raises(ConfigError, match=r"\btrain\b.* all, .*random:FRACTION:SEED"):
        open_lsp(tmp_path, "train")
    assert len(open_lsp(tmp_path, "random:0.5:1")) == 1000  # 999.5, rounded to even
    save(tmp_path, lspet_array(7))
    assert len(open_lsp(tmp_path, "train")) == 7
    with pytest.raises(ConfigError, match=r"\bvalid\b.* train, all, "):
        open_lsp(tmp_path, "valid")


def test_real_lsp(real_data):
    everyone = open_people("lsp", real_data / "lsp")
    assert len(everyone) == 2000
    assert everyone.labelled.all()
    assert (~everyone.visible).sum() == 2044  # ones in the file's third row
    train = open_people("lsp", real_data / "lsp", "train")
    test = open_people("lsp", real_data / "lsp", "test")
    assert (len(train), len(test)) == (1000, 1000)
    assert train.image_paths[0].endswith("im0001.jpg")
    assert test.image_paths[0].endswith("im1001.jpg")
    np.testing.assert_array_equal(test.joints, everyone.joints[1000:])


def test_real_lspet(real_data):
    people = open_people("lsp", real_data / "lspet", "train")
    assert (len(people), people.name, people.left_out) == (9000, "lspet", {})
    assert 1 - people.labelled.mean() == pytest.approx(0.12, abs=0.001)
    assert people.image_paths[8999] == str(real_data / "lspet" / "images" / "im09000.jpg")
    inside = np.abs(people.joints - people.centres[:, None]) <= people.sides[:, None, None] / 2
    assert inside[people.labelled].all()


def test_random_splits_of_real_lspet_are_complete(real_data):
    share = open_people("lsp", real_data / "lspet", "random:0.9:1")
    rest = open_people("lsp", real_data / "lspet", "random-rest:0.9:1")
    assert (len(share), len(rest)) == (8100, 900)
    assert not set(share.image_paths) & set(rest.image_paths)
