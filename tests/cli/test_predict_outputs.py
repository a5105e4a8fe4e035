"""What `posekit predict` writes, and what becomes of it when something goes wrong."""

import csv
import errno
import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from pycocotools.coco import COCO

from posekit.cli.predict import main, outputs
from posekit.cli.predict.outputs import LISTINGS, PICTURES
from posekit.images import read_image
from posekit.scoring.io.files import read_predictions

BOXES = "--box=30,30,105,105", "--box=-5,-5,160,160"
JOINTS = ["nose", "left_hand", "right_hand"]


@pytest.fixture
def predict(spot_weights, tmp_path):
    """Run the command on the spots' model, into the folder "out" unless told otherwise."""

    def predict(*arguments):
        arguments = list(map(str, arguments))
        out = [] if "--out" in arguments else ["--out", str(tmp_path / "out")]
        return main([*arguments, "--weights", str(spot_weights), "--device", "cpu", "--refine", "0", *out], prog="posekit predict")

    return predict


@pytest.fixture
def photos(write_spots, spots, tmp_path):
    return [write_spots(tmp_path / "in" / f"{number}.png", spots - number) for number in range(2)]


def rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def test_every_kind_is_written_and_told(predict, photos, tmp_path, capsys):
    assert predict(*photos, *BOXES, "--save", ",".join(LISTINGS), "--save", "overlay, heatmaps,crops") == 0
    people = [f"{photo}.person-{number}" for photo in (0, 1) for number in (1, 2)]
    pictures = [f"{name}{end}" for name in people for end in (".crop.png", ".heatmaps.png")]
    assert files(tmp_path / "out") == sorted([*LISTINGS.values(), *pictures, "0.overlay.png", "1.overlay.png"])
    told = capsys.readouterr().out
    assert "people: 4, photographs: 2" in told
    assert all(name in told for name in (*LISTINGS.values(), *PICTURES.values()))


def test_only_what_was_asked_for_is_written(predict, photos, tmp_path):
    assert predict(*photos, "--save", "csv") == 0
    assert files(tmp_path / "out") == ["predictions.csv"]
    assert predict(*photos, "--out", tmp_path / "default") == 0
    assert files(tmp_path / "default") == ["0.overlay.png", "1.overlay.png", "predictions.json"]


def test_an_unknown_kind_lists_those_there_are(predict, capsys):
    with pytest.raises(SystemExit) as stopped:
        predict("x.png", "--save", "json,xml")
    assert stopped.value.code == 2
    assert f"'xml': choose from {', '.join((*LISTINGS, *PICTURES))}" in capsys.readouterr().err


def test_all_files_tell_the_same(predict, photos, spots, tmp_path):
    assert predict(*photos, *BOXES, "--save", "json,csv,wide,dlc,h5,dataset") == 0
    out = tmp_path / "out"
    annotations = json.loads((out / "predictions.json").read_text())["annotations"]
    expected = np.array([person["keypoints"] for person in annotations]).reshape(4, 3, 3)
    assert np.abs(expected[0, :, :2] - spots).max() <= 1
    header, *long = rows(out / "predictions.csv")
    assert header == ["image", "person", "joint", "x", "y", "score"]
    assert [row[:3] for row in long] == [[str(photo), str(n), joint] for photo in photos for n in (1, 2) for joint in JOINTS]
    header, *wide = rows(out / "predictions.wide.csv")
    assert header == ["image", "person", *(f"{joint}.{part}" for joint in JOINTS for part in ("x", "y", "score"))]
    dlc = rows(out / "predictions.dlc.csv")[4:]
    found = {
        "long": [row[3:] for row in long],
        "wide": [row[2:] for row in wide],
        "dlc": [row[1:] for row in dlc],
        "h5": np.dstack([(h5 := read_predictions(out / "predictions.h5")).joints, h5.scores]),
    }
    for name, numbers in found.items():
        np.testing.assert_allclose(np.array(numbers, float).reshape(4, 3, 3), expected, atol=1e-4, err_msg=name)
    dataset = json.loads((out / "dataset.json").read_text())
    np.testing.assert_allclose([person["bbox"] for person in dataset["annotations"]], [person["bbox"] for person in annotations])
    with h5py.File(out / "predictions.h5") as file:
        assert list(file["image"].asstr()) == [str(photo) for photo in photos for _ in range(2)]


def test_the_data_set_is_one_for_annotation_tools(predict, photos, tmp_path):
    assert predict(*photos, "--save", "dataset") == 0
    dataset = COCO(str(tmp_path / "out" / "dataset.json"))
    assert [image["file_name"] for image in dataset.loadImgs(dataset.getImgIds())] == ["0.png", "1.png"]
    for person in dataset.loadAnns(dataset.getAnnIds()):
        assert person["keypoints"][2::3] == [2, 2, 2]
        assert person["area"] == pytest.approx(person["bbox"][2] * person["bbox"][3])


def test_a_crop_is_the_photograph_within_the_models_box(predict, photos, tmp_path):
    assert predict(photos[0], "--box=120,60,80,80", "--save", "crops") == 0
    # 100 pixels wide about (160, 100), and cut off at the picture's right: x from 110 to 200, y from 50 to 150.
    np.testing.assert_array_equal(read_image(tmp_path / "out" / "0.person-1.crop.png"), read_image(photos[0])[50:150, 110:200])


def test_people_are_numbered_above_their_joints_in_the_overlay_where_they_are_several(predict, photos, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(outputs, "draw_numbers", lambda image, places: drawn.append(places) or image)
    assert predict(photos[0], BOXES[0]) == 0 and not drawn
    assert predict(photos[0], BOXES[0], BOXES[0]) == 0
    found = json.loads((tmp_path / "out" / "predictions.json").read_text())["annotations"][0]
    points = np.reshape(found["keypoints"], (-1, 3))[:, :2]
    np.testing.assert_allclose(drawn, [[(points[:, 0].mean(), points[:, 1].min())] * 2], atol=0.01)


def test_no_input_is_ever_overwritten(predict, write_spots, tmp_path):
    folder = tmp_path / "in"
    names = ("x.png", "x.overlay.png", "x-2.person-1.crop.png", "x.person-1.heatmaps.png")
    photos = [write_spots(folder / name) for name in names]
    (folder / "predictions.wide.csv").write_text("image,x,y,w,h\n" + "".join(f"{name},30,30,105,105\n" for name in names))
    before = {path: path.read_bytes() for path in folder.iterdir()}
    assert predict(*photos, "--out", folder, "--save", "overlay,heatmaps,crops,json") == 0
    assert {path: path.read_bytes() for path in before} == before
    assert (folder / "x-3.overlay.png").exists()


def test_a_file_with_boxes_is_not_overwritten(predict, photos, tmp_path, capsys):
    boxes = photos[0].parent / "predictions.csv"
    boxes.write_text("image,x,y,w,h\n0.png,30,30,105,105\n")
    assert predict(photos[0], "--boxes", boxes, "--out", boxes.parent, "--save", "csv") == 1
    assert "predictions.csv is an input and would be overwritten" in capsys.readouterr().err
    assert boxes.read_text().startswith("image,x,y,w,h")


def test_a_folder_can_be_predicted_into_itself_again_and_again(predict, photos):
    folder = photos[0].parent
    for _ in range(2):
        assert predict(folder, "--out", folder) == 0
        assert files(folder) == ["0.overlay.png", "0.png", "1.overlay.png", "1.png", "predictions.json"]


@pytest.mark.parametrize("kind", ["overlay", "crops", "json", "dataset", "h5", "overlay,json"])
def test_a_full_disk_is_told_in_a_line_and_earlier_files_stay_whole(predict, photos, tmp_path, monkeypatch, capsys, kind):
    assert predict(*photos, "--save", kind) == 0
    before = {path: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    capsys.readouterr()

    def full(self, data):
        with self.open("wb") as file:
            file.write(data[:100])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    monkeypatch.setattr(Path, "write_text", lambda self, text, encoding: full(self, text.encode()))
    assert predict(*photos, "--save", kind, *BOXES) == 1
    error = capsys.readouterr().err
    assert "cannot be written (No space left on device); choose another place" in error
    assert len(error.splitlines()) == 1
    assert {path: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


def test_pictures_that_were_written_before_the_disk_was_full_are_in_the_listing(predict, photos, tmp_path, monkeypatch, capsys):
    write = Path.write_bytes

    def full(self, data):
        if self.name == "1.overlay.png":
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(self, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    assert predict(*photos) == 1
    assert "1.overlay.png: cannot be written" in capsys.readouterr().err
    assert files(tmp_path / "out") == ["0.overlay.png", "predictions.json"]
    images = json.loads((tmp_path / "out" / "predictions.json").read_text())["images"]
    assert str(photos[0]) in [image["file_name"] for image in images]


def test_a_photograph_without_a_box_has_no_people(predict, photos, tmp_path):
    boxes = tmp_path / "b.csv"
    boxes.write_text("image,x,y,w,h\n1.png,30,30,105,105\n")
    assert predict(*photos, "--boxes", boxes, "--save", ",".join((*LISTINGS, *PICTURES))) == 0
    out = tmp_path / "out"
    content = json.loads((out / "predictions.json").read_text())
    assert [len(content["images"]), [person["image_id"] for person in content["annotations"]]] == [2, [2]]
    np.testing.assert_array_equal(read_image(out / "0.overlay.png"), read_image(photos[0]))
    assert len(read_predictions(out / "predictions.h5")) == 1
    assert [row[0] for row in rows(out / "predictions.dlc.csv")] == ["scorer", "bodyparts", "coords", *map(str, photos)]
    assert rows(out / "predictions.csv")[1][0] == str(photos[1])
