"""IoU and average precision of square boxes."""

import math

import numpy as np
import pytest

from posekit.metrics import box_average_precision, square_iou

ONE = [50.0, 50, 20]
OTHER = [150.0, 90, 40]
NONE = np.empty((0, 3))


def boxes(*rows):
    return np.array(rows, float)


def test_all_found_and_nothing_else():
    found = box_average_precision([boxes([*ONE, 0.9], [*OTHER, 0.3])], [boxes(ONE, OTHER)])
    assert found == pytest.approx({"AP50": 100, "recall": 100})


def test_false_positives_cost_by_their_score():
    truths = [boxes(ONE, OTHER)]
    last = box_average_precision([boxes([*ONE, 0.9], [*OTHER, 0.8], [400.0, 400, 30, 0.1])], truths)
    first = box_average_precision([boxes([*ONE, 0.8], [*OTHER, 0.7], [400.0, 400, 30, 0.9])], truths)
    assert last["AP50"] == pytest.approx(100)
    assert first["AP50"] == pytest.approx(100 * 2 / 3), "precision is 2/3 at every recall"
    assert first["recall"] == last["recall"] == 100


def test_a_true_box_is_matched_once_and_only_at_iou_of_half():
    twice = box_average_precision([boxes([*ONE, 0.9], [51.0, 50, 20, 0.8])], [boxes(ONE)])
    assert twice == pytest.approx({"AP50": 100, "recall": 100}), "the second is false, below the first"
    beside = box_average_precision([boxes([57.0, 50, 20, 0.9])], [boxes(ONE)])  # 13 of 27 in common
    assert beside == {"AP50": 0, "recall": 0}


def test_boxes_match_only_within_their_image():
    found = box_average_precision([boxes([*ONE, 0.9]), np.empty((0, 4))], [NONE, boxes(ONE)])
    assert found == {"AP50": 0, "recall": 0}


def test_no_true_box_gives_nan():
    found = box_average_precision([np.empty((0, 4))], [NONE])
    assert all(math.isnan(value) for value in found.values()) and set(found) == {"AP50", "recall"}


def test_iou():
    """Side 20 shifted by 10 to the right: 200 of 600; twice as large about the same middle: 400 of 1,600; far away: nothing."""
    iou = square_iou(boxes(ONE, OTHER), boxes(ONE, [60.0, 50, 20], [50.0, 50, 40]))
    assert iou == pytest.approx(np.array([[1, 1 / 3, 1 / 4], [0, 0, 0]]))


def test_iou_of_no_squares():
    assert square_iou(NONE, boxes(ONE)).shape == (0, 1) and square_iou(boxes(ONE, OTHER), NONE).shape == (2, 0)
