"""Where the penalty falls: on handmade maps with known numbers, and on real images."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import posekit
from posekit.data import open_people
from posekit.data.crops import Failure
from posekit.errors import DataError, ImageError
from posekit.lab.penalty_study.measures import LOSSES
from posekit.lab.penalty_study.study import REGIONS, PenaltyComparison, PenaltyStudy, penalty_study
from posekit.losses import HeatmapAnchorLoss, HeatmapBCE
from posekit.losses.anchor import hard_pixels
from posekit.models import ModelInfo, StackedHourglass, save_weights
from posekit.prediction.person_view import annotated_view, run_model
from posekit.prediction.test_time import TestTimeAugmentation
from posekit.skeletons import COCO17, LSP14, Skeleton
from tests.fixtures.people import make_people

HANDS = ("left_hand", "right_hand")
SKELETON = Skeleton(
    name="five", joints=("nose", *HANDS, "left_foot", "right_foot"), groups={"Nose": ("nose",), "Hand": HANDS}
)  # fmt: skip
NOSE, LEFT, RIGHT = 0, 1, 2
SIZE, SIDE = 64, 16  # of crops and maps
IN_DISC = 29  # whole pixels within 3 of one: 3 sigma
OPPOSITE, OTHERS, REST = range(3)


def people_on_maps(joints, *, images=None, skeleton=SKELETON, **changes):
    """People with joints (N, K, 2) in map pixels, NaN where not labelled; by default, each person's crop is a whole image."""
    joints = np.array(joints, float).reshape(-1, len(skeleton), 2)
    n = len(joints)
    labelled = ~np.isnan(joints).any(-1)
    columns = {
        "image_paths": np.array(images if images is not None else [f"{i}.jpg" for i in range(n)], dtype=str).reshape(n),
        "joints": np.where(labelled[..., None], 4 * joints + 1.5, 0),
        "labelled": labelled,
        "visible": labelled,
        "centres": np.full((n, 2), (SIZE - 1) / 2),
        "sides": np.full(n, float(SIZE)),
    }
    return make_people(n, name="made", split="test", skeleton=skeleton, **columns | changes)


def person(**places):
    """Return joints (K, 2) in map pixels; NaN for joints that are not given."""
    return [places.get(joint, (np.nan, np.nan)) for joint in SKELETON.joints]


class FakePredictor:
    """Predicts the given maps (N, K, 16, 16) in batches of two; the people in `unread` fail."""

    def __init__(self, maps, *, unread=(), **notes):
        self.maps = torch.as_tensor(np.asarray(maps), dtype=torch.float32)
        self.unread = unread
        shape = {"stacks": 1, "features": 4, "depth": 1, "head": "sigmoid"}
        self.info = ModelInfo(SKELETON, SIZE, mean=(0, 0, 0), std=(1, 1, 1), notes=notes, **shape)

    def map_batches(self, people):
        assert people.skeleton == SKELETON
        for start in range(0, len(people), 2):
            index = np.arange(len(people))[start : start + 2]
            yield index, self.maps[index], tuple(Failure(i, f"person {i}: gone") for i in index if i in self.unread)


def maps(n, low=0.1):
    return np.full((n, len(SKELETON), SIDE, SIDE), low)


def scattered(seed, n):
    """Joints in map pixels that may overlap, lie outside the map or have no label."""
    rng = np.random.default_rng(seed)
    joints = rng.uniform(-4, 19, (n, len(SKELETON), 2))
    joints[rng.random((n, len(SKELETON))) < 0.2] = np.nan
    return joints, rng


def targets_of(people):
    return posekit.heatmaps.encode(torch.from_numpy(people.joints), torch.from_numpy(people.labelled), size=SIDE)


def run_study(values, people, *, unread=(), gamma=2.0, **notes):
    return penalty_study(FakePredictor(values, unread=unread, **notes), people, gamma=gamma, progress=False)


def charged(q, anchor, gamma=2.0):
    """Anchor loss minus BCE of one true negative, eq. 7."""
    return ((1 + q - anchor) ** gamma - 1) * -math.log(1 - q)


def disc(x, y, radius=3):
    rows, columns = np.mgrid[:SIDE, :SIDE]
    return (columns - x) ** 2 + (rows - y) ** 2 <= radius**2


def test_each_regions_penalty_is_the_closed_form():
    people = people_on_maps([person(nose=(8, 2), left_hand=(4, 4), right_hand=(11, 10))])
    values = maps(1)
    values[0, LEFT, 4, 4] = 0.5  # the anchor
    values[0, LEFT, 5, 6] = 0.99  # within the target: no true negative, and not in the circle of high confidence
    values[0, LEFT, 10, 11] = 0.9  # rows are y
    values[0, LEFT, 12, 11] = 0.6
    values[0, LEFT, 10, 9] = 0.4
    values[0, LEFT, 2, 14] = 0.7
    values[0, LEFT, 14, 2] = 0.8
    values[0, RIGHT, 10, 11] = 0.9  # the anchor
    values[0, RIGHT, 4, 4] = 0.9  # as high as the anchor: no penalty
    study = run_study(values, people)
    left = [charged(0.9, 0.5) + charged(0.6, 0.5), 0, charged(0.7, 0.5) + charged(0.8, 0.5)]
    np.testing.assert_allclose(study.penalty[0, LEFT], left, rtol=1e-5)
    assert study.area[0, LEFT].tolist() == [IN_DISC, 0, 256 - 2 * IN_DISC]
    assert study.hard[0, LEFT].tolist() == [2, 0, 2]
    assert study.penalty[0, RIGHT].tolist() == [0, 0, 0] == study.hard[0, RIGHT].tolist()
    # The nose has no opposite, its disc loses a row to the upper border, and the feet are not labelled.
    assert study.area[0, NOSE].tolist() == [0, 0, 256 - disc(8, 2).sum()]
    assert not study.area[0, 3:].any() and study.n_maps == 3
    opposite = study.regions["opposite"]
    rest = study.regions["rest"]
    assert study.maps["All"] == {"opposite": 2, "other persons": 0, "rest": 3}
    assert opposite["mean_penalty"].value == pytest.approx(left[0] / (2 * IN_DISC), rel=1e-5)
    assert opposite["penalty_share"].value == pytest.approx(100 * left[0] / sum(left), rel=1e-5)
    assert opposite["area_share"].value == pytest.approx(100 * IN_DISC / (256 - IN_DISC))
    assert opposite["concentration"].value == pytest.approx(left[0] / sum(left) / (IN_DISC / (256 - IN_DISC)), rel=1e-5)
    assert opposite["higher"].value == 50 and rest["higher"].value == pytest.approx(100 / 3)
    assert rest["mean_penalty"].value == pytest.approx(left[2] / study.area[..., REST].sum(), rel=1e-5)
    assert np.isnan(list(study.regions["other persons"].values())).all()


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_hard_pixels_do_not_depend_on_gamma(gamma):
    values = np.random.default_rng(0).uniform(0, 1, (3, len(SKELETON), SIDE, SIDE))
    people = people_on_maps([person(nose=(2, 3), left_hand=(4, 4), right_hand=(6, 5), left_foot=(9, 9), right_foot=(30, 9))] * 3)
    study = run_study(values, people, gamma=gamma)
    other = run_study(values, people, gamma=3.0)
    np.testing.assert_array_equal(study.hard, other.hard)
    assert (study.penalty > 0).any() == (gamma > 0) and study.gamma == gamma


def test_regions_partition_the_true_negatives():
    """Their totals are the counts that training logs."""
    joints, rng = scattered(1, 7)
    people = people_on_maps(joints, images=["a", "b", "a", "a", "c", "b", "d"])
    values = rng.uniform(0, 1, (7, len(SKELETON), SIDE, SIDE))
    study = run_study(values, people)
    hard, negatives = hard_pixels(torch.from_numpy(values), targets_of(people), torch.from_numpy(people.labelled))
    np.testing.assert_array_equal(study.hard.sum(-1), hard)
    np.testing.assert_array_equal(study.area.sum(-1), negatives)
    assert study.maps["All"]["other persons"] > 5 and study.maps["All"]["opposite"] > 5
    assert 0 < study.n_maps < people.labelled.sum(), "some joints lie outside"


def test_gradient_shares_are_those_of_the_training_losses():
    """Compared with autograd; the image of one person cannot be read."""
    joints, rng = scattered(3, 6)
    people = people_on_maps(joints)
    values = torch.from_numpy(rng.uniform(0.01, 0.99, (6, len(SKELETON), SIDE, SIDE)))
    study = run_study(values, people, unread=(4,))
    targets = targets_of(people).double()
    circle = targets > 0.5
    counted = circle.any(-1).any(-1)
    counted[4] = False
    above = (targets == 0) & (values > torch.where(circle, values, 0).amax((-2, -1), keepdim=True))
    for i, loss in enumerate((HeatmapBCE(reduction="sum"), HeatmapAnchorLoss(2.0, reduction="sum"))):
        logits = values.logit().requires_grad_()
        loss(logits, targets, counted.double()).backward()
        kinds = (targets > 0, above, (targets == 0) & ~above)
        expected = [float(logits.grad.abs()[kind].sum()) for kind in kinds]
        np.testing.assert_allclose(study.gradient[:, i].sum(0), expected, rtol=1e-4)
        shares = study.to_dict()["gradient"][LOSSES[i]]
        assert list(shares.values()) == pytest.approx([100 * part / sum(expected) for part in expected], rel=1e-4)
        line = next(line for line in study.table().splitlines() if line.startswith(f"{LOSSES[i]} "))
        assert line.split()[-3:] == [f"{share:.1f}" for share in shares.values()]


def test_a_near_opposite_joint_has_the_part_outside_the_own_target():
    near = person(left_hand=(8, 8), right_hand=(10, 8))
    nearer = person(left_hand=(8, 8), right_hand=(8.2, 8))
    study = run_study(maps(2), people_on_maps([near, nearer]))
    outer = (disc(10, 8) & ~disc(8, 8)).sum()
    assert study.area[0, LEFT].tolist() == [outer, 0, 256 - IN_DISC - outer]
    assert study.area[1, LEFT].tolist() == [0, 0, 256 - IN_DISC], "entirely covered"
    assert study.maps["Hand"] == {"opposite": 2, "other persons": 0, "rest": 4}


def test_other_people_are_those_of_the_same_image_in_this_persons_crop():
    # The second person's crop begins at pixel 32 and is twice as wide: a map pixel is 8 image pixels.
    people = people_on_maps(
        [person(nose=(8, 4), left_hand=(3, 12)), person(nose=(12, 14), right_hand=(3, 12)), person(nose=(10, 4))],
        images=["a.jpg", "a.jpg", "b.jpg"],
        centres=np.array([(31.5, 31.5), (95.5, 95.5), (31.5, 31.5)]),
        sides=np.array([64.0, 128.0, 64.0]),
    )
    values = maps(3)
    values[0, NOSE, 14, 12] = 0.7
    values[0, NOSE, 4, 2] = 0.7
    study = run_study(values, people)
    other = disc(12, 14).sum()
    assert study.area[0, NOSE].tolist() == [0, other, 256 - IN_DISC - other]
    np.testing.assert_allclose(study.penalty[0, NOSE], [0, charged(0.7, 0.1), charged(0.7, 0.1)], rtol=1e-5)
    # Image pixels (49.5, 57.5) and (33.5, 17.5) are pixels (1.75, 2.75) and (-0.25, -2.25) of the second person's map.
    own = disc(2, 3)
    other = disc(0, -2)
    assert study.area[1, NOSE].tolist() == [0, (other & ~own).sum(), (~other & ~own).sum()]
    assert study.area[1, NOSE, OTHERS] == 2
    assert study.area[2, NOSE, OTHERS] == 0, "another image"
    assert study.area[0, LEFT, OTHERS] == 0, "right hands of others do not count for a left hand"


def test_the_opposite_joint_precedes_other_people():
    people = people_on_maps(
        [person(left_hand=(3, 3), right_hand=(10, 10)), person(left_hand=(12, 10))], images=["a.jpg", "a.jpg"]
    )  # fmt: skip
    study = run_study(maps(2), people)
    shared = (disc(12, 10) & ~disc(10, 10)).sum()
    assert study.area[0, LEFT].tolist() == [IN_DISC, shared, 256 - 2 * IN_DISC - shared]
    assert study.area[1, LEFT].tolist() == [0, IN_DISC, 256 - 2 * IN_DISC], "right hands of others do not count"


def test_joints_outside_the_crop_have_no_map_and_no_region():
    study = run_study(maps(1), people_on_maps([person(left_hand=(8, 8), right_hand=(30, 8))]))
    assert study.area[0, LEFT, OPPOSITE] == 0 and not study.area[0, RIGHT].any()
    # Just outside the crop, a target reaches in by up to three pixels, but an anchor lies within 1.18 pixels of the joint.
    near = run_study(maps(1), people_on_maps([person(left_hand=(8, 8), right_hand=(17, 8))]))
    assert near.area[0, LEFT, OPPOSITE] == disc(17, 8).sum() > 0 and not near.area[0, RIGHT].any()


def test_targets_are_drawn_as_for_the_models_training():
    people = people_on_maps([person(left_hand=(4, 7.5), right_hand=(11, 7.5))])
    wide = run_study(maps(1), people, sigma=1.5, subpixel=True)
    assert wide.area[0, LEFT, OPPOSITE] == (disc(11, 7.5, 4.5) & ~disc(4, 7.5, 4.5)).sum()
    assert run_study(maps(1), people).area[0, LEFT, OPPOSITE] == IN_DISC


def test_people_are_mapped_to_the_models_skeleton():
    order = (RIGHT, LEFT, NOSE)
    other = Skeleton(name="other", joints=tuple(SKELETON.joints[i] for i in order))
    people = people_on_maps([(11, 10), (4, 4), (8, 2)], skeleton=other)
    values = maps(1)
    values[0, LEFT, 10, 11] = 0.9
    study = run_study(values, people)
    assert study.people.skeleton == SKELETON and study.hard[0, LEFT, OPPOSITE] == 1 == study.hard.sum()
    with pytest.raises(DataError, match="tail"):
        run_study(values, people_on_maps([(1, 1)], skeleton=Skeleton(name="tail", joints=("tail",))))


def test_people_who_cannot_be_read_are_left_out_named_and_counted(capsys):
    people = people_on_maps([person(left_hand=(4, 4), right_hand=(11, 10))] * 3)
    values = maps(3)
    values[:, LEFT, 10, 11] = 0.9
    study = run_study(values, people, unread=(1,))
    assert study.area.any((1, 2)).tolist() == [True, False, True] and study.hard.sum() == 2
    assert study.maps["Hand"]["opposite"] == 4
    assert "1 of 3" in study.table() and "2 people, 4 " in study.table()
    assert (study.to_dict()["n_persons"], study.to_dict()["n_not_read"]) == (2, 1)
    assert "person 1: gone" in capsys.readouterr().err
    with pytest.raises(ImageError, match="3 people"):
        run_study(values, people, unread=(0, 1, 2))


def test_no_people_give_an_empty_study():
    study = run_study(maps(0), people_on_maps([]))
    assert study.n_maps == 0 and math.isnan(study.regions["rest"]["higher"].value)
    content = json.loads(json.dumps(study.to_dict(), allow_nan=False))
    assert content["gradient"] is None
    assert content["groups"]["All"]["opposite"]["mean_penalty"] == {"value": None, "interval95": [None, None]}
    assert [line.split()[-1] for line in study.table().splitlines()[3:6]] == ["-", "-", "-"]
    assert study.table().splitlines()[-1].split() == ["anchor", "loss", "-", "-", "-"]


def test_a_model_without_any_penalty_has_no_share_of_it():
    people = people_on_maps([person(left_hand=(4, 4), right_hand=(11, 10))])
    measures = run_study(maps(1, low=0.0), people).regions["opposite"]
    assert measures["mean_penalty"].value == 0 and measures["higher"].value == 0
    assert math.isnan(measures["penalty_share"].value) and math.isnan(measures["concentration"].value)


def made_study(penalty, area, images, **changes):
    """A study of one joint's maps, with penalty and area (N, 3)."""
    skeleton = Skeleton(name="one", joints=("nose",))
    people = people_on_maps(np.zeros((len(images), 1, 2)), images=images, skeleton=skeleton)
    penalty = np.array(penalty, float)[:, None]
    hard = (penalty > 0).astype(int)
    gradient = np.zeros((len(images), 2, 3))
    return replace(PenaltyStudy(people, 2.0, penalty, np.array(area)[:, None], hard, gradient), **changes)


def test_shares_are_of_the_maps_that_have_the_region():
    penalty = [[6.0, 0, 2], [0, 1, 3], [0, 0, 1e9]]
    area = [[10, 0, 90], [30, 10, 60], [0, 0, 100]]
    regions = made_study(penalty, area, ["a", "b", "c"]).regions
    values = {}
    for region, measures in regions.items():
        assert list(measures) == ["mean_penalty", "penalty_share", "area_share", "concentration", "higher"]
        values[region] = [estimate.value for estimate in measures.values()]
    assert values["opposite"] == pytest.approx([6 / 40, 50, 20, 2.5, 50])
    assert values["other persons"] == pytest.approx([0.1, 25, 10, 2.5, 100])
    assert values["rest"][0] == pytest.approx((1e9 + 5) / 250)


def test_intervals_contain_the_value_and_narrow_with_more_images():
    rng = np.random.default_rng(0)
    widths = []
    for n in (50, 800):
        penalty = rng.exponential([2.0, 1, 1], (n, 3)) * (rng.random((n, 3)) < 0.5)
        measures = made_study(penalty, np.full((n, 3), (10, 10, 80)), [f"{i:03}" for i in range(n)]).regions["opposite"]
        for name, (value, low, high) in measures.items():
            assert low < value < high or name == "area_share"
        widths.append(measures["higher"].high - measures["higher"].low)
        # For a share of one half, the normal approximation is 2 * 1.96 * sqrt(0.25 / n).
        assert widths[-1] == pytest.approx(196 / math.sqrt(n), rel=0.2)
    assert widths[1] < widths[0]


def test_people_of_one_image_are_resampled_together():
    """Every image has the same mean: nothing varies, although people do."""
    penalty = [[1.0, 0, 0], [9.0, 0, 0]] * 10
    area = [[10, 0, 90]] * 20
    names = list("abcdefghijklmnopqrst")
    together = made_study(penalty, area, np.repeat(names[:10], 2)).regions["opposite"]["mean_penalty"]
    assert together == pytest.approx((0.5, 0.5, 0.5))
    apart = made_study(penalty, area, names).regions["opposite"]["mean_penalty"]
    assert apart.low < 0.45 and apart.high > 0.55


def test_few_images_have_no_interval():
    """Their people's common traits would look like certainty."""
    area = np.array([[10, 10, 80]] * 30)
    area[9:, OTHERS] = 0
    study = made_study([[1.0, 1, 0]] * 30, area, [f"{i:02}" for i in range(30)])
    others = study.regions["other persons"]
    assert study.regions["opposite"]["mean_penalty"] == pytest.approx((0.1, 0.1, 0.1))
    assert others["mean_penalty"].value == pytest.approx(0.1)
    assert np.isnan(np.array(list(others.values()))[:, 1:]).all()
    line = study.table().splitlines()[4]
    assert line.split()[:5] == ["All", "other", "persons", "9", "100,000.0"] and "(" not in line
    difference = PenaltyComparison(study, study).groups["All"]
    assert difference["opposite"]["higher"] == (0, 0, 0) and math.isnan(difference["other persons"]["higher"].low)


def test_two_models_are_compared_on_the_same_resamples():
    rng = np.random.default_rng(2)
    hard = rng.exponential(1, (60, 1)) * (1, 1, 1)  # some people are harder than others, for both models
    area = np.full((60, 3), (10, 10, 80))
    images = [f"{i:02}" for i in range(60)]
    a = made_study(1.1 * hard, area, images)
    b = made_study(hard, area, images)
    difference = PenaltyComparison(a, b).groups["All"]["opposite"]
    mean_penalty = difference["mean_penalty"]
    assert mean_penalty.value == pytest.approx(0.1 * hard[:, 0].mean() / 10)
    assert 0 < mean_penalty.low < mean_penalty.high
    apart = b.regions["opposite"]["mean_penalty"]
    assert mean_penalty.high - mean_penalty.low < 0.2 * (apart.high - apart.low)
    assert np.allclose(difference["penalty_share"], 0) and difference["higher"] == (0, 0, 0)
    line = PenaltyComparison(b, a).table(("b.safetensors", "a.safetensors")).splitlines()[3]
    assert line.split()[:4] == ["All", "opposite", "60", f"{-1e5 * hard[:, 0].mean() / 10:+,.1f}"]
    assert json.dumps(PenaltyComparison(a, b).to_dict(), allow_nan=False)


def test_studies_of_other_people_gammas_or_targets_are_not_compared():
    area = [[10, 0, 90]] * 2
    images = ["a", "b"]
    first = made_study([[1, 0, 0]] * 2, area, images)
    for second, detail in (
        (made_study([[1, 0, 0]] * 2, area, ["a", "c"]), "2 people"),
        (made_study([[1, 0, 0]] * 2, area, images, gamma=1.0), "gamma 1"),
        (made_study([[1, 0, 0]], area[:1], images[:1]), "1 people"),
        (run_study(maps(2), people_on_maps([person(nose=(1, 1))] * 2, images=images)), "five"),
        (replace(first, targets="other targets"), "other targets"),
    ):
        with pytest.raises(DataError, match=detail):
            PenaltyComparison(first, second)


def test_the_table_is_aligned_and_holds_the_numbers():
    people = people_on_maps([person(nose=(8, 2), left_hand=(4, 4), right_hand=(11, 10))] * 10)
    values = maps(10)
    values[:, LEFT, 10, 11] = 0.9
    study = run_study(values, people)
    lines = study.table().splitlines()
    assert "gamma 2" in lines[0] and "made test, 10 people, 30 " in lines[0]
    body = lines[2:9]
    assert len({len(line) for line in body}) == 1
    assert [line.split("  ")[0] for line in body] == ["joints", "All", "All", "All", "Nose", "Hand", "Hand"]
    mean = 1e6 * charged(0.9, 0.1) / (2 * IN_DISC)
    assert body[1].split() == [
        "All", "opposite", "20", f"{mean:,.1f}", f"({mean:,.1f}", "to", f"{mean:,.1f})", "100.0", "(100.0", "to", "100.0)",
        "12.8", "7.8", "(7.8", "to", "7.8)", "50.0", "(50.0", "to", "50.0)",
    ]  # fmt: skip
    assert study.group_rows("opposite")["Hand"] == study.groups["Hand"]["opposite"]


def tiny(folder, skeleton, **options):
    """A predictor with random weights whose maps have clear peaks that are not near 1."""
    torch.manual_seed(0)
    shape = {"stacks": 1, "features": 8, "depth": 2}
    model = StackedHourglass(joints=len(skeleton), **shape).eval()
    nn.init.normal_(model.outputs[-1].weight, std=0.01)
    info = ModelInfo(skeleton, 64, head="sigmoid", mean=(0.5,) * 3, std=(0.25,) * 3, notes={"sigma": 1.0}, **shape)
    save_weights(folder / "tiny.safetensors", model, info)
    return posekit.load(folder / "tiny.safetensors", device="cpu", **options)


def test_real_images_of_several_people(real_data, tmp_path):
    people = open_people("coco", real_data / "coco" / "test_coco.json")
    predictor = tiny(tmp_path, COCO17, batch_size=5)
    study = penalty_study(predictor, people, progress=False)
    assert (len(study.people), study.failures) == (12, ())
    assert study.n_maps == people.labelled.sum(), "COCO's boxes contain all joints of their people"
    for i in (0, 4, 11):
        alone = run_model(predictor, annotated_view(people, i)).explain(2.0).penalty[0].sum((-2, -1)).numpy()
        np.testing.assert_allclose(study.penalty[i].sum(-1), alone * people.labelled[i], rtol=1e-3, atol=1e-4)
    # The first image has one person. In the last, the five stand close enough to be in each other's crops.
    names, counts = np.unique(people.image_paths, return_counts=True)
    assert sorted(counts) == [1, 2, 4, 5]
    alone = people.image_paths == names[counts == 1]
    assert not study.area[alone, :, OTHERS].any()
    crowded = people.image_paths == names[counts == 5]
    assert study.area[crowded, :, OTHERS].any(1).all()
    assert study.maps["Head"]["opposite"] > 0 and not study.area[:, COCO17.index("nose"), OPPOSITE].any()
    for i, region in enumerate(REGIONS):
        higher = (study.hard[..., i] > 0).sum() / study.maps["All"][region]
        assert study.regions[region]["higher"].value == pytest.approx(100 * higher)


def test_real_people_alone_in_their_images(real_data, tmp_path):
    people = open_people("lsp", real_data / "lspet", "all").select(np.arange(11))
    predictor = tiny(tmp_path, LSP14, batch_size=8, views=TestTimeAugmentation((0.9, 1.0), flip=True))
    study = penalty_study(predictor, people, progress=False)
    assert study.maps["All"]["other persons"] == 0 and study.maps["Head"]["opposite"] == 0
    has_both = people.labelled & people.labelled[:, LSP14.flip_order] & (LSP14.flip_order != np.arange(14))
    assert 0.9 * has_both.sum() < study.maps["All"]["opposite"] <= has_both.sum()
    assert 0 < study.regions["opposite"]["penalty_share"].value < 100
    # An untrained model spreads the penalty about evenly.
    assert 0.3 < study.regions["opposite"]["concentration"].value < 3
