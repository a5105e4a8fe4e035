"""Synthetic people with known identities, in any order."""

import numpy as np
import pytest

from posekit.geometry import Box
from posekit.prediction.pose import Pose
from posekit.prediction.tracking import Tracker, new_boxes
from posekit.skeletons import LSP14, Skeleton

FPS = 25
K = len(LSP14)
# A person 200 px tall and 80 px wide, around the centre.
BODY = np.random.default_rng(0).uniform(-1, 1, (K, 2)) * [40, 100]
BODY[0] = (-40, 100)
BODY[9] = (40, -100)


def person(x, y=200.0, score=0.9, box=None):
    keypoints = BODY + np.array([x, y])
    return Pose(keypoints, np.full(K, float(score)), box or Box((x, y), 250.0), LSP14)


def follow(tracker, frames, start=0):
    """Return the ids of each frame's people, in their order in `frames`; None for people without an id."""
    rng = np.random.default_rng(1)
    frame_ids = []
    for number, poses in enumerate(frames, start):
        order = rng.permutation(len(poses))
        tracked = tracker.update([poses[i] for i in order], number / FPS)
        ids = {id(person.pose): person.id for person in tracked}
        frame_ids.append([ids.get(id(pose)) for pose in poses])
    return frame_ids


def test_ids_do_not_depend_on_the_order():
    frames = [[person(100 + 3 * t), person(400 - 2 * t), person(700, 300 + t)] for t in range(20)]
    ids_by_frame = follow(Tracker(), frames)
    assert sorted(ids_by_frame[0]) == [1, 2, 3]
    assert all(ids == ids_by_frame[0] for ids in ids_by_frame)


def test_people_who_cross_keep_their_ids():
    # 200 px/s towards each other; where they meet, one hides the other.
    frames = [[person(100 + 8 * t), person(420 - 8 * t, 215)] for t in range(41)]
    ids_by_frame = follow(Tracker(), frames)
    apart = [ids for t, ids in enumerate(ids_by_frame) if abs(320 - 16 * t) > 60]
    assert all(ids == ids_by_frame[0] for ids in apart) and None not in ids_by_frame[0]


def test_motion_distinguishes_people():
    # In one step each moves to the place of the other.
    ids_by_frame = follow(Tracker(), [[person(100 + 30 * t), person(430 - 30 * t)] for t in range(12)])
    assert None not in ids_by_frame[0] and ids_by_frame == [ids_by_frame[0]] * 12


def test_a_person_hidden_while_crossing_keeps_the_id():
    frames = [[person(100 + 8 * t), *([] if 14 <= t < 26 else [person(420 - 8 * t)])] for t in range(41)]
    ids_by_frame = follow(Tracker(), frames)
    first, second = ids_by_frame[0]
    assert {first, second} == {1, 2}
    assert all(ids[0] == first for ids in ids_by_frame)
    assert all(ids[1] == second for ids in ids_by_frame if len(ids) == 2)


def test_a_person_missed_for_some_frames_keeps_the_id():
    tracker = Tracker(keep=10)
    (first,) = follow(tracker, [[person(100)], [person(104)], [person(108)]])[0]
    follow(tracker, [[]] * 10, start=3)
    assert tracker.lost == [first]
    assert follow(tracker, [[person(150)]], start=13) == [[first]]
    assert tracker.lost == []


def test_ids_are_forgotten_after_the_kept_frames():
    tracker = Tracker(keep=10)
    assert follow(tracker, [[person(100)]]) == [[1]]
    follow(tracker, [[]] * 11, start=1)
    assert tracker.lost == []
    assert follow(tracker, [[person(100)]], start=12) == [[2]]


def test_a_person_who_leaves_and_returns_keeps_the_id():
    tracker = Tracker()
    width = 640
    walk = [560 + 8 * t for t in range(12)]  # leaves the image on the right
    follow(tracker, [[person(100), person(x)] for x in walk])
    follow(tracker, [[person(100)]] * 8, start=12)
    assert tracker.lost == [2]
    present, absent = tracker.boxes((width, 400), 20 / FPS)
    assert present.centre[0] == pytest.approx(100, abs=1)
    assert absent.centre[0] == width - 1
    assert follow(tracker, [[person(100), person(600)]], start=20) == [[1, 2]]


def test_a_newcomer_far_from_lost_people_gets_a_new_id():
    tracker = Tracker()
    follow(tracker, [[person(100)], []])
    assert follow(tracker, [[person(900)]], start=2) == [[2]]


def test_people_just_seen_are_matched_before_lost_ones():
    # The tolerance for the lost person has grown to include the place of the other.
    tracker = Tracker()
    follow(tracker, [[person(100), person(220)]])
    ids_by_frame = follow(tracker, [[person(100 + 5 * t)] for t in range(1, 25)], start=1)
    assert ids_by_frame == [[1]] * 24


def test_two_poses_of_one_person_are_one():
    tracker = Tracker()
    ids_by_frame = follow(tracker, [[person(100), person(103, score=0.8)], [person(101, score=0.7), person(100)]])
    assert ids_by_frame == [[1, None], [None, 1]]


def test_boxes_move_ahead_with_people():
    tracker = Tracker()
    follow(tracker, [[person(100 + 10 * t)] for t in range(15)])
    (box,) = tracker.boxes((1000, 500), 15 / FPS)
    assert box.centre == pytest.approx((250, 200), abs=1.0)
    assert box.side == pytest.approx(1.25 * 200)


def test_joints_that_are_not_sure_do_not_move_the_box():
    tracker = Tracker()
    follow(tracker, [[person(100)]] * 3)
    odd = person(100)
    odd.keypoints[[0, 1]] = (900.0, 900.0)
    odd.scores[[0, 1]] = 0.01
    odd.keypoints[2] = np.nan
    assert follow(tracker, [[odd]], start=3) == [[1]]
    (box,) = tracker.boxes((1000, 1000), 4 / FPS)
    assert box.centre == pytest.approx((100, 200), abs=1)
    assert box.side == pytest.approx(250, rel=0.01)


def test_a_drop_of_the_score_is_not_confident():
    tracker = Tracker()
    confident = []
    for t, score in enumerate([0.9, 0.9, 0.9, 0.3, 0.9]):
        confident += [tracked.confident for tracked in tracker.update([person(100, score=score)], t / FPS)]
    assert confident == [True, True, True, False, True]


def test_few_sure_joints_are_not_confident_but_followed():
    tracker = Tracker()
    follow(tracker, [[person(100)]])
    half_hidden = person(110)
    half_hidden.scores[4:] = 0.01
    (tracked,) = tracker.update([half_hidden], 1 / FPS)
    assert (tracked.id, tracked.confident) == (1, False)
    assert tracker.boxes((1000, 1000), 2 / FPS)[0].centre[0] > 109


def test_poses_without_sure_joints_start_no_person():
    tracker = Tracker()
    nowhere = person(100)
    nowhere.keypoints[:] = np.nan
    assert tracker.update([person(100, score=0.01), nowhere], 0.0) == []
    assert (tracker.lost, tracker.boxes((10, 10), 1.0), tracker.following) == ([], [], False)


def test_boxes_of_followed_people_start_no_person():
    tracker = Tracker()
    follow(tracker, [[person(100)]])
    (box,) = tracker.boxes((1000, 1000), 1 / FPS)
    assert follow(tracker, [[person(900, box=box)]], start=1) == [[None]]
    assert tracker.lost == [1]
    assert follow(tracker, [[person(900)]], start=2) == [[2]]


def test_skeleton_without_sigmas():
    pose = Pose(np.array([[0.0, 0.0], [50.0, 50.0]]), np.ones(2), Box((25, 25), 60), Skeleton("two", ("a", "b")))
    tracker = Tracker()
    assert [tracker.update([pose], t)[0].id for t in (0.0, 0.1)] == [1, 1]


def test_time_must_rise():
    tracker = Tracker()
    tracker.update([], 1.0)
    with pytest.raises(ValueError, match=r"1\.0"):
        tracker.update([], 1.0)


def test_detections_of_followed_people_are_left_out():
    followed = Box((100, 100), 200)
    detected = [Box((105, 100), 210), Box((100, 100), 100), Box((400, 100), 200)]
    assert new_boxes(detected, [followed]) == detected[1:]
    assert new_boxes(detected, []) == detected


def test_half_hidden_poses_do_not_find_lost_people_again():
    tracker = Tracker()
    follow(tracker, [[person(100)], [], []])
    half_hidden = person(150)
    half_hidden.scores[4:] = 0.01
    (tracked,) = tracker.update([half_hidden], 3 / FPS)
    assert (tracked.id, tracked.confident) == (1, False)
    assert tracker.boxes((1000, 1000), 4 / FPS)[0].centre[0] == pytest.approx(100)
