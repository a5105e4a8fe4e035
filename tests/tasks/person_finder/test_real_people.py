"""Finding people, and looking again where they were found, on real photographs. With -rP pytest shows the figures."""

import time

import numpy as np
import pytest

from posekit import load
from posekit.data import open_people
from posekit.data.labelled_images import open_images
from posekit.geometry import Box
from posekit.metrics import square_iou
from posekit.people import concatenate
from posekit.prediction.detect.pose_detector import PoseDetector
from posekit.scoring.io.predictions import Predictions
from posekit.scoring.score import score
from posekit.skeletons import LSP14
from posekit.tasks.person_finder.finder import CentreFinder
from posekit.tasks.person_finder.scenes import SceneDataset
from posekit.weights import DEFAULT

pytestmark = pytest.mark.slow
OFF = 0.2


@pytest.fixture(scope="module")
def predictor():
    return load(DEFAULT, device="cpu")


@pytest.fixture(scope="module")
def mpii(real_data):
    """The five people of MPII's validation part whose photographs are there."""
    people = open_people("mpii", real_data / "mpii", "valid", skeleton=LSP14)
    there = {str(path) for path in (real_data / "mpii" / "images").iterdir()}
    return people.select(np.array([image in there for image in people.image_paths]))


def test_more_people_are_found_than_by_whole_pictures(predictor, mpii, real_data):
    """IoU 0.5 of tight boxes, in the photographs of COCO and of MPII's validation part."""
    detect = PoseDetector(predictor, CentreFinder(device="cpu"))
    coco = open_people("coco", real_data / "coco" / "test_coco.json", skeleton=LSP14)
    people = concatenate([coco, mpii])
    photographs = sorted(set(people.image_paths))
    assert len(photographs) == 9
    whole = [recalled_and_false(predictor(image), people, image) for image in photographs]
    start = time.perf_counter()
    found = [recalled_and_false(predictor(image, detect(image), refine=1), people, image) for image in photographs]
    seconds = (time.perf_counter() - start) / len(photographs)
    (recalled, false), (recalled_whole, false_whole) = np.sum(found, axis=0), np.sum(whole, axis=0)
    print(
        f"of {len(people)} people {recalled} found, {false} false, {seconds:.1f} s a photograph; "
        f"whole pictures {recalled_whole}, {false_whole} false"
    )
    assert recalled >= max(recalled_whole + 4, 15)
    assert false <= len(photographs) / 2


def test_people_are_found_in_scenes_pasted_together(predictor, real_data):
    """Of held-out people of LSPET, before drawn backgrounds and CIFAR-10's images. IoU 0.5 of the squares about them."""
    people = open_people("lsp", real_data / "lspet", "random:0.1111:0").without_unlabelled()
    backgrounds = open_images("cifar10", real_data / "cifar10" / "cifar10_jpeg.h5", "train").images
    scenes = SceneDataset(people, backgrounds, size=512, seed=2).__getitems__([(0, index) for index in range(40)])
    detect, found, false, there = PoseDetector(predictor, CentreFinder(device="cpu")), 0, 0, 0
    for image, truth in zip(scenes.images.numpy()[..., ::-1], scenes.people.numpy().astype(float), strict=True):
        truth = truth[~np.isnan(truth[:, 0])]
        boxes = [Box.around(pose.keypoints, margin=1.0) for pose in predictor(image, detect(image), refine=1)]
        same = square_iou(np.array([(*box.centre, box.side) for box in boxes]).reshape(-1, 3), truth) >= 0.5
        found, false, there = found + same.any(0).sum(), false + (~same.any(1)).sum(), there + len(truth)
    print(f"of {there} people in {len(scenes)} scenes {found} found, {false} false")
    assert found >= 0.8 * there
    assert false <= 0.4 * len(scenes)


def recalled_and_false(poses, people, image):
    truths = [tight(person.joints[person.labelled]) for person in people if person.image_path == str(image)]
    same = np.array([[iou(tight(pose.keypoints), truth) >= 0.5 for truth in truths] for pose in poses]).reshape(-1, len(truths))
    return same.any(0).sum(), (~same.any(1)).sum()


def tight(points):
    return np.array([points.min(0), points.max(0)])


def iou(box, other):
    common = np.clip(np.minimum(box[1], other[1]) - np.maximum(box[0], other[0]), 0, None).prod()
    return common / (np.ptp(box, axis=0).prod() + np.ptp(other, axis=0).prod() - common)


def test_looking_again_helps_where_boxes_are_off(predictor, real_data):
    """Boxes shifted by a fifth of their side in any direction, and a fifth too large or too small."""
    people = open_people("lsp", real_data / "lspet", "random:0.1111:0").select(np.arange(100))
    rng = np.random.default_rng(0)
    given = [person.box for person in people]
    true, off = (pck_by_looks(predictor, people, boxes) for boxes in (given, [shifted(box, rng) for box in given]))
    print(f"PCK@0.2 of {len(people)} people of LSPET with no and one further look: true boxes {true}; boxes off by 20 % {off}")
    assert off[1] >= off[0] + 3
    assert true[1] >= true[0] - 3


def shifted(box, rng):
    angle = rng.uniform(0, 2 * np.pi)
    centre = np.array(box.centre) + OFF * box.side * np.array([np.cos(angle), np.sin(angle)])
    return Box(tuple(centre), box.side * rng.choice([1 - OFF, 1 + OFF]))


def pck_by_looks(predictor, people, boxes):
    return [
        percent(people, [predictor(person.image_path, [box], refine=looks)[0] for person, box in zip(people, boxes, strict=True)])
        for looks in (0, 1)
    ]


def percent(people, poses):
    """PCK@0.2, pooled; of nobody (None) no joint is right."""
    nobody = np.full((len(people.skeleton), 2), np.nan)
    joints = np.array([nobody if pose is None else pose.keypoints for pose in poses])
    predictions = Predictions(joints, np.full(joints.shape[:2], np.nan), np.arange(len(people)), people.skeleton)
    return round(float(score(people, predictions, normalise="torso").pooled_mean), 1)


def test_people_who_are_found_are_nearly_as_good_as_boxed_ones(predictor, mpii):
    detect = PoseDetector(predictor, CentreFinder(device="cpu"))
    found = percent(mpii, [nearest(predictor(person.image_path, detect(person.image_path), refine=1), person) for person in mpii])
    whole = percent(mpii, [predictor(person.image_path)[0] for person in mpii])
    given = pck_by_looks(predictor, mpii, [person.box for person in mpii])
    print(f"PCK@0.2 of MPII's five: given, with no and one further look {given}; found, with one {found}; whole pictures {whole}")
    assert found >= given[0] - 22
    assert found >= whole + 20


def test_in_photographs_of_one_person_hardly_anything_is_lost_by_looking_for_them(predictor, real_data):
    people = open_people("lsp", real_data / "lspet", "random:0.1111:0").select(np.arange(100))
    detect = PoseDetector(predictor, CentreFinder(device="cpu"))
    found = percent(
        people, [nearest(predictor(person.image_path, detect(person.image_path), refine=1), person) for person in people]
    )
    whole = percent(people, [predictor(person.image_path)[0] for person in people])
    given = pck_by_looks(predictor, people, [person.box for person in people])[0]
    print(f"PCK@0.2 of {len(people)} people of LSPET: boxes given {given}; found {found}; whole pictures {whole}")
    assert found >= given - 5
    assert found >= whole + 20


def nearest(poses, person):
    def distance(pose):
        return np.linalg.norm(pose.keypoints - person.joints, axis=1)[person.labelled].mean()

    return min(poses, key=distance, default=None)
