import re
from itertools import chain

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import posekit
from posekit.errors import BoxError, ConfigError, DataError, ImageError, WeightsError
from posekit.geometry import Box, Crop
from posekit.images import cv2
from posekit.metrics.calibration import Calibration
from posekit.models import ModelInfo, StackedHourglass, save_weights
from posekit.prediction import predictor
from posekit.prediction.pose import Pose
from posekit.prediction.test_time import PYRAMID, TestTimeAugmentation
from posekit.skeletons import LSP14, Skeleton
from tests.fixtures.people import make_people

SPOTS = Skeleton(name="spots", joints=("nose", "left_hand", "right_hand"), limbs=(("left_hand", "right_hand"),))
SIZE = 128


class SpotFinder(nn.Module):
    """Finds the brightest spot of each channel, BGR (models get RGB). Only the last stack is right."""

    def forward(self, images):
        maps = F.avg_pool2d(images.flip(1), 4)
        return [-maps, torch.logit(maps.clamp(1e-4, 1 - 1e-4))]

    def activate(self, logits):
        return logits.sigmoid()


@pytest.fixture
def spot_predictor(monkeypatch):
    info = ModelInfo(SPOTS, SIZE, stacks=2, features=4, depth=1, head="sigmoid", mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    monkeypatch.setattr(predictor, "load_weights", lambda path, device: (SpotFinder(), info))
    return lambda **options: predictor.Predictor("spots.safetensors", device="cpu", **options)


def spots(height, width, points, sigma=4.0):
    """An image with a blue, a green and a red spot at `points` (3, 2), x and y."""
    y, x = np.mgrid[:height, :width]
    channels = [np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * sigma**2)) for px, py in points]
    return (255 * np.stack(channels, -1)).round().astype(np.uint8)


POINTS = np.array([[80.3, 61.8], [105.0, 90.5], [62.6, 110.2]])


@pytest.fixture
def image(tmp_path):
    """A file with spots at `POINTS`."""
    path = tmp_path / "spots.png"
    cv2.imwrite(str(path), spots(150, 200, POINTS))
    return path


@pytest.mark.parametrize("decode", ["quarter", "dark", "argmax"])
@pytest.mark.parametrize("box", [Box((85, 85), 128), Box((90.5, 80.2), 100), Box((60, 100), 128.7)], ids=str)
def test_finds_the_spots_in_image_pixels(spot_predictor, decode, box):
    (pose,) = spot_predictor(decode=decode)(spots(150, 200, POINTS), [box])
    # argmax alone is right to half a map pixel, which is 2 crop pixels.
    assert np.abs(pose.keypoints - POINTS).max() <= (2.1 if decode == "argmax" else 1.0)
    assert pose.box == box
    assert pose.skeleton == SPOTS
    assert pose.keypoints.dtype == pose.scores.dtype == np.float64
    assert ((pose.scores > 0.5) & (pose.scores <= 1)).all()


@pytest.mark.parametrize(("height", "width"), [(150, 90), (90, 150)])
def test_the_default_box_is_the_whole_image(spot_predictor, height, width):
    points = np.array([[10.0, 12.0], [width - 12.0, height - 14.0], [width / 2, height / 2]])
    (pose,) = spot_predictor(decode="dark")(spots(height, width, points, sigma=5))
    assert pose.box.side == 150
    assert pose.box.centre == (width / 2 - 0.5, height / 2 - 0.5)
    assert np.abs(pose.keypoints - points).max() < 1


def test_batches_keep_the_order_of_the_boxes(spot_predictor):
    image = spots(150, 200, POINTS)
    boxes = [Box((85 + i, 85 - i), 120 + i) for i in range(7)]
    expected = spot_predictor(batch_size=32)(image, boxes)
    poses = spot_predictor(batch_size=3)(image, boxes)
    assert [pose.box for pose in poses] == boxes
    for pose, other in zip(poses, expected, strict=True):
        np.testing.assert_allclose(pose.keypoints, other.keypoints, rtol=0, atol=1e-4)  # batch sizes round differently
    assert spot_predictor()(image, []) == []


def test_images_of_different_sizes_share_batches(spot_predictor, monkeypatch):
    """Two people, none, and one, whose inaccurate box the refinement corrects."""
    images = [spots(150, 200, POINTS), spots(90, 60, POINTS), spots(220, 170, POINTS + 20)]
    boxes = [[Box((85, 85), 128), Box((90, 80), 100)], [], [Box((125, 125), 120)]]
    predictor = spot_predictor()
    expected = [predictor(image, image_boxes, refine=1) for image, image_boxes in zip(images, boxes, strict=True)]
    batch_sizes = []
    predict_crops = predictor.predict_crops
    monkeypatch.setattr(predictor, "predict_crops", lambda crops: batch_sizes.append(len(crops)) or predict_crops(crops))
    poses = predictor.predict_images(images, boxes, refine=1)
    assert batch_sizes == [3, 3]
    assert [len(image_poses) for image_poses in poses] == [2, 0, 1]
    for pose, other in zip(chain(*poses), chain(*expected), strict=True):
        assert np.abs(pose.keypoints - other.keypoints).max() < 1e-4
        assert pose.box.side == pytest.approx(other.box.side)
    assert [poses[0].box for poses in predictor.predict_images(images)] == [predictor(image)[0].box for image in images]


def test_every_image_needs_its_boxes(spot_predictor):
    with pytest.raises(ValueError, match="shorter"):
        spot_predictor().predict_images([spots(90, 60, POINTS)] * 2, [[Box((30, 40), 60)]])
    assert spot_predictor().predict_images([]) == []
    with pytest.raises(TypeError, match=r"Box\.from_xywh"):
        spot_predictor()(spots(90, 60, POINTS), [(10, 10, 30, 40)])


def test_reads_a_file(spot_predictor, image):
    (from_file,) = spot_predictor()(image)
    (from_array,) = spot_predictor()(spots(150, 200, POINTS))
    np.testing.assert_array_equal(from_file.keypoints, from_array.keypoints)


@pytest.mark.parametrize(
    "convert",
    [
        lambda image: image.astype(np.uint16) * 256,
        lambda image: np.dstack([image, np.full(image.shape[:2], 255, np.uint8)]),
        lambda image: image[::-1, ::-1][::-1, ::-1],
    ],
    ids=["16-bit", "alpha", "strided"],
)
def test_other_forms_of_the_same_image_give_the_same_pose(spot_predictor, convert):
    image = spots(150, 200, POINTS)
    predictor = spot_predictor()
    np.testing.assert_array_equal(predictor(convert(image))[0].keypoints, predictor(image)[0].keypoints)


@pytest.mark.parametrize("convert", [lambda image: image, lambda image: image[..., None]], ids=["HW", "HW1"])
def test_grey_is_repeated_over_the_channels(spot_predictor, convert):
    grey = spots(150, 200, POINTS)[..., 0]
    (pose,) = spot_predictor(decode="dark")(convert(grey))
    assert np.abs(pose.keypoints - POINTS[0]).max() < 1


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((9, 9, 3)), "float64"),
        (np.zeros((9, 9, 3), bool), "bool"),
        (np.zeros((9, 9, 2), np.uint8), r"\(9, 9, 2\)"),
        (np.zeros((0, 9, 3), np.uint8), r"\(0, 9, 3\)"),
        (np.zeros(9, np.uint8), r"\(9, 1\)|\(9,\)"),
    ],
)
def test_arrays_that_are_not_images(spot_predictor, image, message):
    with pytest.raises(ImageError, match=message):
        spot_predictor()(image)


def test_a_missing_file_is_named(spot_predictor, tmp_path):
    with pytest.raises(ImageError, match=r"nowhere\.jpg"):
        spot_predictor()(tmp_path / "nowhere.jpg")


def test_a_box_outside_the_image(spot_predictor):
    with pytest.raises(BoxError, match="200x150"):
        spot_predictor()(spots(150, 200, POINTS), [Box((100, 80), 50), Box((400, 80), 50)])


def test_refinement_predicts_again_around_the_keypoints(spot_predictor):
    image = spots(150, 200, POINTS)
    box = Box((100, 70), 180)
    predictor = spot_predictor(decode="dark")
    (first,) = predictor(image, [box])
    (second,) = predictor(image, [box], refine=1)
    assert second.box == first.refined_box() == Box.around(first.keypoints, margin=1.4)
    assert np.abs(second.keypoints - POINTS).max() < 0.5
    (third,) = predictor(image, [second.refined_box()])
    (best,) = predictor(image, [box], refine=2)
    assert best.scores.mean() == max(pose.scores.mean() for pose in (first, second, third))


def test_refinement_keeps_the_better_pose(spot_predictor, monkeypatch):
    image = spots(150, 200, POINTS)
    box = Box((100, 70), 180)
    (first,) = spot_predictor()(image, [box])
    monkeypatch.setattr(Pose, "refined_box", lambda pose: Box((15, 135), 20))  # an empty corner
    (best,) = spot_predictor()(image, [box], refine=2)
    assert best.box == box
    np.testing.assert_array_equal(best.keypoints, first.keypoints)


def test_refined_boxes_stay_in_the_image(spot_predictor):
    """Keypoints of a box that is mostly outside may lie outside too."""
    (pose,) = spot_predictor()(np.zeros((150, 200, 3), np.uint8), [Box((-60, -60), 125)], refine=3)
    assert pose.box.overlaps(200, 150)


def test_predict_crops_stays_in_crop_pixels(spot_predictor):
    crops = np.stack([spots(SIZE, SIZE, POINTS), spots(SIZE, SIZE, POINTS - 5)])
    joints, scores = spot_predictor(decode="dark").predict_crops(torch.from_numpy(crops[..., ::-1].copy()))  # in RGB
    assert joints.shape == (2, 3, 2)
    assert scores.shape == (2, 3)
    assert np.abs(joints.numpy() - np.stack([POINTS, POINTS - 5])).max() < 1


def people(images, centres, sides, skeleton=SPOTS):
    return make_people(
        name="spots",
        split="valid",
        skeleton=skeleton,
        image_paths=np.array(images, dtype=str),
        centres=np.array(centres, float).reshape(-1, 2),
        sides=np.array(sides, float),
    )


@pytest.mark.parametrize("views", [TestTimeAugmentation(flip=True), TestTimeAugmentation((0.9, 1.0, 1.2)), PYRAMID], ids=str)
def test_several_views_find_the_same_spots(spot_predictor, image, views):
    boxes = [Box((85, 85), 128), Box((95, 80), 110), Box((80.5, 95), 120.25)]
    predictor = spot_predictor(decode="dark", views=views, batch_size=2 * len(views))
    assert predictor.people_per_batch == 2
    predictor.flip_order = torch.arange(3)  # the spot finder finds colours, which a mirror does not exchange
    poses = predictor(image, boxes)
    assert np.abs(np.stack([pose.keypoints for pose in poses]) - POINTS).max() < 1
    crowd = people([image] * 3, [box.centre for box in boxes], [box.side for box in boxes])
    predictions = predictor.predict_people(crowd, progress=False)
    np.testing.assert_allclose(predictions.joints, [pose.keypoints for pose in poses], atol=1e-6)
    np.testing.assert_array_equal(predictions.peaks[:, :, 0], predictions.joints)
    maps = predictor.heatmaps(crowd)
    assert maps.shape == (3, 3, SIZE // 4, SIZE // 4)
    np.testing.assert_allclose(maps.max((2, 3)), predictions.scores, atol=1e-6)


def test_the_mirrored_view_exchanges_left_and_right(spot_predictor):
    """The spot finder finds colours, which a mirror does not exchange: each hand's map shows both hands, half as high."""
    (pose,) = spot_predictor(views=TestTimeAugmentation(flip=True))(spots(150, 200, POINTS), [Box((85, 85), 128)])
    assert pose.scores[0] > 0.7  # the nose has no opposite
    assert (pose.scores[1:] < 0.6).all()


@pytest.mark.parametrize("workers", [0, 1])
def test_people_that_cannot_be_read_are_nan_named_and_counted(spot_predictor, image, tmp_path, capsys, workers):
    crowd = people(
        [image, tmp_path / "gone.png", image, image, image],
        [(85, 85), (85, 85), (95, 80), (900, 80), (80, 95)],
        [128, 128, 110, 50, 120],
    )
    predictions = spot_predictor(batch_size=2, workers=workers).predict_people(crowd, progress=False)
    assert (predictions.dataset, predictions.split, predictions.skeleton) == ("spots", "valid", SPOTS)
    np.testing.assert_array_equal(predictions.index, np.arange(5))
    np.testing.assert_array_equal(np.isnan(predictions.joints).any((1, 2)), [False, True, False, True, False])
    np.testing.assert_array_equal(np.isnan(predictions.scores).all(1), [False, True, False, True, False])
    assert np.abs(predictions.joints[[0, 2, 4]] - POINTS).max() <= 1
    errors = capsys.readouterr().err.splitlines()
    assert "person 1:" in errors[0] and "gone.png" in errors[0]
    assert "person 3:" in errors[1] and "(900, 80)" in errors[1]
    assert "2 of 5" in errors[2]


def test_batches_of_maps_name_their_people(spot_predictor, image, tmp_path):
    crowd = people(
        [image, image, tmp_path / "gone.png", image, image],
        [(85, 85), (95, 80), (85, 85), (900, 80), (80, 95)],
        [128, 110, 128, 50, 120],
    )
    predictor = spot_predictor(batch_size=4, views=TestTimeAugmentation((1.2, 1.0)))
    batches = list(predictor.map_batches(crowd))
    assert [index.tolist() for index, _, _ in batches] == [[0, 1], [2, 3], [4]]
    assert [[failure.index for failure in failures] for _, _, failures in batches] == [[], [2, 3], []]
    assert "gone.png" in batches[1][2][0].message
    all_maps = predictor.heatmaps(crowd)
    np.testing.assert_array_equal(np.concatenate([maps for _, maps, _ in batches]), all_maps)
    assert (all_maps[[0, 1, 4]].max((2, 3)) > 0.5).all()
    assert (all_maps[[2, 3]] < 0.01).all()
    assert list(predictor.map_batches(people([], [], []))) == []


def test_predictions_of_people_and_of_boxes_agree(spot_predictor, image):
    crowd = people([image] * 3, [(85, 85), (95, 80), (80.5, 95)], [128, 110, 120.25])
    predictions = spot_predictor().predict_people(crowd, progress=False)
    expected = [spot_predictor()(image, [person.box])[0].keypoints for person in crowd]
    np.testing.assert_allclose(predictions.joints, expected, atol=1e-9)


def test_unreadable_people_only_are_an_error(spot_predictor, tmp_path):
    crowd = people([tmp_path / "gone.png"], [(5, 5)], [9])
    with pytest.raises(ImageError, match=r"spots valid: .*gone\.png"):
        spot_predictor().predict_people(crowd, progress=False)


def test_no_people_give_no_predictions(spot_predictor):
    assert len(spot_predictor().predict_people(people([], [], []), progress=False)) == 0


def test_predictions_are_in_the_models_skeleton(spot_predictor, image):
    reversed_spots = Skeleton(name="stops", joints=SPOTS.joints[::-1])
    predictions = spot_predictor().predict_people(people([image], [(85, 85)], [128], reversed_spots), progress=False)
    assert predictions.skeleton == SPOTS
    assert np.abs(predictions.joints[0] - POINTS).max() <= 1
    with pytest.raises(DataError, match=r"lsp14.*spots|spots.*lsp14"):
        spot_predictor().predict_people(people([image], [(85, 85)], [128], LSP14), progress=False)


def test_load_names_unknown_weights(tmp_path):
    with pytest.raises(WeightsError, match=r"lspet-none: .*lspet-small"):
        posekit.load("lspet-none")
    with pytest.raises(WeightsError, match=re.escape(str(tmp_path))):
        posekit.load(tmp_path)


@pytest.mark.parametrize("device", ["gpu", "cuda:99", ""])
def test_a_missing_device_is_named(device):
    with pytest.raises(ConfigError, match=re.escape(repr(device))):
        predictor.find_device(device)


def test_auto_finds_a_working_device():
    assert predictor.find_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


def pose(keypoints=POINTS, scores=(0.9, 0.6, 0.3)):
    return Pose(np.array(keypoints, float), np.array(scores, float), Box((84.5, 69.5), 60), SPOTS)


def test_coco_entry():
    entry = pose().to_coco(image_id=7)
    assert entry["image_id"] == 7
    assert entry["category_id"] == 1
    assert entry["keypoints"] == [80.3, 61.8, 0.9, 105.0, 90.5, 0.6, 62.6, 110.2, 0.3]
    assert entry["score"] == pytest.approx(0.6)
    # In COCO's frame, where integers are pixel edges, centre 84.5 and side 60 begin at 55.
    assert entry["box"] == [55, 40, 60, 60]


def test_coco_entry_of_a_keypoint_without_a_place():
    points = POINTS.copy()
    points[1] = np.nan
    entry = pose(points, [0.9, 0.6, np.nan]).to_coco(1)
    assert entry["keypoints"] == [80.3, 61.8, 0.9, 0, 0, 0, 0, 0, 0]
    assert entry["score"] == pytest.approx(0.3)


def test_pose_draws_keypoints_that_score_enough():
    image = np.zeros((150, 200, 3), np.uint8)
    assert (pose().draw(image)[110, 60:65] > 0).any()
    assert not (pose().draw(image, min_score=0.5)[110, 60:65] > 0).any()
    assert (pose().draw(image, show_box=True)[60:80, 53:57] > 0).any()


def test_pose_checks_its_shapes():
    with pytest.raises(ValueError, match=r"\(3, 2\).*\(2, 2\)"):
        pose(POINTS[:2])


def test_crops_of_a_real_image_are_those_of_crop(real_data, spot_predictor):
    """The keypoints lie where the crop of each channel is brightest, averaged over 4x4 pixels as the spot finder does."""
    image = cv2.imread(str(real_data / "photos" / "man_running.jpg"))
    box = Box((255.5, 255.5), SIZE)
    (pose,) = spot_predictor(decode="argmax")(image, [box])
    crop = Crop(box, SIZE).warp(image).astype(float)
    blocks = crop.reshape(32, 4, 32, 4, 3).mean((1, 3)).reshape(-1, 3)
    place = blocks.argmax(0)
    corner = np.array(box.centre) - (SIZE - 1) / 2
    expected = np.stack([place % 32, place // 32], -1) * 4 + 1.5 + corner
    np.testing.assert_allclose(pose.keypoints, expected, atol=0.01)


@pytest.mark.parametrize("head", ["sigmoid", "linear"])
def test_a_weights_file_is_enough(real_data, tmp_path, head):
    """The predictor of a weights file gives the poses of the saved model: its last stack, its head, in image pixels."""
    torch.manual_seed(0)
    model = StackedHourglass(joints=14, stacks=2, features=8, depth=2, head=head).eval()
    nn.init.normal_(model.outputs[-1].weight)  # peaks that stand out
    mean, std = (0.44, 0.45, 0.41), (0.2, 0.3, 0.25)
    info = ModelInfo(LSP14, 64, stacks=2, features=8, depth=2, head=head, mean=mean, std=std)
    save_weights(tmp_path / "w.safetensors", model, info)
    image = cv2.imread(str(real_data / "photos" / "man_running.jpg"))
    box = Box((250.0, 260.0), 400.0)
    predictor = posekit.load(tmp_path / "w.safetensors", device="cpu", decode="quarter")
    (pose,) = predictor(real_data / "photos" / "man_running.jpg", [box])

    crop = Crop(box, 64)
    rgb = torch.from_numpy(crop.warp(image)[..., ::-1] / 255.0).permute(2, 0, 1).float()
    inputs = (rgb - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]
    with torch.inference_mode():
        maps = model.activate(model(inputs[None])[-1])[0]
    np.testing.assert_allclose(pose.peaks, maps.flatten(1).max(1).values.numpy(), rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(pose.scores, np.clip(pose.peaks, 0, 1))
    place = maps.flatten(1).argmax(1).numpy()
    peaks = crop.inverse(np.stack([place % 16, place // 16], -1) * 4 + 1.5)
    assert np.abs(pose.keypoints - peaks).max() <= 400 / 64 * 1.01, "a quarter map pixel is one crop pixel"
    assert pose.skeleton == LSP14


def test_calibrated_scores_are_probabilities_for_the_calibrated_views_only(tmp_path, real_data):
    calibration = Calibration([[0.0, 1.0]] * 14, [[0.25, 0.75]] * 14)
    info = ModelInfo(LSP14, 64, 1, 8, 2, "sigmoid", (0.5,) * 3, (0.2,) * 3, calibrations={"1": calibration})
    save_weights(tmp_path / "w.safetensors", info.build(), info)
    photo = real_data / "photos" / "man_running.jpg"
    box = Box((300.0, 300.0), 400.0)
    (plain,) = posekit.load(tmp_path / "w.safetensors", device="cpu")(photo, [box])
    np.testing.assert_allclose(plain.scores, 0.25 + plain.peaks / 2)
    for others in (TestTimeAugmentation(flip=True), TestTimeAugmentation((1.1,))):
        (pose,) = posekit.load(tmp_path / "w.safetensors", device="cpu", views=others)(photo, [box])
        np.testing.assert_array_equal(pose.scores, pose.peaks)
