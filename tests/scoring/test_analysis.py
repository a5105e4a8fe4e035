"""Both analyses of real predictions: numbers agree with PCK, lists name people, figures are written."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest

from posekit.data import open_people
from posekit.metrics import KINDS
from posekit.scoring.analysis import (
    DIRECTIONS,
    EVERYBODY,
    analysis_numbers,
    analysis_tables,
    by_direction,
    directions_table,
    limb_joints,
    torso_angles,
    write_analysis,
)
from posekit.scoring.io.predictions import Predictions
from posekit.scoring.score import score
from posekit.skeletons import LSP14


@pytest.fixture(scope="module")
def hourglass(mpii, hourglass):
    return score(mpii, hourglass)


@pytest.fixture(scope="module")
def confused(real_data):
    """LSP's first five test people, whose left wrists are predicted on the right ones, with the truth as a second peak."""
    people = open_people("lsp", real_data / "lsp", "test").select(np.arange(5))
    peaks = np.full((5, 14, 3, 2), np.nan)
    heights = np.full((5, 14, 3), np.nan)
    peaks[:, :, 0] = people.joints
    heights[:, :, 0] = 0.9
    left = LSP14.index("left_wrist")
    right = LSP14.index("right_wrist")
    peaks[:, left, 0] = people.joints[:, right]
    peaks[:, left, 1] = people.joints[:, left]
    heights[:, left, 1] = 0.6
    predictions = Predictions(peaks[:, :, 0], heights[:, :, 0], np.arange(5), LSP14, peaks=peaks, heights=heights)
    return score(people, predictions)


def test_diagnosis_of_the_hourglass_agrees_with_its_pck(hourglass):
    numbers = analysis_numbers(hourglass)
    assert numbers["diagnosis"]["All"]["good"] == pytest.approx(hourglass.pooled_mean)
    assert sum(numbers["points_if_repaired"].values()) == pytest.approx(100 - hourglass.pooled_mean)
    assert numbers["diagnosis"]["Ankle"]["inversion"] > numbers["diagnosis"]["Head"]["inversion"] == 0
    assert "double_counting" not in numbers


def test_left_right_confusion_is_found_by_both(confused):
    left = LSP14.index("left_wrist")
    far = np.linalg.norm(confused.people.joints[:, left] - confused.people.joints[:, LSP14.index("right_wrist")], axis=-1)
    apart = far > 0.2 * confused.reference_sizes
    assert apart.sum() >= 3  # or the test would show nothing
    np.testing.assert_array_equal(confused.diagnosis.kind_NK[:, left] == KINDS.index("inversion"), apart)
    double = confused.double_counting
    np.testing.assert_array_equal(double.double[:, left], apart)
    assert double.double.sum() == apart.sum()
    assert double.total("only_other_right") == 100
    assert double.total("other_opposite") == 0


def test_files_list_every_error(confused, tmp_path):
    files = write_analysis(tmp_path, {"confused": confused})
    assert [path.name for path in files] == ["diagnosis.csv", "diagnosis.png", "double_counting.csv", "double_counting.png"]
    with files[0].open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == confused.pck.n - confused.pck.correct.sum()
    assert {row["joint"] for row in rows} == {"left_wrist"}
    assert {row["kind"] for row in rows} == {"inversion"}
    assert [int(row["person"]) for row in rows] == np.flatnonzero(~confused.pck.correct[:, LSP14.index("left_wrist")]).tolist()
    with files[2].open(newline="", encoding="utf-8") as file:
        assert [row["truth under another"] for row in csv.DictReader(file)] == ["1"] * len(rows)
    assert min(path.stat().st_size for path in files) > 60


def test_tables_and_numbers_of_two_models(hourglass, confused):
    text = analysis_tables({"a.h5": confused, "b.h5": hourglass})
    assert text.count("inversion within 0.2") == text.count("inversion within 0.5") == 1
    assert "b.h5: double counting needs" in text and "a.h5: double counting needs" not in text
    assert max(map(len, text.splitlines())) <= 132
    json.dumps(analysis_numbers(confused))


def test_no_people(confused):
    empty = score(confused.people.select(np.arange(0)), confused.predictions.select(np.arange(0)))
    assert "-" in analysis_tables({"none": empty})
    assert np.isnan(analysis_numbers(empty)["diagnosis"]["All"]["good"])


def test_two_models_in_one_list(confused, tmp_path):
    other = replace(confused, predictions=replace(confused.predictions, peaks=None, heights=None))
    files = write_analysis(tmp_path, {"with": confused, "without": other})
    with files[0].open(newline="", encoding="utf-8") as file:
        assert {row["model"] for row in csv.DictReader(file)} == {"with", "without"}
    with files[2].open(newline="", encoding="utf-8") as file:
        assert {row["model"] for row in csv.DictReader(file)} == {"with"}


@pytest.fixture
def people(real_data):
    return open_people("lsp", real_data / "lsp", "test").select(np.arange(6))


def turned(people, degrees):
    """People who stand straight, each turned clockwise by one of the angles."""
    body = np.zeros((14, 2))
    for joint, place in {"shoulder": (10, -50), "hip": (8, 0), "elbow": (20, -20), "knee": (8, 40)}.items():
        body[LSP14.index(f"left_{joint}")] = place
        body[LSP14.index(f"right_{joint}")] = (-place[0], place[1])
    angles = np.radians(degrees)
    turn = np.stack([np.cos(angles), -np.sin(angles), np.sin(angles), np.cos(angles)], axis=-1).reshape(-1, 2, 2)
    joints = np.einsum("nij,kj->nki", turn, body) + 300
    return replace(people.select(np.arange(len(degrees))), joints=joints, labelled=np.ones((len(degrees), 14), bool))


def scored(people, wrong=()):
    joints = people.joints.copy()
    joints[list(wrong)] += 1e4
    return score(people, Predictions(joints, np.ones(people.labelled.shape), np.arange(len(people)), people.skeleton))


def test_angles_are_from_straight_up_to_either_side(people):
    assert torso_angles(turned(people, [0, 30, -60, 100, 170, 180])) == pytest.approx([0, 30, 60, 100, 170, 180])


def test_one_joint_of_a_pair_is_enough(people):
    standing = turned(people, [0, 0])
    standing.labelled[0, LSP14.index("left_shoulder")] = False
    standing.labelled[1, [LSP14.index("left_hip"), LSP14.index("right_hip")]] = False
    assert torso_angles(standing) == pytest.approx([np.degrees(np.arctan2(10, 50)), np.nan], nan_ok=True)


def test_each_direction_has_its_own_score(people):
    found = by_direction(scored(turned(people, [0, 44, 46, 91, 134, 136]), wrong=[1, 5]))
    assert list(found) == [*DIRECTIONS, EVERYBODY]
    assert [row.persons for row in found.values()] == [2, 1, 2, 1, 6]
    assert [row.percent for row in found.values()] == pytest.approx([50, 100, 100, 0, 200 / 3])


def test_the_head_is_not_a_limb(people):
    scores = scored(people)
    assert len(limb_joints(scores)) == 12
    assert not {"neck", "head_top"} & {LSP14.joints[i] for i in limb_joints(scores)}


def test_real_people_have_all_directions(real_data):
    scores = scored(open_people("lsp", real_data / "lspet", "random:0.1111:0"))
    found = by_direction(scores)
    assert sum(found[name].persons for name in DIRECTIONS) == found[EVERYBODY].persons == scores.n_persons == 716
    assert all(found[name].persons > 50 for name in DIRECTIONS)
    assert len(directions_table(scores).splitlines()) == 2 + 5


def test_a_skeleton_without_a_torso_has_no_angles(real_data):
    people = open_people("mpii", real_data / "mpii", "valid").select(np.arange(5))
    joints = tuple(joint.replace("shoulder", "scapula") for joint in people.skeleton.joints)
    skeleton = replace(people.skeleton, joints=joints, limbs=(), groups={})
    assert np.isnan(torso_angles(replace(people, skeleton=skeleton))).all()
