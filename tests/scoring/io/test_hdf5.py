import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from posekit import __version__
from posekit.errors import OutputError, PredictionsError
from posekit.scoring.io.files import read_predictions, stated_base, write_predictions
from posekit.skeletons import COCO17, LSP14, MPII16, Skeleton

N = 3


@pytest.mark.parametrize(
    "skeleton",
    [LSP14, COCO17, Skeleton("hound", ("nose", "left_paw", "right_paw"), (("nose", "left_paw"),), {"Paws": ("left_paw",)})],
)
def test_round_trip(tmp_path, make, skeleton):
    wrote = make(skeleton)
    wrote.joints[1, 2] = np.nan
    write_predictions(tmp_path / "deep" / "predictions.h5", wrote)
    read = read_predictions(tmp_path / "deep" / "predictions.h5")
    for name in ("joints", "scores", "index"):
        assert_array_equal(getattr(read, name), getattr(wrote, name))
    assert (read.skeleton, read.dataset, read.split) == (skeleton, "lsp", "test")
    assert read.peaks is None and read.heights is None


def test_peaks_and_heights_are_kept_in_single_precision(tmp_path, make):
    wrote = make(with_peaks=True)
    wrote.peaks[:, :, 2:] = np.nan
    wrote.heights[:, :, 2:] = np.nan
    write_predictions(tmp_path / "predictions.h5", wrote)
    with h5py.File(tmp_path / "predictions.h5") as file:
        kept = {name: (file[name].dtype.name, file[name].compression) for name in ("peaks", "heights")}
    assert kept == {"peaks": ("float32", "gzip"), "heights": ("float32", "gzip")}
    read = read_predictions(tmp_path / "predictions.h5")
    assert read.peaks.dtype == read.heights.dtype == np.float64
    assert_allclose(read.peaks, wrote.peaks, atol=1e-3, rtol=0)
    assert_allclose(read.heights, wrote.heights, rtol=1e-6)


@pytest.mark.parametrize("rows", [[], [1]])
def test_few_and_no_people(tmp_path, make, rows):
    for suffix in ("h5", "hdf5"):
        write_predictions(tmp_path / f"few.{suffix}", make(with_peaks=True).select(np.array(rows, dtype=int)))
        read = read_predictions(tmp_path / f"few.{suffix}")
        assert len(read) == len(rows) and read.peaks.shape == (len(rows), 14, 4, 2)


def test_contents_of_the_file(tmp_path, make):
    path = tmp_path / "predictions.h5"
    write_predictions(path, make())
    with h5py.File(path) as file:
        assert {name: file[name].shape for name in file} == {"preds": (N, 14, 2), "scores": (N, 14), "index": (N,)}
        attributes = dict(file.attrs)
    assert json.loads(attributes.pop("skeleton"))["joints"] == list(LSP14.joints)
    assert attributes == {"dataset": "lsp", "split": "test", "coordinate_base": 0, "posekit": __version__}


def test_an_unknown_coordinate_base_must_be_given(tmp_path, h5):
    bare = h5(tmp_path / "bare.h5", preds=np.full((N, 16, 2), 7.0))
    with pytest.raises(PredictionsError, match=r"--base 1 .*--base 0") as error:
        read_predictions(bare)
    assert str(bare) in str(error.value) and "\n" not in str(error.value)
    read = read_predictions(bare, base=1)
    assert (read.joints == 6).all() and read.skeleton == MPII16 and read.index.tolist() == [0, 1, 2]
    assert np.isnan(read.scores).all() and read.scores.shape == (N, 16) and read.dataset == ""
    assert (read_predictions(bare, base=0).joints == 7).all()
    with pytest.raises(PredictionsError, match=r"bare\.h5: .*base 2"):
        read_predictions(bare, base=2)


def test_the_files_own_base_is_used_and_must_not_be_contradicted(tmp_path, h5):
    peaks = {"peaks": np.full((N, 16, 1, 2), 9.0), "heights": np.ones((N, 16, 1))}
    path = h5(tmp_path / "own.h5", {"coordinate_base": 1}, preds=np.full((N, 16, 2), 7.0), **peaks)
    assert (read_predictions(path).joints == 6).all() and (read_predictions(path).peaks == 8).all()
    assert (read_predictions(path, base=1).joints == 6).all()
    with pytest.raises(PredictionsError, match=r"own\.h5: .*base 1\b.*base 0\b"):
        read_predictions(path, base=0)
    with pytest.raises(PredictionsError, match=r"odd\.h5: .*base two\b"):
        read_predictions(h5(tmp_path / "odd.h5", {"coordinate_base": "two"}, preds=np.zeros((N, 16, 2))))


def test_the_base_that_a_file_states(tmp_path, h5, make):
    write_predictions(tmp_path / "ours.h5", make())
    assert stated_base(tmp_path / "ours.h5") == 0
    assert stated_base(h5(tmp_path / "one.h5", {"coordinate_base": 1})) == 1
    assert stated_base(h5(tmp_path / "bare.h5", preds=np.zeros((N, 16, 2)))) is None
    with pytest.raises(PredictionsError, match=r"odd\.h5: .*base 2\b"):
        stated_base(h5(tmp_path / "odd.h5", {"coordinate_base": 2}))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({}, "'preds'"),
        ({"preds": np.zeros((N, 14, 2))}, r"expected \(N, 16, 2\) for skeleton mpii16, got \(3, 14, 2\)"),
        ({"preds": np.zeros((N, 16, 3))}, r"expected \(N, 16, 2\) for skeleton mpii16, got \(3, 16, 3\)"),
        ({"preds": np.zeros((16, 2))}, r"got \(16, 2\)"),
        ({"preds": np.full((N, 16, 2), b"x")}, "preds .*numbers"),
        ({"preds": np.zeros((N, 16, 2)), "scores": np.zeros((N, 2))}, r"scores: expected \(3, 16\), got \(3, 2\)"),
        ({"preds": np.zeros((N, 16, 2)), "index": np.arange(4)}, r"index: expected \(3,\), got \(4,\)"),
        ({"preds": np.zeros((N, 16, 2)), "index": np.full(3, np.nan)}, "index .*whole numbers"),
        ({"preds": np.zeros((N, 16, 2)), "index": np.array([5, 7, 5])}, "index: .* 5 .*; 1 "),
        ({"preds": np.zeros((N, 16, 2)), "index": np.array([-2, -1, 1])}, "index: .* -2 .*; 2 "),
        ({"preds": np.zeros((N, 16, 2)), "peaks": np.zeros((N, 16, 5, 2))}, r"got \(3, 16, 5, 2\) and none"),
        (
            {"preds": np.zeros((N, 16, 2)), "peaks": np.zeros((N, 16, 5, 2)), "heights": np.zeros((N, 16, 4))},
            r"expected \(3, 16, P, 2\) and \(3, 16, P\), got \(3, 16, 5, 2\) and \(3, 16, 4\)",
        ),
        (
            {"preds": np.zeros((N, 16, 2)), "peaks": np.zeros((N, 5)), "heights": np.zeros(())},
            r"got \(3, 5\) and \(\)",
        ),
        (
            {"preds": np.zeros((N, 16, 2)), "peaks": np.zeros((N, 16, 2)), "heights": np.zeros((N, 16, 2))},
            r"got \(3, 16, 2\) and \(3, 16, 2\)",
        ),
        (
            {"preds": np.zeros((N, 16, 2)), "peaks": np.zeros((N, 16, 0, 2)), "heights": np.zeros((N, 16, 0))},
            r"got \(3, 16, 0, 2\)",
        ),
        (
            {"preds": np.zeros((N, 16, 2)), "peaks": np.zeros((N, 16, 2, 2)), "heights": np.tile([0.1, 0.2], (N, 16, 1))},
            "heights: ",
        ),
    ],
)
def test_unfit_arrays(tmp_path, h5, arrays, message):
    with pytest.raises(PredictionsError, match=message) as error:
        read_predictions(h5(tmp_path / "unfit.h5", **arrays), base=0)
    assert str(error.value).startswith(str(tmp_path / "unfit.h5")) and "\n" not in str(error.value)


def test_unreadable_files(tmp_path, h5, make):
    (tmp_path / "text.h5").write_text("x,y\n1,2\n")
    for read in (read_predictions, stated_base):
        with pytest.raises(PredictionsError, match=r"text\.h5: .*HDF5"):
            read(tmp_path / "text.h5")
    write_predictions(tmp_path / "cut.h5", make())
    (tmp_path / "cut.h5").write_bytes((tmp_path / "cut.h5").read_bytes()[:900])
    with pytest.raises(PredictionsError, match=r"cut\.h5: .*HDF5"):
        read_predictions(tmp_path / "cut.h5")
    with pytest.raises(PredictionsError, match=r"bad\.h5: .*'skeleton'"):
        read_predictions(h5(tmp_path / "bad.h5", {"skeleton": "{not json"}, preds=np.zeros((N, 16, 2))), base=0)


def test_a_file_is_replaced_by_a_whole_one_or_not_at_all(tmp_path, monkeypatch, make):
    path = tmp_path / "predictions.h5"
    write_predictions(path, make())
    before = path.read_bytes()

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(h5py.AttributeManager, "update", full)
    with pytest.raises(OutputError, match=r"predictions\.h5: .*No space left on device"):
        write_predictions(path, make(index=np.arange(N)))
    assert path.read_bytes() == before and [entry.name for entry in tmp_path.iterdir()] == ["predictions.h5"]


def test_the_published_hourglass_predictions(real_data):
    path: Path = real_data / "mpii" / "predictions" / "valid-ours.h5"
    assert stated_base(path) is None
    with pytest.raises(PredictionsError, match=r"valid-ours\.h5: .*--base 1"):
        read_predictions(path)
    read = read_predictions(path, base=1)
    assert read.joints.shape == (2958, 16, 2) and np.isfinite(read.joints).all()
    with h5py.File(path) as file:
        assert_array_equal(read.joints, file["preds"][()] - 1)
