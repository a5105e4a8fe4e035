import numpy as np
import pytest

from posekit.drawing.penalty import penalty_map
from posekit.drawing.person_view import PersonView
from posekit.geometry import Box
from posekit.heatmaps import STRIDE
from posekit.skeletons import LSP14

MAPS = np.random.default_rng(3).uniform(0.01, 0.99, (3, 16, 16)).astype(np.float32)


def test_truth_lies_in_the_crop_of_the_model(make_output):
    output = make_output(MAPS)
    # 100 px of the image become 64 px of the crop; integers are pixel centres.
    np.testing.assert_allclose(output.truth, (np.array([[20, 30], [70, 30], [50, 10]]) + 0.5) * 0.64 - 0.5)
    peaks = [divmod(int(target.argmax()), 16) for target in output.targets]
    assert [(STRIDE * x + 1.5, STRIDE * y + 1.5) for y, x in peaks] == [(13.5, 17.5), (45.5, 17.5), (33.5, 5.5)]


def test_a_joint_that_is_not_known_has_neither_target_nor_penalty(make_output):
    output = make_output(MAPS, known=(True, False, True))
    assert np.isnan(output.truth[1]).all() and not np.isnan(output.truth[[0, 2]]).any()
    assert output.targets[0].max() == 1 and not output.targets[1].any()
    assert output.explain(2.0).penalty[0, 0].any() and not output.explain(2.0).penalty[0, 1].any()


def test_targets_are_drawn_as_for_training(make_output):
    narrow = make_output(MAPS)
    wide = make_output(MAPS, sigma=2.0, subpixel=True)
    assert (wide.targets > 0).sum() > 2 * (narrow.targets > 0).sum()
    assert wide.targets.max() < 1  # centred between pixels


def test_penalty_is_that_of_the_penalty_map(make_output):
    output = make_output(MAPS)
    np.testing.assert_allclose(output.explain(3.0).penalty[0].numpy(), penalty_map(MAPS, output.targets, 3.0), rtol=1e-4, atol=1e-7)


def test_another_anchor_can_be_tried(make_output):
    output = make_output(MAPS)
    assert not output.explain(2.0, anchor=1.0).penalty.any()
    assert (output.explain(2.0, anchor=0.0).penalty >= output.explain(2.0).penalty).all()


def test_a_wrong_shape_is_an_error():
    with pytest.raises(ValueError, match=r"\(14, 2\).*\(14,\).*\(13, 2\)"):
        PersonView("x", np.zeros((5, 7, 3), np.uint8), Box((1, 1), 4), LSP14, np.zeros((13, 2)), np.zeros(14, bool))
