"""Heatmaps are averaged in one frame, and the mirror exchanges left and right."""

import math
import re

import pytest
import torch

from posekit.errors import ConfigError
from posekit.heatmaps import decode, encode
from posekit.prediction.test_time import PLAIN, PYRAMID, TestTimeAugmentation, averaged_maps

SIZE = 64
# A joint in the middle, a left and a right one.
FLIP_ORDER = torch.tensor([0, 2, 1])
JOINTS = torch.tensor([[[40.0, 22.0], [20.0, 30.0], [45.0, 50.0]], [[28.0, 33.0], [38.0, 25.0], [30.0, 42.0]]])
EVERY = torch.ones(2, 3, dtype=torch.bool)
MIDDLE = (SIZE - 1) / 2


def perfect_maps(scale: float, mirrored: bool) -> torch.Tensor:
    """A perfect model's maps of the crop at a scale, mirrored or not."""
    joints = (JOINTS - MIDDLE) / scale + MIDDLE
    if mirrored:
        joints = joints[:, FLIP_ORDER]
        joints = torch.stack([SIZE - 1 - joints[..., 0], joints[..., 1]], -1)
    return encode(joints, EVERY, size=SIZE // 4, subpixel=True)


def perfect_model(views: TestTimeAugmentation, batches: list):
    def predict(images):
        batches.append(images)
        maps = []
        for mirrored in (False, True)[: 1 + views.flip]:
            by_scale = [perfect_maps(scale, mirrored) for scale in views.scales]
            maps.append(torch.stack(by_scale, 1).flatten(0, 1))
        return torch.cat(maps)

    return predict


@pytest.mark.parametrize("views", [PLAIN, TestTimeAugmentation(flip=True), TestTimeAugmentation((0.8, 1.25)), PYRAMID], ids=str)
def test_views_of_a_perfect_model_agree(views):
    batches = []
    images = torch.zeros(2 * len(views.scales), SIZE, SIZE, 3, dtype=torch.uint8)
    maps = averaged_maps(perfect_model(views, batches), images, views, FLIP_ORDER)
    assert maps.shape == (2, 3, SIZE // 4, SIZE // 4)
    joints, _ = decode(maps, method="dark")
    assert (joints - JOINTS).abs().max() < 0.6  # a map pixel is four crop pixels
    assert [len(batch) for batch in batches] == [2 * len(views)]


def test_one_view_gives_the_maps_of_the_model():
    plain = averaged_maps(perfect_model(PLAIN, []), torch.zeros(2, SIZE, SIZE, 3, dtype=torch.uint8), PLAIN, FLIP_ORDER)
    assert torch.equal(plain, perfect_maps(1.0, False))


def test_flipped_views_are_mirrored_crops():
    batches = []
    images = torch.randint(0, 256, (2, SIZE, SIZE, 3), dtype=torch.uint8)
    views = TestTimeAugmentation(flip=True)
    averaged_maps(perfect_model(views, batches), images, views, FLIP_ORDER)
    assert torch.equal(batches[0][:2], images)
    assert torch.equal(batches[0][2:, :, 0], images[:, :, -1])


def test_flipping_averages_left_with_the_mirrors_right():
    maps = torch.zeros(2, 3, 4, 4)
    maps[0, 1, 2, 0] = 1.0  # left joint, left edge
    maps[1, 2, 2, 3] = 0.5  # in the mirror: right joint, right edge
    found = averaged_maps(lambda images: maps, torch.zeros(1, 8, 8, 3), TestTimeAugmentation(flip=True), FLIP_ORDER)
    assert found[0, 1, 2, 0] == 0.75
    assert found.sum() == 0.75


def test_a_smaller_view_adds_zero_outside_itself():
    found = averaged_maps(
        lambda images: torch.ones(2, 1, 8, 8), torch.zeros(2, 8, 8, 3), TestTimeAugmentation((0.5, 1.0)), torch.tensor([0])
    )
    assert found[0, 0, 0, 0] == 0.5
    assert found[0, 0, 4, 4] == 1.0


@pytest.mark.parametrize("scales", [(), (0.0,), (1.0, -1.0), (math.nan,), (50.0,)])
def test_impossible_scales_are_refused(scales):
    with pytest.raises(ConfigError, match=re.escape(f"scales {list(scales)}")):
        TestTimeAugmentation(scales)


def test_views_describe_themselves():
    assert str(PLAIN) == "1: the box's side times 1"
    assert str(PYRAMID).startswith("12: the box's side times 0.8, 0.9, 1, 1.1, 1.2, 1.3, each also mirrored; the average")
