from dataclasses import replace

import numpy as np
import pytest

from posekit.errors import DataError
from posekit.geometry import Box
from posekit.people import Person, concatenate
from posekit.skeletons import COCO17, LSP14, MPII16, Skeleton
from tests.fixtures.people import make_people


def changed(name, index, value, n=3):
    column = getattr(make_people(n), name).copy()
    column[index] = value
    return {name: column}


def test_a_person_is_a_row():
    person = make_people()[1]
    assert isinstance(person, Person)
    assert (person.image_path, person.box) == ("im1.jpg", Box((50, 50), 101))
    assert person.joints[3].tolist() == [13, 103]
    assert np.isnan(person.head_size)
    assert [row.image_path for row in make_people()] == ["im0.jpg", "im1.jpg", "im2.jpg"]


def test_no_people():
    empty = make_people().select(np.array([], dtype=int))
    assert len(empty) == 0
    assert list(empty) == []
    assert len(empty.mapped_to(MPII16)) == len(empty.without_unlabelled()) == 0
    assert len(concatenate([empty, make_people()])) == 3


@pytest.mark.parametrize(
    "name, value, message",
    [
        ("joints", np.zeros((3, 2, 14)), r"joints: expected \(3, 14, 2\), got \(3, 2, 14\)"),
        ("joints", np.zeros((3, 14, 2), dtype=np.float32), "joints: expected float64, got float32"),
        ("labelled", np.ones((3, 14)), "labelled: expected bool, got float64"),
        ("visible", np.ones((2, 14), dtype=bool), r"visible: expected \(3, 14\), got \(2, 14\)"),
        ("centres", np.zeros(3), r"centres: expected \(3, 2\), got \(3,\)"),
        ("sides", np.ones(4), r"sides: expected \(3,\), got \(4,\)"),
        ("head_sizes", np.ones((3, 1)), r"head_sizes: expected \(3,\), got \(3, 1\)"),
        ("areas", np.ones(2), r"areas: expected \(3,\), got \(2,\)"),
        ("areas", np.ones(3, dtype=int), "areas: expected float64, got int64"),
        ("image_paths", np.arange(3), "image_paths: expected <U, got int64"),
    ],
)
def test_wrong_shapes_and_types(name, value, message):
    with pytest.raises(ValueError, match=message):
        make_people(**{name: value})


def test_columns_must_fit_the_skeleton():
    with pytest.raises(ValueError, match=r"joints: expected \(3, 16, 2\), got \(3, 14, 2\)"):
        replace(make_people(), skeleton=MPII16)


@pytest.mark.parametrize("value", [np.nan, np.inf, -1e6])
@pytest.mark.parametrize(
    "name, index, message",
    [("joints", (1, 4, 0), "joint coordinates"), ("centres", (1, 1), "box centre"), ("sides", 1, "box side")],
)
def test_impossible_numbers_name_the_person(name, index, message, value):
    with pytest.raises(DataError, match=rf"^lsp train: 1 of 3 .*{message}.* person 1 \(im1\.jpg\): .*$"):
        make_people(**changed(name, index, value))


def test_a_box_without_area():
    with pytest.raises(DataError, match=r"2 of 3 .*box side.* person 0 \(im0\.jpg\): 0\.0"):
        make_people(**changed("sides", [0, 2], 0))


def test_unlabelled_joints_may_have_any_coordinates():
    labelled = np.ones((3, 14), dtype=bool)
    labelled[1, 4] = False
    assert len(make_people(**changed("joints", (1, 4), np.nan), labelled=labelled)) == 3


def test_select_by_index_and_mask():
    chosen = make_people().select(np.array([2, 0]), split="valid")
    assert (chosen.image_paths.tolist(), chosen.sides.tolist(), chosen.split) == (["im2.jpg", "im0.jpg"], [102, 100], "valid")
    assert make_people().select(np.array([False, True, False])).image_paths.tolist() == ["im1.jpg"]


def test_areas_stay_with_their_people_and_are_nan_by_default():
    known = make_people(areas=np.array([400.0, np.nan, 900.0]))
    np.testing.assert_array_equal(known.select(np.array([2, 0])).mapped_to(MPII16).areas, [900, 400])
    np.testing.assert_array_equal(concatenate([make_people(), known]).areas, [np.nan] * 3 + [400, np.nan, 900])
    assert make_people().areas.dtype == np.float64 and np.isnan(make_people().areas).all()


def test_people_without_a_label_are_left_out_and_counted():
    labelled = np.ones((3, 14), dtype=bool)
    labelled[1] = False
    people = make_people(labelled=labelled, left_out={"no torso": 4}).without_unlabelled()
    assert people.image_paths.tolist() == ["im0.jpg", "im2.jpg"]
    assert people.left_out == {"no torso": 4, "no labelled joint": 1}
    earlier = make_people(labelled=labelled, left_out={"no labelled joint": 50})  # counted by the loader
    assert earlier.without_unlabelled().left_out == {"no labelled joint": 51}
    assert make_people().without_unlabelled().left_out == {}


def test_mapping_moves_joints_by_name_and_leaves_the_rest_unlabelled():
    labelled = np.ones((3, 14), dtype=bool)
    labelled[2, LSP14.index("left_knee")] = False
    mapped = make_people(labelled=labelled).mapped_to(MPII16)
    assert mapped.skeleton is MPII16
    np.testing.assert_array_equal(mapped.joints[1, MPII16.index("upper_neck")], [10 + 12, 100 + 12])
    np.testing.assert_array_equal(mapped.joints[1, MPII16.index("right_wrist")], [10 + 6, 100 + 6])
    missing = [MPII16.index("pelvis"), MPII16.index("thorax")]
    assert not mapped.labelled[:, missing].any()
    assert not mapped.visible[:, missing].any()
    assert (mapped.joints[:, missing] == 0).all()
    assert mapped.labelled.sum() == 3 * 14 - 1
    assert not mapped.labelled[2, MPII16.index("left_knee")]
    assert (mapped.joints[2, MPII16.index("left_knee")] == 0).all()


def test_mapping_there_and_back():
    back = make_people().mapped_to(MPII16).mapped_to(LSP14)
    np.testing.assert_array_equal(back.joints, make_people().joints)
    assert back.labelled.all()
    assert make_people().mapped_to(LSP14).joints.shape == (3, 14, 2)


def test_skeletons_without_a_common_joint():
    with pytest.raises(DataError, match=r"lsp.*lsp14.*cat"):
        make_people().mapped_to(Skeleton("cat", ("tail",)))


def test_concatenation_takes_the_first_skeleton():
    n = 2
    coco = make_people(n).mapped_to(COCO17)
    coco = replace(coco, name="coco", split="valid", box_source="bbox", left_out={"crowd": 2})
    both = concatenate([replace(make_people(), left_out={"crowd": 1, "no torso": 5}), coco])
    assert (both.name, both.split, both.skeleton, len(both)) == ("lsp + coco", "train + valid", LSP14, 5)
    assert both.box_source == "made up; bbox"
    assert both.left_out == {"crowd": 3, "no torso": 5}
    np.testing.assert_array_equal(both.joints[:3], make_people().joints)
    assert not both.labelled[3:, LSP14.index("head_top")].any()
    np.testing.assert_array_equal(both.joints[4, LSP14.index("left_hip")], [10 + 3, 103])


def test_concatenation_of_nothing():
    with pytest.raises(DataError, match="no data set"):
        concatenate([])
