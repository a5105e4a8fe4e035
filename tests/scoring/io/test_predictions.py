import numpy as np
import pytest
from numpy.testing import assert_array_equal

from posekit.skeletons import LSP14, MPII16

N, K, P = 3, 14, 4


def test_shapes_are_checked(make):
    with pytest.raises(ValueError, match=r"joints: expected \(3, 14, 2\), got \(3, 16, 2\)"):
        make(joints=np.zeros((N, 16, 2)))
    with pytest.raises(ValueError, match=r"scores: expected \(3, 14\), got \(3,\)"):
        make(scores=np.zeros(N))


def test_rows_are_selected(make):
    some = make().select(np.array([True, False, True]))
    assert len(some) == 2 and some.index.tolist() == [2, 1] and some.split == "test"
    assert some.peaks is None and some.heights is None


def test_peaks_are_selected_with_their_people(make):
    all_of_them = make(with_peaks=True)
    some = all_of_them.select(np.array([2, 0]))
    assert_array_equal(some.peaks, all_of_them.peaks[[2, 0]])
    assert_array_equal(some.heights, all_of_them.heights[[2, 0]])
    assert some.index.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"heights": None}, "^peaks and heights: "),
        ({"peaks": None}, "^peaks and heights: "),
        ({"peaks": np.zeros((N, K, P, 3))}, r"peaks: expected \(3, 14, 4, 2\), got \(3, 14, 4, 3\)"),
        ({"peaks": np.zeros((N, K, P + 1, 2))}, r"peaks: expected \(3, 14, 4, 2\), got \(3, 14, 5, 2\)"),
        ({"heights": np.zeros((N, P))}, r"heights: expected \(3, 14, 4\), got \(3, 4\)"),
        ({"heights": np.zeros(())}, r"heights: expected \(3, 14\), got \(\)"),
    ],
)
def test_peaks_and_heights_belong_together(make, changes, message):
    with pytest.raises(ValueError, match=message):
        make(with_peaks=True, **changes)


def test_joints_are_mapped_to_another_skeleton_by_name(make):
    lsp = make(with_peaks=True)
    mpii = lsp.mapped_to(MPII16)
    assert mpii.skeleton == MPII16 and mpii.peaks.shape == (N, 16, P, 2) and mpii.index.tolist() == [2, 0, 1]
    for target, source in (("left_wrist", "left_wrist"), ("upper_neck", "neck")):
        for name in ("joints", "scores", "peaks", "heights"):
            assert_array_equal(getattr(mpii, name)[:, MPII16.index(target)], getattr(lsp, name)[:, LSP14.index(source)])
    assert np.isnan(mpii.joints[:, MPII16.index("pelvis")]).all() and np.isnan(mpii.heights[:, MPII16.index("thorax")]).all()
    assert np.isfinite(lsp.joints).all() and lsp.mapped_to(LSP14) is lsp
