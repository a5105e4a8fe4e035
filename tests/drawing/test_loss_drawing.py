import io

import numpy as np
import pytest
from matplotlib import colormaps
from matplotlib.contour import ContourSet

from posekit.drawing.loss import loss_curves, loss_surface

CROSS_ENTROPY, FOCAL = "cross entropy (CE = BCE)", "focal loss"


def lines(axes):
    return {line.get_label(): line for line in axes.lines}


def closed_form(q, anchor, gamma):
    """Loss and gradient of anchor loss (eq. 1, 19 and 20); of focal loss for q* = 1."""
    base = np.maximum(1 + q - anchor, 1e-300)
    log = np.log1p(-q)
    return -(base**gamma) * log, base**gamma / (1 - q) - gamma * base ** (gamma - 1) * log


def contours(axes):
    (lines,) = [artist for artist in axes.collections if isinstance(artist, ContourSet)]
    return dict(zip(lines.levels, lines.get_paths(), strict=True))


def test_lines_are_the_losses_and_their_gradients():
    figure = loss_curves([0.5, 3.0, 2.0], [0.25, 0.9])
    assert len(figure.axes) == 6 and figure.get_figwidth() == 6.9
    for (left, right), gamma in zip(np.reshape(figure.axes, (3, 2)), (0.5, 3.0, 2.0), strict=True):
        assert left.get_title() == right.get_title() == f"γ = {gamma:g}"
        expected = {CROSS_ENTROPY: (0.0, 0.0), FOCAL: (1.0, gamma)}
        expected |= {f"anchor loss, q* = {anchor:g}": (anchor, gamma) for anchor in (0.25, 0.9)}
        for label, (anchor, exponent) in expected.items():
            q, loss = lines(left)[label].get_data()
            np.testing.assert_allclose(loss, closed_form(q, anchor, exponent)[0], rtol=1e-9, atol=1e-15)
            q, gradient = lines(right)[label].get_data()
            np.testing.assert_allclose(gradient, closed_form(q, anchor, exponent)[1], rtol=1e-9, atol=1e-8)
            assert q[0] == 0 and 0.999 < q[-1] < 1 and (np.diff(q) > 0).all()


def test_the_axes_name_what_they_show():
    figure = loss_curves([1.0, 2.0])
    assert [axes.get_ylabel() for axes in figure.axes] == ["loss L", "gradient dL/dq"] * 2
    assert [axes.get_xlabel() for axes in figure.axes] == ["", "", *["background probability q"] * 2]
    anchors = [f"anchor loss, q* = {anchor}" for anchor in (0.1, 0.5, 0.9)]
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.texts] == [CROSS_ENTROPY, FOCAL, *anchors, "where q = q*"]


def test_dots_lie_on_cross_entropy_where_q_is_the_anchor():
    left, right = loss_curves([2.0], [0.2, 1.0, 0.6]).axes
    np.testing.assert_allclose(lines(left)["where q = q*"].get_xydata(), [[0.2, -np.log(0.8)], [0.6, -np.log(0.4)]])
    heights = [closed_form(anchor, anchor, 2.0)[1] for anchor in (0.2, 0.6)]
    np.testing.assert_allclose(lines(right)["where q = q*"].get_ydata(), heights)


def test_every_line_leaves_through_the_top():
    for gamma in (0.0, 2.0, 10.0):
        for axes in loss_curves([gamma], [0.0, 1.0]).axes:
            tops = [line.get_ydata()[-1] for label, line in lines(axes).items() if label != "where q = q*"]
            assert min(tops) > axes.get_ylim()[1], gamma


def test_eleven_anchors_differ_in_colour_or_dashes():
    left, _ = loss_curves([2.0], np.linspace(0, 1, 11)).axes
    assert len({(line.get_color(), line.get_linestyle()) for line in left.lines[2:-1]}) == 11


def test_without_an_anchor_the_other_losses_are_drawn():
    figure = loss_curves([2.0], [])
    assert set(lines(figure.axes[0])) == {CROSS_ENTROPY, FOCAL}


@pytest.mark.parametrize(("gammas", "anchors"), [([-1.0], [0.5]), ([2.0], [1.1]), ([], [0.5]), ([float("inf")], [])])
def test_wrong_exponents_and_anchors_are_errors(gammas, anchors):
    with pytest.raises(ValueError, match=r"gamma|anchor|rows"):
        loss_curves(gammas, anchors)


@pytest.mark.parametrize("gammas", [[-1.0], []])
def test_wrong_exponents_of_maps_are_errors(gammas):
    with pytest.raises(ValueError, match=r"gamma|rows"):
        loss_surface(gammas)


def test_maps_are_the_loss_and_the_modulator():
    figure = loss_surface([0.5, 3.0])
    for (left, right), gamma in zip(np.reshape(figure.axes[:4], (2, 2)), (0.5, 3.0), strict=True):
        (loss,), (ratio,) = left.images, right.images
        assert loss.get_extent() == ratio.get_extent() == [0, 1, 0, 1] and loss.origin == ratio.origin == "lower"
        rows, columns = np.indices(loss.get_array().shape)
        q, anchor = (columns + 0.5) / columns.shape[1], (rows + 0.5) / rows.shape[0]
        np.testing.assert_allclose(loss.get_array(), closed_form(q, anchor, gamma)[0], rtol=1e-9)
        np.testing.assert_allclose(ratio.get_array(), (1 + q - anchor) ** gamma, rtol=1e-9)
        assert left.get_title() == f"anchor loss, γ = {gamma:g}"
        assert right.get_title() == f"anchor loss / cross entropy, γ = {gamma:g}"


def test_lines_of_a_map_have_the_values_they_are_labelled_with():
    left, right, *_ = loss_surface([2.0]).axes
    for level, path in contours(left).items():
        q, anchor = path.vertices[:, 0], path.vertices[:, 1]
        np.testing.assert_allclose(closed_form(q, anchor, 2.0)[0], level, rtol=0.03)  # straight within a cell
    assert [text.get_text() for text in left.texts] == ["0.03", "0.1", "0.3", "1", "3", "10"]
    for gap, path in zip((-0.75, -0.5, -0.25, 0, 0.25, 0.5, 0.75), contours(right).values(), strict=True):
        np.testing.assert_allclose(path.vertices[:, 0] - path.vertices[:, 1], gap, atol=0.005)
    assert [text.get_text() for text in right.texts] == ["0.062", "0.25", "0.56", "1", "1.56", "2.25", "3.06"]


def test_labels_lie_on_their_lines():
    left, right, *_ = loss_surface([2.0]).axes
    for text in left.texts:
        q, anchor = text.get_position()
        assert closed_form(q, anchor, 2.0)[0] == pytest.approx(float(text.get_text()), rel=0.1)
    for text in right.texts:
        q, anchor = text.get_position()
        assert (1 + q - anchor) ** 2 == pytest.approx(float(text.get_text()), rel=0.1)


def test_the_ratios_colours_diverge_from_one():
    _, right, _, bar = loss_surface([0.5]).axes
    (image,) = right.images
    assert image.norm(1.0) == pytest.approx(0.5) and image.norm(0.5) == pytest.approx(1 - image.norm(2.0))
    ticks = [text.get_text() for text in bar.get_yticklabels()]
    assert ticks == ["1/4", "1/2", "1", "2", "4"]
    np.testing.assert_allclose(bar.get_yticks(), [0.25, 0.5, 1, 2, 4])


@pytest.mark.parametrize("gamma", [0.0, 1e-16])
def test_gamma_zero_has_one_colour_and_no_lines(gamma):
    left, right, *_ = loss_surface([gamma]).axes
    np.testing.assert_allclose(right.images[0].get_array(), 1, atol=1e-14)
    assert not right.collections and not right.texts
    assert [text.get_text() for text in left.texts] == ["0.03", "0.1", "0.3", "1", "3"], "none costs 10"


def test_lines_stand_out_from_the_map(contrast):
    for axes in loss_surface([0.5, 5.0]).axes[:4]:
        (image,) = axes.images
        (contour,) = axes.collections
        for level, line_colour in zip(contour.levels, contour.get_edgecolor(), strict=True):
            map_colour = colormaps[image.get_cmap().name](image.norm(level))
            assert contrast(map_colour, line_colour) > 3, (axes.get_title(), level)


@pytest.mark.parametrize(
    ("gammas", "anchors"),
    [([2.0], [0.1, 0.5, 0.9]), ([0.0, 10.0], [0.5]), ([5.0], np.linspace(0, 1, 11) ** 2), ([2.0], [])],
    ids=["default", "gammas", "many", "none"],
)
def test_no_text_overlaps_or_leaves_the_figure(gammas, anchors, require_legible):
    require_legible(loss_curves(gammas, anchors))
    require_legible(loss_surface(gammas))


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_figures_can_be_saved(suffix):
    for figure in (loss_curves(), loss_surface()):
        file = io.BytesIO()
        figure.savefig(file, format=suffix)
        assert len(file.getvalue()) > 1000
