import numpy as np
import pytest
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import QuadMesh

from posekit.drawing.maps import MapPanel, Scale, backdrop, factor_scale, heatmap_figure, map_figure, target_figure

MAPS = np.random.default_rng(3).uniform(0.01, 0.99, (3, 16, 16)).astype(np.float32)
LONG = "runs/mpii-hourglass8-anchor-gamma2/epochs/epoch-0100.safetensors"


def crop(size=8, value=100):
    return np.full((size, size, 3), value, np.uint8)


def images(axes):
    return [np.asarray(image.get_array()) for image in axes.get_images()]


def panels(n, **options):
    return [MapPanel(crop(), np.full((2, 3), float(i)), **options) for i in range(n)]


def test_values_lie_on_the_whole_crop_and_zero_leaves_it_as_it_is():
    values = np.array([[0.0, 1.0, 4.0], [2.0, 0.0, 0.0]])
    figure = map_figure([MapPanel(crop(), values)], Scale("AL", 4.0), columns=1)
    axes = figure.axes[0]
    below, above = axes.get_images()
    np.testing.assert_array_equal(above.get_array(), values)
    assert below.get_extent() == above.get_extent() == [-0.5, 7.5, 7.5, -0.5]
    np.testing.assert_allclose(above.get_alpha(), 0.9 * np.sqrt(values / 4))
    assert above.get_interpolation() == "nearest" and above.norm.vmax == 4.0


def test_a_scale_with_a_middle_leaves_the_middle_as_it_is():
    scale = Scale("AL / BCE", 4.0, middle=1.0)
    np.testing.assert_allclose(scale.opacity(np.array([0.0, 1.0, 4.0])), [0.9, 0.0, 0.9])
    norm = scale.norm()
    assert [float(norm(value)) for value in (0.0, 1.0, 2.5, 4.0)] == [0.0, 0.5, 0.75, 1.0]


def test_a_narrow_scale_is_even_on_both_sides_of_its_middle():
    norm = factor_scale(np.array([[0.9, np.nan], [1.0, 1.02]])).norm()
    np.testing.assert_allclose([float(norm(value)) for value in (0.9, 0.98, 1.0, 1.02, 1.1)], [0, 0.4, 0.5, 0.6, 1], atol=1e-12)
    assert float(factor_scale(np.ones((2, 2))).norm()(1.0)) == 0.5
    assert factor_scale(np.array([0.2, 1.003])).format(1.0031) == "1.003"


def test_nan_is_transparent():
    values = np.array([[np.nan, 3.0]])
    for scale in (Scale("AL", 3.0), Scale("AL / BCE", 3.0, middle=1.0)):
        above = map_figure([MapPanel(crop(), values)], scale, columns=1).axes[0].get_images()[1]
        assert above.get_alpha()[0, 0] == 0 and above.get_alpha()[0, 1] > 0.8


def test_a_map_of_zeros_has_no_colour_bar_but_stays_aligned():
    panels = [MapPanel(crop(), np.zeros((2, 3))), MapPanel(crop(), np.ones((2, 3)))]
    figure = map_figure(panels, [Scale("AL", 0.0), Scale("AL", 1.0)])
    assert not figure.axes[0].get_images()[1].get_alpha().any()
    FigureCanvasAgg(figure).draw()
    empty_bar, bar = figure.axes[2:]
    assert not any(text.get_text().strip() for text in empty_bar.get_xticklabels())
    assert [axes.findobj(QuadMesh)[0].get_visible() for axes in (empty_bar, bar)] == [False, True]
    tops = [axes.get_position().y1 for axes in figure.axes[:2]]
    assert tops[0] == pytest.approx(tops[1], abs=0.005)


def test_colours_grow_evenly_light():
    light = colormaps[Scale("AL", 1.0).colours](np.linspace(0, 1, 20))[:, :3] @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(light) > 0).all()
    diverging = colormaps[Scale("AL", 1.0, middle=0.5).colours](np.linspace(0, 1, 21))[:, :3] @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(diverging[:10]) < 0).all() and (np.diff(diverging[11:]) > 0).all()


def test_true_and_predicted_places_are_marked_apart():
    panel = MapPanel(crop(), np.ones((2, 2)), truth=np.array([2.0, 5.0]), predicted=np.array([6.0, 1.5]))
    figure = map_figure([panel], Scale("q", 1), columns=1, truth="x")
    marks = {line.get_marker(): line.get_xydata()[0].tolist() for line in figure.axes[0].lines}
    assert marks == {"+": [2.0, 5.0], "o": [6.0, 1.5]}
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["true location: x", "predicted location"]


def test_places_that_are_not_known_are_neither_marked_nor_explained():
    panel = MapPanel(crop(), np.ones((2, 2)), truth=np.array([np.nan, 1.0]), predicted=np.array([1.0, 1.0]))
    figure = map_figure([panel], Scale("q", 1), columns=1)
    assert [line.get_marker() for line in figure.axes[0].lines] == ["o"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["predicted location"]
    assert not map_figure(panels(1), Scale("q", 1), columns=1).legends


def test_outline_runs_along_the_edges_of_the_pixels():
    region = np.zeros((2, 4), bool)
    region[1, 2] = True
    axes = map_figure([MapPanel(crop(8), np.ones((2, 4)), outline=region)], Scale("q", 1), columns=1).axes[0]
    points = np.concatenate([line.get_xydata() for line in axes.lines])
    assert len(axes.lines) == 4
    assert (points.min(0).tolist(), points.max(0).tolist()) == ([3.5, 3.5], [5.5, 7.5])


def test_a_colour_bar_for_each_column_or_one_for_all():
    columns = [None, Scale("p", 2.0), Scale("AL", 8.0)]
    rows = [MapPanel(crop()), *panels(2), MapPanel(crop()), *panels(2)]
    figure = map_figure(rows, columns, rows=["a", "b"])
    bars = figure.axes[7:]
    assert [bar.get_xlabel() for bar in bars] == ["p", "AL"]
    assert [[text.get_text() for text in bar.get_xticklabels()] for bar in bars] == [["0", "1", "2"], ["0", "4", "8"]]
    (bar,) = map_figure(panels(5), Scale("heatmap", 1.0), columns=3).axes[6:]
    assert bar.get_ylabel() == "heatmap"
    assert [text.get_text() for text in bar.get_yticklabels()] == ["0", "0.25", "0.5", "0.75", "1"]


def test_rows_fill_up_and_are_named():
    figure = map_figure(panels(5), Scale("q", 4.0), columns=2, rows=["left wrist", "neck", "x"])
    assert [images(axes)[1][0, 0] for axes in figure.axes[:5]] == [0, 1, 2, 3, 4]
    assert [axes.get_ylabel() for axes in figure.axes[:6:2]] == ["left wrist", "neck", "x"]
    assert not figure.axes[5].axison


def test_crop_without_a_map_keeps_its_colours():
    coloured = crop()
    coloured[..., 0] = 250  # blue
    first, second = map_figure([MapPanel(coloured), MapPanel(coloured, np.ones((1, 1)))], [None, Scale("q", 1)]).axes[:2]
    np.testing.assert_array_equal(images(first)[0], coloured[..., ::-1])
    grey = images(second)[0]
    assert (grey[..., 0] == grey[..., 2]).all() and grey.max() < 120
    np.testing.assert_array_equal(grey, backdrop(coloured))


@pytest.mark.parametrize(("columns", "shared"), [(1, True), (6, True), (10, True), (1, False), (6, False), (8, False), (10, False)])
def test_no_text_overlaps_or_leaves_the_figure(columns, shared, require_legible):
    many = panels(2 * columns, title=LONG, caption="q* = 0.0012, highest 0.00098", truth=np.ones(2), predicted=np.ones(2))
    scales = Scale("AL / BCE", 1.2e-5) if shared else [Scale("AL / BCE", 1.234e-5)] * columns
    title = f"anchor loss minus cross entropy, γ = 2\n{LONG}, person 5, which costs $5"
    figure = map_figure(
        many, scales, columns=columns, rows=["right shoulder", "head top"], title=title, truth=f"the peaks of {LONG}"
    )
    require_legible(figure)
    assert figure.get_figwidth() <= 6.9001
    truth = figure.legends[0].get_texts()[0].get_text().replace("\n", " ")
    assert truth.startswith("true location: the peaks of runs") and truth.endswith(".safetensors")


@pytest.mark.parametrize(
    ("count", "columns", "rows", "message"),
    [
        (0, 2, [], "got 0 panels, 2 columns"),
        (2, 0, [], "got 2 panels, 0 columns"),
        (11, 11, [], "got 11 panels, 11 columns"),
        (4, 2, ["a"], r"got 4 panels, 2 columns.*\['a'\]"),
    ],
)
def test_panels_that_do_not_fit_are_an_error(count, columns, rows, message):
    for scales in (Scale("q", 1), [Scale("q", 1)] * columns):
        with pytest.raises(ValueError, match=message):
            map_figure(panels(count), scales, columns=columns, rows=rows)


def test_each_part_of_the_loss_is_shown(make_output):
    output = make_output(MAPS)
    figure = target_figure(output, [1, 2], gamma=3.0)
    maps = output.explain(3.0)
    for row, joint in enumerate([1, 2]):
        image, *panels = figure.axes[6 * row : 6 * row + 6]
        assert len(image.get_images()) == 1
        parts = (maps.target, maps.mask, maps.probability, maps.modulator, maps.loss)
        for axes, part in zip(panels, parts, strict=True):
            np.testing.assert_allclose(images(axes)[1], part[0, joint].numpy(), rtol=1e-6)
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
    assert (images(figure.axes[4])[1] == 1).all()


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
        np.testing.assert_array_equal(images(axes)[1], heatmap)
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
