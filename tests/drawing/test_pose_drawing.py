import numpy as np
import pytest
import scipy.io

from posekit.drawing.pose import LEFT, MIDDLE, RIGHT, WRONG, contact_sheet, draw_comparison, draw_pose, prediction_sheet, rescaled
from posekit.geometry import Box, Crop
from posekit.images import read_image
from posekit.skeletons import COCO17, LSP14, MPII16, SKELETONS, Skeleton

# Two legs and a head: what one can check by hand.
LEGS = Skeleton(
    name="legs",
    joints=("head", "left_knee", "left_ankle", "right_knee", "right_ankle"),
    limbs=(("left_knee", "left_ankle"), ("right_knee", "right_ankle"), ("head", "left_knee"), ("left_knee", "right_knee")),
)


def grey(height, width, value=128):
    return np.full((height, width, 3), value, np.uint8)


def legs(height, left=90.0, right=30.0):
    """Joints of a person that is `height` px long."""
    top = 10.0
    return np.array([[60, top], [left, top + height / 2], [left, top + height], [right, top + height / 2], [right, top + height]])


def has_colour(image, colour):
    return (image == np.array(colour, np.uint8)).all(-1)


def test_sides_have_their_own_colour():
    image = draw_pose(grey(400, 150), legs(300), LEGS)
    assert tuple(image[235, 90]) == LEFT
    assert tuple(image[235, 30]) == RIGHT
    assert tuple(image[10, 60]) == MIDDLE
    assert tuple(image[85, 75]) == LEFT, "a limb from the middle to the left is the left's"
    assert tuple(image[160, 60]) == MIDDLE, "a limb from left to right is the middle's"


def test_input_is_not_changed():
    image = grey(200, 150)
    drawn = draw_pose(image, legs(150), LEGS)
    assert (image == 128).all()
    assert drawn.shape == image.shape
    assert (drawn != image).any()


@pytest.mark.parametrize("coordinate", [np.nan, np.inf, 1e12])
def test_impossible_joint_is_left_out_with_its_limbs(coordinate):
    joints = legs(300)
    joints[2] = coordinate
    image = draw_pose(grey(400, 150), joints, LEGS)
    assert not has_colour(image[180:], LEFT).any(), "the left shank needs the left ankle"
    assert has_colour(image[180:], RIGHT).any()


def test_joint_that_is_not_shown_is_left_out_with_its_limbs():
    shown = np.array([True, True, False, True, True])
    image = draw_pose(grey(400, 150), legs(300), LEGS, shown_K=shown)
    np.testing.assert_array_equal(draw_pose(grey(400, 150), legs(300), LEGS, shown_K=shown.tolist()), image)
    assert (image[200:, 60:] == 128).all()
    assert has_colour(image[200:, :60], RIGHT).any()


def test_nothing_to_draw_leaves_the_image_unchanged():
    image = grey(40, 30)
    np.testing.assert_array_equal(draw_pose(image, np.full((5, 2), np.nan), LEGS), image)
    np.testing.assert_array_equal(draw_pose(image, legs(30), LEGS, shown_K=np.zeros(5, bool)), image)


@pytest.mark.parametrize(("height", "thinnest", "thickest"), [(60, 3, 6), (300, 5, 9), (1000, 13, 20)])
def test_strokes_grow_with_the_person(height, thinnest, thickest):
    image = draw_pose(grey(1100, 150), legs(height), LEGS)
    row = 10 + height * 3 // 4
    changed = (image[row, :60] != 128).any(-1).sum()
    assert thinnest <= changed <= thickest


def test_a_joint_far_away_that_is_not_shown_does_not_thicken_the_strokes():
    joints = legs(60)
    shown = np.array([True, True, True, True, False])
    clean = draw_pose(grey(200, 150), joints, LEGS, shown_K=shown)
    joints[4] = -5000, 9000
    np.testing.assert_array_equal(draw_pose(grey(200, 150), joints, LEGS, shown_K=shown), clean)


def test_joints_beyond_the_border_are_cut_off():
    image = draw_pose(grey(70, 100), legs(300), LEGS)
    assert image.shape == (70, 100, 3)
    assert has_colour(image, LEFT).any()


def test_box_is_framed():
    image = draw_pose(grey(50, 80), np.full((5, 2), np.nan), LEGS, box=Box((40, 25), 20))
    assert image[25, 30].min() > 200
    assert image[15, 40].min() > 200
    assert (image[20:31, 36:45] == 128).all(), "only a frame"


@pytest.mark.parametrize(
    ("image", "joints", "shown", "message"),
    [
        (grey(9, 9)[..., 0], legs(5), None, r"image.*\(9, 9\)"),
        (grey(9, 9).astype(np.float32), legs(5), None, "image.*float32"),
        (grey(9, 9), legs(5)[:4], None, r"joints.*\(5, 2\).*\(4, 2\)"),
        (grey(9, 9), legs(5), np.ones(4, bool), r"shown.*\(5,\).*\(4,\)"),
    ],
)
def test_wrong_shapes_are_named(image, joints, shown, message):
    with pytest.raises(ValueError, match=message):
        draw_pose(image, joints, LEGS, shown_K=shown)


@pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=lambda s: s.name)
def test_every_skeleton_shows_all_its_sides(skeleton):
    rng = np.random.default_rng(0)
    image = draw_pose(grey(400, 300), rng.uniform(20, 280, (len(skeleton), 2)), skeleton)
    for colour in (LEFT, RIGHT, MIDDLE):
        assert has_colour(image, colour).sum() > 50


def test_contact_sheet_places_the_images_in_rows():
    images = [grey(20, 30, 40 * i) for i in range(5)]
    sheet = contact_sheet(images, columns=3)
    height, width = sheet.shape[0] // 2, sheet.shape[1] // 3
    assert sheet.shape[1] >= 3 * 30
    for i, image in enumerate(images):
        row, column = divmod(i, 3)
        assert (sheet[row * height + height // 2, column * width + width // 2] == image[0, 0]).all()


def test_contact_sheet_of_few_images_is_no_wider_than_they_are():
    assert contact_sheet([grey(20, 20)] * 2, columns=9).shape[1] < 3 * 20


def test_titles_stand_above_the_images_and_are_shortened():
    plain = contact_sheet([grey(50, 90, 0)], 1)
    short = contact_sheet([grey(50, 90, 0)], 1, ["ankle"])
    long = contact_sheet([grey(50, 90, 0)], 1, ["a title that is far too long for this image"])
    assert short.shape[0] > plain.shape[0]
    assert short.shape == long.shape
    strip = short[: short.shape[0] - plain.shape[0] + 4]
    assert (strip > 150).sum() > 50, "there is text to read"
    assert (long[:, -6:] < 60).all(), "the text ends before the image does"


@pytest.mark.parametrize(
    ("images", "columns", "titles"),
    [([], 2, None), ([grey(4, 4), grey(4, 5)], 2, None), ([grey(4, 4)], 0, None), ([grey(4, 4)], 1, ["a", "b"])],
)
def test_contact_sheet_rejects_unequal_shapes_and_titles(images, columns, titles):
    with pytest.raises(ValueError, match=r"contact sheet|zip"):
        contact_sheet(images, columns, titles)


def comparison(wrong, labelled=(True,) * 5, tile=256):
    truth = legs(40) / 2  # in crops of 64 px
    predicted = truth.copy()
    predicted[wrong] += [10, 0]
    correct = np.ones(5, bool)
    correct[wrong] = False
    return predicted, truth, draw_comparison(grey(64, 64), {"a": (predicted, correct)}, truth, np.array(labelled), LEGS, tile)


def test_wrong_joint_is_ringed_and_tied_to_the_truth():
    predicted, truth, pair = comparison([4])
    strip = pair.shape[0] - 256
    marked = has_colour(pair[strip:, :256], WRONG)
    x, y = (((predicted[4] + truth[4]) / 2 + 0.5) * 4 - 0.5).astype(int)
    assert marked[y - 1 : y + 3, x].any(), "a line leads to the truth"
    ring_x = int((predicted[4, 0] + 0.5) * 4 - 0.5)
    assert marked[:, ring_x + 4 :].any(), "the ring closes beyond the prediction"
    assert not has_colour(pair[:, 256:], WRONG).any(), "nothing is marked in the truth"


def test_right_and_unlabelled_joints_are_not_marked():
    assert not has_colour(comparison([])[2], WRONG).any()
    assert not has_colour(comparison([4], labelled=(True, True, True, True, False))[2], WRONG).any()


def test_truth_shows_only_what_is_labelled():
    pair = comparison([], labelled=(True, False, False, True, True))[2]
    assert has_colour(pair[:, :256], LEFT).any()
    assert not has_colour(pair[:, 260:], LEFT).any()


def test_joints_keep_their_place_when_the_crop_is_enlarged():
    truth = np.full((5, 2), 5.0)
    labelled = np.array([True, False, False, False, False])
    truth[0] = 32, 20
    pair = draw_comparison(grey(64, 64), {"a": (truth, labelled)}, truth, labelled, LEGS, tile=256)
    strip = pair.shape[0] - 256
    dot = np.argwhere(has_colour(pair[strip:, -256:], MIDDLE)).mean(0)
    # The crop's pixel 32 becomes the tile's pixels 128 … 131, whose middle is 129.5.
    np.testing.assert_allclose(dot, [81.5, 129.5], atol=0.5)


def test_points_keep_their_place_when_the_image_is_resized():
    # Pixel 10 becomes pixels 20 and 21, whose middle is 20.5.
    np.testing.assert_array_equal(rescaled(np.array([[10, 0.0]]), 128, 256), [[20.5, 0.5]])


def test_prediction_sheet_of_unequal_numbers():
    n, k = 5, len(MPII16)
    rng = np.random.default_rng(1)
    truth = rng.uniform(5, 90, (n, k, 2))
    predicted = truth + rng.normal(0, 5, truth.shape)
    predicted[1] = np.nan
    labelled = rng.random((n, k)) > 0.2
    correct = np.linalg.norm(predicted - truth, axis=-1) < 5
    sheet = prediction_sheet([grey(96, 96)] * n, {"a": (predicted, correct)}, truth, labelled, MPII16, columns=2, tile=64)
    assert sheet.dtype == np.uint8
    assert 2 * 2 * 64 < sheet.shape[1] < 2 * 2 * 64 + 40
    assert sheet.shape[0] > 3 * 64
    for colour in (LEFT, RIGHT, MIDDLE, WRONG):
        assert has_colour(sheet, colour).any()


def test_prediction_sheet_names_a_wrong_shape_and_rejects_an_empty_sheet():
    joints = np.zeros((2, 14, 2))
    flags = np.ones((2, 14), bool)
    with pytest.raises(ValueError, match=r"truth.*\(2, 14, 2\).*\(2, 16, 2\)"):
        prediction_sheet([grey(8, 8)] * 2, {"a": (joints, flags)}, np.zeros((2, 16, 2)), flags, LSP14)
    with pytest.raises(ValueError, match=r"b: correct.*\(2, 14\).*\(1, 14\)"):
        prediction_sheet([grey(8, 8)] * 2, {"a": (joints, flags), "b": (joints, flags[:1])}, joints, flags, LSP14)
    with pytest.raises(ValueError, match="contact sheet"):
        prediction_sheet([], {"a": (joints[:0], flags[:0])}, joints[:0], flags[:0], LSP14)


def test_several_predictions_stand_side_by_side_each_with_its_own_wrong_joints():
    truth = legs(40)[None] / 2
    labelled = np.ones((1, 5), bool)
    moved = truth.copy()
    moved[0, 4] += [10, 0]
    predictions = {"a": (truth, labelled), "b": (moved, np.arange(5)[None] != 4), "c": (truth, labelled)}
    sheet = prediction_sheet([grey(64, 64)], predictions, truth, labelled, LEGS, tile=256)
    marked = has_colour(sheet, WRONG)[: 256 + 20]
    tiles = [marked[:, 4 + i * 258 : 4 + i * 258 + 256].any() for i in range(4)]
    assert tiles == [False, True, False, False]
    assert sheet.shape[1] == 4 * 256 + 3 * 2 + 8


def test_without_any_label_the_sheet_has_no_column_for_the_truth():
    joints = legs(40)[None] / 2
    unlabelled = np.zeros((1, 5), bool)
    predictions = {"a": (joints, unlabelled), "b": (joints, unlabelled)}
    sheet = prediction_sheet([grey(64, 64)], predictions, joints, unlabelled, LEGS, tile=256)
    assert sheet.shape[1] == 2 * 256 + 2 + 8
    assert not has_colour(sheet, WRONG).any(), "not even in the legend"


def test_coco_face_limbs_belong_to_their_side():
    joints = np.full((17, 2), np.nan)
    joints[[COCO17.index("nose"), COCO17.index("left_eye")]] = [[20, 100], [220, 100]]
    assert tuple(draw_pose(grey(200, 300), joints, COCO17)[100, 120]) == LEFT


def test_joints_of_real_images_have_a_dot_in_their_sides_colour(real_data):
    """A dot may be covered by a neighbour's."""
    annotation = scipy.io.loadmat(real_data / "lspet" / "joints.mat")["joints"]
    right_colour = total = 0
    for i in range(0, 200, 10):
        image = read_image(real_data / "lspet" / "images" / f"im{i + 1:05d}.jpg")
        joints = annotation[:, :2, i] - 1
        labelled = annotation[:, 2, i] > 0
        crop = Crop(Box.around(joints[labelled]), 256)
        drawn = draw_pose(crop.warp(image), crop.forward(joints), LSP14, shown_K=labelled)
        places = crop.forward(joints).round().astype(int)
        for joint in np.flatnonzero(labelled):
            x, y = places[joint]
            colour = {"left": LEFT, "right": RIGHT}.get(LSP14.joints[joint].split("_")[0], MIDDLE)
            total += 1
            right_colour += tuple(drawn[y, x]) == colour
    assert total > 200
    assert right_colour / total > 0.95
