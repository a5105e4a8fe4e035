from dataclasses import replace

import numpy as np
import pytest

from posekit.data import open_people
from posekit.data.checks import CheckResult, results_table
from posekit.data.checks.check import check
from posekit.images import ImageHeaders
from posekit.people import People
from posekit.skeletons import LSP14, MPII16, Skeleton
from tests.fixtures.people import make_people


def sample_people(n=3, *, skeleton=LSP14, **changes) -> People:
    """Joint k of person i at (10 k + i, 5 k), each person in an image of 200 x 100 pixels."""
    k, i = np.meshgrid(np.arange(float(len(skeleton))), np.arange(n), indexing="xy")
    columns = {
        "name": "coco",
        "split": "all",
        "image_paths": np.array([f"images/{j}.jpg" for j in range(n)], dtype=str),
        "joints": np.stack([10 * k + i, 5 * k], -1),
    }
    return make_people(skeleton=skeleton, **columns | changes)


def headers_of(*parts: People, size=(200, 100)) -> ImageHeaders:
    return ImageHeaders({path: size for people in parts for path in people.image_paths.tolist()})


def result_of(people: People, subject: str, headers: ImageHeaders | None = None, **options) -> CheckResult:
    results = check({"all": people}, headers or headers_of(people), **options)
    (result,) = [result for result in results if result.subject == subject]
    return result


def without(people: People, person: int, *joints: str) -> People:
    labelled = people.labelled.copy()
    labelled[person, [people.skeleton.index(joint) for joint in joints]] = False
    return replace(people, labelled=labelled, visible=people.visible & labelled)


# Counts


@pytest.mark.parametrize(
    ("name", "split", "expected"),
    [("mpii", "train", "22,246"), ("mpii", "valid", "2,958"), ("lsp", "train", "1,000"), ("lsp", "test", "1,000"),
     ("lspet", "train", "10,000"), ("lspet", "all", "10,000"), ("lsp", "all", "2,000")],
)  # fmt: skip
def test_people_are_compared_with_the_published_number(name, split, expected):
    result = result_of(sample_people(name=name, split=split), "people")
    assert result.verdict == "LOOK"
    assert expected in result.message


@pytest.mark.parametrize(("name", "split"), [("coco", "train"), ("mpii", "all"), ("lspet", "random:0.1:0")])
def test_people_are_only_counted_if_no_number_is_published(name, split):
    result = result_of(sample_people(name=name, split=split), "people")
    assert (result.verdict, result.message) == ("OK", "3")


def test_a_rendered_set_need_not_have_the_published_number():
    people = sample_people(name="lspet", split="train")
    assert result_of(people, "people", known_counts=False).verdict == "OK"


def test_the_record_form_of_mpii_holds_exactly_the_people_of_the_splits():
    people = sample_people(name="mpii", skeleton=MPII16, box_source="position and scale of mpii_annotations.json.gz")
    assert "25,204" in result_of(people, "people").message


def test_people_left_out_are_counted_with_the_reason():
    people = replace(sample_people(), left_out={"crowd": 1200, "no labelled joint": 2})
    assert result_of(people, "people").message == "3; left out: 1,200 crowd, 2 no labelled joint"


def test_repeated_people_are_listed():
    people = sample_people(4)
    image_paths = people.image_paths.copy()
    image_paths[[1, 3]] = image_paths[0]
    joints = people.joints.copy()
    joints[3] = joints[0]
    result = result_of(replace(people, image_paths=image_paths, joints=joints), "repeated people")
    assert (result.verdict, result.persons) == ("LOOK", (3,))
    assert result_of(people, "repeated people").verdict == "OK"


# Images


def test_all_images_are_present():
    result = result_of(sample_people(), "images")
    assert (result.verdict, result.message) == ("OK", "3 files, 0 missing, 0 unreadable")


def test_missing_and_unreadable_images_are_listed():
    people = sample_people(7)
    paths = people.image_paths.tolist()
    result = result_of(people, "images", ImageHeaders({paths[6]: (200, 100)}, tuple(paths[:4]), tuple(paths[4:6])))
    assert result.verdict == "BAD"
    assert "4 missing (0.jpg, 1.jpg, 2.jpg …)" in result.message
    assert "2 unreadable (4.jpg, 5.jpg)" in result.message
    assert "6 people" in result.message


def test_missing_images_are_weighed_by_their_people_as_in_training():
    paths = ["many.jpg"] * 60 + [f"{i}.jpg" for i in range(140)]
    people = sample_people(200, image_paths=np.array(paths))
    sizes = {path: (200, 100) for path in paths if path != "many.jpg"}
    assert result_of(people, "images", ImageHeaders(sizes, ("many.jpg",))).verdict == "BAD"  # 1 of 141 images


@pytest.mark.parametrize(("missing", "verdict"), [(1, "LOOK"), (2, "BAD")])
def test_one_missing_image_in_a_hundred_is_tolerated(missing, verdict):
    people = sample_people(100)
    paths = people.image_paths.tolist()
    headers = ImageHeaders(dict.fromkeys(paths[missing:], (200, 100)), tuple(paths[:missing]))
    assert result_of(people, "images", headers).verdict == verdict


def test_missing_images_of_other_splits_do_not_count():
    complete = sample_people(3)
    missing = sample_people(2, image_paths=np.array(["x.jpg", "y.jpg"]))
    headers = ImageHeaders(headers_of(complete).sizes, ("x.jpg", "y.jpg"))
    results = check({"complete": complete, "missing": missing}, headers)
    verdicts = {result.split: result.verdict for result in results if result.subject == "images"}
    assert verdicts == {"complete": "OK", "missing": "BAD"}


def test_headers_are_read_by_default(tmp_path):
    people = sample_people(2, image_paths=np.array([str(tmp_path / "a.jpg"), str(tmp_path / "b.jpg")]))
    (result,) = [result for result in check({"all": people}) if result.subject == "images"]
    assert "2 missing" in result.message


# Joints and their images


@pytest.mark.parametrize(
    ("point", "worst"),
    [((-0.5, 0), None), ((199.5, 99.5), None), ((-0.6, 5), 0.1), ((5, -3), 2.5), ((199.75, 5), 0.25), ((5, 112), 12.5)],
)
def test_a_joint_outside_its_image(point, worst):
    people = sample_people(5)
    people.joints[2, 4] = point
    result = result_of(people, "joints outside")
    if worst is None:
        assert (result.verdict, result.message) == ("OK", "0 of 70 labelled joints (0.0 %)")
    else:
        assert result.verdict == "BAD"  # one in 70 is more than 1 %
        assert result.message.startswith("1 of 70 labelled joints (1.4 %)")
        assert f"left_knee of person 2 (2.jpg), {worst:.1f} px" in result.message
        assert result.persons == (2,)


def test_an_unlabelled_joint_is_not_outside():
    people = sample_people()
    people.joints[0, 4] = 500
    assert result_of(without(people, 0, "left_knee"), "joints outside").verdict == "OK"


def test_a_small_share_of_joints_outside_is_not_bad():
    people = sample_people(50)
    people.joints[7, 4] = 500
    result = result_of(people, "joints outside")
    assert result.verdict == "LOOK"
    assert "1 of 700 labelled joints (0.1 %)" in result.message


def test_only_the_left_and_top_edges_are_known_without_sizes():
    people = sample_people(50)
    people.joints[7, 4] = 500
    people.joints[8, 4] = -10
    result = result_of(people, "joints outside", ImageHeaders({}))
    assert result.verdict == "LOOK"
    assert "1 of 700" in result.message
    assert "left_knee of person 8 (8.jpg), 9.5 px" in result.message
    assert "50 people" in result.message
    assert result_of(sample_people(50), "joints outside", ImageHeaders({})).verdict == "LOOK"


def test_joints_exactly_at_limits():
    people = replace(sample_people(), joints=sample_people().joints + 3)
    people.joints[0, 1] = (0, 7)
    people.joints[0, 2] = (7, 0)
    people.joints[1, 3] = (199, 7)
    people.joints[2, 4] = (7, 99)
    result = result_of(people, "joints at limits")
    assert result.verdict == "OK"
    assert "0 at -1, 2 at 0, 2 at the last pixel" in result.message
    people.joints[2, 5] = (-1, 7)
    result = result_of(people, "joints at limits")
    assert (result.verdict, result.persons) == ("LOOK", (2,))
    assert "1 at -1, 2 at 0" in result.message


# Reference sizes


def subjects_of(people: People) -> list[str]:
    return [result.subject for result in check({"all": people}, headers_of(people))]


def test_people_without_a_head_box():
    head_sizes = np.array([20.0, np.nan, 20.0])
    mpii = sample_people(name="mpii", skeleton=MPII16, head_sizes=head_sizes)
    result = result_of(mpii, "head boxes")
    assert (result.verdict, result.persons) == ("LOOK", (1,))
    assert "1 of 3 people" in result.message
    assert result_of(replace(mpii, head_sizes=np.full(3, 20.0)), "head boxes").verdict == "OK"
    assert result_of(replace(mpii, head_sizes=np.array([20.0, 0.0, 20.0])), "head boxes").persons == (1,)


def test_head_boxes_are_checked_where_scoring_uses_them_and_torsos_elsewhere():
    head_sizes = np.array([20.0, np.nan, 20.0])
    for people in (sample_people(name="mpii", skeleton=MPII16, head_sizes=head_sizes), sample_people(head_sizes=head_sizes)):
        assert "head boxes" in subjects_of(people)
        assert "torsos" not in subjects_of(people)
    headless = sample_people(name="mpii", skeleton=MPII16)
    assert "detections_our_format.mat" in result_of(headless, "head boxes").message
    assert result_of(headless, "torsos").verdict == "OK"


def test_people_without_a_torso():
    people = without(without(sample_people(), 0, "left_shoulder"), 2, "right_hip")
    result = result_of(people, "torsos")
    assert (result.verdict, result.persons) == ("LOOK", (0, 2))
    assert "2 of 3 people lack left_shoulder or right_hip" in result.message
    assert result_of(without(sample_people(), 0, "right_shoulder"), "torsos").verdict == "OK"


def test_a_skeleton_without_a_torso():
    cats = sample_people(skeleton=Skeleton("cat", ("nose", "tail", "left_hip")))
    result = result_of(cats, "torsos")
    assert result.verdict == "LOOK"
    assert "cat lacks left_shoulder or right_hip" in result.message


# Several splits


def test_an_image_in_two_splits_is_bad():
    train = sample_people(4)
    valid = sample_people(2)
    test = sample_people(3, image_paths=np.array(["a.jpg", "b.jpg", "c.jpg"]))
    results = check({"train": train, "valid": valid, "test": test}, headers_of(train, valid, test))
    apart = {result.split: result for result in results if result.subject == "splits apart"}
    verdicts = {split: result.verdict for split, result in apart.items()}
    assert verdicts == {"train, valid": "BAD", "train, test": "OK", "valid, test": "OK"}
    assert apart["train, valid"].message.startswith("2 images ")
    assert apart["train, valid"].message.endswith(": 0.jpg, 1.jpg")


def test_every_result_names_its_split():
    parts = {"train": sample_people(4), "valid": sample_people(2)}
    results = check(parts, headers_of(*parts.values()))
    assert {result.split for result in results} == {"train", "valid", "train, valid"}
    assert len({(result.split, result.subject) for result in results}) == len(results)


def test_a_single_person_can_be_checked():
    people = sample_people(1)
    assert {result.verdict for result in check({"all": people}, headers_of(people))} <= {"OK", "LOOK"}


def test_the_table_has_a_line_for_each_result():
    table = results_table([CheckResult("OK", "people", "3", split="train"), CheckResult("LOOK", "torsos", "none")])
    assert table.splitlines() == ["OK    train  people  3", "LOOK         torsos  none"]


# Real data


def test_real_lspet_is_sound(real_data):
    results = check({"train": open_people("lsp", real_data / "lspet", "train")})
    # 9,000 of 10,000 people; five labels outside; 2,538 people lack an end of the torso.
    suspicious = {result.subject: result for result in results if result.verdict != "OK"}
    assert {subject: result.verdict for subject, result in suspicious.items()} == dict.fromkeys(
        ("people", "joints outside", "torsos"), "LOOK"
    )
    assert "right_knee of person 7262 (im07263.jpg), 145.8 px" in suspicious["joints outside"].message


def test_real_mpii_lacks_only_its_images(real_data, real_mpii_train):
    results = check({"train": real_mpii_train, "valid": open_people("mpii", real_data / "mpii", "valid")})
    bad = [(result.split, result.subject) for result in results if result.verdict == "BAD"]
    assert bad == [("train", "images"), ("valid", "images")]
    messages = {(result.split, result.subject): result.message for result in results}
    assert messages["train", "people"].startswith("22,246,")
    assert messages["valid", "people"].startswith("2,958,")
    assert messages["valid", "images"].startswith("2,729 files, 2,724 missing")
    assert messages["valid", "head boxes"].startswith("0 of 2,958")
    assert "13 at -1" in messages["valid", "joints at limits"]  # the evaluation file has lost a coordinate of 13 joints
    assert messages["train, valid", "splits apart"].startswith("0 ")
