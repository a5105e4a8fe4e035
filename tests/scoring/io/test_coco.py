import contextlib
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from pycocotools.coco import COCO

from posekit.data import open_people
from posekit.errors import PredictionsError
from posekit.scoring.io.coco import image_ids
from posekit.scoring.io.files import read_predictions, stated_base, write_predictions
from posekit.scoring.io.predictions import Predictions
from posekit.skeletons import COCO17, LSP14

N, K = 3, 14


@pytest.fixture
def people(people_of):
    return people_of("lsp/images/im1007.jpg", "lsp/images/im1007.jpg", "lsp/images/im1001.jpg")


def results(*image_ids, **changes):
    """One result of LSP's 14 joints for each id; joint k of result i is at (i, k), with score 0.5."""
    flat = [[number for k in range(K) for number in (i, k, 0.5)] for i in range(len(image_ids))]
    results = []
    for id_, keypoints in zip(image_ids, flat, strict=True):
        results.append({"image_id": id_, "category_id": 1, "keypoints": keypoints, "score": 0.5, **changes})
    return results


def stored(path, contents):
    path.write_text(json.dumps(contents))
    return path


def read(path, contents, **options):
    return read_predictions(stored(path, contents), skeleton=LSP14, **options)


def test_round_trip(tmp_path, make, people):
    wrote = make()
    wrote.joints[1, 2] = np.nan, 5.0
    wrote.scores[1, 2] = np.nan
    wrote.joints[0, 0] = 0.0  # a corner of the image is no missing joint
    write_predictions(tmp_path / "deep" / "results.json", wrote, people=people)
    read = read_predictions(tmp_path / "deep" / "results.json", skeleton=LSP14)
    wrote.joints[1, 2] = np.nan
    for name in ("joints", "scores", "index"):
        assert_array_equal(getattr(read, name), getattr(wrote, name))
    assert_array_equal(read_predictions(tmp_path / "deep" / "results.json", skeleton=LSP14, people=people).joints, wrote.joints)


def test_what_is_written(tmp_path, make, people):
    wrote = make()
    wrote.joints[1, 2, 1] = np.inf
    wrote.scores[2] = np.nan
    wrote.scores[0, 3] = np.nan
    write_predictions(tmp_path / "results.json", wrote, people=people)
    last, first, second = json.loads((tmp_path / "results.json").read_text())
    assert {name: last[name] for name in ("image_id", "category_id", "index", "image")} == {
        "image_id": 1001,
        "category_id": 1,
        "index": 2,
        "image": "im1001.jpg",
    }
    assert (first["image_id"], second["image_id"]) == (1007, 1007)
    assert last["keypoints"][:3] == [*wrote.joints[0, 0], wrote.scores[0, 0]] and len(last["keypoints"]) == 3 * K
    assert first["keypoints"][6:9] == [0, 0, 0]
    assert last["score"] == pytest.approx(np.nanmean(wrote.scores[0])) and second["score"] == 0
    assert second["keypoints"][2::3] == [0] * K


def test_no_people(tmp_path, make, people):
    write_predictions(tmp_path / "none.json", make().select(np.array([], int)), people=people)
    assert json.loads((tmp_path / "none.json").read_text()) == []
    assert len(read_predictions(tmp_path / "none.json", skeleton=LSP14, people=people.select(np.array([], int)))) == 0


@pytest.mark.parametrize(
    ("images", "ids"),
    [
        (["a/000000000785.jpg", "a/000000040083.jpg", "a/000000000785.jpg"], [785, 40083, 785]),
        (["COCO_val2014_000000000785.jpg", "COCO_val2014_000000000042.jpg"], [785, 42]),
        (["b7.jpg", "a7.jpg", "b7.jpg"], [0, 1, 0]),
        (["left.jpg", "3.jpg", "left.jpg"], [0, 1, 0]),
        (["train/5.jpg", "valid/5.jpg"], [0, 1]),
        (["12345678901234567890123.jpg", "1.jpg"], [678901234567890123, 1]),
        ([], []),
    ],
)
def test_image_ids(people_of, images, ids):
    assert image_ids(people_of(*images)).tolist() == ids


def test_the_annotations_image_ids_go_before_numbers_in_file_names(tmp_path, make, people_of):
    people = replace(people_of("frame_0012.jpg", "frame_0013.jpg", "frame_0012.jpg"), image_ids=np.array([1, 2, 1]))
    assert image_ids(people).tolist() == [1, 2, 1]
    write_predictions(tmp_path / "own.json", make(), people=people)
    assert [result["image_id"] for result in json.loads((tmp_path / "own.json").read_text())] == [1, 1, 2]
    assert read(tmp_path / "foreign.json", results(1, 2, 1), people=people).index.tolist() == [0, 1, 2]


def test_results_in_the_annotations_order(tmp_path, people):
    read_back = read(tmp_path / "r.json", results(1007, 1007, 1001), people=people)
    assert read_back.index.tolist() == [0, 1, 2] and read_back.joints[2, 5].tolist() == [2, 5] and read_back.scores[0, 0] == 0.5
    named = results("im1007.jpg", "im1007.jpg", "im1001.jpg")
    assert_array_equal(read(tmp_path / "r.json", named, people=people).joints, read_back.joints)


def test_results_without_index_must_be_in_order(tmp_path, people):
    with pytest.raises(PredictionsError, match=r"r\.json: .*'index'"):
        read(tmp_path / "r.json", results(1007, 1007, 1001))
    with pytest.raises(PredictionsError, match=r"r\.json: 2 .* 3 .*lsp test.*'index'"):
        read(tmp_path / "r.json", results(1007, 1001), people=people)
    with pytest.raises(PredictionsError, match=r"result 1 .*1001.* person 1 of lsp test .*im1007\.jpg.* 1007\b"):
        read(tmp_path / "r.json", results(1007, 1001, 1007), people=people)
    with pytest.raises(PredictionsError, match=r"result 0 .*None"):
        read(tmp_path / "r.json", [{**one, "image_id": None} for one in results(1, 2, 3)], people=people)


def test_an_index_needs_no_order(tmp_path, people):
    own = [{**one, "index": place} for one, place in zip(results(5, 6), (2, 0), strict=True)]
    assert read(tmp_path / "r.json", own).index.tolist() == [2, 0]
    assert read(tmp_path / "r.json", own, people=people).index.tolist() == [2, 0]


def test_an_index_into_other_people_is_refused(tmp_path, make, people):
    write_predictions(tmp_path / "r.json", make(), people=people)
    first = people.select(np.arange(2))
    assert len(read_predictions(tmp_path / "r.json", skeleton=LSP14, people=first)) == 3  # `score` reports the third
    others = people.select(np.array([2, 0, 1]))
    with pytest.raises(PredictionsError, match=r"person 2 of lsp test .*im1007\.jpg.*im1001\.jpg"):
        read_predictions(tmp_path / "r.json", skeleton=LSP14, people=others)


@pytest.mark.parametrize("index", [True, 1.0, "1", None, 2**70, [1]])
def test_an_index_that_is_not_a_whole_number(tmp_path, index):
    contents = [{**one, "index": place} for one, place in zip(results(1, 2), (0, index), strict=True)]
    with pytest.raises(PredictionsError, match=r"r\.json: index: .*result 1$"):
        read(tmp_path / "r.json", contents)


def test_an_index_that_occurs_twice(tmp_path):
    with pytest.raises(PredictionsError, match=r"r\.json: index: .* 7 .*; 1 "):
        read(tmp_path / "r.json", results(1, 2, index=7))


def test_the_base_is_the_formats(tmp_path):
    path = stored(tmp_path / "r.json", results(1, index=0))
    assert stated_base(path) == 0
    assert_array_equal(read_predictions(path, base=0, skeleton=LSP14).joints, read_predictions(path, skeleton=LSP14).joints)
    with pytest.raises(PredictionsError, match=r"r\.json: .*base 0\b.*base 1\b"):
        read_predictions(path, base=1, skeleton=LSP14)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "JSON"),
        ('[{"image_id": 1, "keypoi', "JSON"),
        ("[" * 100_000, "JSON"),
        ("\udcff", "JSON"),
        ('{"annotations": []}', "COCO results"),
        ("[[1, 2, 3]]", "COCO results"),
        ('[{"image_id": 1, "index": 0}]', "keypoints: .* 42 .* 14 .*lsp14.* none in result 0"),
        ('[{"index": 0, "keypoints": [1, 2, 3]}]', "keypoints: .* 42 .* 3 numbers in result 0"),
    ],
)
def test_files_that_are_not_results(tmp_path, text, message):
    path = tmp_path / "bad.json"
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(PredictionsError, match=message) as error:
        read_predictions(path, skeleton=LSP14)
    assert str(error.value).startswith(str(path)) and "\n" not in str(error.value)


@pytest.mark.parametrize("wrong", ["x", {}, [1], 10**400])
def test_keypoints_that_are_not_numbers(tmp_path, wrong):
    one, two = results(1, 2)
    two["keypoints"][4] = wrong
    with pytest.raises(PredictionsError, match=r"r\.json: keypoints: .*numbers"):
        read(tmp_path / "r.json", [{**one, "index": 0}, {**two, "index": 1}])


def test_null_and_three_zeros_are_joints_that_were_not_predicted(tmp_path):
    (one,) = results(1, index=0)
    one["keypoints"][:6] = [None, 3.0, 0.5, 0, 0, 0]
    joints = read(tmp_path / "r.json", [one]).joints[0]
    assert np.isnan(joints[0, 0]) and np.isnan(joints[1]).all() and np.isfinite(joints[2:]).all()


def test_pycocotools_reads_the_results(tmp_path, real_data):
    people = open_people("coco", real_data / "coco" / "test_coco.json")
    wrote = Predictions(people.joints, np.ones(people.labelled.shape), np.arange(len(people)), COCO17)
    write_predictions(tmp_path / "results.json", wrote, people=people)
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(real_data / "coco" / "test_coco.json"))
        found = truth.loadRes(str(tmp_path / "results.json"))
    annotated = {tuple(a["keypoints"][0::3]): a["image_id"] for a in truth.anns.values() if a["num_keypoints"]}
    assert {tuple(a["keypoints"][0::3]): a["image_id"] for a in found.anns.values()} == annotated
    assert len(annotated) == len(people) == 12


def test_the_published_hourglass_predictions_through_json(tmp_path, real_data):
    people = open_people("mpii", real_data / "mpii", "valid")
    wrote = read_predictions(real_data / "mpii" / "predictions" / "valid-ours.h5", base=1)
    write_predictions(tmp_path / "results.json", wrote, people=people)
    read = read_predictions(tmp_path / "results.json", people=people)
    assert_array_equal(read.joints, wrote.joints)
    contents = json.loads((tmp_path / "results.json").read_text())
    assert len({result["image_id"] for result in contents}) == 2729 and contents[0]["image"] == "005808361.jpg"
    for result in contents:
        del result["index"], result["image"]
    (tmp_path / "plain.json").write_text(json.dumps(contents))
    assert_array_equal(read_predictions(tmp_path / "plain.json", people=people).joints, wrote.joints)
