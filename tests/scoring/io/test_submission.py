"""MPII's submission is read with scipy in the way of the official toolkit."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.io import loadmat

from posekit.data import open_people
from posekit.errors import PredictionsError
from posekit.scoring.io.files import read_predictions, write_predictions
from posekit.skeletons import LSP14, MPII16


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
