"""What `posekit visualize` hands to the drawing functions: whose joints, where, in which model's eyes."""

from pathlib import Path

import numpy as np
import pytest
import torch

from posekit.cli.visualize import heatmaps, main, penalty, predictions, targets
from posekit.data import open_people
from posekit.drawing.maps import PICTURE
from posekit.geometry import Box, Crop
from posekit.models import ModelInfo, save_weights
from posekit.opencv import cv2
from posekit.prediction.predictor import Predictor
from posekit.scoring.score import score
from posekit.skeletons import MPII16
from posekit.synthetic.write import write_synthetic

BOX = Box.from_xywh(10, 10, 90, 70)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Two models of random weights and of different input sizes."""
    paths = []
    for seed, (name, size) in enumerate((("al", 64), ("bce", 96))):
        torch.manual_seed(seed)
        info = ModelInfo(MPII16, size, 1, 8, 2, "sigmoid", (0.5,) * 3, (0.2,) * 3)
        paths.append(str(tmp_path_factory.mktemp("runs") / name / "best.safetensors"))
        save_weights(paths[-1], info.build(), info)
    return paths


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "synthetic"
    write_synthetic(folder, people=12, seed=0, workers=1, progress=False)
    return folder


@pytest.fixture
def data(root):
    return "--data", "mpii", "--root", str(root), "--split", "all"


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "someone.png"
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8))
    return str(path)


@pytest.fixture
def drawn(monkeypatch, tmp_path):
    """Runs the command; returns the figures, or the arguments of the sheets, that it draws."""
    found = []
    for module in (penalty, targets, heatmaps):
        monkeypatch.setattr(module, "write_picture", lambda figure, out, name: found.append(figure) or [])

    def sheet(crops, predicted, truth, labelled, skeleton, **options):
        found.append({"crops": crops, "predicted": predicted, "truth": truth, "labelled": labelled, **options})
        return np.zeros((5, 5, 3), np.uint8)

    monkeypatch.setattr(predictions, "prediction_sheet", sheet)

    def run(*arguments):
        found.clear()
        assert main([*arguments, "--out", str(tmp_path / "out"), "--device", "cpu"]) == 0
        return list(found)

    return run


def shown(axes):
    return np.asarray(axes.get_images()[1].get_array())


def marks(axes):
    return {line.get_marker(): line.get_xydata()[0] for line in axes.lines}


def legend(figure):
    return [text.get_text().replace("\n", " ") for text in figure.legends[0].get_texts()]


def in_picture(box, points):
    """Pixels of a crop that is PICTURE wide."""
    return Crop(box, PICTURE).forward(np.asarray(points, np.float64))


def test_given_keypoints_are_the_truth_and_the_picture_says_so(drawn, weights, photo):
    (figure,) = drawn("penalty", photo, "--weights", *weights, "--box", "10,10,90,70", "--keypoint", "left_wrist=50.5,40.25",
                      "--joint", "left_wrist")  # fmt: skip
    assert legend(figure)[0] == "true place: keypoints given"
    for axes in figure.axes[:2]:
        np.testing.assert_allclose(marks(axes)["+"], in_picture(BOX, (50.5, 40.25)))


def test_the_last_models_peaks_stand_for_the_truth_and_the_picture_says_so(drawn, weights, photo):
    (pose,) = Predictor(weights[1], device="cpu")(photo, [BOX])
    joint = MPII16.index("left_knee")
    for command, models in (("penalty", weights), ("targets", weights[1:])):
        (figure,) = drawn(command, photo, "--weights", *models, "--box", "10,10,90,70", "--joint", "left_knee")
        assert legend(figure)[0] == "true place: the peaks of bce"
        np.testing.assert_allclose(marks(figure.axes[0])["+"], in_picture(BOX, pose.keypoints[joint]), atol=1e-3)
    (pose,) = Predictor(weights[0], device="cpu")(photo, [BOX])
    (figure,) = drawn("penalty", photo, "--weights", *weights, "--box", "10,10,90,70", "--joint", "left_knee")
    np.testing.assert_allclose(marks(figure.axes[0])["o"], in_picture(BOX, pose.keypoints[joint]), atol=1e-3)
    assert [axes.get_title() for axes in figure.axes[:2]] == ["al", "bce"]


def test_every_person_is_drawn_with_the_annotation_as_truth(drawn, weights, data, root):
    people = open_people("mpii", root, "all")
    figures = drawn("penalty", *data, "--person", "4", "1", "--weights", weights[0], "--joint", "upper_neck")
    for figure, i in zip(figures, (4, 1), strict=True):
        assert legend(figure)[0] == "true place: the annotation" and f"person {i}" in figure.get_suptitle()
        place = in_picture(people[i].box, people.joints[i, MPII16.index("upper_neck")])
        np.testing.assert_allclose(marks(figure.axes[0])["+"], place)


def test_gamma_and_view_reach_the_figure(drawn, weights, data):
    person = (*data, "--person", "1", "--weights", weights[0], "--joint", "left_knee")
    small, large = (drawn("penalty", *person, "--gamma", gamma)[0] for gamma in ("0.5", "4"))
    assert shown(large.axes[0]).max() > 2 * shown(small.axes[0]).max() > 0
    (factors,) = drawn("penalty", *person, "--view", "modulator")
    assert 0 < np.nanmax(np.abs(shown(factors.axes[0]) - 1)) < 1
    small, large = (drawn("targets", *person, "--gamma", gamma)[0] for gamma in ("0.5", "4"))
    assert np.ptp(shown(large.axes[4])) > 2 * np.ptp(shown(small.axes[4]))


def test_joints_reach_the_contact_sheet(drawn, weights, photo):
    (figure,) = drawn("heatmaps", photo, "--weights", weights[0], "--joint", "left_knee", "pelvis")
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert titles == ["left knee", "pelvis"] and figure.get_suptitle().startswith("al: heatmaps")
    assert len(drawn("heatmaps", photo, "--weights", *weights)) == 2


def test_predictions_of_a_photograph_lie_in_its_picture(drawn, weights, photo):
    (sheet,) = drawn("predictions", photo, "--weights", *weights, "--box", "10,10,90,70")
    for name, path in zip(("al", "bce"), weights, strict=True):
        (pose,) = Predictor(path, device="cpu")(photo, [BOX])
        np.testing.assert_allclose(sheet["predicted"][name][0][0], in_picture(BOX, pose.keypoints), atol=1e-3)
    assert not sheet["labelled"].any()


def test_predictions_of_persons_are_judged_as_by_the_evaluation(drawn, weights, data, root):
    people = open_people("mpii", root, "all").select(np.array([7, 2]))
    (sheet,) = drawn("predictions", *data, "--person", "7", "2", "--weights", *weights)
    assert sheet["titles"] == ["person 7", "person 2"]
    for name, path in zip(("al", "bce"), weights, strict=True):
        expected = score(people, Predictor(path, device="cpu").predict_people(people, progress=False))
        predicted, correct = sheet["predicted"][name]
        np.testing.assert_array_equal(correct, expected.pck.correct)
        for i in range(2):
            np.testing.assert_allclose(predicted[i], in_picture(people[i].box, expected.predictions.joints[i]), atol=1e-3)
    np.testing.assert_allclose(sheet["truth"][1], in_picture(people[1].box, people.joints[1]))
    np.testing.assert_array_equal(sheet["counted"], expected.pck.counted)


def test_persons_on_whom_models_differ_most_are_picked(drawn, weights, data, root):
    people = open_people("mpii", root, "all")
    right = [
        score(people, Predictor(path, device="cpu").predict_people(people, progress=False)).pck.correct.sum(1) for path in weights
    ]
    spread = np.abs(right[0] - right[1])
    (sheet,) = drawn("predictions", *data, "--pick", "difference", "--count", "4", "--weights", *weights)
    picked = [int(title.split()[1]) for title in sheet["titles"]]
    assert picked == sorted(picked) and len(picked) == 4
    assert spread[picked].min() >= np.delete(spread, picked).max()


def test_only_the_joints_asked_for_are_compared(drawn, weights, data):
    (sheet,) = drawn("predictions", *data, "--count", "3", "--joint", "left_knee", "--weights", *weights)
    other = np.arange(16) != MPII16.index("left_knee")
    assert np.isnan(sheet["predicted"]["al"][0][:, other]).all() and np.isfinite(sheet["predicted"]["al"][0][:, ~other]).all()
    assert not sheet["labelled"][:, other].any() and not sheet["counted"][:, other].any() and len(sheet["crops"]) == 3


def test_whoever_cannot_be_read_is_left_out_of_the_sheet(drawn, weights, data, root, capsys):
    people = open_people("mpii", root, "all")
    hidden = Path(people.image_paths[3])
    gone = np.flatnonzero(people.image_paths == str(hidden)).tolist()
    whole, wanted = hidden.read_bytes(), sorted({3, 5, *gone})
    try:
        hidden.write_bytes(b"")
        (sheet,) = drawn("predictions", *data, "--person", *map(str, wanted), "--weights", *weights)
    finally:
        hidden.write_bytes(whole)
    assert sheet["titles"] == [f"person {i}" for i in wanted if i not in gone]
    assert "not predicted" in capsys.readouterr().err
