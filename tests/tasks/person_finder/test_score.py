"""Whom a finder proposes, in scenes of synthetic people."""

import numpy as np
import pytest

from posekit.data import open_people
from posekit.geometry import Box
from posekit.synthetic.write import write_synthetic
from posekit.tasks.person_finder.scenes import SceneDataset
from posekit.tasks.person_finder.score import Proposals, score_proposals

NAN = pytest.approx(float("nan"), nan_ok=True)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("proposals") / "set"
    write_synthetic(folder, people=12, seed=0, workers=1, progress=False)
    return SceneDataset(open_people("mpii", folder, "all"), (), size=128)


def truths(scenes):
    people = scenes.__getitems__([(0, index) for index in range(len(scenes))]).people.numpy().astype(float)
    return [theirs[~np.isnan(theirs[:, 0])] for theirs in people]


def proposing(scenes, *, factor=1.0, junk=0):
    """A finder who knows, but for the size of its boxes, and begins with boxes of nobody."""
    each = iter(truths(scenes))

    def find(image):
        assert image.shape == (128, 128, 3) and image.dtype == np.uint8
        people = [(Box((x, y), 1.25 * factor * side), 0.5) for x, y, side in next(each)]
        return [(Box((-500.0, -500.0), 10.0), 0.9)] * junk + people

    return find


def test_whoever_is_proposed_is_found(scenes):
    found = score_proposals(proposing(scenes), scenes, progress=False)
    people = truths(scenes)
    assert found.found_N.all() and len(found.found_N) == sum(map(len, people))
    assert found.boxes_S.tolist() == [len(each) for each in people]
    assert found.side_N == pytest.approx(np.concatenate(people)[:, 2] / 128)
    assert found.recall()["everybody"] == (len(found.found_N), 100.0, (100.0, 100.0))


@pytest.mark.parametrize(("factor", "share"), [(0.72, 100), (0.7, 0), (1.4, 100)])
def test_half_of_the_union_must_be_common(scenes, factor, share):
    assert score_proposals(proposing(scenes, factor=factor), scenes, progress=False).recall()["everybody"][1] == share


def test_only_the_first_hundred_boxes_count(scenes):
    assert score_proposals(proposing(scenes, junk=99), scenes, progress=False).found_N.any()
    assert not score_proposals(proposing(scenes, junk=100), scenes, progress=False).found_N.any()


def test_nobody_is_found_by_no_box(scenes):
    found = score_proposals(lambda image: [], scenes, progress=False)
    assert not found.found_N.any() and not found.boxes_S.any()


def test_recall_by_size_and_by_company():
    """Scene 0 has one person, large and found; scene 1 two small ones, one found; scene 2 nobody."""
    found = Proposals(np.array([0, 1, 1]), np.array([0.8, 0.2, 0.1]), np.array([True, True, False]), np.array([3, 4, 2]))
    shares = {name: (there, share) for name, (there, share, _) in found.recall().items()}
    assert shares == {
        "everybody": (3, pytest.approx(200 / 3)),
        "below a quarter of the scene": (2, 50.0),
        "a quarter to a half": (0, NAN),
        "larger": (1, 100.0),
        "alone": (1, 100.0),
        "two or three": (2, 50.0),
        "four and more": (0, NAN),
    }
