import json

import numpy as np
import pytest
from pycocotools.coco import COCO

from posekit.cli.predict import main
from posekit.images import read_image
from posekit.models import ModelInfo, StackedHourglass, save_weights
from posekit.prediction import predictor
from posekit.skeletons import MPII16


def predict(*arguments):
    return main([*map(str, arguments), "--device", "cpu", "--refine", "0"], prog="posekit predict")


def listing(out):
    return json.loads((out / "predictions.json").read_text())


def test_points_of_a_file_come_out_in_image_pixels(spot_weights, tmp_path, capsys, write_spots, spots):
    photo, out = write_spots(tmp_path / "spots.png"), tmp_path / "out"
    before = photo.read_bytes()
    assert predict(photo, "--weights", spot_weights, "--box=30,30,105,105", "--out", out) == 0
    content = listing(out)
    assert content["images"] == [{"id": 1, "file_name": str(photo), "width": 200, "height": 150}]
    (person,) = content["annotations"]
    triples = np.reshape(person["keypoints"], (3, 3))
    assert np.abs(triples[:, :2] - spots).max() <= 1
    assert ((triples[:, 2] > 0.5) & (triples[:, 2] <= 1)).all()
    # A rectangle grows by a quarter about its middle: side 131.25, middle 82.5 in COCO's frame.
    assert person["box"] == pytest.approx([16.875, 16.875, 131.25, 131.25])
    overlay = read_image(out / "spots.overlay.png")
    assert overlay.shape == (150, 200, 3)
    assert (overlay != read_image(photo)).any()
    assert photo.read_bytes() == before
    printed = capsys.readouterr().out
    assert str(out / "predictions.json") in printed
    assert "people: 1, photographs: 1" in printed


def test_pycocotools_reads_the_results(spot_weights, tmp_path, write_spots, spots):
    photos = [write_spots(tmp_path / f"{i}.png", spots - i) for i in range(3)]
    assert predict(*photos, "--weights", spot_weights, "--out", tmp_path) == 0
    truth = COCO(str(tmp_path / "predictions.json"))
    category = truth.loadCats([1])[0]
    assert category["keypoints"] == ["nose", "left_hand", "right_hand"]
    assert category["skeleton"] == [[2, 3], [1, 2]]
    results = truth.loadRes(listing(tmp_path)["annotations"])
    assert sorted(results.getImgIds()) == [1, 2, 3]
    spread = np.ptp(spots, axis=0)
    assert results.loadAnns(results.getAnnIds(imgIds=[2]))[0]["area"] == pytest.approx(spread.prod(), rel=0.1)
    # As a data set too: what pycocotools would find in the joints stands in the file.
    (person,) = truth.loadAnns(truth.getAnnIds(imgIds=[2], iscrowd=False))
    (found,) = results.loadAnns(results.getAnnIds(imgIds=[2]))
    assert person["bbox"] == pytest.approx(found["bbox"], abs=1e-3)
    assert person["area"] == pytest.approx(found["area"])
    assert person["num_keypoints"] == 3


def test_every_box_holds_for_every_photograph(spot_weights, tmp_path, write_spots, spots):
    photos = [write_spots(tmp_path / "in" / f"{i}.png", spots - 2 * i) for i in range(2)]
    out = tmp_path / "out"
    assert predict(*photos, "--weights", spot_weights, "--box", "30,30,100,100", "--box=-5,-5,160,160", "--out", out) == 0
    people = listing(out)["annotations"]
    assert [person["image_id"] for person in people] == [1, 1, 2, 2]
    assert [person["id"] for person in people] == [1, 2, 3, 4]
    for person in people:
        found = np.reshape(person["keypoints"], (3, 3))[:, :2]
        assert np.abs(found - (spots - 2 * (person["image_id"] - 1))).max() <= 1.5


def test_names_that_collide_get_their_own_overlay(spot_weights, tmp_path, write_spots):
    photos = [write_spots(tmp_path / name) for name in ("a/x.png", "b/x.png", "a/X.bmp", "a/x-2.png")]
    out = tmp_path / "out"
    assert predict(*photos, "--weights", spot_weights, "--out", out) == 0
    assert sorted(path.name.lower() for path in out.glob("*.png")) == [
        "x-2-2.overlay.png", "x-2.overlay.png", "x-3.overlay.png", "x.overlay.png",
    ]  # fmt: skip


def test_an_input_is_never_overwritten(spot_weights, tmp_path, write_spots, spots):
    photo, trap = write_spots(tmp_path / "x.png"), write_spots(tmp_path / "x.overlay.png", spots - 9)
    before = trap.read_bytes()
    assert predict(photo, trap, "--weights", spot_weights, "--out", tmp_path) == 0
    assert trap.read_bytes() == before
    assert (tmp_path / "x-2.overlay.png").exists()
    assert (tmp_path / "x.overlay.overlay.png").exists()


def test_a_listing_that_is_an_input_is_kept(spot_weights, tmp_path, capsys):
    precious = tmp_path / "predictions.json"
    precious.write_text("{}")
    assert predict(precious, "--weights", spot_weights, "--out", tmp_path) == 1
    assert precious.read_text() == "{}"
    assert "would be overwritten" in capsys.readouterr().err


def test_bad_photographs_are_named_counted_and_skipped(spot_weights, tmp_path, capsys, write_spots, spots):
    text = tmp_path / "text.jpg"
    text.write_text("not a picture")
    small = write_spots(tmp_path / "small.png", spots / 3, 40, 50)
    broken = write_spots(tmp_path / "broken.jpg")
    broken.write_bytes(broken.read_bytes()[:-900])
    photos = [tmp_path / "gone.jpg", text, small, broken, write_spots(tmp_path / "good.png")]
    out = tmp_path / "out"
    assert predict(*photos, "--weights", spot_weights, "--box", "70,60,60,60", "--out", out) == 0
    told = capsys.readouterr().err
    for name in (
        "gone.jpg: no such image",
        "text.jpg: not an image",
        "small.png: box",
        "broken.jpg: truncated",
        "4 of 5 photographs skipped",
    ):
        assert name in told
    assert [image["file_name"] for image in listing(out)["images"]] == [str(photos[-1])]
    assert [path.name for path in out.glob("*.png")] == ["good.overlay.png"]


def test_nothing_usable_is_a_failure_and_keeps_earlier_results(spot_weights, tmp_path, capsys):
    (tmp_path / "predictions.json").write_text("earlier")
    assert predict(tmp_path / "gone.jpg", "--weights", spot_weights, "--out", tmp_path) == 1
    assert "no photograph could be used" in capsys.readouterr().err
    assert (tmp_path / "predictions.json").read_text() == "earlier"


def test_interrupted_work_is_kept(spot_weights, tmp_path, monkeypatch, write_spots, capsys):
    photos = [write_spots(tmp_path / f"{i}.png") for i in range(3)]
    call = predictor.Predictor.__call__

    def interrupted(self, image, boxes, **options):
        if (tmp_path / "out" / "0.overlay.png").exists():
            raise KeyboardInterrupt
        return call(self, image, boxes)

    monkeypatch.setattr(predictor.Predictor, "__call__", interrupted)
    assert predict(*photos, "--weights", spot_weights, "--out", tmp_path / "out") == 130
    assert len(listing(tmp_path / "out")["images"]) == 1
    # And what is there already is not replaced by less.
    monkeypatch.setattr(predictor.Predictor, "__call__", call)
    assert predict(*photos, "--weights", spot_weights, "--out", tmp_path / "out") == 0
    monkeypatch.setattr(predictor.Predictor, "__call__", interrupted)
    (tmp_path / "out" / "0.overlay.png").unlink()
    capsys.readouterr()
    assert predict(*photos, "--weights", spot_weights, "--out", tmp_path / "out") == 130
    partial = tmp_path / "out" / "predictions.partial.json"
    assert f"stopped: {partial} holds 1 of 3 photographs" in capsys.readouterr().err
    assert len(listing(tmp_path / "out")["images"]) == 3 and len(json.loads(partial.read_text())["images"]) == 1


def test_folder_that_cannot_be_written(spot_weights, tmp_path, capsys, write_spots):
    photo, blocked = write_spots(tmp_path / "x.png"), tmp_path / "file"
    blocked.touch()
    for out in (blocked, blocked / "below"):
        assert predict(photo, "--weights", spot_weights, "--out", out) == 1
        error = capsys.readouterr().err
        assert "cannot be written" in error
        assert "--out" in error


def test_missing_weights(tmp_path, capsys, write_spots):
    assert predict(write_spots(tmp_path / "x.png"), "--weights", "nowhere.safetensors", "--out", tmp_path / "out") == 1
    assert "nowhere.safetensors: no such weights file" in capsys.readouterr().err


@pytest.mark.parametrize("box", ["1,2,3", "1,2,3,x", "1,2,0,4", "1,2,nan,4", "1,2,inf,4"])
def test_a_box_that_is_none(box, capsys):
    with pytest.raises(SystemExit) as stopped:
        predict("x.png", "--weights", "w", f"--box={box}")
    assert stopped.value.code == 2
    assert "argument --box" in capsys.readouterr().err


def test_scores_below_the_minimum_are_not_drawn(spot_weights, tmp_path, write_spots):
    photo = write_spots(tmp_path / "x.png")
    assert predict(photo, "--weights", spot_weights, "--min-score", "1", "--out", tmp_path / "out") == 0
    np.testing.assert_array_equal(read_image(tmp_path / "out" / "x.overlay.png"), read_image(photo))
    assert len(listing(tmp_path / "out")["annotations"][0]["keypoints"]) == 9


@pytest.mark.parametrize("score", ["nan", "2", "-0.1"])
def test_a_minimum_that_no_score_is_compared_with(score, capsys):
    with pytest.raises(SystemExit):
        predict("x.png", "--min-score", score)
    assert "argument --min-score" in capsys.readouterr().err


def test_help_teaches(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["--help"], prog="posekit predict")
    assert stopped.value.code == 0
    text = capsys.readouterr().out
    assert "posekit predict runner.jpg --weights" in text
    assert "predictions.json" in text


def test_real_photographs_through_a_real_model(real_data, tmp_path, capsys):
    model = StackedHourglass(joints=16, stacks=1, features=8, depth=2)
    info = ModelInfo(MPII16, 64, stacks=1, features=8, depth=2, head="sigmoid", mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
    save_weights(tmp_path / "w.safetensors", model, info)
    photos = sorted((real_data / "mpii" / "images").glob("*.jpg"))[:3]
    assert (
        predict(*photos, "--weights", tmp_path / "w.safetensors", "--min-score", 0, "--detect", "none", "--out", tmp_path / "out")
        == 0
    )
    content = listing(tmp_path / "out")
    for photo, image, person in zip(photos, content["images"], content["annotations"], strict=True):
        height, width = read_image(photo).shape[:2]
        assert (image["width"], image["height"]) == (width, height)
        triples = np.reshape(person["keypoints"], (16, 3))
        assert (triples[:, 2] > 0).all()
        # The whole picture's box is as large as its longer side.
        side = max(width, height)
        assert np.abs(triples[:, :2] - [width / 2, height / 2]).max() <= side / 2
        assert (read_image(tmp_path / "out" / f"{photo.stem}.overlay.png") != read_image(photo)).any()
    assert capsys.readouterr().err == ""


def test_damaged_weights(tmp_path, capsys, write_spots):
    (tmp_path / "w.safetensors").write_bytes(b"nothing of use")
    assert predict(write_spots(tmp_path / "x.png"), "--weights", tmp_path / "w.safetensors", "--out", tmp_path / "out") == 1
    error = capsys.readouterr().err
    assert "w.safetensors" in error
    assert len(error.splitlines()) == 1
    assert not (tmp_path / "out").exists()
