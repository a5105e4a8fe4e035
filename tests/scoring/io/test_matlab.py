import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.io import loadmat, savemat
from scipy.sparse import eye

from posekit.data import open_people
from posekit.errors import PredictionsError
from posekit.scoring.io.files import read_predictions, stated_base, write_predictions
from posekit.skeletons import LSP14, MPII16

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


def flattened(pred):
    """(name, objpos, {id: (x, y)}) of every rectangle, in the file's order."""
    rectangles = []
    for image in pred.ravel():
        name = image["image"][0, 0]["name"].item()
        for rectangle in image["annorect"].ravel():
            position = rectangle["objpos"][0, 0]
            points = rectangle["annopoints"][0, 0]["point"].ravel()
            joints = {int(point["id"].item()): (point["x"].item(), point["y"].item()) for point in points}
            rectangles.append((name, (position["x"].item(), position["y"].item()), joints))
    return rectangles


def test_structure_of_the_official_evaluation(tmp_path, make, people_of):
    people = people_of("images/b.jpg", "images/Ä2.jpg", "images/b.jpg", "images/c.jpg", skeleton=MPII16)
    wrote = make(MPII16)  # of people 2, 0 and 1
    wrote.joints[1, 9] = np.nan
    write_predictions(tmp_path / "pred.mat", wrote, people=people)
    pred = loadmat(tmp_path / "pred.mat")["pred"]
    assert pred.shape == (1, 3) and [image["annorect"].shape for image in pred.ravel()] == [(1, 2), (1, 1), (1, 1)]
    found = flattened(pred)
    assert [name for name, *_ in found] == ["b.jpg", "b.jpg", "Ä2.jpg", "c.jpg"]
    assert [position for _, position, _ in found] == [(1, 101), (21, 103), (11, 102), (31, 104)]  # MATLAB counts from 1
    for (_, _, points), row in zip(found, (1, 0, 2), strict=False):
        assert list(points) == list(range(16))
        assert_allclose(list(points.values()), wrote.joints[row] + 1, atol=1e-6)
    assert np.isnan(list(found[3][2].values())).all()  # not predicted


def test_no_people(tmp_path, make, people_of):
    write_predictions(tmp_path / "none.mat", make(MPII16).select(np.array([], int)), people=people_of(skeleton=MPII16))
    assert loadmat(tmp_path / "none.mat")["pred"].shape == (1, 0)


def test_only_mpiis_joints_can_be_submitted(tmp_path, make, people_of):
    with pytest.raises(PredictionsError, match=r"^pred\.mat: .* 16 .*mpii16.*lsp14") as error:
        write_predictions(tmp_path / "pred.mat", make(LSP14), people=people_of("a.jpg", "b.jpg", "c.jpg"))
    assert "\n" not in str(error.value) and list(tmp_path.iterdir()) == []


def test_the_published_hourglass_predictions_as_a_submission(tmp_path, real_data):
    people = open_people("mpii", real_data / "mpii", "valid").select(np.arange(300))
    wrote = read_predictions(real_data / "mpii" / "predictions" / "valid-ours.h5", base=1).select(np.arange(300))
    write_predictions(tmp_path / "pred.mat", wrote, people=people)
    pred = loadmat(tmp_path / "pred.mat")["pred"]
    positions = {image: position for position, image in enumerate(dict.fromkeys(people.image_paths.tolist()))}
    assert pred.shape == (1, len(positions)) and len(positions) < 300
    rows = np.argsort([positions[image] for image in people.image_paths.tolist()], kind="stable")
    points = np.array([list(points.values()) for _, _, points in flattened(pred)])
    assert_allclose(points, wrote.joints[rows] + 1, atol=1e-6)
