"""Lengths of the bars, and a figure without overlapping text."""

import io

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from posekit.lab.penalty_study.bars import penalty_bars

NAN = (float("nan"),) * 3
NOTHING = dict.fromkeys(("mean_penalty", "penalty_share", "area_share", "concentration", "higher"), NAN)
GROUPS = ("All", "Shoulder", "Elbow", "Wrist", "Hip", "Knee", "Ankle")
LONG = "runs/mpii-hourglass8-anchor-gamma2/best.safetensors"


def measures(mean, penalty, area, higher):
    """Measures of a region; intervals reach 10 % down and 20 % up."""
    numbers = {"mean_penalty": mean, "penalty_share": penalty, "area_share": area, "higher": higher}
    return {name: (value, 0.9 * value, 1.2 * value) for name, value in numbers.items()}


AL = {"opposite": measures(2e-3, 50, 2, 40), "other persons": NOTHING, "rest": measures(5e-5, 60, 98, 30)}
BCE = {"opposite": measures(1e-3, 40, 2, 20), "rest": measures(2.5e-7, 70, 98, 10)}


def widths(axes):
    return [bar.get_width() for bar in axes.patches]


def intervals(axes):
    (lines,) = axes.collections
    return [path.vertices[:, 0].tolist() for path in lines.get_paths()]


def test_bars_and_intervals_hold_the_numbers():
    figure = penalty_bars({"AL": AL, "BCE": BCE})
    mean, share, higher = figure.axes
    assert widths(mean) == pytest.approx([2000, 50, 1000, 0.25]), "in millionths"
    assert widths(share) == [50, 60, 40, 70] and widths(higher) == [40, 30, 20, 10]
    np.testing.assert_allclose(intervals(mean), [[1800, 2400], [45, 60], [900, 1200], [0.225, 0.3]])
    np.testing.assert_allclose(intervals(higher), [[36, 48], [27, 36], [18, 24], [9, 12]])
    assert [text.get_text() for text in mean.texts] == ["2,000", "50.0", "1,000", "0.2"]
    assert [text.get_text() for text in share.texts] == ["50.0", "60.0", "40.0", "70.0"]
    for axes in figure.axes:
        assert [label.get_text() for label in axes.get_yticklabels()] == ["opposite", "rest"], "no row where all are NaN"
        first, second = axes.patches[0].get_y(), axes.patches[2].get_y()
        assert axes.yaxis.get_inverted() and first < second, "the first model is above the second"
        assert axes.get_xlim()[0] == 0


def test_the_share_of_the_pixels_is_marked_in_the_panel_of_the_penalty_share():
    figure = penalty_bars({"AL": AL, "BCE": BCE})
    mean, share, higher = figure.axes
    (marks,) = share.lines
    bars = [bar.get_y() + bar.get_height() / 2 for bar in share.patches]
    np.testing.assert_allclose(marks.get_xydata(), np.stack([[2, 98, 2, 98], bars], -1))
    assert not mean.lines and not higher.lines
    legend = {text.get_text() for text in figure.legends[0].texts}
    assert legend == {"AL", "BCE", "95 % confidence interval", "share of the pixels"}


def test_a_mark_does_not_cross_a_number():
    rows = {"near": measures(1e-3, 75, 98, 1), "far": measures(1e-3, 50, 98, 1), "before": measures(1e-3, 90, 20, 1)}
    share = penalty_bars({"a": rows}).axes[1]
    figure = FigureCanvasAgg(share.figure)
    figure.draw()
    for text, mark in zip(share.texts, share.transData.transform(share.lines[0].get_xydata())[:, 0], strict=True):
        extent = text.get_window_extent(figure.get_renderer())
        assert not extent.x0 - 1 < mark < extent.x1 + 1, text.get_text()


def test_a_row_that_one_model_lacks_has_no_bar_for_it():
    lacking = penalty_bars({"AL": {"other persons": AL["opposite"], "rest": AL["rest"]}, "BCE": BCE}).axes[0]
    np.testing.assert_allclose(widths(lacking), [2000, 50, np.nan, np.nan, 0.25, 1000])
    assert [text.get_text() for text in lacking.texts] == ["2,000", "50.0", "0.2", "1,000"]


def test_few_rows_take_a_column_and_many_the_page():
    few = penalty_bars({"AL": AL})
    many = penalty_bars({"AL": dict.fromkeys(GROUPS, AL["opposite"])})
    assert (few.get_figwidth(), many.get_figwidth()) == (3.3, 6.9)
    assert many.get_figheight() < 3 and [len(axes.patches) for axes in many.axes] == [7, 7, 7]
    lefts = [axes.get_position().x0 for axes in many.axes]
    assert lefts[0] < lefts[1] < lefts[2]


@pytest.mark.parametrize("scale", [1e-8, 0.3])
@pytest.mark.parametrize("rows", [("opposite",), ("opposite", "other persons", "rest"), GROUPS], ids=len)
@pytest.mark.parametrize("models", [("ours",), (LONG, "_costs $5"), tuple("abcde")], ids=len)
def test_no_text_overlaps_or_leaves_the_figure(models, rows, scale, require_legible):
    rng = np.random.default_rng(0)
    numbers = {model: {row: measures(scale * rng.random(), *rng.uniform(0, 83, 3)) for row in rows} for model in models}
    require_legible(penalty_bars(numbers))


def test_zero_penalty_and_missing_rows_are_drawn_without_numbers(require_legible):
    perfect = measures(0, float("nan"), 3, 0)
    zero = penalty_bars({"AL": {"opposite": perfect, "rest": perfect}})
    missing = penalty_bars({"AL": {"rest": NOTHING}})
    for figure in (zero, missing, penalty_bars({})):
        require_legible(figure)
    assert widths(zero.axes[0]) == [0, 0] and not zero.axes[1].texts
    assert not missing.axes[0].patches


@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
def test_the_figure_can_be_saved(kind):
    file = io.BytesIO()
    penalty_bars({"AL": AL}).savefig(file, format=kind)
    assert len(file.getvalue()) > 1000
