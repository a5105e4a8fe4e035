"""Numbers beside people."""

import numpy as np
import pytest

from posekit.drawing.numbers import draw_numbers
from posekit.geometry import Box


def changed(image, boxes):
    """Rows and columns, first and last, of what was drawn."""
    return [(int(found.min()), int(found.max())) for found in np.nonzero((draw_numbers(image, boxes) != image).any(-1))]


def test_a_number_stands_in_the_boxs_corner():
    image = np.full((400, 600, 3), 120, np.uint8)
    (top, bottom), (left, right) = changed(image, [Box((300, 200), 100)])
    assert (top, left) == (150, 250)
    assert bottom < 150 + 25 and right < 250 + 25
    assert (image == 120).all()


@pytest.mark.parametrize("centre", [(-300, -300), (900, 900), (1e7, -1e7)])
def test_a_box_that_begins_outside_has_its_number_inside(centre):
    rows, columns = changed(np.full((400, 600, 3), 120, np.uint8), [Box(centre, 50)])
    assert rows[1] - rows[0] > 10 and columns[1] - columns[0] > 10


def test_numbers_differ():
    image = np.zeros((60, 60, 3), np.uint8)
    ones = draw_numbers(image, [Box((30, 30), 20)])
    assert (draw_numbers(image, [Box((30, 30), 20)] * 2) != ones).any()
    np.testing.assert_array_equal(draw_numbers(image, []), image)


def test_the_smallest_picture():
    assert draw_numbers(np.zeros((1, 1, 3), np.uint8), [Box((0, 0), 1)] * 12).shape == (1, 1, 3)
