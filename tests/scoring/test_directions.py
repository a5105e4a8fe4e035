"""Scores by the direction of the torso, on known poses and on real people."""

from dataclasses import replace

import numpy as np
import pytest

from posekit.data import open_people
from posekit.scoring.directions import DIRECTIONS, EVERYBODY, by_direction, directions_table, limb_joints, torso_angles
from posekit.scoring.io.predictions import Predictions
from posekit.scoring.score import score
from posekit.skeletons import LSP14


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
