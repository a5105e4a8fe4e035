"""The curves show the rows they are given."""

from posekit.drawing.training import training_curves


def test_curves_hold_the_rows_numbers():
    rows = [{"epoch": 1, "loss": 0.5, "pck": 10.0}, {"epoch": 2, "loss": 0.25, "pck": 30.0}]
    loss, score = training_curves(rows, metric="PCK@0.2").axes
    assert loss.lines[0].get_xydata().tolist() == [[1, 0.5], [2, 0.25]]
    assert score.lines[0].get_xydata().tolist() == [[1, 10], [2, 30]]
    assert score.get_ylabel() == "validation PCK@0.2 (%)"
