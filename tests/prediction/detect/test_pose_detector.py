"""Find people in whole images, with a predictor and proposals that know where the people are."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from posekit.errors import ImageError
from posekit.geometry import Box
from posekit.prediction.detect.pose_detector import PoseDetector
from posekit.prediction.pose import Pose
from posekit.skeletons import LSP14

K = len(LSP14)
# Keypoints of a person 40 wide and 100 high around the centre, left and right apart.
BODY = np.column_stack([np.where(np.arange(K) % 2, -20, 20), np.linspace(-50, 50, K)])
PEOPLE = np.array([[70.0, 90.0], [210.0, 120.0]])
IMAGE = np.zeros((240, 320, 3), np.uint8)


class FakePredictor:
    """Finds the person nearest to a box's centre and wholly in it; without one, gives a pose of low score."""

    info = SimpleNamespace(input_size=64)
    device = torch.device("cpu")
    calibrated = True

    def __init__(self, people=PEOPLE, sure=0.8, elsewhere=0.1, turn=False):
        self.people = people
        self.sure = sure
        self.elsewhere = elsewhere
        self.turn = turn
        self.boxes = 0

    def __call__(self, image, boxes):
        self.boxes += len(boxes)
        return [self._predict(box) for box in boxes]

    def _predict(self, box):
        inside = [person for person in self.people if np.abs(person - box.centre).max() <= box.side / 2 - 50]
        if not inside:
            return Pose(BODY * box.side / 125 + box.centre, np.full(K, self.elsewhere), box, LSP14)
        body = BODY[LSP14.flip_order] if self.turn and box.centre[0] % 2 < 1 else BODY
        person = min(inside, key=lambda person: np.hypot(*(person - box.centre)))
        return Pose(body + person, np.full(K, self.sure - box.side / 1e5), box, LSP14)  # smaller boxes give higher scores


def proposing(score=0.4, people=PEOPLE):
    """Proposes each person, again slightly displaced, and two places without people."""
    boxes = [Box(tuple(person), 125.0) for person in people]
    beside = [Box((person[0] + 1, person[1] - 9), 130.0) for person in people]
    empty = [Box((280.0, 40.0), 60.0), Box((20.0, 220.0), 30.0)]
    return lambda image: [(box, score) for box in (*boxes, *beside)] + [(box, score / 2) for box in empty]


def nothing(image):
    return []


def found(predictor, candidates, image=IMAGE):
    return sorted(PoseDetector(predictor, candidates)(image), key=lambda box: box.centre)


@pytest.mark.parametrize(
    "predictor", [FakePredictor(), FakePredictor(sure=0.5), FakePredictor(turn=True)], ids=["sure", "unsure", "turner"]
)
def test_each_person_is_found_once(predictor):
    boxes = found(predictor, proposing())
    assert [box.centre for box in boxes] == [pytest.approx(tuple(person), abs=10) for person in PEOPLE]
    assert [box.side for box in boxes] == pytest.approx([125, 125], rel=0.05)


@pytest.mark.parametrize(("sure", "score", "count"), [(0.5, 0.32, 2), (0.5, 0.28, 0), (0.3, 0.72, 2), (0.3, 0.68, 0)])
def test_confidence_is_the_mean_score_and_half_the_box_score(sure, score, count):
    assert len(found(FakePredictor(sure=sure), proposing(score))) == count


def test_a_box_supports_only_the_pose_that_lies_in_it():
    """Boxes elsewhere do not raise the confidence in the pose found in the whole image."""
    image = np.zeros((240, 320, 3), np.uint8)
    small_and_elsewhere = [(Box((20.0, 220.0), 30.0), 0.9)]
    assert found(FakePredictor(PEOPLE[1:], sure=0.6), lambda image: small_and_elsewhere, image) == []
    assert len(found(FakePredictor(PEOPLE[1:], sure=0.6), lambda image: [(Box(tuple(PEOPLE[1]), 125.0), 0.9)], image)) == 1


def test_uncalibrated_peaks_have_a_lower_threshold():
    predictor = FakePredictor(sure=0.2)
    assert found(predictor, proposing(0.2)) == []
    predictor.calibrated = False
    assert len(found(predictor, proposing(0.2))) == 2


def test_an_image_without_people_gives_no_boxes():
    assert found(FakePredictor([]), proposing()) == []
    assert found(FakePredictor([]), nothing) == []


def test_a_person_without_a_proposal_is_found_in_the_whole_image():
    (box,) = found(FakePredictor(PEOPLE[:1]), nothing)
    assert box == Box.from_xywh(0, 0, 320, 240, margin=1.0)


@pytest.mark.parametrize("size", [(1, 1), (1, 90), (40, 30)])
def test_small_images(size):
    assert found(FakePredictor([]), nothing, np.zeros((*size, 3), np.uint8)) == []


def test_a_missing_image(tmp_path):
    with pytest.raises(ImageError, match=r"gone\.jpg"):
        PoseDetector(FakePredictor(), nothing)(tmp_path / "gone.jpg")


def test_at_most_a_hundred_proposals_are_used():
    predictor = FakePredictor([])
    assert found(predictor, lambda image: [(Box((160.0, 120.0), 150), 0.5)] * 1000) == []
    assert predictor.boxes == 1 + 100


def test_the_refined_box_surrounds_the_keypoints_that_score_enough():
    scores = np.full(K, 0.5)
    scores[-1] = 0.05
    pose = Pose(BODY.astype(float), scores, Box((9, 9), 300), LSP14)
    assert pose.refined_box() == Box.around(BODY[:-1], margin=1.4)
    assert pose.refined_box(min_score=0.6) == pose.box
    assert pose.refined_box(min_score=0) == Box.around(BODY, margin=1.4)
