import base64
import re
from dataclasses import replace

import numpy as np
import pytest

from posekit.images import decode_image
from posekit.lab.explorer.images import CROP, MAP, REGIONS, crop_marks, draw_maps, draw_person, draw_whole_image, frame_marks
from posekit.lab.explorer.state import person_box

HAND = 1


def decode(uri):
    head, data = uri.split(",")
    assert head == "data:image/jpeg;base64"
    return decode_image(np.frombuffer(base64.b64decode(data), np.uint8), "x").astype(int)


def numbers(svg, shape, *names):
    """Attributes of the last such shape."""
    element = re.findall(rf"<{shape} [^>]*>", svg)[-1]
    return [float(re.search(rf'\b{name}="([-\d.]+)"', element)[1]) for name in names]


@pytest.fixture
def placed(state):
    return replace(state, joint=HAND).place((17.5, 41.5))


def at_map(image, x, y):
    """Colour at the centre of a map pixel."""
    return image[round((y + 0.5) * MAP / 16), round((x + 0.5) * MAP / 16)]


def test_the_penalty_is_bright_at_the_false_peak_alone(placed):
    image = decode(draw_maps(placed)["penalty"].image)
    assert image.shape == (MAP, MAP, 3)
    grey = np.ptp(image, axis=-1)
    assert np.ptp(at_map(image, 12, 5)) > 60 and np.ptp(at_map(image, 4, 10)) < 12
    assert (grey > 40).mean() < 0.1


def test_the_mask_shows_its_regions(placed):
    image = decode(draw_maps(placed)["mask"].image)
    blue, _, red = np.moveaxis(image, -1, 0)
    # The target's peak is map pixel (4, 10), its rim 2 pixels off, the false peak (12, 5), and (14, 14) a true negative.
    assert at_map(image, 4, 10)[0] < 110 and min(at_map(image, 4, 10)[1:]) > 180  # yellow
    assert np.ptp(at_map(image, 6, 10)) < 25 and at_map(image, 6, 10).min() > 100  # pale
    assert red[round(5.5 * MAP / 16), round(12.5 * MAP / 16)] > 150 > 80 > blue[round(5.5 * MAP / 16), round(12.5 * MAP / 16)]
    assert at_map(image, 14, 14)[0] > at_map(image, 14, 14)[2] + 40  # blue
    assert list(REGIONS) == ["negative", "rim", "circle", "hard"]


def test_without_hard_pixels_no_region_is_marked_as_hard(state):
    image = decode(draw_maps(state)["mask"].image)
    assert not ((image[..., 2] > 150) & (image[..., 0] < 60) & (image[..., 1] < 130)).any()


def test_the_modulator_diverges_from_one(placed):
    modulator = draw_maps(replace(placed, gamma=5.0))["modulator"]
    image = decode(modulator.image)
    easy, hard, rim = at_map(image, 1, 1), at_map(image, 12, 5), at_map(image, 6, 10)
    assert easy[0] > easy[2] + 20 and hard[2] > hard[0] + 20 and np.ptp(rim) < 15
    highest = (1 + 0.8 - 0.5) ** 5
    assert modulator.values == pytest.approx((0.0, 1.0, highest), rel=1e-4)
    assert draw_maps(replace(placed, gamma=0.0))["modulator"].values == (0.0, 1.0, 2.0)


def test_bars_hold_the_values(placed):
    images = draw_maps(placed)
    assert images["heatmap"].values == pytest.approx((0, 0.4, 0.8))
    assert images["penalty"].values == (0, placed.facts.penalty / 2, placed.facts.penalty)
    for name in ("heatmap", "modulator", "penalty"):
        assert decode(images[name].bar).shape == (12, 256, 3)
    assert images["mask"].bar is None
    assert draw_maps(placed.release())["penalty"].values == (0, 0, 0)


def test_marks_lie_where_the_joint_is(placed):
    images = draw_maps(placed)
    for marks, side in ((crop_marks(placed), CROP), (images["heatmap"].marks, MAP)):
        x, y = (float(value) for value in re.search(r"h[\d.]+M([\d.]+) ([\d.]+)v", marks).groups())
        half = float(re.search(r"h([\d.]+)M", marks)[1]) / 2
        assert x == pytest.approx((17.5 + 0.5) * side / 64, abs=0.06) and y + half == pytest.approx(42 * side / 64, abs=0.06)
        assert numbers(marks, "circle", "cx", "cy") == pytest.approx([50 * side / 64, 22 * side / 64], abs=0.06)
    truth = images["mask"].marks
    assert images["modulator"].marks == truth and "circle" not in truth
    assert images["heatmap"].marks.endswith(truth) and images["penalty"].marks.startswith(truth)
    assert numbers(images["penalty"].marks, "circle", "cx", "cy") == pytest.approx([50 * MAP / 64, 22 * MAP / 64], abs=0.06)
    without = draw_maps(placed.release())
    assert without["penalty"].marks == without["mask"].marks


def test_the_person_is_drawn_with_keypoints(state):
    drawn = decode(draw_person(state))
    crop = state.output.view.cropped(CROP)
    assert drawn.shape == crop.shape == (CROP, CROP, 3)
    between_hands = ((state.output.predicted[1:].mean(0) + 0.5) * CROP / 64).astype(int)
    x, y = between_hands
    assert np.abs(drawn[y, x] - crop[y, x]).max() > 30  # on the limb


@pytest.mark.parametrize("shape, size", [((150, 200, 3), (512, 384)), ((1000, 3000, 3), (512, 171)), ((2000, 1, 3), (1, 512))])
def test_whole_images_are_resized_to_one_longer_side(state, shape, size):
    view = replace(state.output.view, image=np.full(shape, 90, np.uint8))
    image, shown_size = draw_whole_image(replace(state, output=replace(state.output, view=view)))
    assert shown_size == size and decode(image).shape[1::-1] == size


def test_frames_show_the_rectangle_and_the_models_box(state):
    rectangle = (40, 20, 30, 80)
    view = replace(state.output.view, box=person_box(state.output.view.image, rectangle))
    state = replace(state, output=replace(state.output, view=view), rectangle=rectangle)
    marks = frame_marks(state, (100, 75))
    assert numbers(marks.replace("dasharray", ""), "rect", "x", "y", "width", "height") == pytest.approx([2.5, 5, 50, 50])
    solid = "".join(re.findall(r"<rect [^>]*>", marks)[:2])
    assert numbers(solid, "rect", "x", "y", "width", "height") == [20, 10, 15, 40] and "dasharray" not in solid
    drawn = frame_marks(state, (100, 75), (0, 0, 20, 10))
    assert numbers(drawn, "rect", "x", "y", "width", "height") == [0, 0, 10, 5] and drawn.count("<rect") == 2
    whole = frame_marks(replace(state, rectangle=None), (200, 150))
    assert numbers(whole, "rect", "width", "height") == [200, 200]
