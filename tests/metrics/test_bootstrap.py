import numpy as np
import pytest

from posekit.metrics import Difference, compare, compare_repeats, interval95, paired_difference, pck, pckh, repeated_difference
from posekit.metrics.bootstrap import in_percent, percentiles95, resampled_sums
from posekit.skeletons import MPII16

N, K = 30, 3
MEAN_JOINTS = [i for i, joint in enumerate(MPII16.joints) if joint not in ("pelvis", "thorax")]


def example(seed=0, **changes):
    rng = np.random.default_rng(seed)
    truth = rng.uniform(0, 300, (N, K, 2))
    arrays = {"pred": truth + rng.normal(0, 12, truth.shape), "counted": rng.random((N, K)) < 0.7, "head": rng.uniform(20, 60, N)}
    arrays |= changes
    return pckh(arrays["pred"], truth, arrays["counted"], head_size_N=arrays["head"])


def drawn_rows(n, resamples, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.integers(n, size=n) for _ in range(resamples)]


def select_people(outcome, rows):
    return type(outcome)(outcome.errors[rows], outcome.left_out[rows], outcome.threshold, outcome.auc_thresholds)


@pytest.mark.parametrize("seed", range(3))
def test_interval_is_that_of_scoring_each_resample(seed):
    rng = np.random.default_rng(seed)
    part = rng.random(N)
    whole = rng.integers(0, 4, N)
    resampled = [100 * part[rows].sum() / whole[rows].sum() for rows in drawn_rows(N, 150, seed)]
    assert interval95(part, whole, resamples=150, seed=seed) == pytest.approx(
        tuple(np.percentile(resampled, (2.5, 97.5))), rel=1e-12
    )


@pytest.mark.parametrize("joints", [None, [0, 2], [1]])
def test_every_mean_has_the_interval_of_scoring_each_resample(joints):
    outcome = example()
    sets = [select_people(outcome, rows) for rows in drawn_rows(N, 40)]
    for interval, total in (("interval95", "pooled_mean"), ("joint_mean_interval95", "joint_mean"), ("auc_interval95", "auc")):
        resampled = [getattr(one, total)(joints) for one in sets]
        found = getattr(outcome, interval)(joints, resamples=40)
        assert found == pytest.approx(tuple(np.percentile(resampled, (2.5, 97.5))), abs=1e-9), total


def test_a_joint_that_a_resample_lacks_is_not_in_its_plain_mean():
    counted = np.ones((4, 2), bool)
    counted[1:, 1] = False  # the second joint is labelled for one person of four
    truth = np.zeros((4, 2, 2))
    outcome = pckh(truth + np.array([[0.0, 0.0], [99.0, 0.0]]), truth, counted, head_size_N=np.full(4, 10.0))
    resampled = [select_people(outcome, rows).joint_mean() for rows in drawn_rows(4, 60)]
    assert set(resampled) == {50.0, 100.0}
    assert outcome.joint_mean_interval95(resamples=60) == tuple(np.percentile(resampled, (2.5, 97.5)))


def test_people_who_are_left_out_are_not_drawn():
    head = np.where(np.arange(N) < 10, np.nan, 40.0)
    outcome = example(head=head)
    without = select_people(outcome, np.arange(10, N))
    for interval in ("interval95", "joint_mean_interval95", "auc_interval95"):
        assert getattr(outcome, interval)() == getattr(without, interval)()


def test_intervals_are_nan_if_nothing_counts():
    no_people = pck(np.zeros((0, K, 2)), np.zeros((0, K, 2)), np.zeros((0, K), bool), reference_size_N=np.zeros(0))
    nothing = example(counted=np.zeros((N, K), bool))
    for outcome in (no_people, nothing, example(head=np.full(N, np.nan))):
        for interval in (outcome.interval95(), outcome.joint_mean_interval95(), outcome.auc_interval95()):
            assert np.isnan(interval).all()
        difference = compare(outcome, outcome)
        assert np.isnan([difference.difference, difference.low, difference.high]).all() and not difference.decided
    assert np.isnan(example().joint_mean_interval95([])).all()
    assert np.isnan(interval95(np.zeros(3), np.zeros(3))).all()


def test_some_resamples_may_count_nothing():
    low, high = interval95([0.0, 1.0, 0.0], [0, 1, 0])
    assert (low, high) == (100, 100)


def test_sums_are_exact_seeded_and_drawn_alike_for_all_columns():
    columns = np.random.default_rng(5).integers(0, 9, (N, 4))
    sums = resampled_sums(columns, resamples=230, seed=7)
    assert sums.shape == (230, 4)
    np.testing.assert_array_equal(sums, [columns[rows].sum(0) for rows in drawn_rows(N, 230, 7)])
    np.testing.assert_array_equal(resampled_sums(columns[:, [2]], resamples=230, seed=7), sums[:, [2]])
    assert (resampled_sums(columns, resamples=230, seed=8) != sums).any()
    assert resampled_sums(np.zeros((0, 2)), resamples=7).tolist() == [[0.0, 0.0]] * 7


def test_percentiles_ignore_nan():
    assert percentiles95(np.array([np.nan, 3.0, np.nan, 1.0])) == (1.05, 2.95)
    assert np.isnan(percentiles95(np.full(4, np.nan))).all()


def test_percent_of_nothing_is_nan():
    np.testing.assert_array_equal(in_percent([[1, 2], [0, 3]], [[4], [0]]), [[25, 50], [np.nan, np.nan]])


@pytest.mark.parametrize("seed", range(3))
def test_difference_draws_the_same_people_for_both(seed):
    a = example(seed)
    b = example(seed, pred=np.random.default_rng(9).uniform(0, 300, (N, K, 2)))
    resampled = []
    for rows in drawn_rows(N, 50):
        resampled.append(select_people(a, rows).pooled_mean([0, 1]) - select_people(b, rows).pooled_mean([0, 1]))
    found = compare(a, b, [0, 1], resamples=50)
    assert found.difference == pytest.approx(a.pooled_mean([0, 1]) - b.pooled_mean([0, 1]))
    assert (found.low, found.high) == pytest.approx(tuple(np.percentile(resampled, (2.5, 97.5))), abs=1e-9)
    back = compare(b, a, [0, 1], resamples=50)
    assert (back.difference, back.low, back.high) == pytest.approx((-found.difference, -found.high, -found.low))


def test_a_difference_is_decided_when_its_interval_excludes_zero():
    assert Difference(2.0, 0.5, 3.0).decided and Difference(-2.0, -3.0, -0.5).decided
    assert not Difference(1.0, -0.5, 3.0).decided and not Difference(0.0, 0.0, 0.0).decided


def test_a_paired_interval_is_narrower_than_two_apart():
    # Of 200 people half are hard for both; the first model gets 10 more right.
    whole = np.ones(200)
    b = np.repeat([1.0, 0.0], 100)
    a = b + np.where(np.arange(200) >= 190, 1.0, 0.0)
    found = paired_difference(a, b, whole)
    assert found.difference == pytest.approx(5) and found.decided
    assert found.high - found.low == pytest.approx(2 * 1.96 * 100 * np.sqrt(0.05 * 0.95 / 200), rel=0.15)
    (_, a_high) = interval95(a, whole)
    (b_low, _) = interval95(b, whole)
    assert a_high - b_low > 2 * (found.high - found.low)


def test_wrong_shapes():
    with pytest.raises(ValueError, match="same shape"):
        interval95(np.ones(3), np.ones(4))
    with pytest.raises(ValueError, match="shape"):
        paired_difference(np.ones(3), np.ones(4), np.ones(3))


def test_results_with_other_joints_or_thresholds_cannot_be_compared():
    a = example()
    counted = example().counted.copy()
    counted[[4, 7], 2] ^= True
    b = example(counted=counted)
    assert compare(a, b, [0, 1]).difference == 0
    with pytest.raises(ValueError, match=r"^b: .*\b2 are "):
        compare(a, b)
    without = example(counted=np.ones((N, K), bool), head=np.where(np.arange(N) == 3, np.nan, 40.0))
    with pytest.raises(ValueError, match=r"^b: .*\b3 are "):
        compare(without, example(counted=np.ones((N, K), bool)))
    with pytest.raises(ValueError, match=r"b: expected \(30, 3\), got \(29, 3\)"):
        compare(a, select_people(a, np.arange(29)))
    with pytest.raises(ValueError, match=r"^b: .*threshold 0.5.* 0.2"):
        compare(a, type(a)(a.errors, a.left_out, 0.2, a.auc_thresholds))


def test_curve_is_the_pooled_mean_at_each_threshold():
    outcome = example()
    thresholds = [0.5, 0.1, 0.0, 0.25, 3.0]
    at = [np.mean(outcome.errors[:, [0, 2]][outcome.counted[:, [0, 2]]] <= threshold) * 100 for threshold in thresholds]
    np.testing.assert_allclose(outcome.curve(thresholds, [0, 2]), at)
    assert outcome.curve([0.5])[0] == outcome.pooled_mean()
    assert outcome.curve(outcome.auc_thresholds).mean() == pytest.approx(outcome.auc())


def test_curve_counts_exactly_the_threshold_and_never_a_joint_without_prediction():
    pred = np.array([[[3.0, 4.0], [np.nan, 0.0]]])
    outcome = pckh(pred, np.zeros((1, 2, 2)), np.ones((1, 2), bool), head_size_N=[10.0])
    assert outcome.curve([0.5, 0.499, 1e9]).tolist() == [50, 0, 50]
    assert np.isnan(outcome.curve([0.1, 0.2], [])).all()


@pytest.fixture(scope="module")
def hourglass(mpii, hourglass):
    return pckh(hourglass.joints, mpii.joints, mpii.labelled, head_size_N=mpii.head_sizes)


def test_pooled_intervals_of_the_hourglass_are_unchanged_to_the_last_bit(hourglass):
    # From posekit 6a80b15.
    assert hourglass.interval95() == (88.38591894508156, 89.53263750926544)
    assert hourglass.interval95(MEAN_JOINTS) == (87.42996305871925, 88.64471824166094)
    assert hourglass.interval95(seed=3, resamples=77) == (88.4946360584083, 89.486427277751)


def test_intervals_of_the_hourglass_contain_their_means(hourglass):
    for interval, total in (
        (hourglass.joint_mean_interval95(MEAN_JOINTS), hourglass.joint_mean(MEAN_JOINTS)),
        (hourglass.auc_interval95(MEAN_JOINTS), hourglass.auc(MEAN_JOINTS)),
    ):
        assert interval[0] < total < interval[1] and 0.8 < interval[1] - interval[0] < 1.6


def test_the_hourglass_is_better_than_tompson_et_al(mpii, hourglass, tompson):
    worse = pckh(tompson.joints, mpii.joints, mpii.labelled, head_size_N=mpii.head_sizes)
    found = compare(hourglass, worse, MEAN_JOINTS)
    assert found.difference == pytest.approx(88.035 - 82.337, abs=0.002)  # both from the public evaluation
    assert found.decided and 5 < found.low < found.high < 6.5
    apart = np.hypot(*(np.ptp(outcome.interval95(MEAN_JOINTS)) for outcome in (hourglass, worse)))
    assert found.high - found.low < 0.7 * apart


def test_one_repeat_is_a_paired_difference():
    rng = np.random.default_rng(0)
    a = rng.integers(0, 9, 50)
    b = rng.integers(0, 9, 50)
    whole = np.full(50, 14)
    assert repeated_difference(a[:, None], b[:, None], whole) == paired_difference(a, b, whole)


def test_the_repeats_spread_widens_the_interval_and_equal_repeats_do_not():
    rng = np.random.default_rng(1)
    a = rng.integers(4, 9, (400, 1))
    b = rng.integers(2, 7, (400, 1))
    whole = np.full(400, 14)
    alone = paired_difference(a[:, 0], b[:, 0], whole)
    same = repeated_difference(np.tile(a, 3), np.tile(b, 3), whole)
    assert (same.difference, same.low, same.high) == pytest.approx((alone.difference, alone.low, alone.high))
    differing = repeated_difference(np.concatenate([a - 2, a, a + 2], axis=1), np.tile(b, 3), whole)
    assert differing.difference == pytest.approx(alone.difference)
    assert differing.high - differing.low > 5 * (alone.high - alone.low)
    # The spread of a mean over three that are drawn of -2, 0, 2 is sqrt(8 / 9) of 14 joints.
    drawn = (differing.high - differing.low) / 2 / 1.96
    assert drawn == pytest.approx(100 * np.sqrt(8 / 9) / 14, rel=0.1)


def test_repeats_that_do_not_pair_up_are_refused():
    found = [pckh(np.zeros((3, 2, 2)), np.zeros((3, 2, 2)), np.ones((3, 2), bool), head_size_N=[1.0] * 3)] * 2
    with pytest.raises(ValueError, match=r"^b: .* 1 .* 2 "):
        compare_repeats(found, found[:1])
    with pytest.raises(ValueError, match=r"^b: .* 0 .* 0 "):
        compare_repeats([], [])
