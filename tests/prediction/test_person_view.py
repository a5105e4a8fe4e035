"""`run_model` gives the predictor's results."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from posekit.data import open_people
from posekit.data.packing import Packing, write_pack
from posekit.drawing.person_view import PersonView
from posekit.errors import BoxError, WeightsError
from posekit.geometry import Box
from posekit.images import read_image
from posekit.models import ModelInfo, load_weights, save_weights
from posekit.prediction.person_view import annotated_view, run_model
from posekit.prediction.predictor import Predictor
from posekit.prediction.test_time import PYRAMID
from posekit.skeletons import LSP14, MPII16


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(0)
    info = ModelInfo(LSP14, 64, 1, 8, 2, "sigmoid", (0.5, 0.5, 0.5), (0.2, 0.2, 0.2), notes={"sigma": 1.5})
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    save_weights(path, info.build(), info)
    return path


@pytest.fixture
def view():
    image = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    return PersonView("x", image, Box((60, 45), 80), LSP14, np.full((14, 2), 40.0), np.ones(14, bool))


@pytest.mark.parametrize("options", [{}, {"views": PYRAMID, "decode": "dark"}], ids=["plain", "pyramid"])
def test_a_view_gives_the_predictors_pose(weights, view, options):
    predictor = Predictor(weights, device="cpu", **options)
    (pose,) = predictor(view.image, [view.box])
    output = run_model(predictor, view)
    np.testing.assert_allclose(view.crop(64).inverse(output.predicted), pose.keypoints, atol=1e-4)
    np.testing.assert_allclose(output.scores, pose.scores, rtol=1e-6)
    assert output.maps.shape == (14, 16, 16)
    assert output.target_options == {"sigma": 1.5}


def test_maps_are_those_of_the_evaluation(weights, real_data):
    predictor = Predictor(weights, device="cpu")
    people = open_people("lsp", real_data / "lspet", "random:0.001:0")
    maps = run_model(predictor, annotated_view(people, 2)).maps
    np.testing.assert_allclose(maps, predictor.heatmaps(people)[2], rtol=1e-4, atol=1e-6)


def test_a_model_whose_training_failed_is_refused(weights, view, tmp_path):
    model, info = load_weights(weights)
    with torch.no_grad():
        next(model.parameters()).fill_(torch.nan)
    save_weights(tmp_path / "nan.safetensors", model, info)
    with pytest.raises(WeightsError, match="not finite"):
        run_model(Predictor(tmp_path / "nan.safetensors", device="cpu"), view)


def test_the_same_joints_under_another_name_are_the_same(weights, view):
    predictor = Predictor(weights, device="cpu")
    renamed = replace(view, skeleton=replace(LSP14, name="mine"))
    np.testing.assert_array_equal(run_model(predictor, renamed).maps, run_model(predictor, view).maps)


def test_another_skeleton_or_a_box_outside_the_image_is_refused(weights, view):
    predictor = Predictor(weights, device="cpu")
    with pytest.raises(ValueError, match=r"lsp14.*mpii16"):
        run_model(predictor, PersonView("x", view.image, view.box, MPII16, np.zeros((16, 2)), np.zeros(16, bool)))
    with pytest.raises(BoxError, match=r"\(500, 5\)"):
        run_model(predictor, PersonView("x", view.image, Box((500, 5), 50), LSP14, view.joints, view.known))


def test_crops_of_real_people_show_their_joints(real_data):
    people = open_people("lsp", real_data / "lspet", "random:0.01:0")
    view = annotated_view(people, 3)
    assert view.title == "lspet random:0.01:0, person 3"
    assert view.image.shape == read_image(people.image_paths[3]).shape
    inside = view.crop(64).forward(view.joints[view.known])
    assert ((inside > -0.5) & (inside < 63.5)).all()
    assert view.cropped(64).shape == (64, 64, 3) and view.cropped(64).any()


def test_a_packed_person_gives_the_same_view(real_data, tmp_path):
    people = open_people("lsp", real_data / "lspet", "random:0.001:0")
    write_pack(tmp_path / "people.h5", people, Packing(quality=0), workers=1, progress=False)
    packed = open_people("packed", tmp_path / "people.h5")
    names = [Path(path).name for path in packed.image_paths]
    one = annotated_view(people, 2)
    other = annotated_view(packed, names.index(Path(people.image_paths[2]).name))
    np.testing.assert_allclose(
        one.crop(96).forward(one.joints)[one.known], other.crop(96).forward(other.joints)[other.known], atol=1e-6
    )
    assert np.abs(one.cropped(96).astype(int) - other.cropped(96)).mean() < 0.1
