import numpy as np
import pytest

from posekit.metrics import KINDS, diagnose, pckh
from posekit.skeletons import MPII16

# Left, right, and one in the middle.
N, K = 5, 3
FLIP = np.array([1, 0, 2])
TRUTH = np.array([[0.0, 0.0], [100.0, 0.0], [50.0, 50.0]])


def diagnosed(pred, counted=(True, True, True), size=10.0, **changes):
    """Diagnosis of one person whose good joints are within 5 px, and whose jitters within 10 px."""
    arguments = {"reference_size_N": [size], "threshold": 0.5, "flip_order_K": FLIP} | changes
    return diagnose(np.array([pred]), TRUTH[None], np.array([counted]), **arguments)


def kinds(found):
    return [KINDS[kind] if kind >= 0 else None for kind in found.kind_NK[0]]


@pytest.mark.parametrize(
    ("x", "kind"),
    [(0, "good"), (5, "good"), (-5.1, "jitter"), (10, "jitter"), (10.1, "miss"), (94.9, "miss"), (95, "inversion"),
     (100, "inversion"), (105, "inversion"), (105.1, "miss"), (np.nan, "miss"), (np.inf, "miss"), (1e300, "miss")],
)  # fmt: skip
def test_kinds_by_the_distance_to_both_joints(x, kind):
    assert kinds(diagnosed([[x, 0], [100, 0], [50, 50]])) == [kind, "good", "good"]


def test_a_joint_in_the_middle_has_no_inversion():
    assert kinds(diagnosed([[0, 0], [0, 0], [0, 0]])) == ["good", "inversion", "miss"]
    assert kinds(diagnosed([[0, 0], [100, 0], [57, 50]])) == ["good", "good", "jitter"]


def test_the_opposite_joint_must_be_labelled():
    assert kinds(diagnosed([[100, 0], [100, 0], [50, 50]], counted=(True, False, True))) == ["miss", None, "good"]


def test_a_prediction_near_both_joints_is_good():
    truth = np.array([[[0.0, 0.0], [6.0, 0.0], [0.0, 0.0]]])
    pred = np.array([[[4.0, 0.0], [0.0, 0.0], [0.0, 0.0]]])
    found = diagnose(pred, truth, np.ones((1, 3), bool), reference_size_N=[10.0], threshold=0.5, flip_order_K=FLIP)
    assert kinds(found) == ["good", "inversion", "good"]  # the second is a jitter too, but inversion goes first


@pytest.mark.parametrize("size", [np.nan, 0.0, np.inf])
def test_people_without_a_reference_size_do_not_count(size):
    found = diagnosed(TRUTH, size=size)
    assert kinds(found) == [None] * 3 and not found.counts.any() and np.isnan(found.percent).all()
    assert np.isnan(list(found.cost().values())).all() and found.n_mirrored == 0


def example(seed):
    rng = np.random.default_rng(seed)
    truth = rng.uniform(0, 80, (N, K, 2))
    pred = truth + rng.normal(0, 20, truth.shape)
    pred[rng.random((N, K)) < 0.1] = np.nan
    return pred, truth, rng.random((N, K)) < 0.8, rng.uniform(30, 60, N)


def by_loop(pred, truth, counted, size, threshold):
    table = np.full((N, K), -1)
    for n in range(N):
        for k in np.flatnonzero(counted[n]):
            own, other = (np.linalg.norm(pred[n, k] - truth[n, j]) / size[n] for j in (k, FLIP[k]))
            if own <= threshold:
                table[n, k] = 0
            elif FLIP[k] != k and counted[n, FLIP[k]] and other <= threshold and other < own:
                table[n, k] = 2
            else:
                table[n, k] = 1 if own <= 2 * threshold else 3
    return table


@pytest.mark.parametrize("seed", range(8))
def test_agrees_with_a_loop(seed):
    pred, truth, counted, size = example(seed)
    truth[~counted] = np.nan  # ignored
    found = diagnose(pred, truth, counted, reference_size_N=size, threshold=0.4, flip_order_K=FLIP)
    table = by_loop(pred, truth, counted, size, 0.4)
    np.testing.assert_array_equal(found.kind_NK, table)
    assert found.kind_NK.dtype == np.int8
    np.testing.assert_array_equal(found.counts, [np.bincount(column[column >= 0], minlength=4) for column in table.T])


def test_cost_is_what_repairing_one_kind_gains():
    pred, truth, counted, size = example(3)
    arguments = {"reference_size_N": size, "threshold": 0.4, "flip_order_K": FLIP}
    found = diagnose(pred, truth, counted, **arguments)
    for joints in (None, [0, 2]):
        before = pckh(pred, truth, counted, head_size_N=size, threshold=0.4).pooled_mean(joints)
        for kind, gain in found.cost(joints).items():
            repaired = np.where((found.kind_NK == KINDS.index(kind))[..., None], truth, pred)
            after = pckh(repaired, truth, counted, head_size_N=size, threshold=0.4).pooled_mean(joints)
            assert gain == pytest.approx(after - before)
        assert sum(found.cost(joints).values()) == pytest.approx(100 - before)


def test_mirrored_people_have_more_good_joints_with_left_and_right_exchanged():
    exchanged = TRUTH[FLIP]
    right = TRUTH
    half = np.array([[100.0, 0.0], [100.0, 0.0], [50.0, 50.0]])  # one of the two is right either way
    found = diagnose(
        np.stack([exchanged, right, half]),
        np.stack([TRUTH] * 3),
        np.ones((3, K), bool),
        reference_size_N=[10.0] * 3,
        threshold=0.5,
        flip_order_K=FLIP,
    )
    assert found.mirrored_N.tolist() == [True, False, False] and found.n_mirrored == 1


def test_mirroring_needs_only_one_side_labelled():
    assert diagnosed([[50, 0], [0, 0], [50, 50]], counted=(True, False, False)).n_mirrored == 1


def test_empty():
    found = diagnose(
        np.zeros((0, K, 2)), np.zeros((0, K, 2)), np.zeros((0, K), bool), reference_size_N=[], threshold=0.5, flip_order_K=FLIP
    )
    assert found.kind_NK.shape == (0, K) and found.counts.shape == (K, 4) and found.n_mirrored == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pred_NK2": np.zeros((N, K + 1, 2))}, r"pred: expected \(5, 3, 2\), got \(5, 4, 2\)"),
        ({"truth_NK2": np.zeros((N, K))}, r"truth: expected \(N, K, 2\), got \(5, 3\)"),
        ({"counted_NK": np.ones((N, K))}, "counted: expected bool, got float64"),
        ({"reference_size_N": np.ones(K)}, r"reference_size: expected \(5,\), got \(3,\)"),
        ({"flip_order_K": np.arange(4)}, r"flip_order: expected \(3,\), got \(4,\)"),
    ],
)
def test_wrong_shapes(change, message):
    pred, truth, counted, size = example(0)
    arguments = {"pred_NK2": pred, "truth_NK2": truth, "counted_NK": counted, "reference_size_N": size, "flip_order_K": FLIP}
    with pytest.raises(ValueError, match=message):
        diagnose(**arguments | change, threshold=0.5)


def test_the_callers_arrays_stay_as_they_are():
    arrays = example(1)
    copies = [array.copy() for array in arrays]
    for array in arrays:
        array.setflags(write=False)
    diagnose(*arrays[:3], reference_size_N=arrays[3], threshold=0.4, flip_order_K=FLIP)
    for array, copy in zip(arrays, copies, strict=True):
        np.testing.assert_array_equal(array, copy)


@pytest.mark.parametrize("model", ["hourglass", "tompson"])
def test_good_joints_of_real_predictions_are_those_that_pckh_counts_as_correct(mpii, model, request):
    pred = request.getfixturevalue(model).joints
    outcome = pckh(pred, mpii.joints, mpii.labelled, head_size_N=mpii.head_sizes)
    arguments = {"reference_size_N": mpii.head_sizes, "threshold": 0.5, "flip_order_K": MPII16.flip_order}
    found = diagnose(pred, mpii.joints, mpii.labelled, **arguments)
    np.testing.assert_array_equal(found.percent[:, 0], outcome.percent)
    np.testing.assert_array_equal(found.kind_NK >= 0, outcome.counted)
    np.testing.assert_allclose(found.percent.sum(1), 100)
    joints = [MPII16.index(joint) for joint in ("left_knee", "right_knee", "left_ankle", "right_ankle")]
    assert sum(found.cost(joints).values()) == pytest.approx(100 - outcome.pooled_mean(joints))
    assert not found.counts[[6, 7, 8, 9], 2].any()  # pelvis to head top: no inversion in the middle


def test_the_hourglass_confuses_left_and_right_less_than_tompson_et_al(mpii, hourglass, tompson):
    arguments = {"reference_size_N": mpii.head_sizes, "threshold": 0.5, "flip_order_K": MPII16.flip_order}
    better, worse = (diagnose(model.joints, mpii.joints, mpii.labelled, **arguments) for model in (hourglass, tompson))
    assert better.counts[:, 2].sum() < 0.7 * worse.counts[:, 2].sum()
    assert 0 < better.n_mirrored < 0.05 * len(mpii)
