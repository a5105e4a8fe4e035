from dataclasses import replace

import numpy as np
import pytest

from posekit.data import open_people
from posekit.data.checks.check import check
from posekit.data.checks.check_results import CheckResult, results_table
from posekit.data.image_headers import Photographs
from posekit.people import People
from posekit.skeletons import LSP14, MPII16, Skeleton


def people(n=3, name="coco", split="all", skeleton=LSP14, **changes) -> People:
    """Joint k of person i at (10 k + i, 5 k), each in a photograph of 200 x 100."""
    k, i = np.meshgrid(np.arange(float(len(skeleton))), np.arange(n), indexing="xy")
    joints = np.stack([10 * k + i, 5 * k], -1)
    given = {
        "image_paths": np.array([f"images/{j}.jpg" for j in range(n)], dtype=str),
        "joints": joints,
        "labelled": np.ones(k.shape, bool),
        "visible": np.ones(k.shape, bool),
        "centres": joints.mean(1),
        "sides": np.full(n, 200.0),
        "head_sizes": np.full(n, np.nan),
    } | changes
    return People(name=name, split=split, skeleton=skeleton, box_source=given.pop("box_source", "test"), **given)


def photographs_of(*parts: People, size=(200, 100)) -> Photographs:
    return Photographs({image: size for part in parts for image in part.image_paths.tolist()})


def found(given: People, subject: str, photographs: Photographs | None = None, **options) -> CheckResult:
    findings = check({"all": given}, photographs or photographs_of(given), **options)
    (finding,) = [finding for finding in findings if finding.subject == subject]
    return finding


def without(given: People, person: int, *joints: str) -> People:
    labelled = given.labelled.copy()
    labelled[person, [given.skeleton.index(joint) for joint in joints]] = False
    return replace(given, labelled=labelled, visible=given.visible & labelled)


# Counts


@pytest.mark.parametrize(
    ("name", "split", "expected"),
    [("mpii", "train", "22,246"), ("mpii", "valid", "2,958"), ("lsp", "train", "1,000"), ("lsp", "test", "1,000"),
     ("lspet", "train", "10,000"), ("lspet", "all", "10,000"), ("lsp", "all", "2,000")],
)  # fmt: skip
def test_persons_are_compared_with_the_published_number(name, split, expected):
    finding = found(people(name=name, split=split), "persons")
    assert finding.verdict == "LOOK"
    assert f"{expected} expected" in finding.message


@pytest.mark.parametrize(("name", "split"), [("coco", "train"), ("mpii", "all"), ("lspet", "random:0.1:0")])
def test_where_no_number_is_known_persons_are_only_counted(name, split):
    finding = found(people(name=name, split=split), "persons")
    assert (finding.verdict, finding.message) == ("OK", "3")


def test_a_rendered_set_need_not_have_the_published_number():
    assert found(people(name="lspet", split="train"), "persons", known_counts=False).verdict == "OK"


def test_the_record_form_of_mpii_holds_the_split_alone():
    given = people(name="mpii", skeleton=MPII16, box_source="position and scale of mpii_annotations.json.gz")
    assert "25,204 expected" in found(given, "persons").message


def test_persons_left_out_are_told_with_the_reason():
    given = replace(people(), left_out={"crowd": 1200, "no labelled joint": 2})
    assert found(given, "persons").message == "3; left out: 1,200 crowd, 2 no labelled joint"


def test_persons_who_are_there_twice_are_named():
    given = people(4)
    images, joints = given.image_paths.copy(), given.joints.copy()
    images[[1, 3]], joints[3] = images[0], joints[0]
    finding = found(replace(given, image_paths=images, joints=joints), "repeated persons")
    assert (finding.verdict, finding.persons) == ("LOOK", (3,))
    assert found(given, "repeated persons").verdict == "OK"


# Photographs


def test_all_photographs_there():
    finding = found(people(), "photographs")
    assert (finding.verdict, finding.message) == ("OK", "3, of which 0 missing; 0 unreadable")


def test_missing_and_unreadable_photographs_are_one_line():
    given = people(7)
    images = given.image_paths.tolist()
    finding = found(given, "photographs", Photographs({images[6]: (200, 100)}, tuple(images[:4]), tuple(images[4:6])))
    assert finding.verdict == "BAD"
    assert (
        finding.message
        == "7, of which 4 missing (0.jpg, 1.jpg, 2.jpg …); 2 unreadable (4.jpg, 5.jpg); 6 persons are in them; looked for in images"
    )


def test_missing_photographs_count_by_their_persons_as_training_counts_them():
    given = people(200)
    object.__setattr__(given, "image_paths", np.array(["many.jpg"] * 60 + [f"{i}.jpg" for i in range(140)]))
    sizes = {image: (200, 100) for image in given.image_paths.tolist() if image != "many.jpg"}
    assert found(given, "photographs", Photographs(sizes, ("many.jpg",), ())).verdict == "BAD"  # 1 of 141 photographs


@pytest.mark.parametrize(("missing", "verdict"), [(1, "LOOK"), (2, "BAD")])
def test_training_goes_on_with_one_photograph_in_a_hundred_missing(missing, verdict):
    given = people(100)
    images = given.image_paths.tolist()
    photographs = Photographs(dict.fromkeys(images[missing:], (200, 100)), tuple(images[:missing]))
    assert found(given, "photographs", photographs).verdict == verdict


def test_photographs_of_other_splits_do_not_count():
    one, other = people(3), people(2, image_paths=np.array(["x.jpg", "y.jpg"]))
    photographs = Photographs(photographs_of(one).sizes, ("x.jpg", "y.jpg"))
    verdicts = {f.split: f.verdict for f in check({"one": one, "other": other}, photographs) if f.subject == "photographs"}
    assert verdicts == {"one": "OK", "other": "BAD"}


def test_headers_are_read_where_they_are_not_given(tmp_path):
    given = people(2, image_paths=np.array([str(tmp_path / "a.jpg"), str(tmp_path / "b.jpg")]))
    findings = check({"all": given})
    assert any(finding.subject == "photographs" and "2 missing" in finding.message for finding in findings)


# Joints and their photographs


@pytest.mark.parametrize(
    ("point", "worst"),
    [((-0.5, 0), None), ((199.5, 99.5), None), ((-0.6, 5), 0.1), ((5, -3), 2.5), ((199.75, 5), 0.25), ((5, 112), 12.5)],
)
def test_a_joint_outside_its_photograph(point, worst):
    given = people(5)
    given.joints[2, 4] = point
    finding = found(given, "joints outside")
    if worst is None:
        assert (finding.verdict, finding.message) == ("OK", "0 of 70 (0.0 %)")
    else:
        assert finding.verdict == "BAD"  # one in 70 is more than 1 %
        assert finding.message == f"1 of 70 (1.4 %); worst by {worst:.1f} px: left_knee of person 2 (2.jpg)"
        assert finding.persons == (2,)


def test_a_joint_that_is_not_labelled_lies_nowhere():
    given = people()
    given.joints[0, 4] = 500
    assert found(without(given, 0, "left_knee"), "joints outside").verdict == "OK"


def test_few_joints_outside_are_for_looking_at():
    given = people(50)
    given.joints[7, 4] = 500
    finding = found(given, "joints outside")
    assert finding.verdict == "LOOK"
    assert "1 of 700 (0.1 %)" in finding.message


def test_without_sizes_only_the_left_and_the_top_edge_are_known():
    given = people(50)
    given.joints[7, 4], given.joints[8, 4] = 500, -10
    finding = found(given, "joints outside", Photographs({}))
    assert finding.verdict == "LOOK"
    assert "1 of 700" in finding.message
    assert "worst by 9.5 px: left_knee of person 8" in finding.message
    assert "right and bottom edges of 50 persons' photographs are not known" in finding.message
    assert found(people(50), "joints outside", Photographs({})).verdict == "LOOK"


def test_joints_exactly_at_limits():
    given = replace(people(), joints=people().joints + 3)
    given.joints[0, 1], given.joints[0, 2], given.joints[1, 3], given.joints[2, 4] = (0, 7), (7, 0), (199, 7), (7, 99)
    finding = found(given, "joints at limits")
    assert finding.verdict == "OK"
    assert "0 at -1, 2 at 0, 2 at the last pixel" in finding.message
    given.joints[2, 5] = -1, 7
    finding = found(given, "joints at limits")
    assert (finding.verdict, finding.persons) == ("LOOK", (2,))
    assert "1 at -1, 2 at 0" in finding.message


# Reference sizes


def test_head_boxes_are_for_mpii_and_torsos_for_the_others():
    heads = np.array([20.0, np.nan, 20.0])
    mpii = people(name="mpii", skeleton=MPII16, head_sizes=heads)
    finding = found(mpii, "head boxes")
    assert (finding.verdict, finding.persons) == ("LOOK", (1,))
    assert "1 of 3 persons have none; PCKh leaves them out" in finding.message
    assert found(replace(mpii, head_sizes=np.full(3, 20.0)), "head boxes").verdict == "OK"
    assert "torsos" not in [each.subject for each in check({"all": mpii}, photographs_of(mpii))]
    assert found(replace(mpii, head_sizes=np.array([20.0, 0.0, 20.0])), "head boxes").persons == (1,)
    subjects = [each.subject for each in check({"all": people(head_sizes=heads)}, photographs_of(mpii))]
    assert "head boxes" in subjects and "torsos" not in subjects  # as they are scored, whatever the set's name
    none = replace(mpii, head_sizes=np.full(3, np.nan))
    assert "scoring takes the torso" in found(none, "head boxes").message
    assert found(none, "torsos").verdict == "OK"


def test_persons_without_a_torso():
    given = without(without(people(), 0, "left_shoulder"), 2, "right_hip")
    finding = found(given, "torsos")
    assert (finding.verdict, finding.persons) == ("LOOK", (0, 2))
    assert finding.message == "2 of 3 persons lack left_shoulder or right_hip; PCK leaves them out"
    assert found(without(people(), 0, "right_shoulder"), "torsos").verdict == "OK"


def test_a_skeleton_without_a_torso():
    cats = people(skeleton=Skeleton("cat", ("nose", "tail", "left_hip")))
    finding = found(cats, "torsos")
    assert finding.verdict == "LOOK"
    assert "skeleton cat lacks left_shoulder or right_hip" in finding.message


# Several splits


def test_a_photograph_in_two_splits_is_bad():
    train, valid, test = people(4), people(2), people(3, image_paths=np.array(["a.jpg", "b.jpg", "c.jpg"]))
    findings = check({"train": train, "valid": valid, "test": test}, photographs_of(train, valid, test))
    apart = {finding.split: finding for finding in findings if finding.subject == "splits apart"}
    assert {split: finding.verdict for split, finding in apart.items()} == {
        "train, valid": "BAD",
        "train, test": "OK",
        "valid, test": "OK",
    }
    assert apart["train, valid"].message == "2 photographs are in both: 0.jpg, 1.jpg"


def test_every_finding_names_its_split():
    parts = {"train": people(4), "valid": people(2)}
    findings = check(parts, photographs_of(*parts.values()))
    assert {finding.split for finding in findings} == {"train", "valid", "train, valid"}
    assert len({(finding.split, finding.subject) for finding in findings}) == len(findings)


def test_a_single_person_can_be_checked():
    assert {finding.verdict for finding in check({"all": people(1)}, photographs_of(people(1)))} <= {"OK", "LOOK"}


def test_the_table_has_a_line_for_each_finding():
    table = results_table([CheckResult("OK", "persons", "3", split="train"), CheckResult("LOOK", "torsos", "none")])
    assert table.splitlines() == ["OK    train  persons  3", "LOOK         torsos   none"]


# Real data


def not_ok(findings: list[CheckResult]) -> dict[tuple[str, str], str]:
    return {(finding.split, finding.subject): finding.verdict for finding in findings if finding.verdict != "OK"}


def test_real_lspet_is_sound(real_data):
    findings = check({"train": open_people("lsp", real_data / "lspet", "train")})
    # 9,000 of 10,000 persons; five labels outside; 2,538 persons lack the torso's ends.
    assert not_ok(findings) == {("train", subject): "LOOK" for subject in ("persons", "joints outside", "torsos")}
    assert any("worst by 145.8 px: right_knee of person 7262 (im07263.jpg)" in finding.message for finding in findings)


def test_real_mpii_lacks_only_its_photographs(real_data):
    splits = {split: open_people("mpii", real_data / "mpii", split) for split in ("train", "valid")}
    findings = check(splits)
    assert [(f.split, f.subject) for f in findings if f.verdict == "BAD"] == [("train", "photographs"), ("valid", "photographs")]
    said = {(finding.split, finding.subject): finding.message for finding in findings}
    assert "as many as published" in said["train", "persons"]
    assert "as many as published" in said["valid", "persons"]
    assert said["valid", "photographs"].startswith("2,729, of which 2,724 missing")
    assert said["valid", "head boxes"] == "0 of 2,958 persons have none"
    assert "13 at -1" in said["valid", "joints at limits"]  # the evaluation file has lost a coordinate of 13 joints
    assert said["train, valid", "splits apart"] == "0 photographs are in both"
