"""Output files of `posekit predict`, also after errors."""

import csv
import errno
import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from pycocotools.coco import COCO

from posekit.cli.predict import LISTINGS, PICTURES, outputs
from posekit.images import read_image
from posekit.scoring.io.files import read_predictions

BOXES = ("--box=30,30,105,105", "--box=-5,-5,160,160")
JOINTS = ["nose", "left_hand", "right_hand"]
FULL_DISK = OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture
def images(write_spots, spots, tmp_path):
    return [write_spots(tmp_path / "in" / f"{number}.png", spots - number) for number in range(2)]


def read_rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def read_listing(folder):
    return json.loads((folder / "predictions.json").read_text())


def list_names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_every_kind_is_written_and_printed(predict, images, tmp_path, capsys):
    assert predict(*images, *BOXES, "--save", ",".join(LISTINGS), "--save", "overlay, heatmaps,crops") == 0
    expected = [*LISTINGS.values(), "0.overlay.png", "1.overlay.png"]
    for person in ("0.person-1", "0.person-2", "1.person-1", "1.person-2"):
        expected += [f"{person}.crop.png", f"{person}.heatmaps.png"]
    assert list_names(tmp_path / "out") == sorted(expected)
    printed = capsys.readouterr().out
    assert "people: 4" in printed
    assert all(name in printed for name in (*LISTINGS.values(), *PICTURES.values()))


def test_only_the_chosen_kinds_are_written(predict, images, tmp_path):
    assert predict(*images, "--save", "csv") == 0
    assert list_names(tmp_path / "out") == ["predictions.csv"]
    assert predict(*images, "--out", tmp_path / "default") == 0
    assert list_names(tmp_path / "default") == ["0.overlay.png", "1.overlay.png", "predictions.json"]


def test_the_error_of_an_unknown_kind_lists_the_choices(predict, capsys):
    with pytest.raises(SystemExit, match="2"):
        predict("x.png", "--save", "json,xml")
    error = capsys.readouterr().err.splitlines()[-1]
    assert "'xml'" in error
    assert ", ".join((*LISTINGS, *PICTURES)) in error


def test_all_files_hold_the_same_keypoints(predict, images, spots, tmp_path):
    assert predict(*images, *BOXES, "--save", "json,csv,wide,dlc,h5,dataset") == 0
    out = tmp_path / "out"
    annotations = read_listing(out)["annotations"]
    expected = np.array([person["keypoints"] for person in annotations]).reshape(4, 3, 3)
    assert np.abs(expected[0, :, :2] - spots).max() <= 1
    header, *long = read_rows(out / "predictions.csv")
    assert header == ["image", "person", "joint", "x", "y", "score"]
    assert [row[0] for row in long] == [str(image) for image in images for _ in range(6)]
    assert [row[1] for row in long] == 2 * (3 * ["1"] + 3 * ["2"])
    assert [row[2] for row in long] == 4 * JOINTS
    header, *wide = read_rows(out / "predictions.wide.csv")
    assert header[:5] == ["image", "person", "nose.x", "nose.y", "nose.score"]
    assert len(header) == 2 + 3 * len(JOINTS)
    dlc = read_rows(out / "predictions.dlc.csv")[4:]
    h5 = read_predictions(out / "predictions.h5")
    tables = {
        "long": [row[3:] for row in long],
        "wide": [row[2:] for row in wide],
        "dlc": [row[1:] for row in dlc],
        "h5": np.dstack([h5.joints, h5.scores]),
    }
    for name, numbers in tables.items():
        np.testing.assert_allclose(np.array(numbers, float).reshape(4, 3, 3), expected, atol=1e-4, err_msg=name)
    dataset = json.loads((out / "dataset.json").read_text())
    np.testing.assert_allclose([person["bbox"] for person in dataset["annotations"]], [person["bbox"] for person in annotations])
    with h5py.File(out / "predictions.h5") as file:
        assert list(file["image"].asstr()) == [str(image) for image in images for _ in range(2)]


def test_annotation_tools_can_read_the_data_set(predict, images, tmp_path):
    assert predict(*images, "--save", "dataset") == 0
    dataset = COCO(str(tmp_path / "out" / "dataset.json"))
    assert [image["file_name"] for image in dataset.loadImgs(dataset.getImgIds())] == ["0.png", "1.png"]
    for person in dataset.loadAnns(dataset.getAnnIds()):
        assert person["keypoints"][2::3] == [2, 2, 2]
        assert person["area"] == pytest.approx(person["bbox"][2] * person["bbox"][3])


def test_a_crop_is_the_image_inside_the_models_box(predict, images, tmp_path):
    assert predict(images[0], "--box=120,60,80,80", "--save", "crops") == 0
    # 100 pixels wide about (160, 100), and cut off at the image's right: x from 110 to 200, y from 50 to 150.
    np.testing.assert_array_equal(read_image(tmp_path / "out" / "0.person-1.crop.png"), read_image(images[0])[50:150, 110:200])


def test_several_people_are_numbered_above_their_joints_in_the_overlay(predict, images, tmp_path, monkeypatch):
    drawn = []

    def draw_numbers(image, positions):
        drawn.append(positions)
        return image

    monkeypatch.setattr(outputs, "draw_numbers", draw_numbers)
    assert predict(images[0], BOXES[0]) == 0
    assert not drawn
    assert predict(images[0], BOXES[0], BOXES[0]) == 0
    person = read_listing(tmp_path / "out")["annotations"][0]
    points = np.reshape(person["keypoints"], (-1, 3))[:, :2]
    np.testing.assert_allclose(drawn, [[(points[:, 0].mean(), points[:, 1].min())] * 2], atol=0.01)


def test_no_input_is_ever_overwritten(predict, write_spots, tmp_path):
    folder = tmp_path / "in"
    names = ("x.png", "x.overlay.png", "x-2.person-1.crop.png", "x.person-1.heatmaps.png")
    images = [write_spots(folder / name) for name in names]
    before = {path: path.read_bytes() for path in images}
    assert predict(*images, "--out", folder, "--save", "overlay,heatmaps,crops,json") == 0
    assert {path: path.read_bytes() for path in images} == before
    assert (folder / "x-3.overlay.png").exists()


def test_a_file_of_boxes_is_not_overwritten(predict, images, tmp_path, capsys):
    boxes = images[0].parent / "predictions.csv"
    boxes.write_text("image,x,y,w,h\n0.png,30,30,105,105\n")
    assert predict(images[0], "--boxes", boxes, "--out", boxes.parent, "--save", "csv") == 1
    assert str(boxes) in capsys.readouterr().err
    assert boxes.read_text().startswith("image,x,y,w,h")


def test_a_folder_can_be_predicted_into_itself_repeatedly(predict, images):
    folder = images[0].parent
    for _ in range(2):
        assert predict(folder, "--out", folder) == 0
        assert list_names(folder) == ["0.overlay.png", "0.png", "1.overlay.png", "1.png", "predictions.json"]


@pytest.mark.parametrize("kind", ["overlay", "crops", "json", "dataset", "h5", "overlay,json"])
def test_a_full_disk_is_a_one_line_error_and_earlier_files_stay_whole(predict, images, tmp_path, monkeypatch, capsys, kind):
    out = tmp_path / "out"
    assert predict(*images, "--save", kind) == 0
    before = {path: path.read_bytes() for path in out.iterdir()}
    capsys.readouterr()

    def write_a_part(self, data):
        with self.open("wb") as file:
            file.write(data[:100])
        raise FULL_DISK

    monkeypatch.setattr(Path, "write_bytes", write_a_part)
    monkeypatch.setattr(Path, "write_text", lambda self, text, encoding: write_a_part(self, text.encode()))
    assert predict(*images, "--save", kind, *BOXES) == 1
    (error,) = capsys.readouterr().err.splitlines()
    assert str(out) in error and FULL_DISK.strerror in error
    assert {path: path.read_bytes() for path in out.iterdir()} == before


def test_pictures_written_before_the_disk_was_full_are_in_the_listing(predict, images, tmp_path, monkeypatch, capsys):
    out = tmp_path / "out"
    write_bytes = Path.write_bytes

    def write(self, data):
        if self.name == "1.overlay.png":
            raise FULL_DISK
        return write_bytes(self, data)

    monkeypatch.setattr(Path, "write_bytes", write)
    assert predict(*images) == 1
    assert str(out / "1.overlay.png") in capsys.readouterr().err
    assert list_names(out) == ["0.overlay.png", "predictions.json"]
    assert str(images[0]) in [image["file_name"] for image in read_listing(out)["images"]]


def test_an_image_without_a_box_has_no_people(predict, images, tmp_path):
    boxes = tmp_path / "b.csv"
    boxes.write_text("image,x,y,w,h\n1.png,30,30,105,105\n")
    assert predict(*images, "--boxes", boxes, "--save", ",".join((*LISTINGS, *PICTURES))) == 0
    out = tmp_path / "out"
    content = read_listing(out)
    assert len(content["images"]) == 2
    assert [person["image_id"] for person in content["annotations"]] == [2]
    np.testing.assert_array_equal(read_image(out / "0.overlay.png"), read_image(images[0]))
    assert len(read_predictions(out / "predictions.h5")) == 1
    assert [row[0] for row in read_rows(out / "predictions.dlc.csv")] == ["scorer", "bodyparts", "coords", *map(str, images)]
    assert read_rows(out / "predictions.csv")[1][0] == str(images[1])
