import base64
import re
from dataclasses import replace

import numpy as np
import pytest

from posekit.images import decode_image
from posekit.lab.explorer import pictures
from posekit.lab.explorer.pictures import CROP, MAP, REGIONS, draw, frames, person, photograph

HAND = 1


def decoded(uri):
    head, data = uri.split(",")
    assert head == "data:image/jpeg;base64"
    return decode_image(np.frombuffer(base64.b64decode(data), np.uint8), "x").astype(int)


def numbers(svg, shape, *names):
    """Attributes of the last such shape."""
    found = re.findall(rf"<{shape} [^>]*>", svg)[-1]
    return [float(re.search(rf'\b{name}="([-\d.]+)"', found)[1]) for name in names]


@pytest.fixture
def placed(scene):
    return replace(scene, joint=HAND).place((17.5, 41.5))


def at_map(picture, x, y):
    """The picture's colour at a map pixel's centre."""
    return picture[round((y + 0.5) * MAP / 16), round((x + 0.5) * MAP / 16)]


def test_the_penalty_is_bright_at_the_false_peak_alone(placed):
    picture = decoded(draw(placed).penalty)
    assert picture.shape == (MAP, MAP, 3)
    grey = np.ptp(picture, axis=-1)
    assert np.ptp(at_map(picture, 12, 5)) > 60 and np.ptp(at_map(picture, 4, 10)) < 12
    assert (grey > 40).mean() < 0.1


def test_the_mask_shows_its_regions(placed):
    picture = decoded(draw(placed).mask)
    blue, _, red = np.moveaxis(picture, -1, 0)
    # The target's peak is map pixel (4, 10), its rim 2 pixels off, the false peak (12, 5), and (14, 14) a true negative.
    assert at_map(picture, 4, 10)[0] < 110 and min(at_map(picture, 4, 10)[1:]) > 180  # yellow
    assert np.ptp(at_map(picture, 6, 10)) < 25 and at_map(picture, 6, 10).min() > 100  # pale
    assert red[round(5.5 * MAP / 16), round(12.5 * MAP / 16)] > 150 > 80 > blue[round(5.5 * MAP / 16), round(12.5 * MAP / 16)]
    assert at_map(picture, 14, 14)[0] > at_map(picture, 14, 14)[2] + 40  # blue
    assert list(REGIONS) == ["negative", "rim", "circle", "hard"]


def test_without_a_hard_pixel_nothing_is_marked_as_hard(scene):
    picture = decoded(draw(scene).mask)
    assert not ((picture[..., 2] > 150) & (picture[..., 0] < 60) & (picture[..., 1] < 130)).any()


def test_the_modulator_diverges_from_one(placed):
    shown = draw(replace(placed, gamma=5.0))
    picture = decoded(shown.modulator)
    easy, hard, rim = at_map(picture, 1, 1), at_map(picture, 12, 5), at_map(picture, 6, 10)
    assert easy[0] > easy[2] + 20 and hard[2] > hard[0] + 20 and np.ptp(rim) < 15
    highest = (1 + 0.8 - 0.5) ** 5
    assert shown.modulator_bar.values == pytest.approx((0.0, 1.0, highest), rel=1e-4)
    assert draw(replace(placed, gamma=0.0)).modulator_bar.values == (0.0, 1.0, 2.0)


def test_bars_tell_the_values(placed):
    shown = draw(placed)
    assert shown.heatmap_bar.values == pytest.approx((0, 0.4, 0.8))
    assert shown.penalty_bar.values == (0, placed.facts.penalty / 2, placed.facts.penalty)
    for bar in (shown.heatmap_bar, shown.modulator_bar, shown.penalty_bar):
        assert decoded(bar.picture).shape == (12, 256, 3)
    assert draw(placed.release()).penalty_bar.values == (0, 0, 0)


def test_marks_lie_where_the_joint_is(placed):
    shown = draw(placed)
    for marks, side in ((shown.crop_marks, CROP), (shown.heatmap_marks, MAP)):
        x, y = (float(value) for value in re.search(r"h[\d.]+M([\d.]+) ([\d.]+)v", marks).groups())
        half = float(re.search(r"h([\d.]+)M", marks)[1]) / 2
        assert x == pytest.approx((17.5 + 0.5) * side / 64, abs=0.06) and y + half == pytest.approx(42 * side / 64, abs=0.06)
        assert numbers(marks, "circle", "cx", "cy") == pytest.approx([50 * side / 64, 22 * side / 64], abs=0.06)
    assert shown.heatmap_marks.endswith(shown.map_marks) and "circle" not in shown.map_marks
    assert shown.penalty_marks.startswith(shown.map_marks)
    assert numbers(shown.penalty_marks, "circle", "cx", "cy") == pytest.approx([50 * MAP / 64, 22 * MAP / 64], abs=0.06)
    without = draw(placed.release())
    assert without.penalty_marks == without.map_marks


def test_the_person_is_drawn_with_keypoints(scene):
    drawn, crop = decoded(person(scene)), scene.output.view.picture(CROP)
    assert drawn.shape == crop.shape == (CROP, CROP, 3)
    x, y = np.rint((scene.output.predicted[1:] + 0.5) * CROP / 64 - 0.5).astype(int).mean(0).astype(int)
    assert np.abs(drawn[y, x] - crop[y, x]).max() > 30  # on the limb between the hands


def test_a_photograph_is_shown_in_one_size(scene):
    view = scene.output.view
    for shape, size in (((150, 200, 3), (512, 384)), ((1000, 3000, 3), (512, 171)), ((2000, 1, 3), (1, 512))):
        look = replace(scene.output, view=replace(view, image=np.full(shape, 90, np.uint8)))
        picture, told = photograph(replace(scene, output=look))
        assert told == size and decoded(picture).shape[1::-1] == size


def test_frames_show_the_rectangle_and_what_the_model_sees(scene):
    view = replace(scene.output.view, box=pictures.enclosing(scene.output.view.image, (40, 20, 30, 80)))
    boxed = replace(scene, output=replace(scene.output, view=view), rectangle=(40, 20, 30, 80))
    shown = frames(boxed, (100, 75))
    assert numbers(shown.replace("dasharray", ""), "rect", "x", "y", "width", "height") == pytest.approx([2.5, 5, 50, 50])
    plain = "".join(re.findall(r"<rect [^>]*>", shown)[:2])
    assert numbers(plain, "rect", "x", "y", "width", "height") == [20, 10, 15, 40] and "dasharray" not in plain
    drawn = frames(boxed, (100, 75), (0, 0, 20, 10))
    assert numbers(drawn, "rect", "x", "y", "width", "height") == [0, 0, 10, 5] and drawn.count("<rect") == 2
    assert numbers(frames(scene, (200, 150)), "rect", "width", "height") == [200, 200]
