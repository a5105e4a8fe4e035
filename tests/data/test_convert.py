import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from pycocotools.coco import COCO

from posekit.data import open_people
from posekit.data.convert import write_coco, write_hourglass
from posekit.errors import ConfigError, OutputError
from posekit.images import ImageHeaders, read_headers
from posekit.people import People
from posekit.scoring.io.coco import image_ids
from posekit.skeletons import LSP14, MPII16
from tests.fixtures.people import make_people

NO_HEADERS = ImageHeaders({})


@pytest.fixture
def people() -> People:
    """Three people in two images; some joints are hidden, some not labelled."""
    rng = np.random.default_rng(3)
    labelled = rng.random((3, 16)) < 0.8
    return make_people(
        name="mpii",
        skeleton=MPII16,
        image_paths=np.array(["images/0012.jpg", "images/0012.jpg", "images/0034.jpg"]),
        joints=np.where(labelled[..., None], rng.uniform(-3, 400, (3, 16, 2)), 0.0),
        labelled=labelled,
        visible=labelled & (rng.random((3, 16)) < 0.5),
        centres=rng.uniform(0, 400, (3, 2)),
        sides=rng.uniform(50, 500, 3),
        head_sizes=np.array([31.5, np.nan, 40.25]),
    )


def assert_same(read: People, written: People) -> None:
    np.testing.assert_array_equal(read.labelled, written.labelled)
    np.testing.assert_array_equal(read.visible, written.visible)
    for column in ("joints", "centres", "sides"):
        np.testing.assert_allclose(getattr(read, column), getattr(written, column), rtol=0, atol=1e-6)
    assert [Path(path).name for path in read.image_paths] == [Path(path).name for path in written.image_paths]
    assert read.skeleton is written.skeleton


# COCO


def test_coco_round_trip(tmp_path, people):
    write_coco(tmp_path / "a_train.json", people, image_ids(people), NO_HEADERS)
    for split in ("all", "train"):
        assert_same(open_people("coco", tmp_path / "a_train.json", split), people)


def test_coco_as_read_by_pycocotools(tmp_path, people, capsys):
    write_coco(tmp_path / "a.json", people, image_ids(people), ImageHeaders({"images/0034.jpg": (640, 480)}))
    coco = COCO(str(tmp_path / "a.json"))
    (category,) = coco.loadCats(coco.getCatIds())
    assert category["name"] == "person"
    assert category["keypoints"] == list(MPII16.joints)
    assert [category["skeleton"][0], category["skeleton"][-1]] == [[10, 9], [2, 1]]  # head top to upper neck, right knee to ankle
    images = [
        {"id": 12, "file_name": "0012.jpg", "width": 0, "height": 0},
        {"id": 34, "file_name": "0034.jpg", "width": 640, "height": 480},
    ]
    assert coco.dataset["images"] == images
    persons = coco.loadAnns(coco.getAnnIds())
    assert [person["image_id"] for person in persons] == [12, 12, 34]
    assert [person["id"] for person in persons] == [1, 2, 3]
    for i, person in enumerate(persons):
        flags = np.where(people.visible[i], 2, np.where(people.labelled[i], 1, 0))
        assert person["keypoints"][2::3] == flags.tolist()
        assert person["num_keypoints"] == people.labelled[i].sum()
        x, y, width, height = person["bbox"]
        assert width == height == pytest.approx(people.sides[i] / 1.25)
        assert (x + width / 2, y + height / 2) == pytest.approx(people.centres[i] + 0.5)  # measured at pixel edges
        spread = np.ptp(people.joints[i][people.labelled[i]], axis=0)
        assert person["area"] == pytest.approx(spread.prod())
        assert person["iscrowd"] == 0


def test_known_head_sizes_are_kept(tmp_path, people):
    write_coco(tmp_path / "a.json", people, image_ids(people), NO_HEADERS)
    persons = json.loads((tmp_path / "a.json").read_text())["annotations"]
    assert [person.get("head_size") for person in persons] == [31.5, None, 40.25]
    np.testing.assert_array_equal(open_people("coco", tmp_path / "a.json").head_sizes, people.head_sizes)


def test_known_areas_are_kept(tmp_path, people):
    object.__setattr__(people, "areas", np.array([7.5, np.nan, 9.0]))
    write_coco(tmp_path / "a.json", people, image_ids(people), NO_HEADERS)
    areas = open_people("coco", tmp_path / "a.json").areas
    assert areas[[0, 2]].tolist() == [7.5, 9.0]
    assert areas[1] > 100


def test_a_file_that_cannot_be_written_is_named(tmp_path, people):
    (tmp_path / "file").write_text("")
    path = tmp_path / "file" / "a"
    with pytest.raises(OutputError, match=str(path)):
        write_coco(path, people, image_ids(people), NO_HEADERS)
    with pytest.raises(OutputError, match=str(path)):
        write_hourglass(path, people)


# HDF5


def test_h5_round_trip(tmp_path, people):
    write_hourglass(tmp_path / "train.h5", people)
    read = open_people("mpii", tmp_path / "train.h5", "train")
    assert_same(read, people)
    np.testing.assert_array_equal(read.head_sizes, people.head_sizes)


def test_h5_counts_from_1_and_its_boxes_are_adjusted(tmp_path, people):
    write_hourglass(tmp_path / "train.h5", people)
    with h5py.File(tmp_path / "train.h5") as file:
        np.testing.assert_array_equal(file["part"][()][people.labelled], people.joints[people.labelled] + 1)
        np.testing.assert_array_equal(file["part"][()][~people.labelled], 0)
        np.testing.assert_array_equal(file["center"][()], people.centres + 1)
        np.testing.assert_allclose(file["scale"][()], people.sides / 200)
        assert file["imgname"][()].tolist() == [b"0012.jpg", b"0012.jpg", b"0034.jpg"]
        assert "person" not in file  # the rectangles are unknown
        assert file.attrs["coordinate_base"] == 1


def test_h5_keeps_a_labelled_joint_at_the_position_of_unlabelled_ones(tmp_path, people):
    people.labelled[1, 4] = True
    people.joints[1, 4] = -1
    write_hourglass(tmp_path / "train.h5", people)
    assert_same(open_people("mpii", tmp_path / "train.h5"), people)


def test_h5_of_another_skeleton_is_refused(tmp_path, people):
    with pytest.raises(ConfigError, match=r"mpii: .*16 joints.* lsp14.*14 "):
        write_hourglass(tmp_path / "a.h5", people.mapped_to(LSP14))
    assert not (tmp_path / "a.h5").exists()


# Real data


def test_real_mpii_validation_set_in_both_forms(real_data, tmp_path):
    truth = open_people("mpii", real_data / "mpii", "valid")
    headers = read_headers(truth.image_paths)
    write_coco(tmp_path / "valid.json", truth, image_ids(truth), headers)
    write_hourglass(tmp_path / "valid.h5", truth)
    assert_same(open_people("coco", tmp_path / "valid.json", "valid"), truth)
    from_h5 = open_people("mpii", tmp_path / "valid.h5", "valid")
    assert_same(from_h5, truth)
    np.testing.assert_array_equal(from_h5.head_sizes, truth.head_sizes)
    images = json.loads((tmp_path / "valid.json").read_text())["images"]
    assert sorted((image["width"], image["height"]) for image in images if image["width"]) == sorted(headers.sizes.values())


def test_real_valid_h5_written_again_equals_the_original(real_data, tmp_path):
    shutil.copy(real_data / "mpii" / "annot" / "valid.h5", tmp_path / "valid.h5")
    write_hourglass(tmp_path / "again" / "valid.h5", open_people("mpii", tmp_path / "valid.h5", "valid"))
    with h5py.File(tmp_path / "valid.h5") as original, h5py.File(tmp_path / "again" / "valid.h5") as written:
        for name in ("part", "center", "scale", "normalize", "person"):
            np.testing.assert_allclose(written[name][()], original[name][()], rtol=0, atol=1e-9)
        assert written["imgname"][()].tolist() == original["imgname"][()].tolist()
        labelled = (original["part"][()] != 0).any(-1)
        np.testing.assert_array_equal(written["visible"][()][labelled], original["visible"][()][labelled])


@pytest.mark.parametrize(("folder", "split"), [("lsp", "test"), ("lspet", "all")])
def test_real_lsp_as_coco(real_data, tmp_path, folder, split):
    truth = open_people("lsp", real_data / folder, split)
    write_coco(tmp_path / f"{folder}.json", truth, image_ids(truth), NO_HEADERS)
    assert_same(open_people("coco", tmp_path / f"{folder}.json"), truth)
