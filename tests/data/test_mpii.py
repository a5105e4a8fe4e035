import gzip
import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.io import savemat

from posekit.data import mpii
from posekit.data.mpii import open_mpii
from posekit.errors import ConfigError, DataError

EMPTY = np.zeros((0, 0))


def structs(*records: dict) -> np.ndarray:
    """Make a MATLAB struct array: every record gets the fields of all, [] where it lacks one."""
    names: list[str] = []
    for record in records:
        names += [name for name in record if name not in names]
    array = np.empty((1, len(records)), dtype=[(name, object) for name in names])
    for i, record in enumerate(records):
        array[0, i] = tuple(record.get(name, EMPTY) for name in names)
    return array


def points(count: int, **changes) -> np.ndarray:
    """Joint k at (10 k + 11, 5 k + 6), pixels counted from 1."""
    records = [{"x": 10 * k + 11, "y": 5 * k + 6, "id": k} | changes for k in range(count)]
    return structs({"point": structs(*records)})


def rectangle(**changes) -> dict:
    head = {"x1": 101, "y1": 51, "x2": 131, "y2": 91}  # 30 x 40: a diagonal of 50
    return head | {"scale": 2.0, "objpos": structs({"x": 201, "y": 301}), "annopoints": points(16, is_visible=1)} | changes


def image(name: str, *rectangles: dict, annorect=None) -> dict:
    if annorect is None:
        annorect = structs(*rectangles) if rectangles else EMPTY
    return {"image": structs({"name": name}), "annorect": annorect, "frame_sec": 7, "vididx": 1}


def write_mat(path: Path, *images: dict, train=None) -> Path:
    flags = np.array([[1] * len(images) if train is None else train], dtype=np.uint8)
    single = np.empty((len(images), 1), dtype=object)
    single[:, 0] = [np.array([[1.0]])] * len(images)
    release = structs({"annolist": structs(*images), "img_train": flags, "version": "12", "single_person": single})
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, {"RELEASE": release})
    return path


@pytest.fixture
def mat(tmp_path):
    return lambda *images, **options: write_mat(tmp_path / "mpii_human_pose_v1_u12_1.mat", *images, **options)


def without(record: dict, *names: str) -> dict:
    return {name: value for name, value in record.items() if name not in names}


# The original .mat


def test_mat_person(mat, tmp_path):
    people = open_mpii(mat(image("a.jpg", rectangle())).parent)
    (person,) = people
    assert person.image_path == str(tmp_path / "a.jpg")
    np.testing.assert_array_equal(person.joints, [[10 * k + 10, 5 * k + 5] for k in range(16)])
    assert person.labelled.all()
    assert person.visible.all()
    assert person.box.centre == (200, 300 + 15 * 2)
    assert person.box.side == 500
    assert person.head_size == pytest.approx(0.6 * 50)
    assert people.box_source == "position and scale of mpii_human_pose_v1_u12_1.mat"
    assert people.left_out == {}


@pytest.mark.parametrize(
    ("written", "visible"),
    [(1, True), (0, False), ("1", True), ("0", False), (EMPTY, True), ("", True), (np.uint8(0), False), (True, True)],
)
def test_mat_is_visible_in_all_its_forms(mat, written, visible):
    (person,) = open_mpii(mat(image("a.jpg", rectangle(annopoints=points(16, is_visible=written)))))
    assert person.labelled.all()
    assert person.visible.tolist() == [visible] * 16


def test_mat_points_without_is_visible(mat):
    (person,) = open_mpii(mat(image("a.jpg", rectangle(annopoints=points(16)))))
    assert person.visible.all()


def test_mat_fewer_points(mat):
    file = mat(image("a.jpg", rectangle(annopoints=points(3)), rectangle(annopoints=points(1))))
    people = open_mpii(file)
    assert people.labelled.sum(1).tolist() == [3, 1]
    assert people.labelled[0, :3].all()
    assert not people.visible[0, 3:].any()
    np.testing.assert_array_equal(people.joints[0, 3:], 0)


def test_mat_with_missing_and_empty_fields(mat):
    file = mat(
        image("none.jpg"),
        image("odd.jpg", annorect=structs({"x1": 1, "y1": 1, "x2": 2, "y2": 2})),
        image("test.jpg", rectangle()),
        without(image("bare.jpg"), "annorect"),
        image(
            "a.jpg",
            rectangle(annopoints=EMPTY),
            rectangle(annopoints=structs({"point": EMPTY})),
            rectangle(objpos=EMPTY),
            without(rectangle(), "scale"),
            without(rectangle(), "x1"),
        ),
        train=[1, 1, 0, 1, 1],
    )
    people = open_mpii(file)
    assert len(people) == 1
    assert people.left_out == {"no labelled joint": 3, "no position or scale": 2}
    assert np.isnan(people.head_sizes).all()


def test_mat_without_people(mat):
    with pytest.raises(DataError, match="mpii all"):
        open_mpii(mat(image("a.jpg"), image("b.jpg")))


def test_mat_without_the_official_validation_people(mat):
    file = mat(*(image(f"{i}.jpg", rectangle(), rectangle()) for i in range(10)))
    for split in ("train", "valid"):
        with pytest.raises(ConfigError, match=rf"u12_1\.mat .*\b{split}\b.*random:FRACTION:SEED"):
            open_mpii(file, split)
    assert len(open_mpii(file, "random:0.8:1")) == 16
    assert len(open_mpii(file, "random-rest:0.8:1")) == 4


def test_mat_official_split(mat, monkeypatch):
    monkeypatch.setattr(mpii, "official_validation", lambda: (("b.jpg", 1), ("a.jpg", 0)))
    file = mat(
        image("a.jpg", rectangle(scale=1.0), rectangle(scale=2.0)),
        image("b.jpg", rectangle(scale=3.0), rectangle(scale=4.0)),
        image("c.jpg", rectangle(scale=5.0), rectangle(annopoints=EMPTY), rectangle(scale=6.0)),
    )
    assert (open_mpii(file, "valid").sides / 250).tolist() == [4, 1]  # in the list's order
    train = open_mpii(file, "train")  # without images that show a validation person
    assert (train.sides / 250).tolist() == [5, 6]
    assert train.left_out == {"no labelled joint": 1}
    assert len(open_mpii(file, "all")) == 6
    with pytest.raises(ConfigError, match=r"\btest\b.* train, valid, all"):
        open_mpii(file, "test")


def test_mat_joint_out_of_range(mat):
    with pytest.raises(DataError, match=r"a\.jpg: joint id 16"):
        open_mpii(mat(image("a.jpg", rectangle(annopoints=points(17)))))


def test_mat_impossible_numbers_name_the_person(mat):
    with pytest.raises(DataError, match=r"1 of 1 .*joint coordinates.*a\.jpg"):
        open_mpii(mat(image("a.jpg", rectangle(annopoints=points(16, x=np.nan)))))
    with pytest.raises(DataError, match=r"1 of 1 .*box side.*a\.jpg.*-250"):
        open_mpii(mat(image("a.jpg", rectangle(scale=-1.0))))


# JSON and HDF5


def record(**changes) -> dict:
    joints = [[10 * k + 11, 5 * k + 6, k % 2] for k in range(16)]
    joints[3] = [0, 0, 0]
    record = {"img_paths": "a.jpg", "isValidation": 0.0, "joint_self": joints, "objpos": [201, 301], "scale_provided": 2.0}
    return record | {"people_index": 1.0, "annolist_index": 5.0} | changes


def hrnet(**changes) -> dict:
    joints = [[10 * k + 11.0, 5 * k + 6.0] for k in range(16)]
    joints[3] = [-1.0, -1.0]
    flags = [int(k != 3) for k in range(16)]
    return {"image": "a.jpg", "joints": joints, "joints_vis": flags, "center": [201.0, 301.0], "scale": 2.0} | changes


def check_third_joint_missing(person) -> None:
    assert np.flatnonzero(~person.labelled).tolist() == [3]
    np.testing.assert_array_equal(person.joints[[3, 4]], [[0, 0], [50, 25]])
    assert person.box.centre == (200, 330)
    assert person.box.side == 500


@pytest.mark.parametrize("suffix", ["json", "json.gz"])
def test_json_person(tmp_path, suffix):
    data = json.dumps([record(), record(isValidation=1.0, img_paths="b.jpg")]).encode()
    (tmp_path / f"mpii_annotations.{suffix}").write_bytes(gzip.compress(data) if suffix.endswith("gz") else data)
    people = open_mpii(tmp_path)
    check_third_joint_missing(people[0])
    assert people[0].visible.tolist() == [k % 2 == 1 and k != 3 for k in range(16)]
    assert np.isnan(people.head_sizes).all()
    assert open_mpii(tmp_path, "valid").image_paths.tolist() == [str(tmp_path / "b.jpg")]
    assert open_mpii(tmp_path, "train").image_paths.tolist() == [str(tmp_path / "a.jpg")]


@pytest.mark.parametrize(
    "names", [("annot/train.json", "annot/valid.json"), ("annotations/mpii_train.json", "annotations/mpii_val.json")]
)
def test_hrnet_and_mmpose_layouts(tmp_path, names):
    (tmp_path / "images").mkdir()
    for name, image_name in zip(names, ("a.jpg", "b.jpg"), strict=True):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(json.dumps([hrnet(image=image_name)]))
    train = open_mpii(tmp_path, "train")
    valid = open_mpii(tmp_path, "valid")
    everyone = open_mpii(tmp_path, "all")
    assert train.image_paths.tolist() == [str(tmp_path / "images" / "a.jpg")]
    assert valid.image_paths.tolist() == [str(tmp_path / "images" / "b.jpg")]
    assert everyone.image_paths.tolist() == train.image_paths.tolist() + valid.image_paths.tolist()
    assert everyone.box_source == "; ".join(f"position and scale of {Path(name).name}" for name in names)
    check_third_joint_missing(valid[0])
    assert (valid.visible == valid.labelled).all()
    for root in (tmp_path / names[1], (tmp_path / names[1]).parent):
        assert open_mpii(root, "valid").image_paths.tolist() == valid.image_paths.tolist()


def test_hrnet_file_of_the_real_validation_set(tmp_path, real_data):
    # The first record of HRNet's valid.json, public in its issues, is the same person as the first of valid.h5.
    joints = [[804, 711], [816, 510], [908, 438], [1040, 454], [906, 528], [883, 707], [974, 446], [985, 253],
              [982.7591, 235.9694], [962.2409, 80.0306], [869, 214], [798, 340], [902, 253], [1067, 253], [1167, 353],
              [1142, 478]]  # fmt: skip
    record = hrnet(image="005808361.jpg", joints=joints, joints_vis=[1] * 16, center=[966, 340], scale=4.718488)
    (tmp_path / "valid.json").write_text(json.dumps([record]))
    (person,) = open_mpii(tmp_path, "valid")
    real = open_mpii(real_data / "mpii" / "annot" / "valid.h5", "valid")[0]
    np.testing.assert_allclose(person.joints, real.joints, atol=1e-3)
    np.testing.assert_allclose([*person.box.centre, person.box.side], [*real.box.centre, real.box.side], atol=1e-4)


@pytest.mark.parametrize("names", ["bytes", "codes", "text"])
def test_h5_person_and_its_three_forms_of_image_names(tmp_path, names):
    part = np.array([record()["joint_self"]])[..., :2]
    with h5py.File(tmp_path / "train.h5", "w") as file:
        file["part"] = part
        file["visible"] = np.ones((1, 16))
        file["center"] = [[201.0, 331.0]]
        file["scale"] = [2.5]
        file["normalize"] = [30.0]
        if names == "bytes":
            file["imgname"] = np.array([b"a.jpg"])
        elif names == "codes":
            file["imgname"] = np.array([[*map(ord, "a.jpg"), 0, 0]], dtype=float)
    (tmp_path / "train_images.txt").write_text("a.jpg\n")
    people = open_mpii(tmp_path, "train")
    assert people.image_paths.tolist() == [str(tmp_path / "a.jpg")]
    check_third_joint_missing(people[0])
    assert not people.visible[0, 3]
    assert people.head_sizes.tolist() == [30.0]


@pytest.mark.parametrize("sizes", [[30.0], 30.0, [30.0, 31.0, 32.0]])
def test_h5_head_sizes_of_another_number_of_people_are_refused(tmp_path, sizes):
    with h5py.File(tmp_path / "train.h5", "w") as file:
        file["part"] = np.ones((2, 16, 2))
        file["visible"] = np.ones((2, 16))
        file["center"] = np.ones((2, 2))
        file["scale"] = np.ones(2)
        file["normalize"] = sizes
        file["imgname"] = np.array([b"a.jpg", b"b.jpg"])
    with pytest.raises(DataError, match=r"train\.h5.*head_sizes.*\(2,\)"):
        open_mpii(tmp_path, "train")


# Unreadable files


def test_test_set_of_hrnet_has_no_joints(tmp_path):
    (tmp_path / "test.json").write_text(json.dumps([without(hrnet(), "joints", "joints_vis")]))
    with pytest.raises(DataError, match=r"test\.json: .*no joints"):
        open_mpii(tmp_path / "test.json")


def test_folder_without_annotation_names_what_is_expected(tmp_path):
    with pytest.raises(DataError, match=r"mpii_annotations\.json.*valid\.h5, valid\.json, mpii_val\.json"):
        open_mpii(tmp_path, "valid")


@pytest.mark.parametrize(
    ("name", "content"),
    [("valid.h5", b"nonsense"), ("valid.json", b"nonsense"), ("valid.json", b'{"a": 1}'), ("valid.json", b"[1]"),
     ("valid.json", b'[{"joints": [[1, 2]]}]'), ("mpii_annotations.json", b'[{"joint_self": [[1, 2, 1]]}]'),
     ("mpii_annotations.json.gz", b"nonsense"), ("mpii_annotations.json.gz", gzip.compress(b"[]" * 99, mtime=0)[:-12]),
     ("mpii_human_pose_v1_u12_1.mat", b"nonsense" * 30), ("mpii.xml", b"")],
)  # fmt: skip
def test_unreadable_file_is_named(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=name):
        open_mpii(tmp_path / name)


def test_joints_mat_is_no_release(tmp_path):
    savemat(tmp_path / "joints.mat", {"joints": np.zeros((3, 14, 2))})
    with pytest.raises(DataError, match=r"RELEASE.*joints"):
        open_mpii(tmp_path / "joints.mat")


def test_fewer_joints_than_sixteen(tmp_path):
    (tmp_path / "valid.json").write_text(json.dumps([hrnet(joints=[[1, 2]] * 14, joints_vis=[1] * 14)]))
    with pytest.raises(DataError, match=r"valid\.json: .*\b14\b"):
        open_mpii(tmp_path, "valid")


def test_evaluation_file_of_other_people(real_data, tmp_path):
    shutil.copy(real_data / "mpii" / "annot" / "detections_our_format.mat", tmp_path)
    (tmp_path / "valid.json").write_text(json.dumps([hrnet()]))
    with pytest.raises(DataError, match=r"detections_our_format\.mat: .*2958"):
        open_mpii(tmp_path, "valid")
