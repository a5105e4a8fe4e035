"""Boxes from detectors' files, and the errors of wrong files."""

import json
import re
from pathlib import Path

import pytest

from posekit.errors import DataError
from posekit.geometry import Box
from posekit.scoring.io.boxes import DetectedBox, boxes_of, read_boxes

BBOX = [10, 20, 30, 40]
BOX = Box.from_xywh(*BBOX)


def write(path, content):
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def result(**changes):
    return {"image_id": 785, "category_id": 1, "bbox": BBOX, "score": 0.75} | changes


def message(path, **options):
    with pytest.raises(DataError) as caught:
        read_boxes(path, **options)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(str(path))
    return str(caught.value).removeprefix(f"{path}: ")


def test_results_are_named_as_coco_names_its_files(tmp_path):
    assert read_boxes(write(tmp_path / "d.json", [result()])) == [DetectedBox("000000000785.jpg", BOX, 0.75)]


def test_results_are_named_by_the_annotation_beside_them(tmp_path):
    write(tmp_path / "annotation.json", {"images": [{"id": 785, "file_name": "val/a.jpg"}, {"id": 3, "file_name": "b.jpg"}]})
    write(tmp_path / "other.json", {"images": [{"id": 4, "file_name": "c.jpg"}]})
    write(tmp_path / "broken.json", "{")
    assert [found.image for found in read_boxes(write(tmp_path / "d.json", [result()]))] == ["val/a.jpg"]
    write(tmp_path / "contrary.json", {"images": [{"id": 785, "file_name": "z.jpg"}]})
    assert "annotation.json, contrary.json" in message(tmp_path / "d.json")


def test_entries_may_name_the_file_themselves(tmp_path):
    entries = [result(file_name="a.jpg"), {"image_id": "b.jpg", "bbox": BBOX}]
    assert read_boxes(write(tmp_path / "d.json", entries)) == [DetectedBox("a.jpg", BOX, 0.75), DetectedBox("b.jpg", BOX, 1.0)]


def test_people_alone_of_at_least_the_score(tmp_path):
    entries = [result(), result(category_id=17), result(score=0.2), result(score=0.5)]
    assert [found.score for found in read_boxes(write(tmp_path / "d.json", entries), min_score=0.5)] == [0.75, 0.5]


def test_an_annotation_has_boxes_too(tmp_path):
    annotation = {
        "images": [{"id": 1, "file_name": "a.jpg"}],
        "categories": [{"id": 7, "name": "person"}, {"id": 1, "name": "horse"}],
        "annotations": [{"image_id": 1, "category_id": 7, "bbox": BBOX}, {"image_id": 1, "category_id": 1, "bbox": BBOX}],
    }
    assert read_boxes(write(tmp_path / "d.json", annotation)) == [DetectedBox("a.jpg", BOX, 1.0)]


def test_a_table(tmp_path):
    text = '\ufeffimage,x,y,w,h,score,note\n"a, b.jpg",10,20,30,40,0.5,x\nc.jpg,10,20,30,40,,\n'
    assert read_boxes(write(tmp_path / "d.CSV", text)) == [DetectedBox("a, b.jpg", BOX, 0.5), DetectedBox("c.jpg", BOX, 1.0)]
    assert read_boxes(write(tmp_path / "e.csv", "image,x,y,w,h\na.jpg,10,20,30,40\n")) == [DetectedBox("a.jpg", BOX, 1.0)]


@pytest.mark.parametrize(
    "content, expected",
    [
        ("[1", "JSON"),
        ("3", "COCO detection results"),
        ('[{"bbox": 1}, 2]', "COCO detection results"),
        ({"images": []}, "COCO detection results"),
        ([result(), result(bbox=[1, 2, 3])], r"^entry 1: bbox: .*\[1, 2, 3\]$"),
        ([result(bbox=[1, 2, "three", 4])], "^entry 0: .*numbers.*three"),
        ([result(bbox=[1, 2, None, 4])], "^entry 0: .*numbers"),
        ([result(bbox=[1, 2, 10**400, 4])], "^entry 0: .*numbers"),
        ([result(bbox=[1, 2, 0, 4])], "^entry 0: .*1,2,0,4"),
        ([result(bbox=[1, float("nan"), 3, 4])], "^entry 0: box"),
        ([result(score=float("nan"))], "^entry 0: score: .*nan"),
        ([result(image_id=None)], "^entry 0: .*image_id.*None"),
        ([result(image_id=-4)], "^entry 0: .*image_id.*-4"),
        ([result(file_name="")], "^entry 0: .*image"),
    ],
)
def test_wrong_json_names_the_entry(tmp_path, content, expected):
    assert re.search(expected, message(write(tmp_path / "d.json", content)))


@pytest.mark.parametrize(
    "content, expected",
    [
        ("", "^line 1: .*image,x,y,w,h"),
        ("image;x;y;w;h\n", "^line 1: .*image,x,y,w,h.*image;x;y;w;h"),
        ("image,x,y,w\n", "^line 1: "),
        ("image,x,y,w,h\na.jpg,1,2,3,4\na.jpg,1,2,three,4\n", "^line 3: .*numbers.*three"),
        ("image,x,y,w,h\na.jpg,1,2,3\n", "^line 2: .*numbers"),
        ("image,x,y,w,h\n,1,2,3,4\n", "^line 2: .*image"),
        ("image,x,y,w,h\na.jpg,1,2,3,-4\n", "^line 2: .*1,2,3,-4"),
        ('image,x,y,w,h\n"a.jpg"b,1,2,3,4\n', "line 1: .*CSV"),
    ],
)
def test_wrong_tables_name_the_line(tmp_path, content, expected):
    assert re.search(expected, message(write(tmp_path / "d.csv", content)))


def test_files_that_cannot_be_read(tmp_path):
    assert "no such file" in message(tmp_path / "gone.json")
    assert re.search(r"\.json .*\.csv ", message(tmp_path / "d.xml"))
    (tmp_path / "d.json").mkdir()
    assert "Is a directory" in message(tmp_path / "d.json")
    (tmp_path / "d.csv").write_bytes(b"\xff\xfe\x00")
    assert "0xff" in message(tmp_path / "d.csv")


def boxes_in(*images):
    """A box in each image, whose centre is at x = 0, 1, 2 …"""
    return [DetectedBox(image, Box((x, 0), 10), 1.0) for x, image in enumerate(images)]


def matched(images, boxes):
    """The boxes' x for each image."""
    boxes_by_image = boxes_of([Path(image) for image in images], boxes, "d.csv")
    return [[box.centre[0] for box in image_boxes] for image_boxes in boxes_by_image]


def test_boxes_are_matched_to_images_by_name():
    assert matched(["in/a.jpg", "in/b.jpg", "c.jpg"], boxes_in("b.jpg", "a.jpg", "B.jpg", "in/b.jpg")) == [[1], [0, 3], []]


def test_folders_in_names_distinguish_images():
    images = ["one/a.jpg", "two/a.jpg"]
    assert matched(images, boxes_in("two/a.jpg", r"one\a.jpg", "two/a.jpg", "three/a.jpg")) == [[1], [0, 2]]
    with pytest.raises(DataError, match=r"^d\.csv: a\.jpg .*one/a\.jpg .*two/a\.jpg"):
        matched(images, boxes_in("a.jpg"))


def test_boxes_of_other_images_alone_are_an_error():
    with pytest.raises(DataError, match=r"^d\.csv: .* 1 .*z\.jpg"):
        matched(["a.jpg"], boxes_in("z.jpg"))
    with pytest.raises(DataError, match=r"^d\.csv: .* 1 .*score"):
        matched(["a.jpg"], [])


def test_real_detections(real_data):
    boxes = read_boxes(real_data / "coco" / "test_coco_det_AP_H_56.json")
    assert len(boxes) == 118
    # As test_coco.json beside it names the images.
    assert {found.image for found in boxes} == {f"{number:012d}.jpg" for number in (785, 40083, 196141, 197388)}
    assert boxes[0].box == Box.from_xywh(277.1183158543966, 45.699667786163765, 225.09126579259754, 333.5602652943344)
