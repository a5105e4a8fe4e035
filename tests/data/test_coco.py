import json

import numpy as np
import pytest

from posekit.choices import DATASETS
from posekit.data import open_people
from posekit.data.coco import joint_name, open_coco
from posekit.errors import ConfigError, DataError
from posekit.skeletons import COCO17, LSP14, Skeleton

CAT = {"id": 7, "name": "cat", "keypoints": ["Nose", "Left Ear", "rightEar"], "skeleton": [[1, 2], [1, 3]]}


def annotation(**changes) -> dict:
    points = [10, 20, 2, 30, 40, 1, 0, 0, 0]
    return {"id": 1, "image_id": 5, "category_id": 7, "keypoints": points, "bbox": [0, 10, 40, 20], "num_keypoints": 2} | changes


def write(path, annotations, categories=(CAT,), file_name="a.jpg"):
    images = [{"id": 5, "file_name": file_name, "width": 64, "height": 48}, {"id": 6, "file_name": "b.jpg"}]
    content = {"images": images, "annotations": annotations, "categories": list(categories)}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize(
    ("written", "name"),
    [("left_elbow", "left_elbow"), ("left-elbow", "left_elbow"), ("Left Elbow", "left_elbow"), ("leftElbow", "left_elbow"),
     ("l_elbow", "left_elbow"), ("LElbow", "left_elbow"), ("lElbow", "left_elbow"), ("R.Wrist", "right_wrist"),
     ("elbow_l", "left_elbow"), ("ElbowRight", "right_elbow"), ("Head top", "head_top"), ("spine1", "spine1"),
     ("tail", "tail"), ("right", "right"), ("HIP", "hip")],
)  # fmt: skip
def test_joint_names_get_one_spelling(written, name):
    assert joint_name(written) == name


def test_an_own_skeleton_comes_from_the_category(tmp_path):
    people = open_coco(write(tmp_path / "cats.json", [annotation()]))
    assert people.skeleton == Skeleton(
        "cat", ("nose", "left_ear", "right_ear"), limbs=(("nose", "left_ear"), ("nose", "right_ear"))
    )
    assert people.skeleton.flip_pairs == ((1, 2),)
    np.testing.assert_array_equal(people.joints[0], [[10, 20], [30, 40], [0, 0]])
    assert people.labelled.tolist() == [[True, True, False]]
    assert people.visible.tolist() == [[True, False, False]]
    assert np.isnan(people.head_sizes).all()


def test_box_is_the_longer_side_times_a_quarter_more(tmp_path):
    (person,) = open_coco(write(tmp_path / "cats.json", [annotation()]))
    assert person.box.centre == (19.5, 19.5)  # bbox is measured at pixel edges
    assert person.box.side == 50


def test_areas_are_those_of_the_annotation_or_nan(tmp_path):
    annotations = [annotation(id=2)]
    annotations += [annotation(id=3 + i, area=area) for i, area in enumerate([321.5, 7, 0, None, -5])]
    people = open_coco(write(tmp_path / "cats.json", annotations))
    np.testing.assert_array_equal(people.areas, [np.nan, 321.5, 7, np.nan, np.nan, np.nan])
    assert people.image_ids.tolist() == [5] * 6


def test_a_known_skeleton_is_recognised_by_its_joints(tmp_path):
    category = {"id": 7, "name": "person", "keypoints": [joint.replace("_", "-") for joint in COCO17.joints]}
    people = open_coco(write(tmp_path / "p.json", [annotation(keypoints=[1, 2, 2] * 17)], [category]))
    assert people.skeleton is COCO17


def test_unusable_people_are_left_out_and_counted(tmp_path):
    others = [
        annotation(id=2, iscrowd=1),
        annotation(id=3, keypoints=[0] * 9, num_keypoints=0),
        annotation(id=4, bbox=[5, 5, 0, 7]),
        annotation(id=6, image_id=6),
    ]
    del others[1]["num_keypoints"]
    detection = annotation(id=5)
    del detection["keypoints"]
    people = open_coco(write(tmp_path / "cats.json", [annotation(), *others, detection]))
    assert [image.rsplit("/")[-1] for image in people.image_paths] == ["a.jpg", "b.jpg"]
    assert people.left_out == {"crowd": 1, "no labelled joint": 2, "box without area": 1}


def test_other_categories_are_ignored(tmp_path):
    dog = {"id": 8, "name": "dog"}
    people = open_coco(write(tmp_path / "cats.json", [annotation(), annotation(id=2, category_id=8)], [dog, CAT]))
    assert len(people) == 1


@pytest.mark.parametrize(
    ("annotation_at", "image_at"),
    [("annotations/person_keypoints_val2017.json", "val2017/a.jpg"),
     ("annotations/person_keypoints_val2017.json", "images/val2017/a.jpg"),
     ("annotations/cats.json", "images/a.jpg"), ("cats.json", "images/a.jpg"), ("cats.json", "a.jpg")],
)  # fmt: skip
def test_layouts(tmp_path, annotation_at, image_at):
    file = write(tmp_path / annotation_at, [annotation()])
    (tmp_path / "images").mkdir(exist_ok=True)
    (tmp_path / image_at).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / image_at).touch()
    for root in (tmp_path, file, file.parent):
        assert open_coco(root).image_paths.tolist() == [str(tmp_path / image_at)]


def test_official_splits_come_from_file_names(tmp_path):
    write(tmp_path / "annotations/person_keypoints_train2017.json", [annotation(), annotation(id=2)])
    write(tmp_path / "annotations/person_keypoints_val2017.json", [annotation(id=3, image_id=6)])
    assert [len(open_coco(tmp_path, split)) for split in ("train", "valid", "all")] == [2, 1, 3]
    assert open_coco(tmp_path, "valid").name == "coco"
    with pytest.raises(ConfigError, match=r"\btest\b.* train, valid, all, "):
        open_coco(tmp_path, "test")


def test_a_file_without_a_split_in_its_name(tmp_path):
    file = write(tmp_path / "cats.json", [annotation(), annotation(id=2, image_id=6)])
    with pytest.raises(ConfigError, match=r"cats\.json .*\bvalid\b.* all, "):
        open_coco(file, "valid")
    assert len(open_coco(file, "random:0.5:1")) == len(open_coco(file, "random-rest:0.5:1")) == 1


def test_the_annotation_file_is_not_guessed(tmp_path):
    with pytest.raises(DataError, match=r"found none"):
        open_coco(tmp_path)
    write(tmp_path / "a.json", [annotation()])
    write(tmp_path / "b.json", [annotation()])
    with pytest.raises(DataError, match=r"a\.json, b\.json"):
        open_coco(tmp_path)


@pytest.mark.parametrize(
    ("categories", "message"),
    [([], "none"), ([{"id": 7, "name": "box"}], "none"),
     ([CAT, CAT | {"id": 8, "name": "dog", "keypoints": ["tail"]}], "cat, dog"),
     ([CAT | {"skeleton": [[0, 1]]}], "category cat: .* 1 to 3"),
     ([CAT | {"skeleton": [[1, 4]]}], "category cat: .* 1 to 3"),
     ([CAT | {"keypoints": ["nose", "Nose", "NOSE"]}], r"skeleton cat: .*'nose', 'nose'")],
)  # fmt: skip
def test_categories_without_a_valid_skeleton(tmp_path, categories, message):
    with pytest.raises(DataError, match=message):
        open_coco(write(tmp_path / "cats.json", [annotation()], categories))


@pytest.mark.parametrize(
    "broken",
    [
        annotation(keypoints=[1, 2, 2]),
        annotation(image_id=99),
        annotation(bbox=[1, 2]),
        annotation(keypoints=["x"] * 9),
        annotation(area=[1]),
        annotation(area="large"),
        annotation(head_size="small"),
    ],
)
def test_broken_annotation_names_the_file(tmp_path, broken):
    with pytest.raises(DataError, match=r"cats\.json: "):
        open_coco(write(tmp_path / "cats.json", [broken]))


@pytest.mark.parametrize("name", [5, None])
def test_an_image_without_a_name(tmp_path, name):
    with pytest.raises(DataError, match=r"cats\.json: "):
        open_coco(write(tmp_path / "cats.json", [annotation()], file_name=name))


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"images": 3}', "nonsense", '{"categories": ["cat"], "annotations": []}'])
def test_files_of_another_format(tmp_path, content):
    (tmp_path / "cats.json").write_text(content)
    with pytest.raises(DataError, match=r"cats\.json: "):
        open_coco(tmp_path)


def test_nothing_is_printed(tmp_path, capsys):
    open_coco(write(tmp_path / "cats.json", [annotation()]))
    assert capsys.readouterr().out == ""


def test_a_file_without_annotations_is_an_error(tmp_path):
    with pytest.raises(DataError, match="coco all"):
        open_coco(write(tmp_path / "cats.json", []))


def test_real_coco(real_data):
    people = open_people("coco", real_data / "coco" / "test_coco.json")
    assert people.skeleton is COCO17
    assert (len(people), len(set(people.image_paths)), people.left_out) == (12, 4, {"no labelled joint": 2})
    assert people.labelled[0].all()
    np.testing.assert_array_equal(people.joints[0, 0], [367, 81])
    assert people.sides[0] == pytest.approx(1.25 * 346.68)
    assert people.areas[0] == pytest.approx(27789.11055) and np.isfinite(people.areas).all()
    assert people.centres[0].tolist() == pytest.approx([280.79 + 218.7 / 2 - 0.5, 44.73 + 346.68 / 2 - 0.5])


def test_people_are_mapped_to_the_wanted_skeleton(real_data):
    people = open_people("coco", real_data / "coco" / "test_coco.json", skeleton=LSP14)
    assert people.skeleton is LSP14
    assert not people.labelled[:, LSP14.index("head_top")].any()
    np.testing.assert_array_equal(people.joints[0, LSP14.index("left_ankle")], [466, 362])


def test_every_data_set_has_a_loader(tmp_path):
    for name in DATASETS:
        with pytest.raises(DataError, match="nowhere"):
            open_people(name, tmp_path / "nowhere")


def test_an_unknown_data_set_lists_the_choices(tmp_path):
    with pytest.raises(ConfigError, match=r"'flic'.* mpii, lsp, coco"):
        open_people("flic", tmp_path)
