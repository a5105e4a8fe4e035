from dataclasses import replace

import numpy as np
import pytest

from posekit.drawing.style import SERIES
from posekit.drawing.training import TrainingRun, group_curves, training_curves

NAN = float("nan")
GROUPS = ("head", "shoulder", "elbow", "wrist", "hip", "knee", "ankle")
LONG = "mpii-hourglass8-anchor-gamma2-batch6-rmsprop-200-epochs"

KNOWN = {"loss": "anchor, γ = 1.5, OHKM 8", "scale": "8 stacks, 256 px, σ = 1.75", "metric": "PCKh@0.5"}


def run(epochs, *, lacking=(), **facts):
    """A run whose numbers all differ, without the columns that are `lacking`."""
    rows = []
    for e in range(1, epochs + 1):
        row = {"epoch": e, "learning_rate": 0.003 / e, "loss": 0.07 / e, "pck": 60 - 50 / e}
        row |= {"hard_pixels": 20 / e, "hard_joints": 97 - e}
        row |= {f"pck_{group}": 50 + i - 40 / e for i, group in enumerate(GROUPS)}
        rows.append({name: value for name, value in row.items() if name not in lacking})
    return TrainingRun(rows, **facts)


def panels(figure, name):
    return [axes for axes in figure.axes if axes.get_ylabel() == name]


def panel(figure, name):
    (axes,) = panels(figure, name)
    return axes


def is_mark(line):
    x = line.get_xdata()
    return len(x) == 2 and x[0] == x[1]


def curves(axes):
    """Points of the curves, without marks of the warm-up and samples for the legend."""
    return [line.get_xydata().tolist() for line in axes.lines if len(line.get_xdata()) and not is_mark(line)]


def points(run, column):
    return [[row["epoch"], row[column]] for row in run.rows]


def marks(axes):
    """Colours and epochs of the vertical lines."""
    return [(line.get_color(), line.get_xdata()[0]) for line in axes.lines if is_mark(line)]


def legend(figure):
    return [text.get_text() for text in figure.legends[0].texts] if figure.legends else []


def test_curves_hold_the_rows_numbers():
    one = run(3, loss="anchor, γ = 2", scale="2 stacks, 128 px, σ = 1", metric="PCK@0.2")
    figure = training_curves({"a": one})
    names = ["training loss", "validation PCK@0.2 (%)", "hard pixels (%)", "hard joints (%)", "learning rate"]
    assert [axes.get_ylabel() for axes in figure.axes] == names
    for axes, column in zip(figure.axes, ("loss", "pck", "hard_pixels", "hard_joints", "learning_rate"), strict=True):
        assert curves(axes) == [points(one, column)]
    assert [axes.get_title() for axes in figure.axes] == ["anchor, γ = 2\n2 stacks, 128 px, σ = 1", "", "", "", ""]
    assert not figure.legends, "a lone run needs none"


def test_runs_of_unequal_length_keep_their_colours_and_share_the_epochs():
    runs = {"long": run(20), "short": run(3, lacking=("hard_pixels", "hard_joints")), "middle": run(7)}
    figure = training_curves(runs)
    score = panel(figure, "validation PCK (%)")
    assert curves(score) == [points(one, "pck") for one in runs.values()]
    assert [line.get_color() for line in score.lines] == [colour for colour, _ in SERIES[:3]]
    hard = panel(figure, "hard pixels (%)")
    assert curves(hard) == [points(runs["long"], "hard_pixels"), points(runs["middle"], "hard_pixels")]
    assert [line.get_color() for line in hard.lines] == [SERIES[0][0], SERIES[2][0]], "the colour is the run's in every panel"
    assert len({axes.get_xlim() for axes in figure.axes}) == 1 and score.get_xlim()[1] > 20


def test_losses_of_another_kind_or_scale_have_a_panel_each():
    runs = {
        "a": run(2, loss="anchor, γ = 2", scale="2 stacks"),
        "b": run(3, loss="BCE", scale="2 stacks"),
        "c": run(4, loss="anchor, γ = 2", scale="2 stacks"),
        "d": run(5, loss="anchor, γ = 2", scale="8 stacks"),
        "e": run(6),
    }
    figure = training_curves(runs)
    shown = {axes.get_title(): curves(axes) for axes in panels(figure, "training loss")}
    assert shown == {
        "anchor, γ = 2\n2 stacks": [points(runs["a"], "loss"), points(runs["c"], "loss")],
        "BCE\n2 stacks": [points(runs["b"], "loss")],
        "anchor, γ = 2\n8 stacks": [points(runs["d"], "loss")],
        "unknown loss": [points(runs["e"], "loss")],
    }
    assert len(curves(panel(figure, "hard joints (%)"))) == 5, "shares can be compared"
    assert legend(figure) == ["a: anchor, γ = 2", "b: BCE", "c: anchor, γ = 2", "d: anchor, γ = 2", "e"]


def test_a_loss_in_the_runs_name_is_not_repeated():
    losses = {"BCE": "BCE", "Anchor, gamma 2, warm-up": "anchor, γ = 2", "anchor, gamma 1": "anchor, γ = 2"}
    figure = training_curves({name: run(2, loss=loss) for name, loss in losses.items()})
    assert legend(figure) == ["BCE", "Anchor, gamma 2, warm-up", "anchor, gamma 1: anchor, γ = 2"]


@pytest.mark.parametrize(
    ("metrics", "name", "labels"),
    [
        (("PCK@0.2", "PCK@0.2"), "PCK@0.2", ["0", "1"]),
        (("PCK@0.2", "PCK"), "PCK", ["0", "1"]),
        (("PCK@0.2", "PCKh@0.5", "PCK"), "PCK", ["0: PCK@0.2", "1: PCKh@0.5", "2"]),
    ],
)
def test_metrics_that_differ_are_named_in_the_legend(metrics, name, labels):
    runs = {str(i): run(2, metric=metric) for i, metric in enumerate(metrics)}
    figure = training_curves(runs)
    assert panel(figure, f"validation {name} (%)")
    assert legend(figure) == labels
    assert group_curves(runs).axes[0].get_ylabel() == f"{name} (%)"


def test_a_column_that_no_run_has_has_no_panel():
    without = run(3, lacking=("pck", "hard_pixels", "hard_joints"))
    names = [axes.get_ylabel() for axes in training_curves({"a": without, "b": without}).axes]
    assert names == ["training loss", "learning rate"]
    nan = TrainingRun([{"epoch": 1, "loss": 0.5, "pck": NAN}])
    assert [axes.get_ylabel() for axes in training_curves({"a": nan}).axes] == ["training loss"]


@pytest.mark.parametrize("draw", [training_curves, group_curves])
@pytest.mark.parametrize("runs", [{}, {"a": TrainingRun([])}, {"a": TrainingRun([{"epoch": 1}])}])
def test_nothing_to_draw_is_an_error(draw, runs):
    with pytest.raises(ValueError, match="at least one run"):
        draw(runs)


def test_an_epoch_without_a_number_is_a_gap():
    rows = [{"epoch": 1, "loss": 3.0, "pck": NAN}, {"epoch": 2, "pck": 20.0}, {"epoch": 3, "loss": 1.0, "pck": 30.0}]
    figure = training_curves({"a": TrainingRun(rows)})
    np.testing.assert_array_equal(figure.axes[0].lines[0].get_xydata(), [[1, 3], [2, NAN], [3, 1]])
    np.testing.assert_array_equal(figure.axes[1].lines[0].get_xydata(), [[1, NAN], [2, 20], [3, 30]])


def test_the_end_of_the_warm_up_is_marked_in_the_runs_colour():
    figure = training_curves({"plain": run(9), "warm": run(9, warmup_epochs=5)})
    assert all(marks(axes) == [(SERIES[1][0], 5.5)] for axes in figure.axes[1:])
    assert legend(figure) == ["plain", "warm", "end of the warm-up with BCE"]
    figure = training_curves({"plain": run(9), "warm": run(9, lacking=("pck",), warmup_epochs=5)})
    assert not marks(panel(figure, "validation PCK (%)")), "nor where the run is not shown"


def test_a_warm_up_that_runs_share_is_black_and_one_to_come_is_within_view():
    runs = {"a": run(3, warmup_epochs=5), "b": run(4, warmup_epochs=5), "c": run(4, warmup_epochs=2)}
    (axes,) = panels(training_curves(runs), "hard pixels (%)")
    assert marks(axes) == [(SERIES[2][0], 2.5), ("#000000", 5.5)]
    assert axes.get_xlim()[1] >= 6
    figure = training_curves({"a": run(3, warmup_epochs=5)})
    assert legend(figure) == ["end of the warm-up with BCE"]


def test_sixteen_runs_differ_in_colour_or_dashes():
    figure = training_curves({str(i): run(2 + i) for i in range(16)})
    axes = panel(figure, "learning rate")
    assert len({(line.get_color(), line.get_linestyle()) for line in axes.lines}) == 16


def test_of_two_equal_curves_both_can_be_seen():
    below, above = panel(training_curves({"a": run(5), "b": run(5)}), "learning rate").lines
    assert below.get_zorder() == above.get_zorder() and below.get_linewidth() > above.get_linewidth() + 0.5


def test_shares_begin_at_zero_and_nothing_is_cut_off():
    for figure in (training_curves({"a": run(4), "b": run(9)}), group_curves({"a": run(4), "b": run(9)})):
        for axes in figure.axes:
            low, high = axes.get_ylim()
            heights = np.concatenate([line.get_ydata() for line in axes.lines])
            assert low < high and low <= heights.min() and heights.max() < high
            assert low == 0 or axes.get_ylabel() in ("training loss", "learning rate")


@pytest.mark.parametrize("epochs", [1, 2, 3, 7, 200])
def test_epochs_are_whole(epochs):
    (axes, *_) = training_curves({"a": run(epochs)}).axes
    low, high = axes.get_xlim()
    ticks = [tick for tick in axes.get_xticks() if low <= tick <= high]
    assert ticks and all(tick == round(tick) and 0 <= tick <= epochs for tick in ticks)


def test_groups_have_a_panel_each_on_one_scale():
    runs = {"a": run(3, metric="PCKh@0.5"), "b": run(5, lacking=("pck_wrist",), metric="PCKh@0.5")}
    figure = group_curves(runs)
    assert [axes.get_title() for axes in figure.axes] == ["All joints", *(group.capitalize() for group in GROUPS)]
    for axes, column in zip(figure.axes, ("pck", *(f"pck_{group}" for group in GROUPS)), strict=True):
        shown = [one for one in runs.values() if column in one.rows[0]]
        assert curves(axes) == [points(one, column) for one in shown]
    assert len({axes.get_ylim() for axes in figure.axes}) == 1
    assert [axes.get_ylabel() for axes in figure.axes] == ["PCKh@0.5 (%)", "", "", ""] * 2
    assert legend(figure) == ["a", "b"]


@pytest.mark.parametrize(
    "runs",
    [
        {"a": run(1)},
        {"a": run(200, **KNOWN, warmup_epochs=5)},
        {"one": run(12, loss="anchor, γ = 2"), "two": run(9, loss="BCE", lacking=("hard_pixels", "pck_knee"))},
        {f"{i}-{LONG}-${i}_": run(5 * i + 1, **KNOWN | {"metric": f"PCKh@0.{i}"}, warmup_epochs=i) for i in range(9)},
    ],
    ids=["one epoch", "one run", "two runs", "many long names"],
)
def test_every_text_can_be_read(runs, require_legible):
    require_legible(training_curves(runs))
    require_legible(group_curves(runs))


def test_small_learning_rates_can_be_read(require_legible):
    tiny = run(5, loss="MSE", scale="8 stacks, 256 px, σ = 1", lacking=GROUPS)
    rows = [{**row, "learning_rate": row["learning_rate"] * 1e-4, "loss": row["loss"] * 1e-5} for row in tiny.rows]
    require_legible(training_curves({"a": replace(tiny, rows=rows)}))
