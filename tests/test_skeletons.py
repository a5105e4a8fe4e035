import json

import numpy as np
import pytest

from posekit.errors import DataError
from posekit.skeletons import COCO17, LSP14, MPII16, SKELETONS, Skeleton, joint_mapping

CAT = Skeleton("cat", ("nose", "left_paw", "right_paw", "tail"), (("nose", "tail"),))


@pytest.mark.parametrize("skeleton, count", [(MPII16, 16), (LSP14, 14), (COCO17, 17)])
def test_number_of_joints(skeleton, count):
    assert len(skeleton) == len(skeleton.joints) == len(skeleton.sigmas) == count
    assert SKELETONS[skeleton.name] is skeleton


def test_mpii_order():
    # The release's joint ids, 0 to 15.
    assert MPII16.joints == (
        "right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle", "pelvis", "thorax", "upper_neck",
        "head_top", "right_wrist", "right_elbow", "right_shoulder", "left_shoulder", "left_elbow", "left_wrist",
    )  # fmt: skip


def test_lsp_order():
    # The data set's README.
    assert LSP14.joints == (
        "right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle", "right_wrist", "right_elbow",
        "right_shoulder", "left_shoulder", "left_elbow", "left_wrist", "neck", "head_top",
    )  # fmt: skip


def test_coco_order_is_that_of_a_real_file(real_data):
    content = json.loads((real_data / "coco" / "test_coco.json").read_text())
    (category,) = content["categories"]
    assert COCO17.joints == tuple(category["keypoints"])


def test_coco_sigmas_are_those_of_pycocotools():
    from pycocotools.cocoeval import Params

    np.testing.assert_allclose(COCO17.sigmas, Params("keypoints").kpt_oks_sigmas)


def test_borrowed_sigmas():
    assert MPII16.sigmas[MPII16.index("left_wrist")] == LSP14.sigmas[LSP14.index("right_wrist")] == 0.062
    assert MPII16.sigmas[MPII16.index("pelvis")] == 0.107
    assert {MPII16.sigmas[MPII16.index(joint)] for joint in ("thorax", "upper_neck", "head_top")} == {0.079}


@pytest.mark.parametrize("skeleton", [*SKELETONS.values(), CAT], ids=lambda skeleton: skeleton.name)
def test_flipping_exchanges_each_left_with_its_right(skeleton):
    for joint, other in zip(skeleton.joints, skeleton.flip_order, strict=True):
        expected = joint.replace("left_", "RIGHT_").replace("right_", "left_").replace("RIGHT_", "right_")
        assert skeleton.joints[other] == expected
    sided = [joint for joint in skeleton.joints if joint.startswith("left_")]
    assert [skeleton.joints[left] for left, _ in skeleton.flip_pairs] == sided


def test_a_left_joint_without_a_right_one_is_not_exchanged():
    lone = Skeleton("crab", ("left_claw", "eye"))
    assert lone.flip_pairs == ()
    np.testing.assert_array_equal(lone.flip_order, [0, 1])


def test_flip_order_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        MPII16.flip_order[0] = 3


@pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=lambda skeleton: skeleton.name)
def test_limbs_are_the_same_on_both_sides(skeleton):
    limbs = {frozenset(limb) for limb in skeleton.limb_indices}
    assert len(limbs) == len(skeleton.limbs)
    assert {frozenset(skeleton.flip_order[list(limb)]) for limb in limbs} == limbs


@pytest.mark.parametrize("skeleton, parts", [(MPII16, 1), (LSP14, 1), (COCO17, 2)])  # COCO has no neck
def test_limbs_connect_the_body(skeleton, parts):
    bodies = [{joint} for joint in range(len(skeleton))]
    for limb in skeleton.limb_indices:
        joined = [body for body in bodies if body & set(limb)]
        bodies = [body for body in bodies if body not in joined] + [set().union(*joined)]
    assert len(bodies) == parts


def test_groups_of_the_result_tables():
    columns = ["Head", "Shoulder", "Elbow", "Wrist", "Hip", "Knee", "Ankle"]
    assert all(list(skeleton.groups) == columns for skeleton in SKELETONS.values())
    # PCKh: pelvis, thorax and upper neck are in no column; the head is the head top.
    assert sorted(sum(MPII16.group_indices.values(), ())) == [0, 1, 2, 3, 4, 5, 9, 10, 11, 12, 13, 14, 15]
    assert MPII16.group_indices["Head"] == (9,)
    # PCK on LSP: all 14; the head is head top and neck.
    assert sorted(sum(LSP14.group_indices.values(), ())) == list(range(14))
    assert sorted(LSP14.group_indices["Head"]) == [12, 13]


def test_a_skeleton_without_groups_has_one_per_joint():
    assert CAT.group_indices == {"nose": (0,), "left_paw": (1,), "right_paw": (2,), "tail": (3,)}


def test_mapping_by_name():
    np.testing.assert_array_equal(joint_mapping(MPII16, LSP14), [0, 1, 2, 3, 4, 5, 10, 11, 12, 13, 14, 15, 8, 9])
    np.testing.assert_array_equal(joint_mapping(LSP14, MPII16), [0, 1, 2, 3, 4, 5, -1, -1, 12, 13, 6, 7, 8, 9, 10, 11])
    np.testing.assert_array_equal(joint_mapping(COCO17, CAT), [0, -1, -1, -1])
    assert joint_mapping(MPII16, MPII16).tolist() == list(range(16))


def test_index_lists_the_joints():
    assert MPII16.index("pelvis") == 6
    with pytest.raises(DataError, match=r"cat.*'knee'.*nose, left_paw, right_paw, tail"):
        CAT.index("knee")


@pytest.mark.parametrize("skeleton", [*SKELETONS.values(), CAT], ids=lambda skeleton: skeleton.name)
def test_json_round_trip(skeleton):
    assert Skeleton.from_dict(json.loads(json.dumps(skeleton.to_dict()))) == skeleton


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"joints": ()}, r"skeleton x: .*\[\]"),
        ({"joints": ("a", "a")}, r"skeleton x: .*\['a', 'a'\]"),
        ({"joints": ("a", "b"), "limbs": (("a", "c"),)}, r"skeleton x: .*\['c'\]"),
        ({"joints": ("a", "b"), "groups": {"g": ("d",)}}, r"skeleton x: .*\['d'\]"),
        ({"joints": ("a", "b"), "sigmas": (0.1,)}, "skeleton x: 2 joints .*1 sigmas"),
    ],
)
def test_impossible_skeletons(arguments, message):
    with pytest.raises(DataError, match=message):
        Skeleton("x", **arguments)


@pytest.mark.parametrize(
    "change",
    [{"joints": None}, {"joints": 3}, {"limbs": [["nose"]]}, {"groups": ["Head"]}, {"sigmas": ["x"]}, {"joints": ["nose", "nose"]}],
    ids=str,
)
def test_invalid_descriptions(change):
    with pytest.raises(DataError):
        Skeleton.from_dict(CAT.to_dict() | change)
    with pytest.raises(DataError, match=r"joints|name"):
        Skeleton.from_dict({})
