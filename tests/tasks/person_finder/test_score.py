"""Recall of proposed boxes in scenes with synthetic people."""

import numpy as np
import pytest

from posekit.data import open_people
from posekit.geometry import Box
from posekit.synthetic.write import write_synthetic
from posekit.tasks.person_finder.scenes import SceneDataset, known_people
from posekit.tasks.person_finder.score import Proposals, score_proposals

NAN = pytest.approx(float("nan"), nan_ok=True)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("proposals") / "set"
    write_synthetic(folder, people=12, seed=0, workers=1, progress=False)
    return SceneDataset(open_people("mpii", folder, "all"), (), size=128)


def annotated(scenes):
    return known_people(scenes.__getitems__([(0, index) for index in range(len(scenes))]))


def finder(scenes, *, factor=1.0, junk=0):
    """A person finder that returns `junk` wrong boxes, then the annotated boxes, scaled by `factor`."""
    people_by_scene = iter(annotated(scenes))

    def find(image):
        assert image.shape == (128, 128, 3) and image.dtype == np.uint8
        wrong = [(Box((-500.0, -500.0), 10.0), 0.9)] * junk
        return wrong + [(Box((x, y), 1.25 * factor * side), 0.5) for x, y, side in next(people_by_scene).astype(float)]

    return find


def test_all_proposed_people_are_found(scenes):
    proposals = score_proposals(finder(scenes), scenes)
    people = annotated(scenes)
    count = sum(map(len, people))
    assert proposals.is_found_N.all() and len(proposals.is_found_N) == count
    assert proposals.boxes_S.tolist() == list(map(len, people))
    assert proposals.side_N == pytest.approx(np.concatenate(people)[:, 2] / 128)
    assert proposals.recall()["everybody"] == (count, 100.0, (100.0, 100.0))


@pytest.mark.parametrize(("factor", "share"), [(0.72, 100), (0.7, 0), (1.4, 100)])
def test_boxes_need_an_iou_of_one_half(scenes, factor, share):
    assert score_proposals(finder(scenes, factor=factor), scenes).recall()["everybody"][1] == share


def test_only_the_first_hundred_boxes_count(scenes):
    assert score_proposals(finder(scenes, junk=99), scenes).is_found_N.any()
    assert not score_proposals(finder(scenes, junk=100), scenes).is_found_N.any()


def test_without_boxes_no_person_is_found(scenes):
    proposals = score_proposals(lambda image: [], scenes)
    assert not proposals.is_found_N.any() and not proposals.boxes_S.any()


def test_recall_by_size_and_by_number_of_people():
    """Scene 0: one large person, found. Scene 1: two small people, one of them found. Scene 2: no people."""
    proposals = Proposals(np.array([0, 1, 1]), np.array([0.8, 0.2, 0.1]), np.array([True, True, False]), np.array([3, 4, 2]))
    recall = {name: (people, share) for name, (people, share, _) in proposals.recall().items()}
    assert recall == {
        "everybody": (3, pytest.approx(200 / 3)),
        "below a quarter of the scene": (2, 50.0),
        "a quarter to a half": (0, NAN),
        "larger": (1, 100.0),
        "alone": (1, 100.0),
        "two or three": (2, 50.0),
        "four and more": (0, NAN),
    }
