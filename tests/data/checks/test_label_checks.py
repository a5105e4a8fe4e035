"""The label checks pass on real annotations and fail on the same annotations with each fault inserted."""

from dataclasses import replace

import numpy as np
import pytest

from posekit.data import open_people
from posekit.data.checks.label_checks import check_coordinate_base, check_joint_order, check_left_right, check_shoulders_hips
from posekit.images import read_headers
from posekit.people import People
from posekit.skeletons import LSP14, MPII16, Skeleton
from tests.fixtures.people import make_people

# A person who is upright and faces the camera, in LSP's order: the right side is at the smaller x.
FACING = np.array(
    [[42, 160], [44, 130], [45, 100], [55, 100], [56, 130], [58, 160], [30, 100], [33, 80], [40, 60], [60, 60], [67, 80], [70, 100],
     [50, 50], [50, 30]], dtype=np.float64,
)  # fmt: skip
AWAY = FACING * (-1, 1)
HIPS = [LSP14.index("left_hip"), LSP14.index("right_hip")]


def repeated(pose, count: int, **changes) -> People:
    return make_people(joints=np.tile(pose, (count, 1, 1)), **changes)


def reordered(people: People, order, skeleton=None) -> People:
    """Reorder the joints of people and keep the joint names."""
    columns = {name: getattr(people, name)[:, order] for name in ("joints", "labelled", "visible")}
    return replace(people, skeleton=skeleton or people.skeleton, **columns)


def swapped(people: People, *parts: str) -> People:
    """Exchange left and right, in all or in some parts of the body."""
    order = np.arange(len(people.skeleton))
    for left, right in people.skeleton.flip_pairs:
        if not parts or people.skeleton.joints[left].removeprefix("left_") in parts:
            order[[left, right]] = right, left
    return reordered(people, order)


def shifted(people: People, pixels: float) -> People:
    return replace(people, joints=people.joints + pixels)


@pytest.fixture(scope="module")
def lspet(real_data):
    return open_people("lsp", real_data / "lspet", "train")


@pytest.fixture(scope="module")
def lspet_sizes(lspet):
    return read_headers(lspet.image_paths).sizes_of(lspet.image_paths)


@pytest.fixture
def mpii(real_mpii_train):
    return real_mpii_train


@pytest.fixture(scope="module")
def real(real_data, lspet, real_mpii_train):
    return {"mpii": real_mpii_train, "lspet": lspet, "lsp": open_people("lsp", real_data / "lsp")}


def unknown_sizes(people: People) -> np.ndarray:
    return np.full((len(people), 2), np.nan)


# The coordinate base


@pytest.mark.parametrize(
    ("pixels", "verdict", "message"),
    [
        (0, "OK", "from 0"),
        (1, "BAD", "1 px too far right and down"),
        (-1, "LOOK", "undecided"),  # -0.68 ± 0.21 might be half a pixel
        (0.5, "LOOK", "undecided"),  # measured from pixel edges
        (-0.5, "OK", "from 0"),
        (2, "LOOK", "2 px too far right and down"),
        (-2, "LOOK", "2 px too far left and up"),
    ],
)
def test_base_of_real_lspet_shows_in_the_balance_of_its_borders(lspet, lspet_sizes, pixels, verdict, message):
    result = check_coordinate_base(shifted(lspet, pixels), lspet_sizes)
    assert result.verdict == verdict
    assert message in result.message


def test_base_of_real_lspet_is_undecided_without_sizes_or_with_few_people(lspet, lspet_sizes):
    for pixels in (-1, 0, 1):
        assert check_coordinate_base(shifted(lspet, pixels), unknown_sizes(lspet)).message.startswith("undecided")
    tenth = lspet.select(np.arange(900))
    result = check_coordinate_base(shifted(tenth, 1), lspet_sizes[:900])
    assert result.verdict == "LOOK"
    assert result.message.startswith("undecided")


@pytest.mark.parametrize(("pixels", "verdict"), [(0, "OK"), (1, "BAD"), (-1, "BAD")])
def test_base_of_real_mpii_shows_in_where_labels_begin(mpii, pixels, verdict):
    # 27 joints other than heads lie on the first pixel of the JSON form, none before it.
    result = check_coordinate_base(shifted(mpii, pixels), unknown_sizes(mpii))
    assert result.verdict == verdict
    strips = [0, 0, 0, 27, 18, 0]
    assert f"left and top: {strips[1 - pixels]} {strips[2 - pixels]} | {strips[3 - pixels]}" in result.message


def test_base_of_labels_clipped_at_all_edges():
    # Whole pixels all over an image of 40 x 30.
    x, y = np.random.default_rng(0).integers((40, 30), size=(300, 14, 2)).T
    people = make_people(joints=np.stack([x.T, y.T], -1).astype(float))
    sizes = np.tile([40.0, 30.0], (300, 1))
    verdicts = [check_coordinate_base(shifted(people, pixels), sizes).verdict for pixels in (-1, 0, 1)]
    assert verdicts == ["BAD", "OK", "BAD"]


def test_contradictory_evidence_of_the_base_is_undecided():
    # All on the second pixel from the left and from the right alike: borders balance, edges do not.
    people = repeated(FACING, 200)
    people.joints[:100, :, 0] = 1
    people.joints[100:, :, 0] = 98
    people.joints[:100, ::2, 0] = 5
    people.joints[100:, ::2, 0] = 94
    result = check_coordinate_base(people, np.tile([100.0, 200.0], (200, 1)))
    assert result.verdict == "LOOK"
    assert "contradict" in result.message


def test_base_without_labels_near_a_border_is_undecided():
    result = check_coordinate_base(repeated(FACING, 1), np.array([[100.0, 200.0]]))
    assert result.verdict == "LOOK"
    assert "no evidence" in result.message


def test_labels_that_get_rarer_towards_the_border_are_no_evidence():
    rng = np.random.default_rng(1)
    joints = 100 * np.sqrt(rng.random((2000, 14, 2)))  # linear density: three times as many on the second pixel as on the first
    people = make_people(joints=joints)
    result = check_coordinate_base(people, unknown_sizes(people))
    assert result.verdict == "LOOK"
    assert result.message.startswith("undecided")


# Left and right


@pytest.mark.parametrize(("name", "share"), [("mpii", "70.0 %"), ("lspet", "69.9 %"), ("lsp", "66.7 %")])
def test_left_and_right_of_real_people(real, name, share):
    result = check_left_right(real[name])
    assert result.verdict == "OK"
    assert share in result.message
    assert check_left_right(swapped(real[name])).verdict == "BAD"


@pytest.mark.parametrize("pose", [FACING, -FACING, FACING[:, ::-1] * (1, -1)], ids=["upright", "upside down", "lying"])
def test_left_and_right_do_not_depend_on_how_people_are_turned(pose):
    assert check_left_right(repeated(pose, 120)).verdict == "OK"
    assert check_left_right(swapped(repeated(pose, 120))).verdict == "BAD"


def test_a_clip_of_people_seen_from_behind_is_not_bad():
    assert check_left_right(repeated(AWAY, 50)).verdict == "LOOK"


def test_left_and_right_are_undecided_in_profile():
    result = check_left_right(repeated(FACING * (0, 1), 200))
    assert result.verdict == "LOOK"
    assert "of 0 people" in result.message


@pytest.mark.parametrize(
    "people",
    [
        repeated(FACING, 5),
        make_people(joints=np.concatenate([np.tile(FACING, (20, 1, 1)), np.tile(AWAY, (20, 1, 1))])),
        repeated(FACING, 5, labelled=np.zeros((5, 14), bool), visible=np.zeros((5, 14), bool)),
    ],
    ids=["few", "half from behind", "unlabelled"],
)
def test_left_and_right_are_undecided(people):
    result = check_left_right(people)
    assert result.verdict == "LOOK"
    assert result.message.startswith("undecided")


@pytest.mark.parametrize("name", ["mpii", "lspet", "lsp"])
@pytest.mark.parametrize("parts", [("hip",), ("shoulder",), ("hip", "knee", "ankle")])
def test_real_people_with_one_half_exchanged(real, name, parts):
    assert check_shoulders_hips(real[name]).verdict == "OK"
    assert check_shoulders_hips(swapped(real[name], *parts)).verdict == "BAD"


@pytest.mark.parametrize(("count", "twisted"), [(10, 3), (1, 0)])
def test_a_twisted_person_is_listed_and_not_bad(count, twisted):
    people = repeated(FACING, count)
    people.joints[twisted, HIPS] = people.joints[twisted, HIPS[::-1]]
    result = check_shoulders_hips(people)
    assert (result.verdict, result.persons) == ("LOOK", (twisted,))
    assert result.message.startswith(f"1 of {count} people")


def test_real_coco_people_are_not_bad(real_data):
    coco = open_people("coco", real_data / "coco" / "test_coco.json")
    for check in (check_joint_order, check_left_right, check_shoulders_hips):
        assert check(coco).verdict != "BAD"


def test_people_with_all_joints_in_one_point_have_no_torso():
    people = repeated(np.full((14, 2), 7.0), 20)
    assert check_left_right(people).verdict == "LOOK"
    assert check_shoulders_hips(people).message.startswith("0 of 0 people")


# The order of joints


@pytest.mark.parametrize("name", ["mpii", "lspet", "lsp"])
def test_order_of_real_people(real, name):
    assert check_joint_order(real[name]).verdict == "OK"


def test_real_mpii_read_as_lsp(mpii):
    assert check_joint_order(reordered(mpii, np.arange(14), LSP14)).verdict == "BAD"
    without_pelvis_and_thorax = [k for k, joint in enumerate(MPII16.joints) if joint not in ("pelvis", "thorax")]
    assert check_joint_order(reordered(mpii, without_pelvis_and_thorax, LSP14)).verdict == "BAD"


@pytest.mark.parametrize(
    "order",
    [
        [12, 13, *range(12)],
        list(range(13, -1, -1)),
        [6, 7, 8, 9, 10, 11, 0, 1, 2, 3, 4, 5, 12, 13],
        [*range(12), 13, 12],
        [2, 1, 0, 3, 4, 5, *range(6, 14)],
        [*range(6), 7, 6, *range(8, 14)],
    ],
)
@pytest.mark.parametrize("name", ["lspet", "lsp"])
def test_real_lsp_in_other_orders(real, name, order):
    assert check_joint_order(reordered(real[name], order)).verdict == "BAD"


@pytest.mark.parametrize("part", ["shoulder", "elbow", "wrist", "knee", "ankle"])
def test_one_exchanged_pair_breaks_a_rule(real, part):
    for people in real.values():
        assert check_joint_order(swapped(people, part)).verdict == "BAD"


def test_real_mpii_with_thorax_for_neck(mpii):
    order = np.arange(16)
    order[[7, 8]] = 8, 7
    result = check_joint_order(reordered(mpii, order))
    assert result.verdict == "BAD"
    assert "shoulder is nearer to thorax than to upper_neck for 24." in result.message


def test_order_of_one_person_is_undecided():
    result = check_joint_order(repeated(FACING, 1))
    assert result.verdict == "LOOK"
    assert result.message.startswith("undecided")


@pytest.mark.parametrize("check", [check_joint_order, check_left_right, check_shoulders_hips])
def test_an_unknown_skeleton_is_undecided(check):
    cats = make_people(40, skeleton=Skeleton("cat", ("nose", "tail", "left_paw")))
    result = check(cats)
    assert result.verdict == "LOOK"
    assert "skeleton cat" in result.message
