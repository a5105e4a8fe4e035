import io

import numpy as np
import pytest
from matplotlib.colors import to_rgba

from posekit.data import open_people
from posekit.drawing.curves import (
    diagnosis_bars,
    difference_bars,
    double_counting_bars,
    error_histogram,
    joint_bars,
    pck_curves,
    reliability,
)
from posekit.scoring.io.files import read_predictions
from posekit.scoring.score import score
from posekit.skeletons import LSP14, MPII16

NAN = float("nan")
LONG = "runs/mpii-hourglass8-anchor-gamma2/predictions_valid.h5"


def widths(axes):
    return [bar.get_width() for bar in axes.patches]


def row_names(axes):
    return [label.get_text() for label in axes.get_yticklabels()]


def test_curves_hold_the_numbers_and_mark_the_threshold():
    thresholds = np.array([0.1, 0.2, 0.4])
    curves = {"Head": (thresholds, [10, 20, NAN]), "Wrist": (thresholds, [1, 2, 3])}
    figure = pck_curves(curves, metric="PCKh@0.5", threshold=0.5, reference="head size (0.6 * diagonal)")
    (axes,) = figure.axes
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), [10, 20, NAN])
    assert axes.lines[1].get_xydata().tolist() == [[0.1, 1], [0.2, 2], [0.4, 3]]
    assert list(axes.lines[2].get_xdata()) == [0.5, 0.5]
    assert axes.get_ylabel() == "PCKh (%)" and axes.get_xlabel() == "threshold / head size"
    assert [text.get_text() for text in figure.legends[0].texts] == ["Head", "Wrist", "threshold 0.5"]
    assert axes.get_xlim()[1] > 0.5


def test_sixteen_curves_differ_in_colour_or_dashes():
    (axes,) = pck_curves({str(i): ([0, 1], [0, i]) for i in range(16)}, metric="PCK", threshold=0.2).axes
    assert len({(line.get_color(), line.get_linestyle()) for line in axes.lines[:16]}) == 16


def test_bars_are_as_long_as_the_values_and_nan_has_none():
    values = {"a": {"Head": 90.04, "Wrist": NAN, "Hip": NAN}, "b": {"Head": 20.0, "Hip": NAN, "Wrist": 50.0, "Knee": 10.0}}
    (axes,) = joint_bars(values, metric="PCK@0.2").axes
    np.testing.assert_array_equal(widths(axes), [90.04, NAN, NAN, 20, 50, 10])
    assert row_names(axes) == ["Head", "Wrist", "Knee"], "no row for what is NaN for all"
    assert [text.get_text() for text in axes.texts] == ["90.0", "20.0", "50.0", "10.0"]
    assert axes.get_xlabel() == "PCK@0.2 (%)"
    assert axes.yaxis.get_inverted()
    assert axes.patches[0].get_y() < axes.patches[3].get_y(), "the first model is above the second"


def test_a_figure_grows_with_its_bars():
    joints = dict.fromkeys(MPII16.joints, 50.0)
    one = joint_bars({"a": joints}, metric="PCK")
    many = joint_bars({str(i): joints for i in range(6)}, metric="PCK")
    assert len(many.axes[0].patches) == len(many.axes[0].texts) == 6 * 16
    assert many.get_figheight() > 3 * one.get_figheight() and one.get_figheight() < 4


def test_histogram_changes_colour_at_the_threshold():
    # Of 8 that count: two within (one exactly at it), three up to 2, one farther, two not predicted.
    errors = np.array([[0.5, 0.01, 0.5000001], [2.0, 1.0, 2.1], [np.inf, np.inf, NAN]])
    figure = error_histogram(errors, threshold=0.5, reference="head size")
    (axes,) = figure.axes
    legend = [text.get_text() for text in figure.legends[0].texts]
    assert legend == ["within 0.5: 25.0 %", "up to 2: 37.5 %", "farther: 12.5 %", "not predicted: 25.0 %"]
    heights = [bar.get_height() for bar in axes.patches]
    assert sum(heights) == pytest.approx(100) and len(heights) == 42
    assert heights[0] == heights[9] == heights[10] == heights[19] == heights[39] == heights[40] == 12.5
    assert axes.patches[9].get_x() + axes.patches[9].get_width() == pytest.approx(0.5)


@pytest.mark.parametrize("threshold", [0.1, 0.11, 0.2, 0.3, 0.5])
def test_an_error_of_exactly_the_threshold_is_within(threshold):
    figure = error_histogram([threshold, np.nextafter(threshold, 1)], threshold=threshold, reference="torso")
    assert figure.legends[0].texts[0].get_text() == f"within {threshold:g}: 50.0 %"


def test_reliability_shows_bins_and_error():
    scores = np.array([[0.1, 0.3], [0.5, 0.9]])
    above, below = reliability(scores, scores > 0.4, bins=2).axes
    np.testing.assert_allclose(above.lines[0].get_xydata(), [[0, 0], [1, 1]])
    np.testing.assert_allclose(above.lines[1].get_xydata(), [[0.2, 0], [0.7, 1]])
    assert above.get_title() == "expected calibration error 0.250"
    assert [bar.get_height() for bar in below.patches] == [2, 2]


def test_reliability_shows_scores_above_one():
    above, _ = reliability([-0.2, 0.4, 1.6], np.array([False, True, True]), bins=3).axes
    low, high = above.get_xlim()
    assert low <= -0.2 and high >= 1.6


def test_diagnosis_is_stacked():
    (axes,) = diagnosis_bars({"a": {"Head": (70, 20, 0, 10), "Hip": (NAN,) * 4, "Knee": (25, 25, 25, 25)}}).axes
    assert row_names(axes) == ["Head", "Knee"]
    assert [bar.get_x() for bar in axes.patches[::2]] == [0, 70, 90, 90]
    assert widths(axes) == [70, 25, 20, 25, 0, 25, 10, 25]
    assert [text.get_text() for text in axes.texts] == ["70", "25", "20", "25", "", "25", "10", "25"]
    assert len({bar.get_facecolor() for bar in axes.patches}) == 4


def test_diagnosis_names_each_models_bar():
    figure = diagnosis_bars({"a": {"Head": (70, 20, 0, 10), "Hip": (1, 2, 3, 94)}, "b": {"Head": (50, 20, 20, 10)}})
    (axes,) = figure.axes
    (right,) = axes.child_axes
    assert row_names(right) == ["a", "b", "a", "b"]
    assert (np.diff(right.get_yticks()) > 0).all()


@pytest.mark.parametrize("draw", [diagnosis_bars, double_counting_bars])
def test_four_numbers_are_needed(draw):
    with pytest.raises(ValueError, match=r"Hip.*4.*3"):
        draw({"a": {"Head": (1, 2, 3, 4), "Hip": (1, 2, 3)}})


def test_double_counting_has_a_panel_for_each_number():
    figure = double_counting_bars({"a": {"Head": (10, 60, 30, NAN), "Hip": (20, 50, 40, 25)}, "b": {"Hip": (5, 6, 7, 8)}})
    for axes, expected in zip(figure.axes, [[10, 20, 5], [60, 50, 6], [30, 40, 7], [25, 8]], strict=True):
        assert [width for width in widths(axes) if not np.isnan(width)] == expected
    assert [text.get_text() for text in figure.axes[3].texts] == ["25.0", "8.0"]


def test_decided_differences_are_filled():
    figure = difference_bars({"Head": (0.3, -0.3, 1.0), "Hip": (5.6, 4.6, 6.6), "Knee": (-2.0, -3.0, -1.0), "Toe": (NAN,) * 3})
    (axes,) = figure.axes
    filled = {bar.get_width(): bar.get_facecolor()[3] == 1 for bar in axes.patches}
    assert filled == {5.6: True, -2.0: True, 0.3: False}
    assert row_names(axes) == ["Head", "Hip", "Knee"]
    assert row_names(axes.child_axes[0]) == ["+0.3", "+5.6", "−2.0"]
    assert [path.vertices[:, 0].tolist() for path in axes.collections[0].get_paths()] == [[-0.3, 1], [4.6, 6.6], [-3, -1]]


def test_the_legend_names_only_what_is_drawn():
    (legend,) = difference_bars({"Hip": (5.6, 4.6, 6.6)}).legends
    assert [text.get_text() for text in legend.get_texts()] == ["95 % interval", "decided"]


def figures(groups, models):
    """Every figure, of random numbers for these groups and models."""
    rng = np.random.default_rng(0)
    shares = {model: {group: 100 * rng.dirichlet([8, 2, 1, 1]) for group in groups} for model in models}
    values = {model: {group: rng.uniform(0, 100) for group in groups} for model in models}
    thresholds = np.arange(1, 51) / 100
    scores = rng.random((40, 3))
    return {
        "curves of groups": pck_curves(
            dict.fromkeys(groups, (thresholds, 100 * thresholds)), metric="PCKh", threshold=0.5, reference="head size"
        ),
        "curves of models": pck_curves(dict.fromkeys(models, (thresholds, thresholds)), metric="PCK", threshold=0.2),
        "joints": joint_bars(values, metric="PCKh@0.5"),
        "errors": error_histogram(
            rng.exponential(0.3, (40, 3)), threshold=0.5, reference="torso size (left shoulder to right hip)"
        ),
        "reliability": reliability(scores, rng.random(scores.shape) < scores),
        "diagnosis": diagnosis_bars(shares),
        "double counting": double_counting_bars(shares),
        "differences": difference_bars({group: (x - 50, x - 60, x - 40) for group, x in values[models[0]].items()}),
    }


@pytest.mark.parametrize(
    ("groups", "models"),
    [
        (("Head",), ("ours",)),
        (tuple(MPII16.groups), ("hourglass", "Tompson et al.")),
        (LSP14.joints, (LONG, "_costs $5 and $6", LONG + "2")),
        (tuple(MPII16.groups), tuple("abcdefgh")),
    ],
    ids=["one", "two", "long", "eight"],
)
def test_no_text_overlaps_or_leaves_the_figure(groups, models, require_legible):
    for name, figure in figures(groups, models).items():
        try:
            require_legible(figure)
        except AssertionError as error:
            raise AssertionError(f"{name}: {error}") from error
        assert figure.get_figwidth() == 3.3


def test_all_models_are_in_the_legend():
    figure = joint_bars({"_costs $5 and $6": {"Head": 1.0}, "b": {"Head": 2.0}}, metric="PCK@0.2")
    assert [text.get_text().strip() for text in figure.legends[0].texts] == [r"_costs \$5 and \$6", "b"]


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_figures_can_be_saved(suffix):
    for figure in figures(("Head", "Hip"), ("ours", "theirs")).values():
        file = io.BytesIO()
        figure.savefig(file, format=suffix)
        assert len(file.getvalue()) > 1000


def test_numbers_stand_out_from_their_bars(contrast):
    models = joint_bars({str(i): {"Head": 90.0} for i in range(8)}, metric="PCK")
    for figure in (models, diagnosis_bars({"a": {"Head": (25.0,) * 4}})):
        (axes,) = figure.axes
        for bar, text in zip(axes.patches, axes.texts, strict=True):
            assert contrast(bar.get_facecolor(), to_rgba(text.get_color())) > 3, (bar.get_facecolor(), text.get_color())


def test_figures_without_numbers_are_empty(require_legible):
    empty = [
        pck_curves({}, metric="PCK", threshold=0.2),
        pck_curves({"Head": (np.zeros(0), np.zeros(0))}, metric="PCK", threshold=0.2),
        joint_bars({}, metric="PCK@0.2"),
        joint_bars({"a": {"Head": NAN}, "b": {}}, metric="PCK@0.2"),
        error_histogram(np.full((5, 3), NAN), threshold=0.5, reference="head size"),
        reliability(np.zeros(0), np.zeros(0, bool)),
        diagnosis_bars({}),
        diagnosis_bars({"a": {}, "b": {}}),
        double_counting_bars({}),
        difference_bars({}),
    ]
    for figure in empty:
        require_legible(figure)
    assert empty[5].axes[0].get_title() == "no joint has a score"


def test_published_hourglass_scores_stand_on_the_bars(real_data):
    people = open_people("mpii", real_data / "mpii", "valid")
    scores = score(people, read_predictions(real_data / "mpii" / "predictions" / "valid-ours.h5", base=1))
    (axes,) = joint_bars({"hourglass": scores.groups}, metric=scores.metric).axes
    # The public evaluation's: 95.941, 94.684, 88.529, 83.382, 87.485, 83.094, 79.050.
    assert [text.get_text() for text in axes.texts] == ["95.9", "94.7", "88.5", "83.4", "87.5", "83.1", "79.1"]
    figure = error_histogram(scores.pck.errors, threshold=0.5, reference=scores.reference)
    within = 100 * scores.pck.correct.sum() / scores.pck.n
    assert figure.legends[0].texts[0].get_text() == f"within 0.5: {within:.1f} %"
