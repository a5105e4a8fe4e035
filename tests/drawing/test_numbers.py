import numpy as np
import pytest

from posekit.drawing.numbers import draw_numbers


def changed(image, places):
    """First and last row, first and last column of the pixels that were drawn."""
    rows, columns = np.nonzero((draw_numbers(image, places) != image).any(-1))
    return (rows.min(), rows.max()), (columns.min(), columns.max())


def test_a_number_stands_above_its_place():
    image = np.full((400, 600, 3), 120, np.uint8)
    (top, bottom), (left, right) = changed(image, [(300, 200)])
    assert top > 170 and 190 < bottom < 200
    assert 285 < left < 300 < right < 315 and abs(left + right - 600) <= 1
    assert (image == 120).all()


@pytest.mark.parametrize("place", [(-300, -300), (900, 900), (1e7, -1e7)])
def test_a_place_outside_has_its_number_inside(place):
    rows, columns = changed(np.full((400, 600, 3), 120, np.uint8), [place])
    assert rows[1] - rows[0] > 10 and columns[1] - columns[0] > 10


def test_numbers_differ():
    image = np.zeros((60, 60, 3), np.uint8)
    first = draw_numbers(image, [(30, 30)])
    assert (draw_numbers(image, [(30, 30)] * 2) != first).any()
    np.testing.assert_array_equal(draw_numbers(image, []), image)


def test_the_smallest_image():
    assert draw_numbers(np.zeros((1, 1, 3), np.uint8), [(0, 0)] * 12).shape == (1, 1, 3)
