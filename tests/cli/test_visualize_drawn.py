"""What `posekit visualize` passes to the drawing functions."""

from pathlib import Path

import numpy as np
import pytest
import torch

from posekit.cli.visualize import main, penalty, predictions
from posekit.data import open_people
from posekit.drawing.maps import CROP_SIZE
from posekit.geometry import Box, Crop
from posekit.images import write_image
from posekit.models import ModelInfo, save_weights
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
def image(tmp_path):
    path = tmp_path / "someone.png"
    write_image(path, np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8))
    return str(path)


@pytest.fixture
def draw(monkeypatch, tmp_path):
    """Runs the command; returns the figures, or the arguments of the sheets, that it draws."""
    drawn = []
    for module in (penalty, predictions):
        monkeypatch.setattr(module, "write_png", lambda figure, out, name: drawn.append(figure))

    def record_sheet(crops, predictions, truth, labelled, skeleton, **options):
        drawn.append({"crops": crops, "predictions": predictions, "truth": truth, "labelled": labelled, **options})
        return np.zeros((5, 5, 3), np.uint8)

    monkeypatch.setattr(predictions, "prediction_sheet", record_sheet)

    def draw(*arguments):
        drawn.clear()
        assert main([*arguments, "--out", str(tmp_path / "out"), "--device", "cpu"]) == 0
        return list(drawn)

    return draw


def map_pixels(axes):
    return np.asarray(axes.get_images()[1].get_array())


def marks(axes):
    return {line.get_marker(): line.get_xydata()[0] for line in axes.lines}


def legend(figure):
    return [text.get_text().replace("\n", " ") for text in figure.legends[0].get_texts()]


def to_crop(box, points):
    """Pixels of a crop that is CROP_SIZE wide."""
    return Crop(box, CROP_SIZE).forward(np.asarray(points, np.float64))


def test_given_keypoints_are_the_truth(draw, weights, image):
    keypoint = ("--box", "10,10,90,70", "--keypoint", "left_wrist=50.5,40.25")
    (figure,) = draw("penalty", image, "--weights", *weights, *keypoint, "--joint", "left_wrist")
    assert "keypoints given" in legend(figure)[0]
    for axes in figure.axes[:2]:
        np.testing.assert_allclose(marks(axes)["+"], to_crop(BOX, (50.5, 40.25)))


def test_the_last_models_peaks_serve_as_the_truth(draw, weights, image):
    (pose,) = Predictor(weights[1], device="cpu")(image, [BOX])
    joint = MPII16.index("left_knee")
    for command, models in (("penalty", weights), ("targets", weights[1:])):
        (figure,) = draw(command, image, "--weights", *models, "--box", "10,10,90,70", "--joint", "left_knee")
        assert "the peaks of bce" in legend(figure)[0]
        np.testing.assert_allclose(marks(figure.axes[0])["+"], to_crop(BOX, pose.keypoints[joint]), atol=1e-3)


def test_each_model_has_a_column_with_its_own_prediction(draw, weights, image):
    (pose,) = Predictor(weights[0], device="cpu")(image, [BOX])
    joint = MPII16.index("left_knee")
    (figure,) = draw("penalty", image, "--weights", *weights, "--box", "10,10,90,70", "--joint", "left_knee")
    np.testing.assert_allclose(marks(figure.axes[0])["o"], to_crop(BOX, pose.keypoints[joint]), atol=1e-3)
    assert [axes.get_title() for axes in figure.axes[:2]] == ["al", "bce"]


def test_every_person_is_drawn_with_the_annotation_as_truth(draw, weights, data, root):
    people = open_people("mpii", root, "all")
    figures = draw("penalty", *data, "--person", "4", "1", "--weights", weights[0], "--joint", "upper_neck")
    for figure, i in zip(figures, (4, 1), strict=True):
        assert "the annotation" in legend(figure)[0] and f"person {i}" in figure.get_suptitle()
        place = to_crop(people[i].box, people.joints[i, MPII16.index("upper_neck")])
        np.testing.assert_allclose(marks(figure.axes[0])["+"], place)


def test_gamma_and_view_reach_the_figure(draw, weights, data):
    person = (*data, "--person", "1", "--weights", weights[0], "--joint", "left_knee")
    small, large = (draw("penalty", *person, "--gamma", gamma)[0] for gamma in ("0.5", "4"))
    assert map_pixels(large.axes[0]).max() > 2 * map_pixels(small.axes[0]).max() > 0
    (factors,) = draw("penalty", *person, "--view", "modulator")
    assert 0 < np.nanmax(np.abs(map_pixels(factors.axes[0]) - 1)) < 1
    small, large = (draw("targets", *person, "--gamma", gamma)[0] for gamma in ("0.5", "4"))
    assert np.ptp(map_pixels(large.axes[4])) > 2 * np.ptp(map_pixels(small.axes[4]))


def test_joints_reach_the_contact_sheet(draw, weights, image):
    (figure,) = draw("heatmaps", image, "--weights", weights[0], "--joint", "left_knee", "pelvis")
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert titles == ["left knee", "pelvis"] and figure.get_suptitle().startswith("al: heatmaps")
    assert len(draw("heatmaps", image, "--weights", *weights)) == 2


def test_predictions_of_an_image_are_in_crop_pixels(draw, weights, image):
    (sheet,) = draw("predictions", image, "--weights", *weights, "--box", "10,10,90,70")
    for name, path in zip(("al", "bce"), weights, strict=True):
        (pose,) = Predictor(path, device="cpu")(image, [BOX])
        np.testing.assert_allclose(sheet["predictions"][name][0][0], to_crop(BOX, pose.keypoints), atol=1e-3)
    assert not sheet["labelled"].any()


def test_predictions_of_people_are_judged_as_by_eval(draw, weights, data, root):
    people = open_people("mpii", root, "all").select(np.array([7, 2]))
    (sheet,) = draw("predictions", *data, "--person", "7", "2", "--weights", *weights)
    assert sheet["titles"] == ["person 7", "person 2"]
    for name, path in zip(("al", "bce"), weights, strict=True):
        expected = score(people, Predictor(path, device="cpu").predict_people(people, progress=False))
        predicted, correct = sheet["predictions"][name]
        np.testing.assert_array_equal(correct, expected.pck.correct)
        for i in range(2):
            np.testing.assert_allclose(predicted[i], to_crop(people[i].box, expected.predictions.joints[i]), atol=1e-3)
    np.testing.assert_allclose(sheet["truth"][1], to_crop(people[1].box, people.joints[1]))
    np.testing.assert_array_equal(sheet["counted"], expected.pck.counted)


def test_people_on_whom_models_differ_most_are_picked(draw, weights, data, root):
    people = open_people("mpii", root, "all")
    n_correct = []
    for path in weights:
        predicted = Predictor(path, device="cpu").predict_people(people, progress=False)
        n_correct.append(score(people, predicted).pck.correct.sum(1))
    spread = np.abs(n_correct[0] - n_correct[1])
    (sheet,) = draw("predictions", *data, "--pick", "difference", "--count", "4", "--weights", *weights)
    picked = [int(title.split()[1]) for title in sheet["titles"]]
    assert picked == sorted(picked) and len(picked) == 4
    assert spread[picked].min() >= np.delete(spread, picked).max()


def test_only_the_named_joints_are_compared(draw, weights, data):
    (sheet,) = draw("predictions", *data, "--count", "3", "--joint", "left_knee", "--weights", *weights)
    other = np.arange(16) != MPII16.index("left_knee")
    predicted, _ = sheet["predictions"]["al"]
    assert np.isnan(predicted[:, other]).all() and np.isfinite(predicted[:, ~other]).all()
    assert not sheet["labelled"][:, other].any() and not sheet["counted"][:, other].any()
    assert len(sheet["crops"]) == 3


def test_people_whose_image_cannot_be_read_are_left_out_of_the_sheet(draw, weights, data, root, capsys):
    people = open_people("mpii", root, "all")
    path = Path(people.image_paths[3])
    unreadable = np.flatnonzero(people.image_paths == str(path)).tolist()
    persons = sorted({3, 5, *unreadable})
    contents = path.read_bytes()
    try:
        path.write_bytes(b"")
        (sheet,) = draw("predictions", *data, "--person", *map(str, persons), "--weights", *weights)
    finally:
        path.write_bytes(contents)
    assert sheet["titles"] == [f"person {i}" for i in persons if i not in unreadable]
    assert path.name in capsys.readouterr().err
