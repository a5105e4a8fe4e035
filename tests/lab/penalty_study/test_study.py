"""Where the penalty falls: on maps made by hand, in numbers worked out apart, and on real photographs."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import posekit
from posekit.data import open_people
from posekit.data.sample import Failure
from posekit.errors import DataError, ImageError
from posekit.lab.penalty_study.gradient_shares import LOSSES
from posekit.lab.penalty_study.study import REGIONS, PenaltyComparison, PenaltyStudy, penalty_study
from posekit.losses import HeatmapAnchorLoss, HeatmapBCE
from posekit.losses.anchor import hard_pixels
from posekit.models import ModelInfo, StackedHourglass, save_weights
from posekit.people import People
from posekit.prediction.person_view import annotated_view, run_model
from posekit.prediction.test_time import TestTimeAugmentation
from posekit.skeletons import COCO17, LSP14, Skeleton

HANDS = ("left_hand", "right_hand")
SKELETON = Skeleton(
    name="five", joints=("nose", *HANDS, "left_foot", "right_foot"), groups={"Nose": ("nose",), "Hand": HANDS}
)  # fmt: skip
NOSE, LEFT, RIGHT = 0, 1, 2
SIZE, SIDE = 64, 16  # of crops and maps
IN_DISC = 29  # whole pixels within 3 of one: 3 sigma
OPPOSITE, OTHERS, REST = range(3)


def people(joints, *, images=None, centres=None, sides=None, skeleton=SKELETON):
    """People whose crops are the photographs' corners, by default; of (N, K, 2) pixels of the maps, NaN: not labelled."""
    joints = np.array(joints, float).reshape(-1, len(skeleton), 2)
    n, labelled = len(joints), ~np.isnan(joints).any(-1)
    return People(
        name="made", split="test", skeleton=skeleton,
        image_paths=np.array(images if images is not None else [f"{i}.jpg" for i in range(n)], dtype=str).reshape(n),
        joints=np.where(labelled[..., None], 4 * joints + 1.5, 0), labelled=labelled, visible=labelled,
        centres=np.full((n, 2), (SIZE - 1) / 2) if centres is None else np.array(centres, float),
        sides=np.full(n, float(SIZE)) if sides is None else np.array(sides, float),
        head_sizes=np.full(n, np.nan), box_source="made for the test",
    )  # fmt: skip


def person(**places):
    """(K, 2) map pixels; NaN for joints that are not named."""
    return [places.get(joint, (np.nan, np.nan)) for joint in SKELETON.joints]


class FakePredictor:
    """Gives maps (N, K, 16, 16) that it was given, two persons at a time; `unread` are black."""

    def __init__(self, maps, *, unread=(), **notes):
        self.maps, self.unread = torch.as_tensor(np.asarray(maps), dtype=torch.float32), unread
        shape = {"stacks": 1, "features": 4, "depth": 1, "head": "sigmoid"}
        self.info = ModelInfo(SKELETON, SIZE, mean=(0, 0, 0), std=(1, 1, 1), notes=notes, **shape)

    def map_batches(self, crowd):
        assert crowd.skeleton == SKELETON
        for start in range(0, len(crowd), 2):
            index = np.arange(len(crowd))[start : start + 2]
            yield index, self.maps[index], tuple(Failure(i, f"person {i}: gone") for i in index if i in self.unread)


def maps(n, low=0.1):
    return np.full((n, len(SKELETON), SIDE, SIDE), low)


def study(values, crowd, *, unread=(), gamma=2.0, **notes):
    return penalty_study(FakePredictor(values, unread=unread, **notes), crowd, gamma=gamma, progress=False)


def charged(q, anchor, gamma=2.0):
    """Anchor loss minus BCE of one true negative, eq. 7."""
    return ((1 + q - anchor) ** gamma - 1) * -math.log(1 - q)


def disc(x, y, radius=3):
    rows, columns = np.mgrid[:SIDE, :SIDE]
    return (columns - x) ** 2 + (rows - y) ** 2 <= radius**2


def test_each_regions_penalty_is_the_closed_form():
    crowd = people([person(nose=(8, 2), left_hand=(4, 4), right_hand=(11, 10))])
    values = maps(1)
    values[0, LEFT, 4, 4] = 0.5  # the anchor
    values[0, LEFT, 5, 6] = 0.99  # near the joint: no true negative, and not in the circle of high confidence
    values[0, LEFT, 10, 11], values[0, LEFT, 12, 11], values[0, LEFT, 10, 9] = 0.9, 0.6, 0.4  # rows are y
    values[0, LEFT, 2, 14], values[0, LEFT, 14, 2] = 0.7, 0.8
    values[0, RIGHT, 10, 11], values[0, RIGHT, 4, 4] = 0.9, 0.9  # as high as its anchor: nothing
    found = study(values, crowd)
    left = [charged(0.9, 0.5) + charged(0.6, 0.5), 0, charged(0.7, 0.5) + charged(0.8, 0.5)]
    np.testing.assert_allclose(found.penalty[0, LEFT], left, rtol=1e-5)
    assert found.area[0, LEFT].tolist() == [IN_DISC, 0, 256 - 2 * IN_DISC]
    assert found.hard[0, LEFT].tolist() == [2, 0, 2]
    assert found.penalty[0, RIGHT].tolist() == [0, 0, 0] == found.hard[0, RIGHT].tolist()
    # The nose has no opposite, its disc loses a row to the upper border, and the feet are not labelled.
    assert found.area[0, NOSE].tolist() == [0, 0, 256 - disc(8, 2).sum()]
    assert not found.area[0, 3:].any() and found.n_maps == 3
    opposite, rest = found.regions["opposite"], found.regions["rest"]
    assert found.maps["All"] == {"opposite": 2, "other persons": 0, "rest": 3}
    assert opposite["mean_penalty"].value == pytest.approx(left[0] / (2 * IN_DISC), rel=1e-5)
    assert opposite["penalty_share"].value == pytest.approx(100 * left[0] / sum(left), rel=1e-5)
    assert opposite["area_share"].value == pytest.approx(100 * IN_DISC / (256 - IN_DISC))
    assert opposite["concentration"].value == pytest.approx(left[0] / sum(left) / (IN_DISC / (256 - IN_DISC)), rel=1e-5)
    assert opposite["higher"].value == 50 and rest["higher"].value == pytest.approx(100 / 3)
    assert rest["mean_penalty"].value == pytest.approx(left[2] / found.area[..., REST].sum(), rel=1e-5)
    assert all(math.isnan(number) for found in found.regions["other persons"].values() for number in found)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_what_scores_higher_does_not_depend_on_gamma(gamma):
    values = np.random.default_rng(0).uniform(0, 1, (3, len(SKELETON), SIDE, SIDE))
    crowd = people([person(nose=(2, 3), left_hand=(4, 4), right_hand=(6, 5), left_foot=(9, 9), right_foot=(30, 9))] * 3)
    found, other = study(values, crowd, gamma=gamma), study(values, crowd, gamma=3.0)
    np.testing.assert_array_equal(found.hard, other.hard)
    assert (found.penalty > 0).any() == (gamma > 0) and found.gamma == gamma


def test_regions_share_the_true_negatives_among_them():
    """The same totals as of the count that training logs, over joints that may overlap, lie outside or have no label."""
    rng = np.random.default_rng(1)
    joints = rng.uniform(-4, 19, (7, len(SKELETON), 2))
    joints[rng.random((7, len(SKELETON))) < 0.2] = np.nan
    crowd = people(joints, images=["a", "b", "a", "a", "c", "b", "d"])
    values = rng.uniform(0, 1, (7, len(SKELETON), SIDE, SIDE))
    found = study(values, crowd)
    targets = posekit.heatmaps.encode(torch.from_numpy(crowd.joints), torch.from_numpy(crowd.labelled), size=SIDE)
    hard, negatives = hard_pixels(torch.from_numpy(values), targets, torch.from_numpy(crowd.labelled))
    np.testing.assert_array_equal(found.hard.sum(-1), hard)
    np.testing.assert_array_equal(found.area.sum(-1), negatives)
    assert found.maps["All"]["other persons"] > 5 and found.maps["All"]["opposite"] > 5
    assert 0 < found.n_maps < crowd.labelled.sum(), "some joints lie outside"


def test_gradients_are_shared_out_as_the_losses_of_training_have_them():
    """Of each loss by autograd, over joints that may lie outside or have no label; whoever cannot be read does not count."""
    rng = np.random.default_rng(3)
    joints = rng.uniform(-4, 19, (6, len(SKELETON), 2))
    joints[rng.random((6, len(SKELETON))) < 0.2] = np.nan
    crowd = people(joints)
    values = torch.from_numpy(rng.uniform(0.01, 0.99, (6, len(SKELETON), SIDE, SIDE)))
    found = study(values, crowd, unread=(4,))
    targets = posekit.heatmaps.encode(torch.from_numpy(crowd.joints), torch.from_numpy(crowd.labelled), size=SIDE).double()
    circle = targets > 0.5
    counted = circle.any(-1).any(-1)
    counted[4] = False
    above = (targets == 0) & (values > torch.where(circle, values, 0).amax((-2, -1), keepdim=True))
    for i, loss in enumerate((HeatmapBCE(reduction="sum"), HeatmapAnchorLoss(2.0, reduction="sum"))):
        logits = values.logit().requires_grad_()
        loss(logits, targets, counted.double()).backward()
        pulls = [logits.grad.abs()[kind] for kind in (targets > 0, above, (targets == 0) & ~above)]
        expected = [float(pull.sum()) for pull in pulls]
        np.testing.assert_allclose(found.gradient[:, i].sum(0), expected, rtol=1e-4)
        shares = found.to_dict()["gradient"][LOSSES[i]]
        assert list(shares.values()) == pytest.approx([100 * part / sum(expected) for part in expected], rel=1e-4)
        line = next(line for line in found.table().splitlines() if line.startswith(f"{LOSSES[i]} "))
        assert line.split()[-3:] == [f"{share:.1f}" for share in shares.values()]


def test_an_opposite_joint_nearby_keeps_what_is_not_the_joints_own():
    found = study(maps(2), people([person(left_hand=(8, 8), right_hand=(10, 8)), person(left_hand=(8, 8), right_hand=(8.2, 8))]))
    outer = (disc(10, 8) & ~disc(8, 8)).sum()
    assert found.area[0, LEFT].tolist() == [outer, 0, 256 - IN_DISC - outer]
    assert found.area[1, LEFT].tolist() == [0, 0, 256 - IN_DISC], "covered wholly"
    assert found.maps["Hand"] == {"opposite": 2, "other persons": 0, "rest": 4}


def test_other_persons_are_those_of_the_same_photograph_in_this_persons_crop():
    # The second person's crop begins at pixel 32 and is twice as wide: a map pixel is 8 pixels of the photograph.
    crowd = people(
        [person(nose=(8, 4), left_hand=(3, 12)), person(nose=(12, 14), right_hand=(3, 12)), person(nose=(10, 4))],
        images=["a.jpg", "a.jpg", "b.jpg"],
        centres=[(31.5, 31.5), (95.5, 95.5), (31.5, 31.5)],
        sides=[64, 128, 64],
    )
    values = maps(3)
    values[0, NOSE, 14, 12] = values[0, NOSE, 4, 2] = 0.7
    found = study(values, crowd)
    theirs = disc(12, 14).sum()
    assert found.area[0, NOSE].tolist() == [0, theirs, 256 - IN_DISC - theirs]
    np.testing.assert_allclose(found.penalty[0, NOSE], [0, charged(0.7, 0.1), charged(0.7, 0.1)], rtol=1e-5)
    # Pixels (49.5, 57.5) and (33.5, 17.5) of the photograph are (1.75, 2.75) and (-0.25, -2.25) of the second one's map.
    own, theirs = disc(2, 3), disc(0, -2)
    assert found.area[1, NOSE].tolist() == [0, (theirs & ~own).sum(), (~theirs & ~own).sum()]
    assert found.area[1, NOSE, OTHERS] == 2
    assert found.area[2, NOSE, OTHERS] == 0, "another photograph"
    assert found.area[0, LEFT, OTHERS] == 0, "a left hand is not asked for right ones"


def test_what_is_the_opposite_joints_is_not_the_other_persons():
    crowd = people(
        [person(left_hand=(3, 3), right_hand=(10, 10)), person(left_hand=(12, 10))], images=["a.jpg", "a.jpg"]
    )  # fmt: skip
    found = study(maps(2), crowd)
    shared = (disc(12, 10) & ~disc(10, 10)).sum()
    assert found.area[0, LEFT].tolist() == [IN_DISC, shared, 256 - 2 * IN_DISC - shared]
    assert found.area[1, LEFT].tolist() == [0, IN_DISC, 256 - 2 * IN_DISC], "right hands of others are not asked for"


def test_joints_outside_the_crop_have_no_map_and_no_region():
    found = study(maps(1), people([person(left_hand=(8, 8), right_hand=(30, 8))]))
    assert found.area[0, LEFT, OPPOSITE] == 0 and not found.area[0, RIGHT].any()
    # Just outside, three pixels' reach shows; the anchor is looked for above 0.5, within 1.18 pixels.
    near = study(maps(1), people([person(left_hand=(8, 8), right_hand=(17, 8))]))
    assert near.area[0, LEFT, OPPOSITE] == disc(17, 8).sum() > 0 and not near.area[0, RIGHT].any()


def test_targets_are_drawn_as_for_the_models_training():
    crowd = people([person(left_hand=(4, 7.5), right_hand=(11, 7.5))])
    wide = study(maps(1), crowd, sigma=1.5, subpixel=True)
    assert wide.area[0, LEFT, OPPOSITE] == (disc(11, 7.5, 4.5) & ~disc(4, 7.5, 4.5)).sum()
    assert study(maps(1), crowd).area[0, LEFT, OPPOSITE] == IN_DISC


def test_people_are_taken_in_the_models_skeleton():
    order = (RIGHT, LEFT, NOSE)
    other = Skeleton(name="other", joints=tuple(SKELETON.joints[i] for i in order))
    crowd = people([(11, 10), (4, 4), (8, 2)], skeleton=other)
    values = maps(1)
    values[0, LEFT, 10, 11] = 0.9
    found = study(values, crowd)
    assert found.people.skeleton == SKELETON and found.hard[0, LEFT, OPPOSITE] == 1 == found.hard.sum()
    with pytest.raises(DataError, match="shares no joint"):
        study(values, people([(1, 1)], skeleton=Skeleton(name="tail", joints=("tail",))))


def test_whoever_cannot_be_read_is_left_out_named_and_counted(capsys):
    crowd = people([person(left_hand=(4, 4), right_hand=(11, 10))] * 3)
    values = maps(3)
    values[:, LEFT, 10, 11] = 0.9
    found = study(values, crowd, unread=(1,))
    assert found.area.any((1, 2)).tolist() == [True, False, True] and found.hard.sum() == 2
    assert found.maps["Hand"]["opposite"] == 4
    assert "left out, could not be read: 1 of 3 persons" in found.table() and "2 persons, 4 maps" in found.table()
    assert (found.to_dict()["n_persons"], found.to_dict()["n_not_read"]) == (2, 1)
    assert "person 1: gone" in capsys.readouterr().err
    with pytest.raises(ImageError, match="not one of 3 people"):
        study(values, crowd, unread=(0, 1, 2))


def test_nobody_is_no_error():
    found = study(maps(0), people([]))
    assert found.n_maps == 0 and math.isnan(found.regions["rest"]["higher"].value)
    content = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert content["gradient"] is None
    assert content["groups"]["All"]["opposite"]["mean_penalty"] == {"value": None, "interval95": [None, None]}
    assert [line.split()[-1] for line in found.table().splitlines()[3:6]] == ["-", "-", "-"]
    assert found.table().splitlines()[-1].split() == ["anchor", "loss", "-", "-", "-"]


def test_a_model_without_any_penalty_has_no_share_of_it():
    found = study(maps(1, low=0.0), people([person(left_hand=(4, 4), right_hand=(11, 10))])).regions["opposite"]
    assert found["mean_penalty"].value == 0 and found["higher"].value == 0
    assert math.isnan(found["penalty_share"].value) and math.isnan(found["concentration"].value)


def made_study(penalty, area, images, **changes):
    """A study of one joint's maps, of (N, 3) numbers."""
    skeleton = Skeleton(name="one", joints=("nose",))
    crowd = people(np.zeros((len(images), 1, 2)), images=images, skeleton=skeleton)
    penalty, area = np.array(penalty, float)[:, None], np.array(area)[:, None]
    gradient = np.zeros((len(images), 2, 3))
    return replace(PenaltyStudy(crowd, 2.0, penalty, area, (penalty > 0).astype(int), gradient), **changes)


def test_shares_are_of_the_maps_that_have_the_region():
    found = made_study(
        [[6.0, 0, 2], [0, 1, 3], [0, 0, 1e9]], [[10, 0, 90], [30, 10, 60], [0, 0, 100]], ["a", "b", "c"]
    ).regions  # fmt: skip
    values = {region: [estimate.value for estimate in row.values()] for region, row in found.items()}
    assert list(found["opposite"]) == ["mean_penalty", "penalty_share", "area_share", "concentration", "higher"]
    assert values["opposite"] == pytest.approx([6 / 40, 50, 20, 2.5, 50])
    assert values["other persons"] == pytest.approx([0.1, 25, 10, 2.5, 100])
    assert values["rest"][0] == pytest.approx((1e9 + 5) / 250)


def test_intervals_hold_the_value_and_narrow_with_more_photographs():
    rng = np.random.default_rng(0)
    widths = []
    for n in (50, 800):
        penalty = rng.exponential([2.0, 1, 1], (n, 3)) * (rng.random((n, 3)) < 0.5)
        found = made_study(penalty, np.full((n, 3), (10, 10, 80)), [f"{i:03}" for i in range(n)]).regions["opposite"]
        assert all(low < value < high for name, (value, low, high) in found.items() if name != "area_share")
        widths.append(found["higher"].high - found["higher"].low)
        # Of a share of one half, the normal approximation: 2 * 1.96 * sqrt(0.25 / n).
        assert widths[-1] == pytest.approx(196 / math.sqrt(n), rel=0.2)
    assert widths[1] < widths[0]


def test_persons_of_one_photograph_are_drawn_together():
    """In every photograph the mean is the same: nothing varies, though persons do."""
    penalty, area, names = [[1.0, 0, 0], [9.0, 0, 0]] * 10, [[10, 0, 90]] * 20, list("abcdefghijklmnopqrst")
    together = made_study(penalty, area, np.repeat(names[:10], 2)).regions["opposite"]["mean_penalty"]
    assert together == pytest.approx((0.5, 0.5, 0.5))
    apart = made_study(penalty, area, names).regions["opposite"]["mean_penalty"]
    assert apart.low < 0.45 and apart.high > 0.55


def test_few_photographs_have_no_interval():
    """What their persons have in common would look like certainty."""
    penalty, area = [[1.0, 1, 0]] * 30, np.array([[10, 10, 80]] * 30)
    area[9:, OTHERS] = 0
    found = made_study(penalty, area, [f"{i:02}" for i in range(30)])
    regions, lines = found.regions, found.table().splitlines()
    assert regions["opposite"]["mean_penalty"] == pytest.approx((0.1, 0.1, 0.1))
    assert regions["other persons"]["mean_penalty"].value == pytest.approx(0.1)
    assert all(np.isnan(estimate[1:]).all() for estimate in regions["other persons"].values())
    assert lines[4].split()[:5] == ["All", "other", "persons", "9", "100,000.0"] and "(" not in lines[4]
    difference = PenaltyComparison(found, found).groups["All"]
    assert difference["opposite"]["higher"] == (0, 0, 0) and math.isnan(difference["other persons"]["higher"].low)


def test_two_models_are_compared_on_the_same_draws():
    rng = np.random.default_rng(2)
    hard = rng.exponential(1, (60, 1)) * (1, 1, 1)  # some persons are harder than others, for both
    area, images = np.full((60, 3), (10, 10, 80)), [f"{i:02}" for i in range(60)]
    a, b = made_study(1.1 * hard, area, images), made_study(hard, area, images)
    found = PenaltyComparison(a, b).groups["All"]["opposite"]
    assert found["mean_penalty"].value == pytest.approx(0.1 * hard[:, 0].mean() / 10)
    assert 0 < found["mean_penalty"].low < found["mean_penalty"].high
    apart = b.regions["opposite"]["mean_penalty"]
    assert found["mean_penalty"].high - found["mean_penalty"].low < 0.2 * (apart.high - apart.low)
    assert np.allclose(found["penalty_share"], 0) and found["higher"] == (0, 0, 0)
    line = PenaltyComparison(b, a).table(("b.safetensors", "a.safetensors")).splitlines()[3]
    assert line.split()[:4] == ["All", "opposite", "60", f"{-1e5 * hard[:, 0].mean() / 10:+,.1f}"]
    assert json.dumps(PenaltyComparison(a, b).to_dict(), allow_nan=False)


def test_studies_of_other_people_or_gammas_are_not_compared():
    area, images = [[10, 0, 90]] * 2, ["a", "b"]
    first = made_study([[1, 0, 0]] * 2, area, images)
    for second in (
        made_study([[1, 0, 0]] * 2, area, ["a", "c"]),
        made_study([[1, 0, 0]] * 2, area, images, gamma=1.0),
        made_study([[1, 0, 0]], area[:1], images[:1]),
        study(maps(2), people([person(nose=(1, 1))] * 2, images=images)),
    ):
        with pytest.raises(DataError, match="compare models of one skeleton on one split"):
            PenaltyComparison(first, second)


def test_a_study_checks_its_shapes():
    with pytest.raises(ValueError, match=r"area: expected \(2, 1, 3\), got \(2, 1, 2\)"):
        made_study([[1, 0, 0]] * 2, [[10, 0]] * 2, ["a", "b"])


def test_the_table_is_aligned_and_says_what_the_study_says():
    crowd = people([person(nose=(8, 2), left_hand=(4, 4), right_hand=(11, 10))] * 10)
    values = maps(10)
    values[:, LEFT, 10, 11] = 0.9
    found = study(values, crowd)
    lines = found.table().splitlines()
    assert lines[0] == "penalty, what anchor loss (gamma 2) charges more than BCE: made test, 10 persons, 30 maps"
    body = lines[2:9]
    assert len({len(line) for line in body}) == 1
    assert [line.split("  ")[0] for line in body] == ["joints", "All", "All", "All", "Nose", "Hand", "Hand"]
    mean = 1e6 * charged(0.9, 0.1) / (2 * IN_DISC)
    assert body[1].split() == [
        "All", "opposite", "20", f"{mean:,.1f}", f"({mean:,.1f}", "to", f"{mean:,.1f})", "100.0", "(100.0", "to", "100.0)",
        "12.8", "7.8", "(7.8", "to", "7.8)", "50.0", "(50.0", "to", "50.0)",
    ]  # fmt: skip
    assert found.group_rows("opposite")["Hand"] == found.groups["Hand"]["opposite"]


def tiny(folder, skeleton, **options):
    """A predictor of random weights whose maps have peaks that stand out, and are not near 1."""
    torch.manual_seed(0)
    shape = {"stacks": 1, "features": 8, "depth": 2}
    model = StackedHourglass(joints=len(skeleton), **shape).eval()
    nn.init.normal_(model.outputs[-1].weight, std=0.01)
    info = ModelInfo(skeleton, 64, head="sigmoid", mean=(0.5,) * 3, std=(0.25,) * 3, notes={"sigma": 1.0}, **shape)
    save_weights(folder / "tiny.safetensors", model, info)
    return posekit.load(folder / "tiny.safetensors", device="cpu", **options)


def test_real_photographs_of_several_persons(real_data, tmp_path):
    crowd = open_people("coco", real_data / "coco" / "test_coco.json")
    predictor = tiny(tmp_path, COCO17, batch_size=5)
    found = penalty_study(predictor, crowd, progress=False)
    assert (len(found.people), found.failures) == (12, ())
    assert found.n_maps == crowd.labelled.sum(), "COCO's boxes hold all joints of their persons"
    for i in (0, 4, 11):
        alone = run_model(predictor, annotated_view(crowd, i)).explain(2.0).penalty[0].sum((-2, -1)).numpy()
        np.testing.assert_allclose(found.penalty[i].sum(-1), alone * crowd.labelled[i], rtol=1e-3, atol=1e-4)
    # The first photograph has one person. In the last, the five stand close enough to be in each other's crops.
    names, counts = np.unique(crowd.image_paths, return_counts=True)
    assert sorted(counts) == [1, 2, 4, 5] and not found.area[crowd.image_paths == names[counts == 1], :, OTHERS].any()
    crowded = crowd.image_paths == names[counts == 5]
    assert found.area[crowded, :, OTHERS].any(1).all()
    assert found.maps["Head"]["opposite"] > 0 and not found.area[:, COCO17.index("nose"), OPPOSITE].any()
    assert {name: row["higher"].value for name, row in found.regions.items()} == {
        name: pytest.approx(100 * (found.hard[..., i] > 0).sum() / found.maps["All"][name]) for i, name in enumerate(REGIONS)
    }


def test_real_people_alone_in_their_photographs(real_data, tmp_path):
    crowd = open_people("lsp", real_data / "lspet", "all").select(np.arange(11))
    found = penalty_study(
        tiny(tmp_path, LSP14, batch_size=8, views=TestTimeAugmentation((0.9, 1.0), flip=True)), crowd, progress=False
    )
    assert found.maps["All"]["other persons"] == 0 and found.maps["Head"]["opposite"] == 0
    has_both = crowd.labelled & crowd.labelled[:, LSP14.flip_order] & (LSP14.flip_order != np.arange(14))
    assert 0.9 * has_both.sum() < found.maps["All"]["opposite"] <= has_both.sum()
    assert 0 < found.regions["opposite"]["penalty_share"].value < 100
    # A model that knows nothing spreads the penalty about evenly.
    assert 0.3 < found.regions["opposite"]["concentration"].value < 3
