import numpy as np
import pytest

from posekit.metrics import double_counting, pckh
from posekit.metrics.double_counting import FINDINGS
from posekit.skeletons import MPII16

# Left, right, and one in the middle.
N, K, P = 5, 3, 4
FLIP = np.array([1, 0, 2])
TRUTH = np.array([[[0.0, 0.0], [100.0, 0.0], [50.0, 50.0]]])


def left(*peaks, counted=(True, True, True), size=10.0, **changes):
    """Result for one person: the left joint's map has these peaks (x, height), the others one at the truth; right within 5 px."""
    positions = np.full((1, K, len(peaks), 2), np.nan)
    heights = np.full((1, K, len(peaks)), np.nan)
    positions[:, :, 0] = TRUTH
    heights[:, :, 0] = 1.0
    positions[0, 0] = [(x, 0) for x, _ in peaks]
    heights[0, 0] = [height for _, height in peaks]
    arguments = {"reference_size_N": [size], "threshold": 0.5, "flip_order_K": FLIP} | changes
    return double_counting(positions, heights, TRUTH, np.array([counted]), **arguments)


def facts(found):
    return {name for name in ("double", "top_right", "other_right", "other_opposite") if getattr(found, name)[0, 0]}


NAN = (np.nan, np.nan)


@pytest.mark.parametrize(
    ("peaks", "expected"),
    [
        ([(0, 1.0)], {"top_right"}),
        ([(0, 1.0), NAN, NAN], {"top_right"}),
        ([(0, 1.0), (100, 0.5)], {"double", "top_right", "other_opposite"}),
        ([(0, 1.0), (100, 0.49)], {"top_right"}),  # too low
        ([(0, 1.0), (4.9, 0.9)], {"top_right"}),  # too close
        ([(0, 1.0), (5, 0.9)], {"double", "top_right", "other_right"}),
        ([(100, 1.0), (0, 0.8)], {"double", "other_right"}),
        ([(50, 1.0), (-5, 0.8)], {"double", "other_right"}),
        ([(50, 1.0), (-5.1, 0.8)], {"double"}),
        ([(50, 1.0), (95, 0.8), (0, 0.6)], {"double", "other_right", "other_opposite"}),
        ([(50, 1.0), (95, 0.8), (0, 0.4)], {"double", "other_opposite"}),
        ([(100, 1.0), (50, 0.8)], {"double"}),  # only the other peaks count for other_opposite
        ([(0, 0.0), (100, 0.0)], {"top_right"}),  # not above 0
        ([(0, -0.2), (100, -0.3)], {"top_right"}),
        ([(0, 0.4), (100, -0.1)], {"top_right"}),
        ([NAN, NAN], set()),
        ([(0, 1.0), (np.nan, 0.9)], {"top_right"}),
    ],
)
def test_masks_by_the_places_of_the_peaks(peaks, expected):
    found = left(*peaks)
    assert facts(found) == expected
    assert found.counted.all() and found.top_right[0, 1:].all() and not found.double[0, 1:].any()


@pytest.mark.parametrize(
    ("peaks", "other"),
    [([(0, 1.0)], -1), ([(0, 1.0), (2, 0.9), (50, 0.8), (100, 0.7)], 2), ([(0, 1.0), (50, 0.9), (100, 0.8)], 1), ([NAN], -1)],
)
def test_the_highest_of_the_other_peaks_is_named(peaks, other):
    assert left(*peaks).other_NK.tolist() == [[other, -1, -1]]


def test_both_peaks_may_be_right_and_then_not_only_the_other_is():
    found = left((-3, 1.0), (3, 0.8))
    assert facts(found) == {"double", "top_right", "other_right"} and not found.only_other_right.any()
    assert left((40, 1.0), (3, 0.8)).only_other_right.tolist() == [[True, False, False]]


def test_the_opposite_joint_must_be_labelled_and_another():
    assert "other_opposite" not in facts(left((0, 1.0), (100, 0.9), counted=(True, False, True)))
    itself = left((100, 1.0), (0, 0.9), flip_order_K=np.arange(3))
    assert facts(itself) == {"double", "other_right"}


@pytest.mark.parametrize("changes", [{"size": np.nan}, {"size": 0.0}, {"counted": (False, False, False)}])
def test_maps_that_do_not_count_have_no_findings(changes):
    found = left((100, 1.0), (0, 0.9), **changes)
    assert not found.counted.any() and facts(found) == set() and (found.other_NK == -1).all()
    assert np.isnan([found.total("double", [k]) for k in range(K)]).all() and np.isnan(found.total("top_right"))


def example(seed):
    rng = np.random.default_rng(seed)
    truth = rng.uniform(0, 60, (N, K, 2))
    peaks = rng.uniform(0, 60, (N, K, P, 2))
    heights = np.sort(rng.uniform(-0.3, 1, (N, K, P)), -1)[..., ::-1]
    none = np.arange(P) >= rng.integers(0, P + 1, (N, K, 1))
    return np.where(none[..., None], np.nan, peaks), np.where(none, np.nan, heights), truth, rng.random((N, K)) < 0.8


def by_loop(peaks, heights, truth, counted, size, threshold):
    """Joint by joint: value of each mask, and the index of the other peak."""
    for n, k in np.ndindex(N, K):
        others = []
        if counted[n, k] and heights[n, k, 0] > 0:
            apart = np.linalg.norm(peaks[n, k] - peaks[n, k, 0], axis=1) / size[n]
            others = [p for p in range(1, P) if apart[p] >= threshold and heights[n, k, p] >= 0.5 * heights[n, k, 0]]

        def near(p, joint, n=n, k=k):
            return np.linalg.norm(peaks[n, k, p] - truth[n, joint]) / size[n] <= threshold

        holds = {
            "counted": counted[n, k],
            "double": bool(others),
            "top_right": counted[n, k] and near(0, k),
            "other_right": any(near(p, k) for p in others),
            "other_opposite": FLIP[k] != k and counted[n, FLIP[k]] and any(near(p, FLIP[k]) for p in others),
        }
        yield n, k, holds, others[0] if others else -1


@pytest.mark.parametrize("seed", range(6))
def test_agrees_with_a_loop(seed):
    peaks, heights, truth, counted = example(seed)
    size = np.random.default_rng(seed).uniform(30, 60, N)
    truth[~counted] = np.nan  # ignored
    found = double_counting(peaks, heights, truth, counted, reference_size_N=size, threshold=0.4, flip_order_K=FLIP)
    for n, k, holds, other in by_loop(peaks, heights, truth, counted, size, 0.4):
        assert {name: bool(getattr(found, name)[n, k]) for name in holds} == holds
        assert found.other_NK[n, k] == other
    assert found.double.any()


def test_percentages_and_counts():
    peaks, heights, truth, counted = example(14)
    size = np.full(N, 50.0)
    found = double_counting(peaks, heights, truth, counted, reference_size_N=size, threshold=0.5, flip_order_K=FLIP)
    assert found.double.any(0).all() and not found.double.all()
    np.testing.assert_array_equal(found.maps, counted.sum(0))
    assert found.total("double") == pytest.approx(100 * found.double.sum() / counted.sum())
    assert found.total("double", [1]) == pytest.approx(100 * found.double[:, 1].sum() / counted[:, 1].sum())
    for finding in FINDINGS[1:]:
        both = found.double & getattr(found, finding)
        joints = [0, 1] if finding == "other_opposite" else [0, 2]  # the last has no opposite
        np.testing.assert_array_equal(found.counts(finding), both.sum(0))
        assert found.total(finding, joints) == pytest.approx(100 * both[:, joints].sum() / found.double[:, joints].sum())
    with pytest.raises(ValueError, match=r"^finding: .*double, top_right.*'triple'"):
        found.total("triple")


def test_empty():
    found = double_counting(
        np.zeros((0, K, P, 2)),
        np.zeros((0, K, P)),
        np.zeros((0, K, 2)),
        np.zeros((0, K), bool),
        reference_size_N=[],
        threshold=0.5,
        flip_order_K=FLIP,
    )
    assert found.double.shape == found.other_NK.shape == (0, K) and np.isnan(found.total("double"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"peaks_NKP2": np.zeros((N, K, P))}, r"^peaks: .*\(5, 3, 4\)"),
        ({"peaks_NKP2": np.zeros((N, K, 0, 2))}, r"^peaks: .*\(5, 3, 0, 2\)"),
        ({"heights_NKP": np.zeros((N, K, 3))}, r"heights: expected \(5, 3, 4\), got \(5, 3, 3\)"),
        ({"heights_NKP": np.ones((N, K, P)) * [1, 0.2, 0.3, 0.1]}, "^heights: "),
        ({"truth_NK2": np.zeros((N, 4, 2))}, r"counted: expected \(5, 4\), got \(5, 3\)"),
        ({"counted_NK": np.ones((N, K))}, "counted: expected bool, got float64"),
        ({"reference_size_N": np.ones(K)}, r"reference_size: expected \(5,\), got \(3,\)"),
        ({"flip_order_K": np.arange(4)}, r"flip_order: expected \(3,\), got \(4,\)"),
    ],
)
def test_wrong_shapes(change, message):
    names = ("peaks_NKP2", "heights_NKP", "truth_NK2", "counted_NK")
    arguments = dict(zip(names, example(0), strict=True)) | {"reference_size_N": np.full(N, 50.0), "flip_order_K": FLIP}
    with pytest.raises(ValueError, match=message):
        double_counting(**arguments | change, threshold=0.5)


def test_real_predictions_as_the_only_peaks_score_as_in_pckh(mpii, hourglass):
    pred = hourglass.joints
    # As the second peak, the true opposite joint, for everyone.
    peaks = np.stack([pred, mpii.joints[:, MPII16.flip_order]], axis=2)
    found = double_counting(
        peaks,
        np.ones(peaks.shape[:3]),
        mpii.joints,
        mpii.labelled,
        reference_size_N=mpii.head_sizes,
        threshold=0.5,
        flip_order_K=MPII16.flip_order,
    )
    outcome = pckh(pred, mpii.joints, mpii.labelled, head_size_N=mpii.head_sizes)
    np.testing.assert_array_equal(found.top_right, outcome.correct)
    paired = MPII16.flip_order != np.arange(16)
    opposite_labelled = mpii.labelled & mpii.labelled[:, MPII16.flip_order] & paired
    np.testing.assert_array_equal(found.other_opposite, found.double & opposite_labelled)


def test_joints_without_an_opposite_have_no_share_of_maps_with_a_peak_on_it():
    peaks = np.full((1, K, 2, 2), np.nan)
    peaks[0, :, 0] = TRUTH[0]
    peaks[0, :, 1] = TRUTH[0][FLIP] + [0, 40]
    heights = np.tile([1.0, 0.9], (1, K, 1))
    found = double_counting(peaks, heights, TRUTH, np.ones((1, K), bool), reference_size_N=[10.0], threshold=4.0, flip_order_K=FLIP)
    assert found.double.all()
    assert [found.total("other_opposite", [k]) for k in (0, 1)] == [100, 100]
    assert found.total("other_opposite") == 100
    assert np.isnan(found.total("other_opposite", [2]))
