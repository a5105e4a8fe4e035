import numpy as np
import pytest

from posekit.drawing.heatmaps import heatmap_figure
from posekit.drawing.targets import target_figure

MAPS = np.random.default_rng(3).uniform(0.01, 0.99, (3, 16, 16)).astype(np.float32)


def shown(axes):
    return np.asarray(axes.get_images()[1].get_array())


def test_each_part_of_the_loss_is_shown(make_output):
    output = make_output(MAPS)
    figure = target_figure(output, [1, 2], gamma=3.0)
    maps = output.explain(3.0)
    for row, joint in enumerate([1, 2]):
        image, *panels = figure.axes[6 * row : 6 * row + 6]
        assert len(image.get_images()) == 1
        parts = (maps.target, maps.mask, maps.probability, maps.modulator, maps.loss)
        for axes, part in zip(panels, parts, strict=True):
            np.testing.assert_allclose(shown(axes), part[0, joint].numpy(), rtol=1e-6)
        captions = [axes.get_xlabel() for axes in panels]
        q = MAPS[joint]
        p = output.targets[joint]
        assert captions[:2] == [f"p > 0.5: {(p > 0.5).sum()} px", f"p = 0: {(p == 0).sum()} px"]
        assert captions[2].replace("\n", " ") == f"q* {q[p > 0.5].max():.2g}, max {q.max():.2g}"
        assert captions[4] == f"sum {maps.loss[0, joint].sum():.2g}"
    titles = [axes.get_title() for axes in figure.axes[:6]]
    assert titles == ["image", "target p", "mask M", "prediction q", "modulator", "loss"]


def test_the_circle_of_high_confidence_is_outlined(make_output):
    figure = target_figure(make_output(MAPS), [0])
    # The centre and its four neighbours are above 0.5: a cross of 12 edges.
    assert [len(axes.lines) for axes in figure.axes[1:6]] == [12, 12, 12, 0, 0]


def test_a_joint_outside_the_crop_has_no_anchor(make_output):
    figure = target_figure(make_output(MAPS, joints=((300.0, 30.0), (70.0, 30.0), (50.0, 10.0))), [0])
    assert "no anchor" in figure.axes[3].get_xlabel()
    assert (shown(figure.axes[4]) == 1).all()


def test_a_joint_whose_place_is_not_known_has_neither_target_nor_loss(make_output):
    panels = target_figure(make_output(MAPS, known=(False, True, True)), [0, 1]).axes
    assert panels[3].get_xlabel().replace("\n", " ") == "true location not known"
    for axes in (panels[1], panels[2], panels[4], panels[5]):
        assert not axes.get_images()[1].get_alpha().any() and axes.get_xlabel().strip() == ""
    assert panels[5 + 6].get_xlabel().startswith("sum") and panels[3].get_images()[1].get_alpha().any()


def test_a_linear_head_below_zero_can_be_drawn(make_output):
    assert len(heatmap_figure(make_output(-MAPS), [0]).axes[0].get_images()) == 2


def test_titles_name_the_model(make_output):
    for draw in (target_figure, heatmap_figure):
        assert draw(make_output(MAPS), [0], model="bce").get_suptitle().startswith("bce: ")


def test_all_heatmaps_are_in_the_sheet_in_the_same_colours(make_output):
    figure = heatmap_figure(make_output(MAPS))
    for axes, heatmap, name in zip(figure.axes[:3], MAPS, ["left wrist", "right wrist", "neck"], strict=True):
        np.testing.assert_array_equal(shown(axes), heatmap)
        assert (axes.get_title(), axes.get_xlabel()) == (name, f"peak {heatmap.max():.2f}")
        assert axes.get_images()[1].norm.vmax == MAPS.max()
    assert len(heatmap_figure(make_output(MAPS), [2]).axes[0].get_images()) == 2


def test_without_truth_only_the_prediction_is_marked(make_output):
    known = heatmap_figure(make_output(MAPS, known=(True,) * 3))
    unknown = heatmap_figure(make_output(MAPS, known=(False,) * 3))
    assert [line.get_marker() for line in known.axes[0].lines] == ["o", "+"]
    assert [line.get_marker() for line in unknown.axes[0].lines] == ["o"]


@pytest.mark.parametrize("joints", [[0], [0, 1, 2]])
def test_figures_are_legible(make_output, require_legible, joints):
    require_legible(target_figure(make_output(MAPS), joints))
    require_legible(heatmap_figure(make_output(MAPS), joints))
