"""Positions of the dots, lines and intervals in the figure of a comparison."""

from itertools import pairwise

import numpy as np
import pytest

from posekit.lab.compare.figure import repeats_figure
from posekit.metrics import Difference

GROUPS = ("Head", "Shoulder", "Elbow", "Wrist", "Hip", "Knee", "Ankle", "Mean")
SCORES = {}
for i, name in enumerate(("MSE", "BCE", "focal, γ = 2", "anchor, γ = 2")):
    SCORES[name] = {group: [50 + 3 * i + j, 52 + 3 * i + j, 57 + 3 * i + j] for j, group in enumerate(GROUPS)}
DIFFERENCES = {"BCE": {"anchor, γ = 2": {group: Difference(j, j - 1.5, j + 0.5) for j, group in enumerate(GROUPS)}}}


def test_dots_lines_and_intervals_are_the_numbers(require_legible):
    figure = repeats_figure(SCORES, DIFFERENCES, metric="PCK@0.2", resampled="persons")
    require_legible(figure)
    scores, differences = figure.axes
    means = scores.collections[3].get_segments()  # the last model's
    dots = scores.lines[3].get_xydata()
    assert [line[0, 1] for line in means] == pytest.approx([np.mean(SCORES["anchor, γ = 2"][group]) for group in GROUPS])
    assert dots[:3, 1].tolist() == SCORES["anchor, γ = 2"]["Head"]
    ends = [line.get_ydata().tolist() for line in differences.lines if len(line.get_xdata()) == 2 and line.get_linewidth() > 1]
    assert ends == [[j - 1.5, j + 0.5] for j in range(len(GROUPS))]
    assert scores.get_ylabel() == "PCK@0.2 (%)" and differences.get_ylabel() == "minus BCE"
    assert [text.get_text() for text in figure.legends[0].texts] == list(SCORES)
    assert scores.get_xlim() == differences.get_xlim()


def test_models_are_side_by_side_at_the_same_positions_in_both_panels():
    figure = repeats_figure(SCORES, DIFFERENCES, metric="PCK@0.2", resampled="persons")
    head = [line.get_xdata()[0] for line in figure.axes[0].lines]
    means = [lines.get_segments()[0][:, 0] for lines in figure.axes[0].collections]
    assert max(np.abs(means).max(), np.abs(head).max()) < 0.5
    assert all(left.max() < right.min() for left, right in pairwise(means))  # they do not overlap
    assert [line.mean() for line in means] == pytest.approx(head)
    assert figure.axes[1].lines[0].get_xdata()[0] == pytest.approx(head[3])


def test_one_model_with_one_seed_has_no_differences(require_legible):
    figure = repeats_figure({"AL": {"Head": [50.0], "Mean": [np.nan]}}, {}, metric="PCKh@0.5", resampled="persons")
    require_legible(figure)
    assert len(figure.axes) == 1
