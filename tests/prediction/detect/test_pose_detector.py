"""Finding people in whole pictures, on people who are where they are by construction."""

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
# Where the joints lie in a person 40 wide and 100 high, about the middle: left and right apart.
BODY = np.column_stack([np.where(np.arange(K) % 2, -20, 20), np.linspace(-50, 50, K)])
PEOPLE = np.array([[70.0, 90.0], [210.0, 120.0]])
IMAGE = np.zeros((240, 320, 3), np.uint8)


class Finder:
    """Finds whoever stands nearest to a box's middle, and wholly in it; where nobody does, believes a little to see someone."""

    info = SimpleNamespace(input_size=64)
    device = torch.device("cpu")
    calibrated = True

    def __init__(self, people=PEOPLE, sure=0.8, elsewhere=0.1, turn=False):
        self.people, self.sure, self.elsewhere, self.turn, self.looks = people, sure, elsewhere, turn, 0

    def __call__(self, image, boxes):
        self.looks += len(boxes)
        return [self._look(box) for box in boxes]

    def _look(self, box):
        inside = [person for person in self.people if np.abs(person - box.centre).max() <= box.side / 2 - 50]
        if not inside:
            return Pose(BODY * box.side / 125 + box.centre, np.full(K, self.elsewhere), box, LSP14)
        body = BODY[LSP14.flip_order] if self.turn and box.centre[0] % 2 < 1 else BODY
        person = min(inside, key=lambda person: np.hypot(*(person - box.centre)))
        return Pose(body + person, np.full(K, self.sure - box.side / 1e5), box, LSP14)  # the closer, the surer


def proposing(score=0.4, people=PEOPLE):
    """Proposes each person, and again from a little beside, and two places where nobody is."""
    boxes = [Box(tuple(person), 125.0) for person in people]
    beside = [Box((person[0] + 1, person[1] - 9), 130.0) for person in people]
    nobody = [Box((280.0, 40.0), 60.0), Box((20.0, 220.0), 30.0)]
    return lambda image: [(box, score) for box in (*boxes, *beside)] + [(box, score / 2) for box in nobody]


def nothing(image):
    return []


def found(finder, candidates, image=IMAGE):
    return sorted(PoseDetector(finder, candidates)(image), key=lambda box: box.centre)


@pytest.mark.parametrize("finder", [Finder(), Finder(sure=0.5), Finder(turn=True)], ids=["sure", "unsure", "turner"])
def test_each_person_is_found_once_where_they_stand(finder):
    boxes = found(finder, proposing())
    assert [box.centre for box in boxes] == [pytest.approx(tuple(person), abs=10) for person in PEOPLE]
    assert [box.side for box in boxes] == pytest.approx([125, 125], rel=0.05)


@pytest.mark.parametrize(("sure", "score", "count"), [(0.5, 0.32, 2), (0.5, 0.28, 0), (0.3, 0.72, 2), (0.3, 0.68, 0)])
def test_a_person_is_worth_their_score_and_half_of_the_peak(sure, score, count):
    assert len(found(Finder(sure=sure), proposing(score))) == count


def test_a_box_speaks_for_the_pose_that_lies_in_it_alone():
    """Whoever the whole picture shows is not made more probable by boxes of others."""
    image = np.zeros((240, 320, 3), np.uint8)
    small_and_elsewhere = [(Box((20.0, 220.0), 30.0), 0.9)]
    assert found(Finder(PEOPLE[1:], sure=0.6), lambda image: small_and_elsewhere, image) == []
    assert len(found(Finder(PEOPLE[1:], sure=0.6), lambda image: [(Box(tuple(PEOPLE[1]), 125.0), 0.9)], image)) == 1


def test_peaks_that_are_no_probabilities_are_worth_more():
    finder = Finder(sure=0.2)
    assert found(finder, proposing(0.2)) == []
    finder.calibrated = False
    assert len(found(finder, proposing(0.2))) == 2


def test_nobody_is_found_where_nobody_is():
    assert found(Finder([]), proposing()) == []
    assert found(Finder([]), nothing) == []


def test_whoever_is_not_proposed_is_found_in_the_whole_picture():
    (box,) = found(Finder(PEOPLE[:1]), nothing)
    assert box == Box.from_xywh(0, 0, 320, 240, margin=1.0)


@pytest.mark.parametrize("size", [(1, 1), (1, 90), (40, 30)])
def test_small_pictures(size):
    assert found(Finder([]), nothing, np.zeros((*size, 3), np.uint8)) == []


def test_what_is_no_picture(tmp_path):
    with pytest.raises(ImageError, match=r"gone\.jpg: no such image"):
        PoseDetector(Finder(), nothing)(tmp_path / "gone.jpg")


def test_a_hundred_boxes_are_looked_into_at_most():
    finder = Finder([])
    assert found(finder, lambda image: [(Box((160.0, 120.0), 150), 0.5)] * 1000) == []
    assert finder.looks == 1 + 100


def test_the_refined_box_is_that_of_the_joints_that_score_enough():
    scores = np.full(K, 0.5)
    scores[-1] = 0.05
    pose = Pose(BODY.astype(float), scores, Box((9, 9), 300), LSP14)
    assert pose.refined_box() == Box.around(BODY[:-1], margin=1.4)
    assert pose.refined_box(min_score=0.6) == pose.box
    assert pose.refined_box(min_score=0) == Box.around(BODY, margin=1.4)
