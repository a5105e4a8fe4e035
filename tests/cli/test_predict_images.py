"""Inputs of `posekit predict`: files, folders, patterns, boxes and large images."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from posekit.cli.predict import main
from posekit.cli.predict.images import find_images
from posekit.errors import ConfigError, ImageError
from posekit.images import read_image


def names(paths):
    return [path.name for path in paths]


def touch(folder, *files):
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_a_folder_gives_its_images_in_natural_order(tmp_path):
    touch(tmp_path, "a10.JPG", "a9.jpg", "b.png", ".hidden.jpg", "notes.txt", "below/c.jpg", "film.mp4", "iphone.heic")
    touch(tmp_path, "a9.overlay.png", "a9.person-1.crop.png", "a9.person-1.heatmaps.png")
    (tmp_path / "folder.jpg").mkdir()
    assert names(find_images([str(tmp_path)])) == ["a9.jpg", "a10.JPG", "b.png", "iphone.heic"]


def test_patterns_are_expanded(tmp_path):
    touch(tmp_path, "x/1.jpg", "x/y/10.jpg", "x/y/2.jpg", "x/y/2.txt")
    assert names(find_images([f"{tmp_path}/x/**/*.jpg"])) == ["1.jpg", "2.jpg", "10.jpg"]
    assert names(find_images([f"{tmp_path}/x/y/?.*"])) == ["2.jpg", "2.txt"]
    with pytest.raises(ImageError, match=r"\*\.webp"):
        find_images([f"{tmp_path}/*.webp"])


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(tmp_path):
    touch(tmp_path, "shot[1].jpg", "shot1.jpg")
    assert names(find_images([str(tmp_path / "shot[1].jpg")])) == ["shot[1].jpg"]


def test_a_file_given_twice_is_listed_once(tmp_path):
    touch(tmp_path, "b.jpg", "a.jpg")
    assert names(find_images([str(tmp_path / "b.jpg"), str(tmp_path)])) == ["b.jpg", "a.jpg"]


def test_the_error_of_a_folder_without_images_gives_the_pattern_for_subfolders(tmp_path):
    touch(tmp_path, "below/a.jpg")
    with pytest.raises(ImageError, match=re.escape(f"{tmp_path}/**/*.jpg")):
        find_images([str(tmp_path)])


def test_a_folder_that_cannot_be_read(tmp_path, monkeypatch):
    def refuse(self):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(ImageError, match=f"{re.escape(str(tmp_path))}.*Permission denied"):
        find_images([str(tmp_path)])


@pytest.mark.parametrize("url", ["http://example.org/a.jpg", "HTTPS://example.org/a.jpg", "s3://bucket/a.jpg", "rtsp://camera"])
def test_urls_are_refused_before_any_work(url, tmp_path, capsys):
    with pytest.raises(ConfigError, match=re.escape(url)):
        find_images([str(tmp_path), url])
    assert main([url, "--weights", "nowhere.safetensors", "--out", str(tmp_path / "out")], prog="posekit predict") == 2
    assert url in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.fixture
def predict(predict, tmp_path):
    """Run the command with the spots' model; returns the exit status and the contents of predictions.json."""

    def predict_and_read(*arguments):
        status = predict(*arguments)
        listing = tmp_path / "out" / "predictions.json"
        return status, json.loads(listing.read_text()) if listing.exists() else None

    return predict_and_read


def keypoints(person):
    return np.reshape(person["keypoints"], (-1, 3))[:, :2]


def test_paths_with_spaces_and_any_letters(predict, write_spots, tmp_path):
    image = write_spots(tmp_path / "mes été" / "Läufer № 7 跑步者.png")
    status, content = predict(image.parent, "--save", "json,overlay,heatmaps,crops")
    assert status == 0
    assert content["images"][0]["file_name"] == str(image)
    assert sorted(path.name for path in (tmp_path / "out").glob("*.png")) == [
        "Läufer № 7 跑步者.overlay.png", "Läufer № 7 跑步者.person-1.crop.png", "Läufer № 7 跑步者.person-1.heatmaps.png",
    ]  # fmt: skip


def test_coordinates_are_those_of_the_image_as_shown(predict, write_spots, spots, tmp_path):
    upright = Image.open(write_spots(tmp_path / "upright.png"))
    exif = Image.Exif()
    exif[0x0112] = 6  # shown, it is turned clockwise: what is stored was turned the other way
    upright.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.jpg", exif=exif, quality=95)
    status, content = predict(tmp_path / "turned.jpg", "--box=30,30,105,105")
    assert status == 0
    assert (content["images"][0]["width"], content["images"][0]["height"]) == (200, 150)
    assert np.abs(keypoints(content["annotations"][0]) - spots).max() <= 1
    assert read_image(tmp_path / "out" / "turned.overlay.png").shape == (150, 200, 3)


@pytest.mark.parametrize("size", [(1, 1), (1, 90), (2, 1)])
def test_the_smallest_images(predict, size, tmp_path):
    Image.new("RGB", size, (90, 0, 0)).save(tmp_path / "small.png")
    status, content = predict(tmp_path / "small.png", "--save", "json,overlay,heatmaps,crops")
    assert status == 0
    assert (content["images"][0]["width"], content["images"][0]["height"]) == size
    assert read_image(tmp_path / "out" / "small.person-1.crop.png").shape == (*size[::-1], 3)


def test_each_image_has_its_own_boxes_from_a_file(predict, write_spots, spots, tmp_path, capsys):
    images = [write_spots(tmp_path / "in" / f"{number:012d}.png", spots - 2 * number) for number in range(3)]
    boxes = tmp_path / "boxes.json"
    results = [
        {"file_name": images[2].name, "category_id": 1, "bbox": [30, 30, 105, 105], "score": 0.9},
        {"file_name": images[0].name, "category_id": 1, "bbox": [32, 30, 105, 105], "score": 0.7},
        {"file_name": images[0].name, "category_id": 1, "bbox": [31, 30, 105, 105], "score": 0.6},
        {"file_name": images[1].name, "category_id": 1, "bbox": [31, 30, 105, 105], "score": 0.4},
    ]
    boxes.write_text(json.dumps(results))
    status, content = predict(images[0].parent, "--boxes", boxes)
    assert status == 0
    assert [image["file_name"] for image in content["images"]] == list(map(str, images))
    assert [person["image_id"] for person in content["annotations"]] == [1, 1, 3]
    # Wider by a quarter: 13.125 to each side.
    assert [person["box"][0] for person in content["annotations"]] == [18.875, 17.875, 16.875]
    assert np.abs(keypoints(content["annotations"][2]) - (spots - 4)).max() <= 1
    status, content = predict(images[0].parent, "--boxes", boxes, "--min-box-score", 0.65)
    assert [person["image_id"] for person in content["annotations"]] == [1, 3]


def test_an_invalid_file_of_boxes_stops_before_any_work(predict, write_spots, tmp_path, capsys):
    image = write_spots(tmp_path / "x.png")
    (tmp_path / "boxes.csv").write_text("image,x,y,w,h\nx.png,1,2,3,much\n")
    assert predict(image, "--boxes", tmp_path / "boxes.csv") == (1, None)
    error = capsys.readouterr().err
    assert "boxes.csv: line 2" in error and "much" in error
    assert not (tmp_path / "out").exists()


def test_box_and_boxes_exclude_each_other(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["x.png", "--weights", "w", "--box", "1,2,3,4", "--boxes", "b.csv"])
    assert "--boxes" in capsys.readouterr().err


@pytest.mark.parametrize("ending", ["jpg", "png"])
def test_large_images_are_read_at_a_sufficient_smaller_size(predict, write_spots, spots, tmp_path, monkeypatch, ending):
    truth = 8 * spots + 3.5
    image = write_spots(tmp_path / f"large.{ending}", truth, 1200, 1600, sigma=32.0)
    options = (image, "--box", "240,240,840,840", "--decode", "dark")
    _, full_size = predict(*options)
    monkeypatch.setattr("posekit.images.LARGE", 200_000)
    monkeypatch.setattr("posekit.cli.predict.images.LARGE", 200_000)
    status, content = predict(*options)
    assert status == 0
    assert content["images"] == full_size["images"]
    assert (content["images"][0]["width"], content["images"][0]["height"]) == (1600, 1200)
    (person,) = content["annotations"]
    assert person["box"] == pytest.approx([135, 135, 1050, 1050])
    assert np.abs(keypoints(person) - truth).max() < 0.1
    assert np.abs(keypoints(full_size["annotations"][0]) - truth).max() < 0.1
    # 1,050 pixels for a crop of 128: a quarter of them is enough.
    assert read_image(tmp_path / "out" / "large.overlay.png").shape == (300, 400, 3)


def test_large_images_with_small_people_are_read_at_full_size(predict, write_spots, spots, tmp_path, monkeypatch):
    monkeypatch.setattr("posekit.images.LARGE", 20_000)
    monkeypatch.setattr("posekit.cli.predict.images.LARGE", 20_000)
    status, content = predict(write_spots(tmp_path / "x.png"), "--box=30,30,105,105", "--save", "json,overlay,crops")
    assert status == 0
    assert np.abs(keypoints(content["annotations"][0]) - spots).max() <= 1
    assert read_image(tmp_path / "out" / "x.overlay.png").shape == (75, 100, 3)
    assert read_image(tmp_path / "out" / "x.person-1.crop.png").shape == (133, 133, 3)


def test_real_detections_are_matched_to_their_images(real_data, predict):
    folder = real_data / "coco"
    status, content = predict(folder, "--boxes", folder / "test_coco_det_AP_H_56.json", "--min-box-score", 0.9)
    assert status == 0
    scores = [entry["score"] for entry in json.loads((folder / "test_coco_det_AP_H_56.json").read_text())]
    assert len(content["annotations"]) == sum(score >= 0.9 for score in scores)
    assert [Path(image["file_name"]).name for image in content["images"]] == [
        "000000000785.jpg", "000000040083.jpg", "000000196141.jpg", "000000197388.jpg",
    ]  # fmt: skip
