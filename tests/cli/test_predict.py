"""`posekit predict` on images: coordinates, files, and errors."""

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
    """Run the command without detecting people, which takes long: one person fills the image unless boxes are given."""
    arguments = [*map(str, arguments), "--device", "cpu", "--refine", "0"]
    if not any(argument.startswith("--box") for argument in arguments):
        arguments += ["--detect", "none"]
    return main(arguments, prog="posekit predict")


def read_listing(folder):
    return json.loads((folder / "predictions.json").read_text())


def keypoints(person):
    return np.reshape(person["keypoints"], (-1, 3))[:, :2]


def test_keypoints_are_written_in_image_pixels(spot_weights, tmp_path, capsys, write_spots, spots):
    image = write_spots(tmp_path / "spots.png")
    out = tmp_path / "out"
    before = image.read_bytes()
    assert predict(image, "--weights", spot_weights, "--box=30,30,105,105", "--out", out) == 0
    content = read_listing(out)
    assert content["images"] == [{"id": 1, "file_name": str(image), "width": 200, "height": 150}]
    (person,) = content["annotations"]
    triples = np.reshape(person["keypoints"], (3, 3))
    assert np.abs(triples[:, :2] - spots).max() <= 1
    assert ((triples[:, 2] > 0.5) & (triples[:, 2] <= 1)).all()
    # A rectangle is enlarged by a quarter about its centre: side 131.25, centre 82.5 in COCO's frame.
    assert person["box"] == pytest.approx([16.875, 16.875, 131.25, 131.25])
    overlay = read_image(out / "spots.overlay.png")
    assert overlay.shape == (150, 200, 3)
    assert (overlay != read_image(image)).any()
    assert image.read_bytes() == before
    printed = capsys.readouterr().out
    assert str(out / "predictions.json") in printed
    assert "people: 1" in printed


def test_pycocotools_reads_the_results(spot_weights, tmp_path, write_spots, spots):
    images = [write_spots(tmp_path / f"{i}.png", spots - i) for i in range(3)]
    assert predict(*images, "--weights", spot_weights, "--out", tmp_path) == 0
    truth = COCO(str(tmp_path / "predictions.json"))
    category = truth.loadCats([1])[0]
    assert category["keypoints"] == ["nose", "left_hand", "right_hand"]
    assert category["skeleton"] == [[2, 3], [1, 2]]
    results = truth.loadRes(read_listing(tmp_path)["annotations"])
    assert sorted(results.getImgIds()) == [1, 2, 3]
    extent = np.ptp(spots, axis=0)
    (result,) = results.loadAnns(results.getAnnIds(imgIds=[2]))
    assert result["area"] == pytest.approx(extent.prod(), rel=0.1)
    # The file itself holds the extents that pycocotools computes from a result's joints.
    (person,) = truth.loadAnns(truth.getAnnIds(imgIds=[2], iscrowd=False))
    assert person["bbox"] == pytest.approx(result["bbox"], abs=1e-3)
    assert person["area"] == pytest.approx(result["area"])
    assert person["num_keypoints"] == 3


def test_every_box_applies_to_every_image(spot_weights, tmp_path, write_spots, spots):
    images = [write_spots(tmp_path / "in" / f"{i}.png", spots - 2 * i) for i in range(2)]
    out = tmp_path / "out"
    assert predict(*images, "--weights", spot_weights, "--box", "30,30,100,100", "--box=-5,-5,160,160", "--out", out) == 0
    people = read_listing(out)["annotations"]
    assert [person["image_id"] for person in people] == [1, 1, 2, 2]
    assert [person["id"] for person in people] == [1, 2, 3, 4]
    for person in people:
        truth = spots - 2 * (person["image_id"] - 1)
        assert np.abs(keypoints(person) - truth).max() <= 1.5


def test_images_of_the_same_name_get_their_own_overlays(spot_weights, tmp_path, write_spots):
    images = [write_spots(tmp_path / name) for name in ("a/x.png", "b/x.png", "a/X.bmp", "a/x-2.png")]
    out = tmp_path / "out"
    assert predict(*images, "--weights", spot_weights, "--out", out) == 0
    assert sorted(path.name.lower() for path in out.glob("*.png")) == [
        "x-2-2.overlay.png", "x-2.overlay.png", "x-3.overlay.png", "x.overlay.png",
    ]  # fmt: skip


def test_an_input_is_never_overwritten(spot_weights, tmp_path, write_spots, spots):
    image = write_spots(tmp_path / "x.png")
    other = write_spots(tmp_path / "x.overlay.png", spots - 9)
    before = other.read_bytes()
    assert predict(image, other, "--weights", spot_weights, "--out", tmp_path) == 0
    assert other.read_bytes() == before
    assert (tmp_path / "x-2.overlay.png").exists()
    assert (tmp_path / "x.overlay.overlay.png").exists()


def test_a_listing_that_is_an_input_is_kept(spot_weights, tmp_path, capsys):
    listing = tmp_path / "predictions.json"
    listing.write_text("{}")
    assert predict(listing, "--weights", spot_weights, "--out", tmp_path) == 1
    assert listing.read_text() == "{}"
    error = capsys.readouterr().err
    assert str(listing) in error and "--out" in error


def test_bad_images_are_reported_counted_and_skipped(spot_weights, tmp_path, capsys, write_spots, spots):
    text = tmp_path / "text.jpg"
    text.write_text("not a picture")
    small = write_spots(tmp_path / "small.png", spots / 3, 40, 50)
    broken = write_spots(tmp_path / "broken.jpg")
    broken.write_bytes(broken.read_bytes()[:-900])
    images = [tmp_path / "gone.jpg", text, small, broken, write_spots(tmp_path / "good.png")]
    out = tmp_path / "out"
    assert predict(*images, "--weights", spot_weights, "--box", "70,60,60,60", "--out", out) == 0
    *skipped, count = capsys.readouterr().err.splitlines()
    assert len(skipped) == 4
    for image, line in zip(images, skipped, strict=False):
        assert line.startswith(f"skipped: {image}")
    assert count.startswith("4 of 5 ")
    assert [image["file_name"] for image in read_listing(out)["images"]] == [str(images[-1])]
    assert [path.name for path in out.glob("*.png")] == ["good.overlay.png"]


def test_no_usable_image_is_a_failure_and_keeps_earlier_results(spot_weights, tmp_path, capsys):
    (tmp_path / "predictions.json").write_text("earlier")
    assert predict(tmp_path / "gone.jpg", "--weights", spot_weights, "--out", tmp_path) == 1
    assert "gone.jpg" in capsys.readouterr().err
    assert (tmp_path / "predictions.json").read_text() == "earlier"


def test_interrupted_work_is_kept(spot_weights, tmp_path, monkeypatch, write_spots, capsys):
    images = [write_spots(tmp_path / f"{i}.png") for i in range(3)]
    out = tmp_path / "out"
    call = predictor.Predictor.__call__

    def interrupted_call(self, image, boxes, **options):
        if (out / "0.overlay.png").exists():
            raise KeyboardInterrupt
        return call(self, image, boxes)

    monkeypatch.setattr(predictor.Predictor, "__call__", interrupted_call)
    assert predict(*images, "--weights", spot_weights, "--out", out) == 130
    assert len(read_listing(out)["images"]) == 1
    # A complete listing is not replaced by an incomplete one.
    monkeypatch.setattr(predictor.Predictor, "__call__", call)
    assert predict(*images, "--weights", spot_weights, "--out", out) == 0
    monkeypatch.setattr(predictor.Predictor, "__call__", interrupted_call)
    (out / "0.overlay.png").unlink()
    capsys.readouterr()
    assert predict(*images, "--weights", spot_weights, "--out", out) == 130
    partial = out / "predictions.partial.json"
    error = capsys.readouterr().err
    assert str(partial) in error and "1 of 3" in error
    assert len(read_listing(out)["images"]) == 3
    assert len(json.loads(partial.read_text())["images"]) == 1


def test_a_folder_that_cannot_be_written(spot_weights, tmp_path, capsys, write_spots):
    image = write_spots(tmp_path / "x.png")
    blocked = tmp_path / "file"
    blocked.touch()
    for out in (blocked, blocked / "below"):
        assert predict(image, "--weights", spot_weights, "--out", out) == 1
        error = capsys.readouterr().err
        assert str(out) in error and "--out" in error


def test_missing_weights(tmp_path, capsys, write_spots):
    assert predict(write_spots(tmp_path / "x.png"), "--weights", "nowhere.safetensors", "--out", tmp_path / "out") == 1
    assert "nowhere.safetensors" in capsys.readouterr().err


@pytest.mark.parametrize("box", ["1,2,3", "1,2,3,x", "1,2,0,4", "1,2,nan,4", "1,2,inf,4"])
def test_an_invalid_box_is_refused(box, capsys):
    with pytest.raises(SystemExit, match="2"):
        predict("x.png", "--weights", "w", f"--box={box}")
    assert "--box" in capsys.readouterr().err.splitlines()[-1]


def test_scores_below_the_minimum_are_not_drawn(spot_weights, tmp_path, write_spots):
    image = write_spots(tmp_path / "x.png")
    assert predict(image, "--weights", spot_weights, "--min-score", "1", "--out", tmp_path / "out") == 0
    np.testing.assert_array_equal(read_image(tmp_path / "out" / "x.overlay.png"), read_image(image))
    assert len(read_listing(tmp_path / "out")["annotations"][0]["keypoints"]) == 9


@pytest.mark.parametrize("score", ["nan", "2", "-0.1"])
def test_an_invalid_minimum_score_is_refused(score, capsys):
    with pytest.raises(SystemExit, match="2"):
        predict("x.png", "--min-score", score)
    assert "--min-score" in capsys.readouterr().err.splitlines()[-1]


def test_help_shows_examples(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--help"], prog="posekit predict")
    text = capsys.readouterr().out
    assert "posekit predict runner.jpg --weights" in text
    assert "predictions.json" in text


def test_real_images_through_a_real_model(real_data, tmp_path, capsys):
    model = StackedHourglass(joints=16, stacks=1, features=8, depth=2)
    info = ModelInfo(MPII16, 64, stacks=1, features=8, depth=2, head="sigmoid", mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
    save_weights(tmp_path / "w.safetensors", model, info)
    paths = sorted((real_data / "mpii" / "images").glob("*.jpg"))[:3]
    options = ["--weights", tmp_path / "w.safetensors", "--min-score", 0, "--out", tmp_path / "out"]
    assert predict(*paths, *options) == 0
    content = read_listing(tmp_path / "out")
    for path, image, person in zip(paths, content["images"], content["annotations"], strict=True):
        height, width = read_image(path).shape[:2]
        assert (image["width"], image["height"]) == (width, height)
        triples = np.reshape(person["keypoints"], (16, 3))
        assert (triples[:, 2] > 0).all()
        # The whole image's box is as large as its longer side.
        side = max(width, height)
        assert np.abs(triples[:, :2] - [width / 2, height / 2]).max() <= side / 2
        assert (read_image(tmp_path / "out" / f"{path.stem}.overlay.png") != read_image(path)).any()
    assert capsys.readouterr().err == ""


def test_damaged_weights(tmp_path, capsys, write_spots):
    (tmp_path / "w.safetensors").write_bytes(b"nothing of use")
    assert predict(write_spots(tmp_path / "x.png"), "--weights", tmp_path / "w.safetensors", "--out", tmp_path / "out") == 1
    error = capsys.readouterr().err
    assert "w.safetensors" in error
    assert len(error.splitlines()) == 1
    assert not (tmp_path / "out").exists()
