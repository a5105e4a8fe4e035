import numpy as np
import pytest
import torch

from posekit.drawing.penalty import most_penalised, overlay_heatmap, penalty_figure, penalty_map
from posekit.heatmaps import decode, encode

K, H, W = 3, 5, 7


def example(seed=0):
    """Maps of random height, and a 3 x 3 target whose centre and four neighbours are above 0.5, at other places for each joint."""
    probability = np.random.default_rng(seed).uniform(0.01, 0.99, (K, H, W))
    target = np.zeros((K, H, W))
    for k, (x, y) in enumerate([(1, 1), (4, 2), (5, 3)]):
        target[k, y - 1 : y + 2, x - 1 : x + 2] = [[0.4, 0.6, 0.4], [0.6, 1.0, 0.6], [0.4, 0.6, 0.4]]
    return probability, target


def closed_form(q, p, gamma):
    """anchor_loss (eq. 5-7) less cross entropy, pixel after pixel: q and p of one joint."""
    anchor = q[p > 0.5].max()
    out = np.zeros(q.shape)
    for place in np.ndindex(q.shape):
        if p[place] == 0 and q[place] > anchor:
            out[place] = -np.log(1 - q[place]) * ((1 + q[place] - anchor) ** gamma - 1)
    return out


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0, 5.0])
def test_agrees_with_the_closed_form(gamma):
    q, p = example()
    q[:, 0, 0] = 0.99  # surely above an anchor somewhere
    q[p > 0.5] *= 0.6
    penalty = penalty_map(q, p, gamma)
    expected = np.stack([closed_form(q[k], p[k], gamma) for k in range(K)])
    assert penalty.dtype == np.float32 and (expected > 0).any() and (expected == 0).any()
    np.testing.assert_allclose(penalty, expected, rtol=1e-6)
    assert (penalty[expected == 0] == 0).all()


def test_nothing_is_added_on_the_true_joint_or_below_its_score():
    q, p = example()
    q[p > 0.5] = 0.995  # the best score is the true joint's
    assert not penalty_map(q, p).any()
    q[p > 0.5] = 0.1
    assert not penalty_map(q, p)[p > 0].any()


def test_gamma_zero_is_cross_entropy():
    assert not penalty_map(*example(), gamma=0.0).any()


def test_a_map_without_an_anchor_has_no_penalty():
    q, p = example()
    q[:, 0, 6] = 0.999
    p[1] = 0.0
    p[2] *= 0.5  # only the edge of a joint outside the crop: nothing above 0.5
    penalty = penalty_map(q, p)
    assert penalty[0].any() and not penalty[1:].any()


def test_certain_predictions_cost_much_but_not_infinitely():
    q = np.zeros((1, H, W))
    p = np.zeros((1, H, W))
    p[0, 1, 1] = 1.0
    q[0, 3, 5] = 1.0
    penalty = penalty_map(q.astype(np.float32), p)
    # -log(1e-7) * ((1 + 1)^2 - 1)
    assert penalty[0, 3, 5] == pytest.approx(3 * 7 * np.log(10), rel=1e-5)
    assert np.count_nonzero(penalty) == 1
    linear = np.where(q == 0, -0.1, 1.2)
    np.testing.assert_array_equal(penalty_map(linear, p), penalty)


def test_a_joint_counted_twice_is_penalised_at_the_wrong_peak():
    true = torch.tensor([[[81.5, 41.5]]])
    wrong = torch.tensor([[[181.5, 141.5]]])
    labelled = torch.ones((1, 1), dtype=torch.bool)
    target = encode(true, labelled, size=64)
    q = 0.4 * target + 0.9 * encode(wrong, labelled, size=64)
    penalty = penalty_map(q[0].numpy(), target[0].numpy())
    highest, _ = decode(torch.from_numpy(penalty)[None], method="argmax")
    np.testing.assert_array_equal(highest[0, 0], wrong[0, 0])


def test_penalty_map_rejects_wrong_arguments():
    q, p = example()
    with pytest.raises(ValueError, match=r"\(3, 5, 7\).*\(2, 5, 7\)"):
        penalty_map(q, p[:2])
    with pytest.raises(ValueError, match=r"\(5, 7\)"):
        penalty_map(q[0], p[0])
    with pytest.raises(ValueError, match=r"NaN|finite"):
        penalty_map(np.full_like(q, np.nan), p)
    with pytest.raises(ValueError, match="gamma"):
        penalty_map(q, p, gamma=-1.0)


def grey(height, width):
    return np.full((height, width, 3), 128, np.uint8)


@pytest.mark.parametrize("x, y, stride", [(10, 20, 4), (0, 0, 4), (63, 47, 4), (5, 7, 3)])
def test_a_hot_map_pixel_lands_at_its_place(x, y, stride):
    heat = np.zeros((48, 64))
    heat[y, x] = 3.0
    image = grey(48 * stride, 64 * stride)
    drawn = overlay_heatmap(image, heat)
    changed = np.abs(drawn.astype(int) - image).sum(-1)
    assert (image == 128).all() and drawn.dtype == np.uint8
    rows, columns = np.nonzero(changed)
    # The pixel itself, and halfway to its neighbours where there are any.
    centre = (np.array([x, y]) + 0.5) * stride - 0.5
    assert np.abs(columns - centre[0]).max() < stride and np.abs(rows - centre[1]).max() < stride
    if 0 < x < 63 and 0 < y < 47:
        assert np.average(columns, weights=changed[rows, columns]) == pytest.approx(centre[0])
        assert np.average(rows, weights=changed[rows, columns]) == pytest.approx(centre[1])


def test_colour_and_opacity_grow_with_the_value():
    heat = np.repeat(np.arange(6.0)[None], 2, axis=0)
    drawn = overlay_heatmap(np.zeros((2, 6, 3), np.uint8), heat)
    assert (drawn[:, 0] == 0).all()
    # The last entry of matplotlib's inferno, in blue, green, red, at an opacity of 0.8.
    np.testing.assert_array_equal(drawn[0, 5], np.rint(0.8 * np.array([164, 255, 252])))
    light = drawn[0].astype(float) @ [0.114, 0.587, 0.299]
    assert (np.diff(light) > 0).all()


def test_zero_and_below_leave_the_image_unchanged():
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    for nothing in (np.zeros((5, 7)), np.full((5, 7), -1.0)):
        np.testing.assert_array_equal(overlay_heatmap(image, nothing), image)


def test_colours_are_relative_to_the_highest_value():
    heat = np.random.default_rng(0).random((4, 4))
    np.testing.assert_array_equal(overlay_heatmap(grey(4, 4), heat), overlay_heatmap(grey(4, 4), 2 * heat))


def test_overlay_rejects_wrong_arguments():
    with pytest.raises(ValueError, match=r"image.*float64"):
        overlay_heatmap(grey(4, 4).astype(float), np.zeros((2, 2)))
    with pytest.raises(ValueError, match=r"map.*\(1, 2, 2\)"):
        overlay_heatmap(grey(4, 4), np.zeros((1, 2, 2)))
    with pytest.raises(ValueError, match=r"NaN|finite"):
        overlay_heatmap(grey(4, 4), np.full((2, 2), np.nan))


def random_maps(seed, top=0.99):
    return np.random.default_rng(seed).uniform(0.01, top, (3, 16, 16)).astype(np.float32)


def shown(axes):
    """The map that lies over the image."""
    return np.asarray(axes.get_images()[1].get_array())


def test_the_figure_shows_the_penalty_of_each_joint_model_and_gamma(make_output):
    early = make_output(random_maps(0, 0.1))
    late = make_output(random_maps(1))
    figure = penalty_figure({"epoch 1": early, "epoch 9": late}, [2, 0], gammas=[1.0, 3.0])
    columns = [(early, 1.0), (early, 3.0), (late, 1.0), (late, 3.0)]
    for row, joint in enumerate([2, 0]):
        for column, (output, gamma) in enumerate(columns):
            expected = penalty_map(output.maps, output.targets, gamma)[joint]
            panel = figure.axes[4 * row + column]
            np.testing.assert_allclose(shown(panel), expected, rtol=1e-4, atol=1e-7)
            assert panel.get_xlabel() == f"highest {expected.max():.2g}"
    assert [axes.get_title() for axes in figure.axes[:4]] == [
        "epoch 1\nγ\xa0=\xa01",
        "epoch 1\nγ\xa0=\xa03",
        "epoch 9\nγ\xa0=\xa01",
        "epoch 9\nγ\xa0=\xa03",
    ]
    assert [axes.get_ylabel() for axes in figure.axes[:8:4]] == ["neck", "left wrist"]


def test_each_column_has_a_scale_of_its_own(make_output):
    early = make_output(random_maps(0, 0.1))
    late = make_output(random_maps(1))
    figure = penalty_figure({"epoch 1": early, "epoch 9": late}, [0, 1, 2])
    tops = [axes.get_images()[1].norm.vmax for axes in figure.axes[:6]]
    expected = [penalty_map(output.maps, output.targets).max() for output in (early, late)] * 3
    np.testing.assert_allclose(tops, expected, rtol=1e-4)
    assert tops[0] < 0.1 * tops[1]


def test_marks_lie_at_the_true_and_the_predicted_place(make_output):
    output = make_output(random_maps(2))
    axes = penalty_figure({"a": output}, [1]).axes[0]
    marks = {line.get_marker(): line.get_xydata()[0] for line in axes.lines}
    # Crops of 64 px are shown with 256.
    np.testing.assert_allclose(marks["+"], (output.truth[1] + 0.5) * 4 - 0.5)
    np.testing.assert_allclose(marks["o"], (output.predicted[1] + 0.5) * 4 - 0.5)


def test_the_modulator_is_shown_on_true_negatives_alone(make_output):
    output = make_output(random_maps(2))
    image = penalty_figure({"a": output}, [0], quantity="modulator").axes[0].get_images()[1]
    factor = output.explain(2.0).modulator[0, 0].numpy()
    negative = output.targets[0] == 0
    np.testing.assert_allclose(np.asarray(image.get_array())[negative], factor[negative], rtol=1e-6)
    assert not image.get_alpha()[~negative].any()
    assert image.norm.vmax == pytest.approx(1 + np.abs(factor[negative] - 1).max(), rel=1e-6)
    with pytest.raises(ValueError, match=r"'loss'.*penalty, modulator"):
        penalty_figure({"a": output}, [0], quantity="loss")


def test_the_joints_with_most_penalty_come_first_and_unknown_ones_not_at_all(make_output):
    maps = np.full((3, 16, 16), 0.1, np.float32)
    maps[:, 14, 2] = [0.5, 0.9, 0.7]
    assert most_penalised([make_output(maps)], 2.0, 2) == [1, 2]
    assert most_penalised([make_output(maps, known=(True, False, True))], 2.0, 2) == [0, 2]
    # A model with small penalties counts as much as one with large ones.
    faint = np.full((3, 16, 16), 1e-4, np.float32)
    faint[0, 14, 2] = 1e-2
    assert most_penalised([make_output(maps), make_output(faint)], 2.0, 2) == [0, 1]
    assert most_penalised([make_output(maps, known=(False, False, False))], 2.0, 2) == []


@pytest.mark.parametrize("quantity", ["penalty", "modulator"])
def test_a_joint_without_an_anchor_has_no_number(make_output, quantity):
    output = make_output(random_maps(2), joints=((300.0, 30.0), (70.0, 30.0), (50.0, 10.0)), known=(True, False, True))
    captions = [axes.get_xlabel() for axes in penalty_figure({"a": output}, [0, 1, 2], quantity=quantity).axes[:3]]
    assert captions[:2] == ["no anchor: outside the crop", "true location not known"] and captions[2].startswith("highest")


@pytest.mark.parametrize("quantity", ["penalty", "modulator"])
def test_the_figure_is_legible(make_output, require_legible, quantity):
    outputs = {f"epoch {i}": make_output(random_maps(i)) for i in (1, 2, 3, 5, 10, 20)}
    require_legible(penalty_figure(outputs, [0, 1], quantity=quantity))
    require_legible(penalty_figure({"a": outputs["epoch 1"]}, [0], quantity=quantity))
