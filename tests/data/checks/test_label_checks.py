"""The signs on real annotations, which pass, and on the same with each fault put in, which must not."""

from dataclasses import replace

import numpy as np
import pytest

from posekit.data import open_people
from posekit.data.checks.label_checks import coordinate_base, joint_order, left_and_right, shoulders_and_hips
from posekit.data.image_headers import read_headers
from posekit.people import People
from posekit.skeletons import LSP14, MPII16, Skeleton

# Somebody upright who faces the camera, in LSP's order: a right side is at the smaller x.
FACING = np.array(
    [[42, 160], [44, 130], [45, 100], [55, 100], [56, 130], [58, 160], [30, 100], [33, 80], [40, 60], [60, 60], [67, 80], [70, 100],
     [50, 50], [50, 30]], dtype=np.float64,
)  # fmt: skip


def people(joints, skeleton=LSP14, labelled=None) -> People:
    joints = np.asarray(joints, np.float64)
    n, k = joints.shape[:2]
    labelled = np.ones((n, k), bool) if labelled is None else labelled
    images = np.array([f"im{i:05d}.jpg" for i in range(n)], dtype=str)
    return People(
        "lspet",
        "train",
        skeleton,
        images,
        joints,
        labelled,
        labelled,
        joints.mean(1),
        np.full(n, 200.0),
        np.full(n, np.nan),
        "test",
    )


def reordered(given: People, order, skeleton=None) -> People:
    """The joints of `given` in another order, but called as before."""
    columns = {name: getattr(given, name)[:, order] for name in ("joints", "labelled", "visible")}
    return replace(given, skeleton=skeleton or given.skeleton, **columns)


def swapped(given: People, *parts: str) -> People:
    """Left and right exchanged, in all or in some parts of the body."""
    order = np.arange(len(given.skeleton))
    for left, right in given.skeleton.flip_pairs:
        if not parts or given.skeleton.joints[left].removeprefix("left_") in parts:
            order[[left, right]] = right, left
    return reordered(given, order)


def shifted(given: People, pixels: float) -> People:
    return replace(given, joints=given.joints + pixels)


@pytest.fixture(scope="module")
def lspet(real_data):
    return open_people("lsp", real_data / "lspet", "train")


@pytest.fixture(scope="module")
def lspet_sizes(lspet):
    return read_headers(lspet.image_paths).sizes_of(lspet.image_paths)


@pytest.fixture(scope="module")
def mpii(real_data):
    return open_people("mpii", real_data / "mpii", "train")


@pytest.fixture(scope="module")
def real(real_data, lspet, mpii):
    return {"mpii": mpii, "lspet": lspet, "lsp": open_people("lsp", real_data / "lsp")}


def unknown_sizes(given: People) -> np.ndarray:
    return np.full((len(given), 2), np.nan)


# The coordinate base


@pytest.mark.parametrize(
    ("pixels", "verdict", "message"),
    [
        (0, "OK", "pixels count from 0, as they should"),
        (1, "BAD", "1 px too far right and down, as it seems: the file counts from 1 and was taken to count from 0"),
        (-1, "LOOK", "cannot tell: the labels near the borders do not decide"),  # -0.68 ± 0.21 might be half a pixel
        (0.5, "LOOK", "cannot tell: the labels near the borders do not decide"),  # measured from pixels' edges
        (-0.5, "OK", "pixels count from 0, as they should"),
        (2, "LOOK", "2 px too far right and down, as it seems: are these the photographs that were annotated"),
        (-2, "LOOK", "2 px too far left and up"),
    ],
)
def test_base_of_real_lspet_shows_in_the_balance_of_its_borders(lspet, lspet_sizes, pixels, verdict, message):
    finding = coordinate_base(shifted(lspet, pixels), lspet_sizes)
    assert finding.verdict == verdict
    assert message in finding.message


def test_base_of_real_lspet_does_not_show_without_photographs_or_in_a_tenth_of_it(lspet, lspet_sizes):
    for pixels in (-1, 0, 1):
        assert "cannot tell: " in coordinate_base(shifted(lspet, pixels), unknown_sizes(lspet)).message
    tenth = lspet.select(np.arange(900))
    finding = coordinate_base(shifted(tenth, 1), lspet_sizes[:900])
    assert finding.verdict == "LOOK"
    assert "cannot tell: the labels near the borders do not decide" in finding.message


@pytest.mark.parametrize(("pixels", "verdict"), [(0, "OK"), (1, "BAD"), (-1, "BAD")])
def test_base_of_real_mpii_shows_in_where_labels_begin(mpii, pixels, verdict):
    # 27 joints other than heads lie on the first pixel of the JSON form, none before it.
    finding = coordinate_base(shifted(mpii, pixels), unknown_sizes(mpii))
    assert finding.verdict == verdict
    strips = [0, 0, 0, 27, 18, 0]
    assert f"left and top: {strips[1 - pixels]} {strips[2 - pixels]} | {strips[3 - pixels]}" in finding.message


def test_base_of_labels_that_were_cut_off_at_all_edges():
    # Whole pixels all over a picture of 40 x 30.
    x, y = np.random.default_rng(0).integers((40, 30), size=(300, 14, 2)).T
    joints = np.stack([x.T, y.T], -1).astype(float)
    sizes = np.tile([40.0, 30.0], (300, 1))
    verdicts = [coordinate_base(people(joints + pixels), sizes).verdict for pixels in (-1, 0, 1)]
    assert verdicts == ["BAD", "OK", "BAD"]


def test_base_where_the_signs_contradict_each_other():
    # All on the second pixel from the left and from the right alike: borders balance, edges do not.
    joints = np.tile(FACING, (200, 1, 1))
    joints[:100, :, 0], joints[100:, :, 0] = 1, 98
    joints[:, ::2, 0] = np.where(joints[:, ::2, 0] == 1, 5, 94)
    finding = coordinate_base(people(joints), np.tile([100.0, 200.0], (200, 1)))
    assert finding.verdict == "LOOK"
    assert "the signs contradict each other" in finding.message


def test_base_of_nobody_near_a_border():
    finding = coordinate_base(people(FACING[None]), np.array([[100.0, 200.0]]))
    assert finding.verdict == "LOOK"
    assert "none there at all" in finding.message


def test_labels_that_only_grow_rare_towards_the_border_are_no_sign():
    rng = np.random.default_rng(1)
    joints = 100 * np.sqrt(rng.random((2000, 14, 2)))  # linear density: three times as many on the second pixel as on the first
    finding = coordinate_base(people(joints), unknown_sizes(people(joints)))
    assert finding.verdict == "LOOK"
    assert "cannot tell: the labels near the borders do not decide" in finding.message


# Left and right


@pytest.mark.parametrize(("name", "share"), [("mpii", "70.0 %"), ("lspet", "69.9 %"), ("lsp", "66.7 %")])
def test_left_and_right_of_real_people(real, name, share):
    finding = left_and_right(real[name])
    assert finding.verdict == "OK"
    assert share in finding.message
    exchanged = left_and_right(swapped(real[name]))
    assert exchanged.verdict == "BAD"
    assert "exchanged" in exchanged.message


def test_left_and_right_do_not_depend_on_how_people_are_turned():
    upside_down, lying = -FACING, FACING[:, ::-1] * (1, -1)
    for pose in (FACING, upside_down, lying):
        assert left_and_right(people(np.tile(pose, (120, 1, 1)))).verdict == "OK"
        assert left_and_right(swapped(people(np.tile(pose, (120, 1, 1))))).verdict == "BAD"


def test_a_clip_of_people_seen_from_behind_is_not_called_exchanged():
    cyclists = people(np.tile(FACING * (-1, 1), (50, 1, 1)))
    finding = left_and_right(cyclists)
    assert finding.verdict == "LOOK"
    assert "are exchanged, or most are seen from behind" in finding.message
    profile = people(np.tile(FACING * (0, 1), (200, 1, 1)))
    assert "0 persons have the right shoulder" in left_and_right(profile).message
    assert left_and_right(profile).verdict == "LOOK"


def test_left_and_right_cannot_be_told_of_few_or_of_as_many_backs_as_fronts():
    few = people(np.tile(FACING, (5, 1, 1)))
    half = people(np.concatenate([np.tile(FACING, (20, 1, 1)), np.tile(FACING * (-1, 1), (20, 1, 1))]))
    nobody = people(np.tile(FACING, (5, 1, 1)), labelled=np.zeros((5, 14), bool))
    for given in (few, half, nobody):
        finding = left_and_right(given)
        assert finding.verdict == "LOOK"
        assert finding.message.startswith("cannot tell")


@pytest.mark.parametrize("name", ["mpii", "lspet", "lsp"])
@pytest.mark.parametrize("parts", [("hip",), ("shoulder",), ("hip", "knee", "ankle")])
def test_real_people_with_one_half_exchanged(real, name, parts):
    assert shoulders_and_hips(real[name]).verdict == "OK"
    assert shoulders_and_hips(swapped(real[name], *parts)).verdict == "BAD"


def test_twisted_persons_are_listed():
    given = people(np.tile(FACING, (10, 1, 1)))
    hips = [LSP14.index("left_hip"), LSP14.index("right_hip")]
    given.joints[3, hips] = given.joints[3, hips[::-1]]
    finding = shoulders_and_hips(given)
    assert (finding.verdict, finding.persons) == ("LOOK", (3,))
    assert "1 of 10 persons" in finding.message


def test_one_twisted_person_is_no_exchanged_set():
    given = people(FACING[None])
    hips = [LSP14.index("left_hip"), LSP14.index("right_hip")]
    given.joints[0, hips] = given.joints[0, hips[::-1]]
    assert shoulders_and_hips(given).verdict == "LOOK"


def test_real_coco_people_are_not_called_bad(real_data):
    coco = open_people("coco", real_data / "coco" / "test_coco.json")
    for look in (joint_order, left_and_right, shoulders_and_hips):
        assert look(coco).verdict != "BAD"


def test_all_joints_in_one_point_are_no_torso():
    given = people(np.full((20, 14, 2), 7.0))
    assert left_and_right(given).verdict == "LOOK"
    assert "0 of 0 persons" in shoulders_and_hips(given).message


# The order of joints


def test_order_of_real_people_holds(real):
    for given in real.values():
        assert joint_order(given).verdict == "OK"


def test_real_mpii_read_as_lsp(mpii):
    finding = joint_order(reordered(mpii, np.arange(14), LSP14))
    assert finding.verdict == "BAD"
    assert "do the joints stand in the order that is expected" in finding.message
    without_pelvis_and_thorax = [k for k, joint in enumerate(MPII16.joints) if joint not in ("pelvis", "thorax")]
    assert joint_order(reordered(mpii, without_pelvis_and_thorax, LSP14)).verdict == "BAD"


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
    assert joint_order(reordered(real[name], order)).verdict == "BAD"


@pytest.mark.parametrize("part", ["shoulder", "elbow", "wrist", "knee", "ankle"])
def test_one_pair_exchanged_breaks_a_rule(real, part):
    for given in real.values():
        assert joint_order(swapped(given, part)).verdict == "BAD"


def test_real_mpii_with_thorax_for_neck(mpii):
    order = np.arange(16)
    order[[7, 8]] = 8, 7
    finding = joint_order(reordered(mpii, order))
    assert finding.verdict == "BAD"
    assert "shoulder is nearer to thorax than to upper_neck for 24." in finding.message


def test_order_of_few_persons_cannot_be_told():
    finding = joint_order(people(FACING[None]))
    assert finding.verdict == "LOOK"
    assert "too few persons" in finding.message


def test_nothing_is_known_of_other_beings():
    cats = people(np.zeros((40, 3, 2)), Skeleton("cat", ("nose", "tail", "left_paw")))
    for look in (joint_order, left_and_right, shoulders_and_hips):
        finding = look(cats)
        assert finding.verdict == "LOOK"
        assert "cannot tell" in finding.message
        assert "cat" in finding.message
