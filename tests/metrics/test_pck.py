import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posekit.errors import DataError
from posekit.metrics import pck, pckh, torso_sizes
from posekit.skeletons import LSP14, Skeleton

N, K = 5, 3


def example(seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.uniform(0, 300, (N, K, 2))
    return truth + rng.normal(0, 8, truth.shape), truth, rng.random((N, K)) < 0.7, rng.uniform(20, 60, N)


def by_loop(pred, truth, counted, head, threshold):
    """Correct and counted, one joint after another."""
    correct = np.zeros(K, int)
    total = np.zeros(K, int)
    for n in range(N):
        for k in range(K):
            if counted[n, k]:
                total[k] += 1
                correct[k] += np.linalg.norm(pred[n, k] - truth[n, k]) / head[n] <= threshold
    return correct, total


@pytest.mark.parametrize("seed", range(5))
def test_agrees_with_a_loop(seed):
    pred, truth, counted, head = example(seed)
    outcome = pckh(pred, truth, counted, head_size_N=head, threshold=0.25)
    correct, total = by_loop(pred, truth, counted, head, 0.25)
    np.testing.assert_array_equal(outcome.counts, total)
    np.testing.assert_allclose(outcome.percent, 100 * correct / total)
    assert outcome.pooled_mean() == pytest.approx(100 * correct.sum() / total.sum())
    assert outcome.joint_mean() == pytest.approx((100 * correct / total).mean())
    assert outcome.joint_mean([0, 2]) == pytest.approx((100 * correct / total)[[0, 2]].mean())


@pytest.mark.parametrize("seed", range(3))
def test_auc_is_the_mean_over_thresholds(seed):
    pred, truth, counted, head = example(seed)
    thresholds = [t / 100 for t in range(1, 51)]
    over = [pckh(pred, truth, counted, head_size_N=head, threshold=t).pooled_mean([0, 1]) for t in thresholds]
    assert pckh(pred, truth, counted, head_size_N=head).auc([0, 1]) == pytest.approx(np.mean(over))
    over = [pck(pred, truth, counted, reference_size_N=head, threshold=t).pooled_mean() for t in thresholds[:20]]
    assert pck(pred, truth, counted, reference_size_N=head).auc() == pytest.approx(np.mean(over))


def test_a_distance_of_exactly_the_threshold_is_correct():
    truth = np.zeros((1, 3, 2))
    pred = np.array([[[3.0, 4.0], [3.0, 4.001], [0.0, -5.0]]])
    counted = np.ones((1, 3), bool)
    assert pckh(pred, truth, counted, head_size_N=[10.0]).correct.tolist() == [[True, False, True]]
    assert 0.29 * 100 < 29  # in floating point; the quotient is exact
    on_the_edge = pck(
        np.array([[[29.0, 0.0]]]), np.zeros((1, 1, 2)), np.ones((1, 1), bool), reference_size_N=[100.0], threshold=0.29
    )
    assert on_the_edge.correct.all()


def test_distances_are_in_reference_sizes_not_image_sizes():
    # A tall thin offset: exchanging x and y of the truth or of a size would change the outcome.
    truth = np.array([[[10.0, 200.0]]])
    pred = np.array([[[10.0, 206.0]]])
    counted = np.ones((1, 1), bool)
    assert pck(pred, truth, counted, reference_size_N=[30.0]).pooled_mean() == 100
    assert pck(pred, truth, counted, reference_size_N=[29.9]).pooled_mean() == 0


def test_a_joint_at_the_origin_counts_when_it_is_labelled():
    outcome = pckh(np.zeros((1, 2, 2)), np.zeros((1, 2, 2)), np.array([[True, False]]), head_size_N=[10.0])
    assert outcome.counts.tolist() == [1, 0] and outcome.percent[0] == 100 and np.isnan(outcome.percent[1])


def test_a_prediction_that_is_not_finite_is_wrong_and_reported():
    pred = np.array([[[np.nan, 1.0], [1.0, np.inf], [0.0, 0.0], [np.nan, np.nan]]])
    counted = np.array([[True, True, True, False]])
    outcome = pckh(pred, np.zeros((1, 4, 2)), counted, head_size_N=[10.0])
    assert outcome.correct.tolist() == [[False, False, True, False]]
    assert outcome.n == 3 and np.isinf(outcome.errors).sum() == 2
    assert outcome.pooled_mean() == pytest.approx(100 / 3) and outcome.auc() == pytest.approx(100 / 3)


@pytest.mark.parametrize("size", [np.nan, 0.0, -1.0, np.inf])
def test_people_without_a_reference_size_are_left_out(size):
    outcome = pckh(np.zeros((2, K, 2)), np.zeros((2, K, 2)), np.ones((2, K), bool), head_size_N=[10.0, size])
    assert outcome.counts.tolist() == [1] * K and outcome.n_left_out == 1 and outcome.left_out.tolist() == [False, True]


def test_empty():
    outcome = pckh(np.zeros((0, K, 2)), np.zeros((0, K, 2)), np.zeros((0, K), bool), head_size_N=np.zeros(0))
    assert outcome.n == 0 and outcome.percent.shape == (K,) and np.isnan(outcome.percent).all()
    totals = [
        outcome.pooled_mean(),
        outcome.joint_mean(),
        outcome.auc(),
        *outcome.interval95(),
        outcome.joint_mean((0, 1)),
    ]
    assert np.isnan(totals).all()
    assert np.isnan(pckh(*example()[:3], head_size_N=np.ones(N)).pooled_mean([]))


def test_groups_are_plain_means_over_their_joints():
    # Left right 1 of 1, right right 0 of 3: the plain mean is 50, the pooled one 25.
    pred = np.array([[[0, 0], [9, 0]], [[0, 0], [9, 0]], [[0, 0], [9, 0]]], float)
    counted = np.array([[True, True], [False, True], [False, True]])
    outcome = pckh(pred, np.zeros((3, 2, 2)), counted, head_size_N=[10.0] * 3)
    assert (outcome.joint_mean((0, 1)), outcome.joint_mean((0,))) == (50.0, 100.0)
    assert outcome.pooled_mean() == 25


def test_joints_that_never_count_are_not_in_the_plain_mean():
    outcome = pckh(np.zeros((2, 2, 2)), np.zeros((2, 2, 2)), np.array([[True, False]] * 2), head_size_N=[10.0] * 2)
    assert outcome.joint_mean() == 100
    assert np.isnan(outcome.joint_mean((1,)))


def test_the_callers_arrays_are_not_changed():
    arrays = example()
    copies = [array.copy() for array in arrays]
    for array in arrays:
        array.setflags(write=False)
    outcome = pckh(*arrays[:3], head_size_N=arrays[3])
    outcome.auc(), outcome.interval95(), outcome.joint_mean((0,))
    for array, copy in zip(arrays, copies, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_truth_of_joints_that_do_not_count_is_ignored():
    pred, truth, counted, head = example()
    truth[~counted] = np.nan
    assert pckh(pred, truth, counted, head_size_N=head).n == counted.sum()
    truth[counted] = np.nan
    with pytest.raises(ValueError, match=r"^truth: .*finite"):
        pckh(pred, truth, counted, head_size_N=head)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"truth": np.zeros((N, K, 3))}, r"truth: expected \(N, K, 2\), got \(5, 3, 3\)"),
        ({"pred": np.zeros((N, K + 1, 2))}, r"pred: expected \(5, 3, 2\), got \(5, 4, 2\)"),
        ({"counted": np.zeros((K, N), bool)}, r"counted: expected \(5, 3\), got \(3, 5\)"),
        ({"counted": np.ones((N, K))}, "^counted: .*bool.*float64"),
        ({"head": np.zeros(K)}, r"head_size: expected \(5,\), got \(3,\)"),
    ],
)
def test_wrong_shapes(change, message):
    arrays = dict(zip(("pred", "truth", "counted", "head"), example(), strict=True)) | change
    with pytest.raises(ValueError, match=message):
        pckh(arrays["pred"], arrays["truth"], arrays["counted"], head_size_N=arrays["head"])


def test_torso_is_from_left_shoulder_to_right_hip():
    truth = np.zeros((3, 14, 2))
    labelled = np.ones((3, 14), bool)
    truth[:, LSP14.index("left_shoulder")] = [[3, 4], [6, 8], [1, 1]]
    labelled[1, LSP14.index("right_hip")] = False
    sizes = torso_sizes(truth, labelled, LSP14)
    np.testing.assert_allclose(sizes, [5, np.nan, np.sqrt(2)])
    with pytest.raises(ValueError, match=r"truth: expected \(N, 14, 2\), got \(3, 13, 2\)"):
        torso_sizes(truth[:, :13], labelled[:, :13], LSP14)
    with pytest.raises(DataError, match="left_shoulder"):
        torso_sizes(truth[:, :1], labelled[:, :1], Skeleton("tail", ("tip",)))


def test_interval_contains_the_mean_is_seeded_and_as_wide_as_the_binomial():
    # 400 people with one joint, 70 % correct: the standard error is sqrt(0.7 * 0.3 / 400) = 2.29 points.
    pred = np.where(np.arange(400) < 280, 0.0, 99.0)[:, None, None] * np.ones((400, 1, 2))
    outcome = pckh(pred, np.zeros((400, 1, 2)), np.ones((400, 1), bool), head_size_N=np.full(400, 10.0))
    low, high = outcome.interval95()
    assert low < 70 < high and high - low == pytest.approx(2 * 1.96 * 2.29, rel=0.1)
    assert outcome.interval95() == (low, high) != outcome.interval95(seed=1)


def test_interval_resamples_people_not_joints():
    # 100 people whose 20 joints are all right or all wrong: as wide as for one joint each.
    right = np.arange(100) < 50
    pred = np.where(right, 0.0, 99.0)[:, None, None] * np.ones((100, 20, 2))
    outcome = pckh(pred, np.zeros((100, 20, 2)), np.ones((100, 20), bool), head_size_N=np.full(100, 10.0))
    low, high = outcome.interval95()
    assert high - low == pytest.approx(2 * 1.96 * 5.0, rel=0.15)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.1, 10), st.floats(-500, 500))
def test_unit_and_origin_of_the_pixels_do_not_matter(seed, scale, shift):
    pred, truth, counted, head = example(seed)
    one = pckh(pred, truth, counted, head_size_N=head)
    other = pckh(pred * scale + shift, truth * scale + shift, counted, head_size_N=head * scale)
    np.testing.assert_allclose(one.errors, other.errors, rtol=1e-6, atol=1e-9)
