import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy.io import loadmat, savemat
from scipy.sparse import eye

from posekit.errors import PredictionsError
from posekit.scoring.io.files import read_predictions, stated_base
from posekit.skeletons import LSP14

N = 3


def mat(path, preds, **variables):
    savemat(path, {"preds": preds, **variables})
    return path


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int16])
def test_joints_alone_as_pytorch_pose_and_hrnet_write_them(tmp_path, dtype):
    preds = np.random.default_rng(0).integers(1, 900, (N, 16, 2)).astype(dtype)
    path = mat(tmp_path / "preds.mat", preds)
    read = read_predictions(path, base=1)
    assert_array_equal(read.joints, preds.astype(np.float64) - 1)
    assert read.joints.dtype == read.scores.dtype == np.float64
    assert np.isnan(read.scores).all() and read.index.tolist() == [0, 1, 2] and read.dataset == ""
    assert_array_equal(read_predictions(path, base=0).joints, preds)


def test_a_third_number_is_the_score_and_has_no_base(tmp_path):
    preds = np.random.default_rng(0).random((N, 14, 3))
    preds[1, 5, 0] = np.nan
    read = read_predictions(mat(tmp_path / "pred.mat", preds, model="hrnet"), base=1, skeleton=LSP14)
    assert_array_equal(read.joints, preds[..., :2] - 1)
    assert_array_equal(read.scores, preds[..., 2])
    assert read.skeleton == LSP14


def test_the_base_must_be_given(tmp_path):
    path = mat(tmp_path / "preds.mat", np.ones((N, 16, 2)))
    assert stated_base(path) is None
    with pytest.raises(PredictionsError, match=r"preds\.mat: .*--base 1 .*--base 0"):
        read_predictions(path)


@pytest.mark.parametrize(
    ("preds", "message"),
    [
        (np.zeros((N, 14, 2)), r"expected \(N, 16, 2\) or \(N, 16, 3\) for skeleton mpii16, got \(3, 14, 2\)"),
        (np.zeros((N, 16, 4)), r"got \(3, 16, 4\)"),
        (np.zeros((N, 32)), r"got \(3, 32\)"),
        ("text", "preds .*numbers"),
        ({"x": 1}, "preds .*numbers"),
        (np.zeros((N, 16, 2), complex), "preds .*numbers"),
        (eye(4), "preds .*numbers"),
    ],
)
def test_unfit_arrays(tmp_path, preds, message):
    with pytest.raises(PredictionsError, match=message) as error:
        read_predictions(mat(tmp_path / "unfit.mat", preds), base=1)
    assert "\n" not in str(error.value)


def test_unreadable_files(tmp_path, real_data):
    path = mat(tmp_path / "cut.mat", np.ones((N, 16, 2)))
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(PredictionsError, match=r"cut\.mat: "):
        read_predictions(path, base=1)
    with pytest.raises(PredictionsError, match=r"joints\.mat: .*preds.* joints"):
        read_predictions(real_data / "lsp" / "joints.mat", base=1)


def test_the_predictions_in_mpiis_evaluation_file(real_data):
    path = real_data / "mpii" / "annot" / "detections_our_format.mat"
    assert stated_base(path) is None
    read = read_predictions(path, base=1)
    file = loadmat(path, variable_names=["pos_pred_src"])["pos_pred_src"]
    assert read.joints.shape == (2958, 16, 2)
    assert read.joints[7, 9].tolist() == (file[9, :, 7] - 1).tolist()
