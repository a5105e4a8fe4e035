"""Find people and refine their boxes in real images; pytest -rP prints the results."""

import time

import numpy as np
import pytest

from posekit import load
from posekit.data import open_people
from posekit.data.labelled_images import open_images
from posekit.geometry import Box
from posekit.metrics import square_iou
from posekit.people import concatenate
from posekit.prediction.detect import PoseDetector
from posekit.scoring.io.predictions import Predictions
from posekit.scoring.score import score
from posekit.skeletons import LSP14
from posekit.tasks.person_finder.finder import CentreFinder
from posekit.tasks.person_finder.scenes import SceneDataset, known_people
from posekit.weights import DEFAULT

pytestmark = pytest.mark.slow
OFF = 0.2


@pytest.fixture(scope="module")
def predictor():
    return load(DEFAULT, device="cpu")


@pytest.fixture(scope="module")
def mpii(real_data):
    """The five people of MPII's validation part whose images are available."""
    people = open_people("mpii", real_data / "mpii", "valid", skeleton=LSP14)
    available = {str(path) for path in (real_data / "mpii" / "images").iterdir()}
    return people.select(np.array([path in available for path in people.image_paths]))


def test_more_people_are_found_than_by_whole_images(predictor, mpii, real_data):
    """At an IoU of 0.5 between tight boxes, in images of COCO and of the validation part of MPII."""
    detect = PoseDetector(predictor, CentreFinder(device="cpu"))
    coco = open_people("coco", real_data / "coco" / "test_coco.json", skeleton=LSP14)
    people = concatenate([coco, mpii])
    images = sorted(set(people.image_paths))
    assert len(images) == 9
    by_whole_image = [count_found(predictor(image), people, image) for image in images]
    start = time.perf_counter()
    by_detector = [count_found(predictor(image, detect(image), refine=1), people, image) for image in images]
    seconds = (time.perf_counter() - start) / len(images)
    found, false = np.sum(by_detector, axis=0)
    found_whole, false_whole = np.sum(by_whole_image, axis=0)
    print(
        f"of {len(people)} people {found} found, {false} false, {seconds:.1f} s per image; "
        f"whole images {found_whole}, {false_whole} false"
    )
    assert found >= max(found_whole + 4, 15)
    assert false <= len(images) / 2


def test_people_are_found_in_pasted_scenes(predictor, real_data):
    """Held-out people of LSPET on synthetic backgrounds and CIFAR-10 images, at an IoU of 0.5 between squares."""
    people = open_people("lsp", real_data / "lspet", "random:0.1111:0").without_unlabelled()
    backgrounds = open_images("cifar10", real_data / "cifar10" / "cifar10_jpeg.h5", "train").images
    scenes = SceneDataset(people, backgrounds, size=512, seed=2).__getitems__([(0, index) for index in range(40)])
    detect = PoseDetector(predictor, CentreFinder(device="cpu"))
    found = 0
    false = 0
    total = 0
    for image, annotated in zip(scenes.images.numpy()[..., ::-1], known_people(scenes), strict=True):
        boxes = [Box.around(pose.keypoints, margin=1.0) for pose in predictor(image, detect(image), refine=1)]
        squares = np.array([(*box.centre, box.side) for box in boxes]).reshape(-1, 3)
        same = square_iou(squares, annotated.astype(float)) >= 0.5
        found += same.any(0).sum()
        false += (~same.any(1)).sum()
        total += len(annotated)
    print(f"of {total} people in {len(scenes)} scenes {found} found, {false} false")
    assert found >= 0.8 * total
    assert false <= 0.4 * len(scenes)


def count_found(poses, people, image):
    """Number of people found in an image, and number of poses that match no person."""
    boxes = [tight(person.joints[person.labelled]) for person in people if person.image_path == str(image)]
    same = np.zeros((len(poses), len(boxes)), bool)
    for i, pose in enumerate(poses):
        for j, box in enumerate(boxes):
            same[i, j] = iou(tight(pose.keypoints), box) >= 0.5
    return same.any(0).sum(), (~same.any(1)).sum()


def tight(points):
    return np.array([points.min(0), points.max(0)])


def iou(box, other):
    common = np.clip(np.minimum(box[1], other[1]) - np.maximum(box[0], other[0]), 0, None).prod()
    return common / (np.ptp(box, axis=0).prod() + np.ptp(other, axis=0).prod() - common)


def test_refining_helps_where_boxes_are_off(predictor, real_data):
    """The boxes are shifted by 1/5 of their side in a random direction, and are 1/5 too large or too small."""
    people = open_people("lsp", real_data / "lspet", "random:0.1111:0").select(np.arange(100))
    rng = np.random.default_rng(0)
    boxes = [person.box for person in people]
    shifted_boxes = [shifted(box, rng) for box in boxes]
    plain, refined = pck_by_refinement(predictor, people, boxes)
    plain_off, refined_off = pck_by_refinement(predictor, people, shifted_boxes)
    print(
        f"PCK@0.2 of {len(people)} people of LSPET, refined: true boxes {plain}, {refined}; off by 20 % {plain_off}, {refined_off}"
    )
    assert refined_off >= plain_off + 3
    assert refined >= plain - 3


def shifted(box, rng):
    angle = rng.uniform(0, 2 * np.pi)
    centre = np.array(box.centre) + OFF * box.side * np.array([np.cos(angle), np.sin(angle)])
    return Box(tuple(centre), box.side * rng.choice([1 - OFF, 1 + OFF]))


def pck_by_refinement(predictor, people, boxes):
    """PCK without refinement, and with one refinement."""
    scores = []
    for refine in (0, 1):
        poses = [predictor(person.image_path, [box], refine=refine)[0] for person, box in zip(people, boxes, strict=True)]
        scores.append(pck(people, poses))
    return scores


def pck(people, poses):
    """PCK@0.2, pooled; a missing pose (None) has no correct joint."""
    missing = np.full((len(people.skeleton), 2), np.nan)
    joints = np.array([missing if pose is None else pose.keypoints for pose in poses])
    predictions = Predictions(joints, np.full(joints.shape[:2], np.nan), np.arange(len(people)), people.skeleton)
    return round(float(score(people, predictions, normalise="torso").pooled_mean), 1)


def test_detected_people_are_nearly_as_good_as_boxed_ones(predictor, mpii):
    detected = pck_of_detected(predictor, mpii)
    whole = pck(mpii, [predictor(person.image_path)[0] for person in mpii])
    boxed, refined = pck_by_refinement(predictor, mpii, [person.box for person in mpii])
    print(f"PCK@0.2 of MPII's five: boxed {boxed}, refined {refined}; detected {detected}; whole images {whole}")
    assert detected >= boxed - 22
    assert detected >= whole + 20


def test_detection_loses_little_in_images_of_one_person(predictor, real_data):
    people = open_people("lsp", real_data / "lspet", "random:0.1111:0").select(np.arange(100))
    detected = pck_of_detected(predictor, people)
    whole = pck(people, [predictor(person.image_path)[0] for person in people])
    boxed = pck_by_refinement(predictor, people, [person.box for person in people])[0]
    print(f"PCK@0.2 of {len(people)} people of LSPET: boxed {boxed}; detected {detected}; whole images {whole}")
    assert detected >= boxed - 5
    assert detected >= whole + 20


def pck_of_detected(predictor, people):
    """PCK of the detected, refined pose nearest to each person."""
    detect = PoseDetector(predictor, CentreFinder(device="cpu"))
    poses = []
    for person in people:
        candidates = predictor(person.image_path, detect(person.image_path), refine=1)
        poses.append(nearest(candidates, person))
    return pck(people, poses)


def nearest(poses, person):
    def distance(pose):
        return np.linalg.norm(pose.keypoints - person.joints, axis=1)[person.labelled].mean()

    return min(poses, key=distance, default=None)
