"""Detectors' files: what is read of them, and how wrong ones are told."""

import json
from pathlib import Path

import pytest

from posekit.errors import DataError
from posekit.geometry import Box
from posekit.scoring.io.boxes import FoundBox, boxes_of, read_boxes

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
    assert read_boxes(write(tmp_path / "d.json", [result()])) == [FoundBox("000000000785.jpg", BOX, 0.75)]


def test_results_are_named_by_the_annotation_beside_them(tmp_path):
    write(tmp_path / "annotation.json", {"images": [{"id": 785, "file_name": "val/a.jpg"}, {"id": 3, "file_name": "b.jpg"}]})
    write(tmp_path / "other.json", {"images": [{"id": 4, "file_name": "c.jpg"}]})
    write(tmp_path / "broken.json", "{")
    assert [found.image for found in read_boxes(write(tmp_path / "d.json", [result()]))] == ["val/a.jpg"]
    write(tmp_path / "contrary.json", {"images": [{"id": 785, "file_name": "z.jpg"}]})
    assert "annotation.json, contrary.json beside it name the images differently" in message(tmp_path / "d.json")


def test_entries_may_name_the_file_themselves(tmp_path):
    entries = [result(file_name="a.jpg"), {"image_id": "b.jpg", "bbox": BBOX}]
    assert read_boxes(write(tmp_path / "d.json", entries)) == [FoundBox("a.jpg", BOX, 0.75), FoundBox("b.jpg", BOX, 1.0)]


def test_people_alone_of_at_least_the_score(tmp_path):
    entries = [result(), result(category_id=17), result(score=0.2), result(score=0.5)]
    assert [found.score for found in read_boxes(write(tmp_path / "d.json", entries), min_score=0.5)] == [0.75, 0.5]


def test_an_annotation_has_boxes_too(tmp_path):
    annotation = {
        "images": [{"id": 1, "file_name": "a.jpg"}],
        "categories": [{"id": 7, "name": "person"}, {"id": 1, "name": "horse"}],
        "annotations": [{"image_id": 1, "category_id": 7, "bbox": BBOX}, {"image_id": 1, "category_id": 1, "bbox": BBOX}],
    }
    assert read_boxes(write(tmp_path / "d.json", annotation)) == [FoundBox("a.jpg", BOX, 1.0)]


def test_a_table(tmp_path):
    text = '\ufeffimage,x,y,w,h,score,note\n"a, b.jpg",10,20,30,40,0.5,x\nc.jpg,10,20,30,40,,\n'
    assert read_boxes(write(tmp_path / "d.CSV", text)) == [FoundBox("a, b.jpg", BOX, 0.5), FoundBox("c.jpg", BOX, 1.0)]
    assert read_boxes(write(tmp_path / "e.csv", "image,x,y,w,h\na.jpg,10,20,30,40\n")) == [FoundBox("a.jpg", BOX, 1.0)]


@pytest.mark.parametrize(
    "content, told",
    [
        ("[1", "not JSON that can be read"),
        ("3", "expected COCO detection results"),
        ('[{"bbox": 1}, 2]', "expected COCO detection results"),
        ({"images": []}, "expected COCO detection results"),
        ([result(), result(bbox=[1, 2, 3])], "entry 1: bbox: expected x, y, width, height, got [1, 2, 3]"),
        ([result(bbox=[1, 2, "three", 4])], "entry 0: expected numbers"),
        ([result(bbox=[1, 2, None, 4])], "entry 0: expected numbers"),
        ([result(bbox=[1, 2, 10**400, 4])], "entry 0: expected numbers"),
        ([result(bbox=[1, 2, 0, 4])], "entry 0: box 1,2,0,4 has no area"),
        ([result(bbox=[1, float("nan"), 3, 4])], "entry 0: box with centre"),
        ([result(score=float("nan"))], "entry 0: score: expected a number, got nan"),
        ([result(image_id=None)], "entry 0: expected an image_id (a number) or a file_name, got None"),
        ([result(image_id=-4)], "entry 0: expected an image_id"),
        ([result(file_name="")], "entry 0: no image named"),
    ],
)
def test_wrong_json_names_the_entry(tmp_path, content, told):
    assert message(write(tmp_path / "d.json", content)).startswith(told)


@pytest.mark.parametrize(
    "content, told",
    [
        ("", "line 1: expected a CSV table that begins with image,x,y,w,h"),
        ("image;x;y;w;h\n", "line 1: expected a CSV table that begins with image,x,y,w,h"),
        ("image,x,y,w\n", "line 1: expected"),
        ("image,x,y,w,h\na.jpg,1,2,3,4\na.jpg,1,2,three,4\n", "line 3: expected numbers"),
        ("image,x,y,w,h\na.jpg,1,2,3\n", "line 2: expected numbers"),
        ("image,x,y,w,h\n,1,2,3,4\n", "line 2: no image named"),
        ("image,x,y,w,h\na.jpg,1,2,3,-4\n", "line 2: box 1,2,3,-4 has no area"),
        ('image,x,y,w,h\n"a.jpg"b,1,2,3,4\n', "after line 1: not CSV that can be read"),
    ],
)
def test_wrong_tables_name_the_line(tmp_path, content, told):
    assert message(write(tmp_path / "d.csv", content)).startswith(told)


def test_files_that_cannot_be_read(tmp_path):
    assert message(tmp_path / "gone.json") == "no such file with boxes"
    assert message(tmp_path / "d.xml").startswith("boxes are read from .json")
    (tmp_path / "d.json").mkdir()
    assert message(tmp_path / "d.json") == "cannot be read (Is a directory)"
    (tmp_path / "d.csv").write_bytes(b"\xff\xfe\x00")
    assert message(tmp_path / "d.csv").startswith("cannot be read")


def found(*images):
    return [FoundBox(image, Box((place, 0), 10), 1.0) for place, image in enumerate(images)]


def places(photographs, boxes):
    return [[box.centre[0] for box in theirs] for theirs in boxes_of(list(map(Path, photographs)), boxes, "d.csv")]


def test_boxes_belong_to_the_photograph_of_their_name():
    assert places(["in/a.jpg", "in/b.jpg", "c.jpg"], found("b.jpg", "a.jpg", "B.jpg", "in/b.jpg")) == [[1], [0, 3], []]


def test_folders_in_names_tell_photographs_apart():
    photographs = ["one/a.jpg", "two/a.jpg"]
    assert places(photographs, found("two/a.jpg", r"one\a.jpg", "two/a.jpg", "three/a.jpg")) == [[1], [0, 2]]
    with pytest.raises(DataError, match=r"d\.csv: a\.jpg may be one/a\.jpg or two/a\.jpg"):
        places(photographs, found("a.jpg"))


def test_boxes_of_other_photographs_alone_are_an_error():
    with pytest.raises(DataError, match=r"no box belongs to one of the 1 photographs \(its first is in z\.jpg\)"):
        places(["a.jpg"], found("z.jpg"))
    with pytest.raises(DataError, match="no box in it scores enough"):
        places(["a.jpg"], [])


def test_real_detections(real_data):
    boxes = read_boxes(real_data / "coco" / "test_coco_det_AP_H_56.json")
    assert len(boxes) == 118
    # As test_coco.json beside it names the images.
    assert {found.image for found in boxes} == {f"{number:012d}.jpg" for number in (785, 40083, 196141, 197388)}
    assert boxes[0].box == Box.from_xywh(277.1183158543966, 45.699667786163765, 225.09126579259754, 333.5602652943344)
