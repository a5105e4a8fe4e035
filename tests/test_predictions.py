import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from posekit import __version__
from posekit.errors import OutputError, PredictionsError
from posekit.predictions import Predictions, read_predictions, write_predictions
from posekit.skeletons import COCO17, LSP14, MPII16, Skeleton

N = 3


def predictions(skeleton=LSP14, **changes):
    k = len(skeleton)
    rng = np.random.default_rng(0)
    fields = {"joints": rng.normal(size=(N, k, 2)), "scores": rng.random((N, k)), "index": np.array([2, 0, 1])}
    return Predictions(skeleton=skeleton, dataset="lsp", split="test", **(fields | changes))


def h5(path, attributes=(), **arrays):
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[name] = array
        file.attrs.update(dict(attributes))
    return path


@pytest.mark.parametrize(
    "skeleton",
    [LSP14, COCO17, Skeleton("hound", ("nose", "left_paw", "right_paw"), (("nose", "left_paw"),), {"Paws": ("left_paw",)})],
)
def test_round_trip(tmp_path, skeleton):
    wrote = predictions(skeleton)
    wrote.joints[1, 2] = np.nan
    write_predictions(tmp_path / "deep" / "predictions.h5", wrote)
    read = read_predictions(tmp_path / "deep" / "predictions.h5")
    for name in ("joints", "scores", "index"):
        np.testing.assert_array_equal(getattr(read, name), getattr(wrote, name))
    assert (read.skeleton, read.dataset, read.split) == (skeleton, "lsp", "test")


def test_what_the_file_says_of_itself(tmp_path):
    path = tmp_path / "predictions.h5"
    write_predictions(path, predictions())
    with h5py.File(path) as file:
        assert {name: file[name].shape for name in file} == {"preds": (N, 14, 2), "scores": (N, 14), "index": (N,)}
        attributes = dict(file.attrs)
    assert json.loads(attributes.pop("skeleton"))["joints"] == list(LSP14.joints)
    assert attributes == {"dataset": "lsp", "split": "test", "coordinate_base": 0, "posekit": __version__}


def test_the_coordinate_base_is_told_never_guessed(tmp_path):
    bare = h5(tmp_path / "bare.h5", preds=np.full((N, 16, 2), 7.0))
    with pytest.raises(PredictionsError, match=r"Give --base 1 .* or --base 0") as error:
        read_predictions(bare)
    assert str(bare) in str(error.value) and "\n" not in str(error.value)
    read = read_predictions(bare, base=1)
    assert (read.joints == 6).all() and read.skeleton == MPII16 and read.index.tolist() == [0, 1, 2]
    assert np.isnan(read.scores).all() and read.scores.shape == (N, 16) and read.dataset == ""
    assert (read_predictions(bare, base=0).joints == 7).all()


def test_the_files_own_base_is_used_and_a_contradiction_refused(tmp_path):
    path = h5(tmp_path / "own.h5", {"coordinate_base": 1}, preds=np.full((N, 16, 2), 7.0))
    assert (read_predictions(path).joints == 6).all()
    assert (read_predictions(path, base=1).joints == 6).all()
    with pytest.raises(PredictionsError, match="pixels count from 1, but base 0 was given"):
        read_predictions(path, base=0)
    with pytest.raises(PredictionsError, match="coordinate base two: expected 0 or 1"):
        read_predictions(h5(tmp_path / "odd.h5", {"coordinate_base": "two"}, preds=np.zeros((N, 16, 2))))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({}, "holds no array 'preds'"),
        ({"preds": np.zeros((N, 14, 2))}, r"expected \(N, 16, 2\) for skeleton mpii16, got \(3, 14, 2\)"),
        ({"preds": np.zeros((16, 2))}, r"got \(16, 2\)"),
        ({"preds": np.full((N, 16, 2), b"x")}, "preds is not an array of numbers"),
        ({"preds": np.zeros((N, 16, 2)), "scores": np.zeros((N, 2))}, r"scores: expected \(3, 16\), got \(3, 2\)"),
        ({"preds": np.zeros((N, 16, 2)), "index": np.arange(4)}, r"index: expected \(3,\), got \(4,\)"),
        ({"preds": np.zeros((N, 16, 2)), "index": np.full(3, np.nan)}, "index is not an array of whole numbers"),
    ],
)
def test_unfit_arrays(tmp_path, arrays, message):
    with pytest.raises(PredictionsError, match=message):
        read_predictions(h5(tmp_path / "unfit.h5", **arrays), base=0)


def test_unreadable_files(tmp_path):
    with pytest.raises(PredictionsError, match=r"absent\.h5: no such prediction file"):
        read_predictions(tmp_path / "absent.h5")
    (tmp_path / "text.h5").write_text("x,y\n1,2\n")
    with pytest.raises(PredictionsError, match=r"text\.h5: not a prediction file in HDF5"):
        read_predictions(tmp_path / "text.h5")
    write_predictions(tmp_path / "cut.h5", predictions())
    (tmp_path / "cut.h5").write_bytes((tmp_path / "cut.h5").read_bytes()[:900])
    with pytest.raises(PredictionsError, match=r"cut\.h5: not a prediction file"):
        read_predictions(tmp_path / "cut.h5")
    with pytest.raises(PredictionsError, match="'skeleton' cannot be read"):
        read_predictions(h5(tmp_path / "bad.h5", {"skeleton": "{not json"}, preds=np.zeros((N, 16, 2))), base=0)


def test_a_file_is_replaced_by_a_whole_one_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "predictions.h5"
    write_predictions(path, predictions())
    before = path.read_bytes()

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(h5py.AttributeManager, "update", full)
    with pytest.raises(OutputError, match=r"predictions\.h5: cannot be written \(No space left on device\)"):
        write_predictions(path, predictions(index=np.arange(N)))
    assert path.read_bytes() == before and [entry.name for entry in tmp_path.iterdir()] == ["predictions.h5"]


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="cannot be written"):
        write_predictions(tmp_path / "file" / "predictions.h5", predictions())


def test_shapes_are_checked_and_rows_selected():
    with pytest.raises(ValueError, match=r"joints: expected \(3, 14, 2\), got \(3, 16, 2\)"):
        predictions(joints=np.zeros((N, 16, 2)))
    some = predictions().select(np.array([True, False, True]))
    assert len(some) == 2 and some.index.tolist() == [2, 1] and some.split == "test"


def test_the_published_hourglass_predictions(real_data):
    path: Path = real_data / "mpii" / "predictions" / "valid-ours.h5"
    with pytest.raises(PredictionsError, match="--base 1"):
        read_predictions(path)
    read = read_predictions(path, base=1)
    assert read.joints.shape == (2958, 16, 2) and np.isfinite(read.joints).all()
    with h5py.File(path) as file:
        np.testing.assert_array_equal(read.joints, file["preds"][()] - 1)
