"""TestTimeAugmentation of one person: what is averaged lies in one frame, and the mirror exchanges left and right."""

import math

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


def seen(scale: float, mirrored: bool) -> torch.Tensor:
    """A perfect model's maps of the crop at a scale, in the mirror or not."""
    joints = (JOINTS - MIDDLE) / scale + MIDDLE
    if mirrored:
        joints = joints[:, FLIP_ORDER]
        joints = torch.stack([SIZE - 1 - joints[..., 0], joints[..., 1]], -1)
    return encode(joints, EVERY, size=SIZE // 4, subpixel=True)


def perfect_model(views: TestTimeAugmentation, log: list):
    def predict(images):
        log.append(images)
        rounds = (False, True) if views.flip else (False,)
        return torch.cat([torch.stack([seen(scale, m) for scale in views.scales], 1).flatten(0, 1) for m in rounds])

    return predict


@pytest.mark.parametrize("views", [PLAIN, TestTimeAugmentation(flip=True), TestTimeAugmentation((0.8, 1.25)), PYRAMID], ids=str)
def test_views_of_a_perfect_model_agree(views):
    log = []
    images = torch.zeros(2 * len(views.scales), SIZE, SIZE, 3, dtype=torch.uint8)
    maps = averaged_maps(perfect_model(views, log), images, views, FLIP_ORDER)
    assert maps.shape == (2, 3, SIZE // 4, SIZE // 4)
    joints, _ = decode(maps, method="dark")
    assert (joints - JOINTS).abs().max() < 0.6  # of four crop pixels to the map pixel
    assert len(log) == 1  # all at once
    assert len(log[0]) == 2 * len(views)


def test_one_view_is_the_model_itself():
    plain = averaged_maps(perfect_model(PLAIN, []), torch.zeros(2, SIZE, SIZE, 3, dtype=torch.uint8), PLAIN, FLIP_ORDER)
    assert torch.equal(plain, seen(1.0, False))


def test_the_mirrored_views_are_the_pictures_in_the_mirror():
    log, images = [], torch.randint(0, 256, (2, SIZE, SIZE, 3), dtype=torch.uint8)
    views = TestTimeAugmentation(flip=True)
    averaged_maps(perfect_model(views, log), images, views, FLIP_ORDER)
    assert torch.equal(log[0][:2], images)
    assert torch.equal(log[0][2:, :, 0], images[:, :, -1])


def test_flipping_averages_left_with_the_mirrors_right():
    maps = torch.zeros(2, 3, 4, 4)
    maps[0, 1, 2, 0] = 1.0  # left joint, left edge
    maps[1, 2, 2, 3] = 0.5  # in the mirror: right joint, right edge
    found = averaged_maps(lambda images: maps, torch.zeros(1, 8, 8, 3), TestTimeAugmentation(flip=True), FLIP_ORDER)
    assert found[0, 1, 2, 0] == 0.75
    assert found.sum() == 0.75


def test_a_smaller_view_adds_nothing_beyond_its_border():
    found = averaged_maps(
        lambda images: torch.ones(2, 1, 8, 8), torch.zeros(2, 8, 8, 3), TestTimeAugmentation((0.5, 1.0)), torch.tensor([0])
    )
    assert found[0, 0, 0, 0] == 0.5
    assert found[0, 0, 4, 4] == 1.0


@pytest.mark.parametrize("scales", [(), (0.0,), (1.0, -1.0), (math.nan,), (50.0,)])
def test_odd_scales_are_refused(scales):
    with pytest.raises(ConfigError, match=r"factors on the box's side from 0\.1 to 10"):
        TestTimeAugmentation(scales)


def test_views_say_what_they_are():
    assert str(PLAIN) == "1: the box's side times 1"
    assert str(PYRAMID).startswith("12: the box's side times 0.8, 0.9, 1, 1.1, 1.2, 1.3, each also mirrored; the average")
