"""People drawn as heatmaps and found again."""

import math

import pytest
import torch

from posekit.tasks.person_finder.centres import decode_centres, encode_centres, sizes_between

SIZES = sizes_between(32, 256)
NOBODY = [math.nan] * 3


def encoded(*people, sizes=SIZES, size=64):
    return encode_centres(torch.tensor([people]), sizes, size=size)[0]


def test_sizes_reach_the_largest():
    assert list(SIZES) == pytest.approx([32, 32 * 2**0.5, 64, 64 * 2**0.5, 128, 128 * 2**0.5, 256])
    assert sizes_between(30, 100, 1) == (30, 60, 120)


def test_a_person_is_a_gaussian_along_x_y_and_size():
    maps = encoded([101.5, 61.5, 128.0])  # exactly on the map's pixel (25, 15), exactly the fifth size
    assert maps.shape == (7, 64, 64)
    assert maps[4, 15, 25] == maps.max() == 1
    sigma = 0.08 * 128 / 4
    assert maps[4, 15, 28] == pytest.approx(math.exp(-((3 / sigma) ** 2) / 2), rel=1e-5)
    assert maps[4, 18, 25] == pytest.approx(maps[4, 15, 28])
    assert maps[3, 15, 25] == pytest.approx(math.exp(-2), rel=1e-5) == maps[5, 15, 25]
    assert (maps[[0, 1, 2, 6]] == 0).all(), "more than three standard deviations away"
    assert maps[4, 15, 25 + 8] == 0 and maps[4, 15, 25 + 7] > 0


def test_where_people_overlap_the_higher_value_counts():
    one = [101.5, 61.5, 128.0]
    other = [109.5, 61.5, 128.0]
    together = encoded(one, NOBODY, other)
    torch.testing.assert_close(together, torch.maximum(encoded(one), encoded(other)))
    assert (encoded(NOBODY, NOBODY) == 0).all()


@pytest.mark.parametrize("side", [30.0, 40.0, 64.0, 75.0, 130.0, 220.0, 280.0])
def test_a_side_between_two_sizes_is_found_again(side):
    maps = encoded([90.0, 33.0, side])
    assert maps.max() > 0.5, "anchor loss has its anchor where the target is above 0.5"
    ((x, y, decoded_side, height),) = decode_centres(maps, SIZES, least=0.2)
    assert abs(x - 90) <= 2 and abs(y - 33) <= 2 and decoded_side == pytest.approx(side, rel=1e-3)
    assert height == pytest.approx(float(maps.max()))


def test_people_of_different_sizes_at_one_place_are_found_highest_peak_first():
    maps = torch.maximum(encoded([100.0, 100.0, 32.0]), 0.7 * encoded([100.0, 100.0, 256.0]))
    people = decode_centres(maps, SIZES, least=0.1)
    assert people[:, 2] == pytest.approx([32, 256]) and people[:, 3] == pytest.approx([1, 0.7])
    assert len(decode_centres(maps, SIZES, least=0.8)) == 1


def test_empty_maps_have_no_people():
    assert decode_centres(torch.zeros(7, 4, 5), SIZES, least=0.1).shape == (0, 4)


def test_images_of_a_batch_are_drawn_independently():
    people = torch.tensor([[[50.0, 60, 40], NOBODY], [[20.0, 200, 90], [120.0, 30, 200]]])
    maps = encode_centres(people, SIZES, size=64)
    for index in range(2):
        torch.testing.assert_close(maps[index], encode_centres(people[index : index + 1], SIZES, size=64)[0])
    assert maps.isfinite().all()
