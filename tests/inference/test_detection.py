"""Finding people in whole pictures: on rectangles that are right by construction, and on real photographs."""

from types import SimpleNamespace

import numpy as np
import pytest

from posekit.errors import ImageError
from posekit.geometry import Box
from posekit.inference import Pose, PoseDetector
from posekit.inference.detection import windows
from posekit.skeletons import LSP14

K = len(LSP14)
# Where the joints lie in a person 40 wide and 100 high, about the middle: left and right apart.
BODY = np.column_stack([np.where(np.arange(K) % 2, -20, 20), np.linspace(-50, 50, K)])
PEOPLE = np.array([[70.0, 90.0], [210.0, 120.0]])
IMAGE = np.zeros((240, 320, 3), np.uint8)


class Finder:
    """Finds whoever stands nearest to a box's middle, and wholly in it; where nobody does, believes to see someone."""

    info = SimpleNamespace(input_size=64)
    calibrated = True

    def __init__(self, people=PEOPLE, elsewhere=0.1, turn=False):
        self.people, self.elsewhere, self.turn, self.looks = people, elsewhere, turn, 0

    def __call__(self, image, boxes):
        self.looks += len(boxes)
        return [self._look(box) for box in boxes]

    def _look(self, box):
        inside = [person for person in self.people if np.abs(person - box.centre).max() <= box.side / 2 - 50]
        if not inside:  # as large as the box, but not about its middle: it moves with every look
            return Pose(BODY * box.side / 100 + box.centre + 0.4 * box.side, np.full(K, self.elsewhere), box, LSP14)
        body = BODY[LSP14.flip_order] if self.turn and box.centre[0] % 2 < 1 else BODY
        person = min(inside, key=lambda person: np.hypot(*(person - box.centre)))
        return Pose(body + person, np.full(K, 0.8), box, LSP14)


def found(finder, image=IMAGE):
    return sorted(PoseDetector(finder)(image), key=lambda box: box.centre)


@pytest.mark.parametrize("finder", [Finder(), Finder(elsewhere=0.9), Finder(turn=True)], ids=["plain", "believer", "turner"])
def test_each_person_is_found_once_where_they_stand(finder):
    boxes = found(finder)
    assert [box.centre for box in boxes] == [pytest.approx(tuple(person), abs=1) for person in PEOPLE]
    assert [box.side for box in boxes] == pytest.approx([140, 140])


def test_nobody_is_found_where_nobody_is():
    assert found(Finder([])) == []
    assert found(Finder([], elsewhere=0.9)) == []


@pytest.mark.parametrize("size", [(1, 1), (1, 90), (40, 30)])
def test_small_pictures(size):
    finder = Finder([])
    assert found(finder, np.zeros((*size, 3), np.uint8)) == []
    assert finder.looks > 0


def test_what_is_no_picture(tmp_path):
    with pytest.raises(ImageError, match=r"gone\.jpg: no such image"):
        PoseDetector(Finder())(tmp_path / "gone.jpg")


@pytest.mark.parametrize(("width", "height"), [(640, 427), (300, 1200), (500, 500)])
def test_whoever_fits_a_window_is_well_within_one(width, height):
    boxes = windows(width, height, least_px=32, smallest=0.3)
    sides = sorted({box.side for box in boxes})
    assert sides[-1] == max(width, height) / 0.8 and 0.3 <= sides[0] / max(width, height) < 0.3 * 2**0.5
    rng = np.random.default_rng(0)
    for side in sides:
        middles = np.array([box.centre for box in boxes if box.side == side])
        low = 0.15 * side - 0.5  # of people of 0.3 sides: this far from the picture's edge
        people = low + rng.random((200, 2)) * np.maximum(np.array([width, height]) - 0.3 * side, 0)
        off = np.abs(people[:, None] - middles).max(-1).min(1)
        assert (off <= 0.3 * side).all()  # in no window do they reach further than 0.45 sides from the middle


def test_people_who_are_small_cost_more():
    counts = [len(windows(1000, 1000, least_px=32, smallest=smallest)) for smallest in (0.6, 0.3, 0.15)]
    assert counts[0] < counts[1] < counts[2] / 2
    assert len(windows(60, 60, least_px=64, smallest=0.1)) == 1


def test_the_refined_box_is_that_of_the_joints_that_score_enough():
    scores = np.full(K, 0.5)
    scores[-1] = 0.05
    pose = Pose(BODY.astype(float), scores, Box((9, 9), 300), LSP14)
    assert pose.refined_box() == Box.around(BODY[:-1], margin=1.4)
    assert pose.refined_box(min_score=0.6) == pose.box
    assert pose.refined_box(min_score=0) == Box.around(BODY, margin=1.4)
