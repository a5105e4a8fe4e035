import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posekit.errors import BoxError
from posekit.geometry import Box, Crop
from posekit.images import cv2
from posekit.skeletons import LSP14


def floats(low, high):
    return st.floats(low, high, allow_nan=False)


BOXES = st.builds(lambda x, y, side: Box((x, y), side), floats(-2000, 4000), floats(-2000, 4000), floats(1, 5000))
CROPS = st.builds(Crop, BOXES, st.integers(1, 512), floats(-720, 720), st.booleans())
SHARES = st.lists(st.tuples(floats(-1, 2), floats(-1, 2)), min_size=1, max_size=5).map(np.array)


@settings(deadline=None)
@given(CROPS, SHARES)
def test_points_come_back_to_a_thousandth_of_a_pixel(crop, shares):
    in_image = np.array(crop.box.centre) + (shares - 0.5) * crop.box.side
    assert np.abs(crop.inverse(crop.forward(in_image)) - in_image).max() < 1e-3
    in_crop = shares * crop.size
    assert np.abs(crop.forward(crop.inverse(in_crop)) - in_crop).max() < 1e-3


@settings(deadline=None)
@given(CROPS, SHARES)
def test_crop_keeps_the_centre_and_proportions(crop, shares):
    middle = (crop.size - 1) / 2
    np.testing.assert_allclose(crop.forward(np.array(crop.box.centre)), [middle, middle], atol=1e-6)
    in_image = np.array(crop.box.centre) + (shares - 0.5) * crop.box.side
    distance = np.linalg.norm(crop.forward(in_image) - middle, axis=-1)
    expected = np.linalg.norm(in_image - crop.box.centre, axis=-1) * crop.size / crop.box.side
    np.testing.assert_allclose(distance, expected, atol=1e-6 * crop.size)


@settings(deadline=None)
@given(CROPS, SHARES)
def test_mirror_sends_x_to_w_minus_1_minus_x(crop, shares):
    in_image = np.array(crop.box.centre) + (shares - 0.5) * crop.box.side
    plain = Crop(crop.box, crop.size, crop.rotation).forward(in_image)
    mirrored = Crop(crop.box, crop.size, crop.rotation, mirror=True).forward(in_image)
    np.testing.assert_allclose(mirrored, np.column_stack([crop.size - 1 - plain[:, 0], plain[:, 1]]), atol=1e-5)


def test_edges_of_the_box_are_edges_of_the_crop():
    # A box over pixels 10 … 19 (edges 9.5 … 19.5), cropped to 20 pixels (edges -0.5 … 19.5).
    crop = Crop(Box((14.5, 14.5), 10), 20)
    np.testing.assert_allclose(
        crop.forward(np.array([[9.5, 9.5], [19.5, 19.5], [10, 14.5]])), [[-0.5, -0.5], [19.5, 19.5], [0.5, 9.5]]
    )


def test_positive_rotation_turns_the_content_clockwise():
    crop = Crop(Box((50, 50), 101), 101, rotation=90)
    # What was above the centre comes to its right, what was on the right comes below.
    np.testing.assert_allclose(crop.forward(np.array([[50, 20], [80, 50]])), [[80, 50], [50, 80]], atol=1e-9)


def blob(width, height, point, sigma=3.0):
    x, y = np.arange(width), np.arange(height)[:, None]
    return (255 * np.exp(-((x - point[0]) ** 2 + (y - point[1]) ** 2) / (2 * sigma**2))).astype(np.float32)


def centroid(image):
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    return np.array([(x * image).sum(), (y * image).sum()]) / image.sum()


@settings(deadline=None, max_examples=40)
@given(
    point=st.tuples(floats(40, 120), floats(40, 80)),
    offset=st.tuples(floats(-15, 15), floats(-15, 15)),
    side=floats(80, 150),
    size=st.integers(70, 140),
    rotation=floats(-180, 180),
    mirror=st.booleans(),
)
def test_a_blob_lands_where_its_point_lands(point, offset, side, size, rotation, mirror):
    crop = Crop(Box((point[0] + offset[0], point[1] + offset[1]), side), size, rotation, mirror)
    # warpAffine places samples to 1/32 pixel.
    assert np.abs(centroid(crop.warp(blob(160, 120, point))) - crop.forward(np.array(point))).max() < 0.05


@pytest.mark.parametrize("shape, dtype", [((40, 60), np.uint8), ((40, 60, 3), np.uint8), ((40, 60, 2), np.float32)])
def test_warp_keeps_channels_and_dtype_and_is_0_outside(shape, dtype):
    warped = Crop(Box((0, 0), 40), 20).warp(np.full(shape, 7, dtype=dtype))
    assert (warped.shape, warped.dtype) == ((20, 20, *shape[2:]), dtype)
    assert (warped[:9, :9] == 0).all()
    assert (warped[11:, 11:] == 7).all()


@pytest.mark.parametrize("mirror", [False, True])
def test_warp_of_whole_pixels_copies_them(mirror):
    image = np.random.default_rng(0).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    warped = Crop(Box((4, 4), 9), 9, mirror=mirror).warp(image)
    np.testing.assert_array_equal(warped, image[:, ::-1] if mirror else image)


def test_mirrored_joints_exchange_left_and_right_and_back():
    crop = Crop(Box((50, 50), 100), 100, mirror=True)
    order = crop.joint_order(LSP14.flip_order)
    assert order[LSP14.index("left_knee")] == LSP14.index("right_knee")
    np.testing.assert_array_equal(order[order], np.arange(14))
    np.testing.assert_array_equal(Crop(crop.box, 100).joint_order(LSP14.flip_order), np.arange(14))


def test_single_points_and_none():
    crop = Crop(Box((5, 6), 7), 8)
    assert crop.forward(np.array([5.0, 6.0])).shape == (2,)
    assert crop.forward(np.zeros((0, 2))).shape == crop.inverse(np.zeros((0, 2))).shape == (0, 2)


def test_box_of_a_rectangle():
    # The whole image of 640 x 480 pixels: its centre is between the middle pixels.
    assert Box.from_xywh(0, 0, 640, 480, margin=1.0) == Box((319.5, 239.5), 640)
    assert Box.from_xywh(10, 20, 30, 80) == Box((24.5, 59.5), 100)


def test_box_around_points():
    assert Box.around(np.array([[10.0, 20.0], [30.0, 100.0]])) == Box((20, 60), 100)
    assert Box.around(np.array([[3.0, 4.0]])) == Box((3, 4), 1)


def test_scaled_box():
    assert Box((3, 4), 10).scaled(1.5) == Box((3, 4), 15)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: Box((1, 2), 0), r"\(1\.0, 2\.0\) and side 0"),
        (lambda: Box((1, 2), -3), "side -3"),
        (lambda: Box((1, 2), float("nan")), "side nan"),
        (lambda: Box((float("inf"), 2), 3), r"\(inf, 2\.0\)"),
        (lambda: Box.from_xywh(5, 6, 0, 7), "5,6,0,7"),
        (lambda: Box.from_xywh(5, 6, 7, -1), "5,6,7,-1"),
        (lambda: Box.from_xywh(5, 6, float("nan"), 7), "5,6,nan,7"),
        (lambda: Box.around(np.array([[np.nan, 1.0]])), r"\(nan, 1\.0\)"),
        (lambda: Box((3, 4), 10).scaled(0), "side 0"),
    ],
)
def test_impossible_boxes(make, message):
    with pytest.raises(BoxError, match=message):
        make()


@pytest.mark.parametrize("centre", [(-10.6, 20), (110, 20), (50, -10.6), (50, 60)])
def test_box_wholly_outside(centre):
    with pytest.raises(BoxError, match=r"side 20 .*100x50"):
        Box(centre, 20).require_overlap(100, 50)


@pytest.mark.parametrize("centre", [(-10.4, 20), (109.4, 20), (50, -10.4), (50, 59.4), (50, 25)])
def test_box_that_overlaps(centre):
    Box(centre, 20).require_overlap(100, 50)


@settings(deadline=None, max_examples=60)
@given(
    centre=st.tuples(floats(-60, 160), floats(-60, 130)),
    side=floats(5, 200),
    size=st.integers(16, 96),
    rotation=floats(-180, 180),
    mirror=st.booleans(),
)
def test_a_colour_crop_equals_a_warp_of_the_whole_image(centre, side, size, rotation, mirror):
    image = np.random.default_rng(0).integers(0, 256, (70, 100, 3), dtype=np.uint8)
    crop = Crop(Box(centre, side), size, rotation, mirror)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    whole = cv2.warpAffine(image, crop.inverse_matrix, (size, size), flags=flags).astype(int)
    # Weights are rounded to 1/32 pixel, and differently at another place of the image's corner.
    assert np.abs(crop.warp(image) - whole).max() <= 255 / 16
    assert np.abs(crop.warp(image) - whole).mean() < 0.2
    np.testing.assert_array_equal(crop.warp_rgb(image), crop.warp(image)[..., ::-1])


def test_the_box_of_an_image_is_the_square_around_all_its_pixels():
    assert Box.of_image(np.zeros((100, 300, 3))) == Box((149.5, 49.5), 300)
    assert Box.of_image(np.zeros((7, 4))) == Box((1.5, 3.0), 7)
