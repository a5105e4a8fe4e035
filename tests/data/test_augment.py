"""Augmentation: the drawn parameters, and that image and joints stay together."""

from dataclasses import replace

import numpy as np
import pytest

from posekit.data.augment import PLAIN, AugmentConfig, CropParams, Cutout, Sample, apply, draw
from posekit.errors import BoxError
from posekit.geometry import Box
from posekit.people import Person
from posekit.skeletons import LSP14

RIGHT_WRIST = LSP14.index("right_wrist")
LEFT_WRIST = LSP14.index("left_wrist")


def dotted_person(box_side=180.0):
    """A black image with a bright blob at the right wrist and a dim one at the left."""
    image = np.zeros((200, 240, 3), dtype=np.uint8)
    joints = np.full((14, 2), 100.0)
    joints[RIGHT_WRIST] = (80, 90)
    image[88:93, 78:83] = 250
    joints[LEFT_WRIST] = (150, 120)
    image[118:123, 148:153] = 120
    labelled = np.ones(14, dtype=bool)
    return image, Person("image.jpg", joints, labelled, labelled, Box((115.0, 105.0), box_side))


def make_sample(image, person, params=PLAIN, size=64):
    return apply(image, person, params, size=size, flip_order=LSP14.flip_order, index=5)


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("rotation", [0.0, -25.0, 90.0])
def test_image_and_joints_stay_together(mirror, rotation):
    image, person = dotted_person()
    params = CropParams(1.1, rotation, mirror)
    sample = make_sample(image, person, params, size=96)
    # In a mirrored crop the person's right wrist looks like a left one and must be labelled as one.
    bright, dim = (LEFT_WRIST, RIGHT_WRIST) if mirror else (RIGHT_WRIST, LEFT_WRIST)
    grey = sample.image[..., 0].astype(float)
    for joint, low, high in ((bright, 200, 256), (dim, 80, 140)):
        rows, columns = np.nonzero((grey >= low) & (grey < high))
        near = np.hypot(columns - sample.joints[joint, 0], rows - sample.joints[joint, 1])
        assert near.min() < 1.0
    crop = params.crop(person.box, 96)
    back = crop.inverse(sample.joints)[crop.joint_order(LSP14.flip_order)]
    np.testing.assert_allclose(back, person.joints, atol=1e-3)
    assert sample.index == 5


def test_labels_follow_their_joints_into_a_mirrored_crop():
    image, person = dotted_person()
    labelled = np.ones(14, dtype=bool)
    labelled[RIGHT_WRIST] = False
    person = Person(person.image_path, person.joints, labelled, labelled, person.box)
    sample = make_sample(image, person, CropParams(mirror=True))
    assert not sample.labelled[LEFT_WRIST]
    assert sample.labelled[RIGHT_WRIST]


def test_colours_are_red_green_blue_and_gains_are_left_to_the_device():
    image, person = dotted_person()
    image[:] = (240, 90, 100)  # blue, green, red
    sample = make_sample(image, person, CropParams(channel_gains=(0.8, 1.1, 1.2)), size=32)
    assert sample.image[16, 16].tolist() == [100, 90, 240]
    assert sample.channel_gains == (0.8, 1.1, 1.2)


def test_plain_parameters_only_crop():
    image, person = dotted_person(box_side=64.0)
    sample = make_sample(image, person)
    # Box centre (115, 105), side 64 and a 64 px crop: pixels are copied at an offset of half a pixel.
    np.testing.assert_allclose(sample.joints, person.joints - (115 - 31.5, 105 - 31.5), atol=1e-4)


def test_drawn_parameters_keep_their_ranges_and_probabilities():
    drawn = [draw(np.random.default_rng(i), AugmentConfig()) for i in range(4000)]
    scales = np.array([params.scale for params in drawn])
    rotations = np.array([params.rotation for params in drawn])
    assert scales.min() >= 0.75
    assert scales.max() <= 1.25
    assert np.abs(rotations).max() <= 30
    # Four standard errors of a proportion over 4,000 draws are at most 0.032.
    assert abs((rotations != 0).mean() - 0.6) < 0.032
    assert abs(np.mean([params.mirror for params in drawn]) - 0.5) < 0.032
    channel_gains = np.array([params.channel_gains for params in drawn])
    assert channel_gains.min() >= 0.8
    assert channel_gains.max() <= 1.2
    assert draw(np.random.default_rng(7), AugmentConfig()) == drawn[7]


def test_a_box_outside_the_image():
    image, person = dotted_person()
    away = Person(person.image_path, person.joints, person.labelled, person.visible, Box((900.0, 900.0), 50.0))
    with pytest.raises(BoxError, match=r"\(900, 900\) and side 50 .*240x200"):
        make_sample(image, away)


def test_a_cutout_hides_only_its_rectangle():
    image, person = dotted_person()
    image[:] = 50
    cutout = Cutout((0.25, 0.5), (0.1, 0.2), (200, 10, 90))
    sample = make_sample(image, person, CropParams(cutout=cutout), size=100)
    plain = make_sample(image, person, size=100)
    expected = plain.image.copy()
    expected[40:60, 20:30] = (200, 10, 90)
    np.testing.assert_array_equal(sample.image, expected)
    np.testing.assert_array_equal(sample.joints, plain.joints)


@pytest.mark.parametrize("centre", [(0.0, 0.0), (1.0, 0.99)])
def test_a_cutout_may_extend_beyond_the_edge(centre):
    image, person = dotted_person()
    cutout = Cutout(centre, (0.2, 0.2), (255, 255, 255))
    sample = make_sample(image, person, CropParams(cutout=cutout), size=100)
    assert 90 <= (sample.image == 255).all(-1).sum() <= 121


def test_cutouts_are_drawn_with_their_probability():
    with_cutouts = [draw(np.random.default_rng(i), AugmentConfig(cutout_probability=0.3)) for i in range(2000)]
    plain = [draw(np.random.default_rng(i), AugmentConfig()) for i in range(2000)]
    assert abs(np.mean([params.cutout is not None for params in with_cutouts]) - 0.3) < 0.045
    assert [replace(params, cutout=None) for params in with_cutouts] == plain
    sides = np.array([params.cutout.sides for params in with_cutouts if params.cutout])
    assert sides.min() >= 0.1
    assert sides.max() <= 0.35


def sample(**changes):
    fields = {
        "image": np.zeros((8, 8, 3), dtype=np.uint8),
        "joints": np.zeros((5, 2), dtype=np.float32),
        "labelled": np.ones(5, dtype=bool),
        "index": 7,
    }
    return Sample(**fields | changes)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"image": np.zeros((8, 8), dtype=np.uint8)}, r"image: expected \(S, S, 3\), got \(8, 8\)"),
        ({"image": np.zeros((3, 8, 8), dtype=np.uint8)}, r"image: expected \(S, S, 3\), got \(3, 8, 8\)"),
        ({"image": np.zeros((8, 9, 3), dtype=np.uint8)}, r"image: expected \(S, S, 3\), got \(8, 9, 3\)"),
        ({"image": np.zeros((8, 8, 3))}, "image: expected uint8, got float64"),
        ({"joints": np.zeros((6, 2), dtype=np.float32)}, r"joints: expected \(5, 2\), got \(6, 2\)"),
        ({"joints": np.zeros((5, 2))}, "joints: expected float32, got float64"),
        ({"labelled": np.ones(5, dtype=np.uint8)}, "labelled: expected bool, got uint8"),
    ],
)
def test_samples_check_their_fields(change, message):
    assert sample().index == 7
    with pytest.raises(ValueError, match=message):
        sample(**change)
