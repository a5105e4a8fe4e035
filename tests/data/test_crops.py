"""Crops in batches: order, resuming, failures, moves between processes and devices."""

import itertools
import os
import pickle
import signal
import subprocess
import sys
from multiprocessing.reduction import ForkingPickler

import numpy as np
import pytest
import torch

from posekit.data import augment
from posekit.data.augment import AugmentConfig, apply
from posekit.data.crops import (
    Batch,
    CropDataset,
    EpochBatches,
    Failure,
    PyramidDataset,
    collate,
    make_loader,
    predict_batches,
    require_few_failures,
)
from posekit.errors import DataError
from posekit.geometry import Box, Crop
from posekit.images import cv2
from posekit.skeletons import LSP14
from tests.fixtures.people import make_people


@pytest.fixture
def people(tmp_path):
    """Five people in an image each; the fourth's image is missing, the fifth's box is outside."""
    rng = np.random.default_rng(0)
    paths = [str(tmp_path / f"{i}.png") for i in range(5)]
    for path in paths[:3] + paths[4:]:
        assert cv2.imwrite(path, rng.integers(0, 256, (60, 80, 3), dtype=np.uint8))
    centres = np.full((5, 2), 30.0)
    centres[4] = 5000
    return make_people(image_paths=np.array(paths), joints=rng.uniform(5, 50, (5, 14, 2)), centres=centres, sides=np.full(5, 50.0))


def test_failed_samples_are_named_and_blank(people):
    dataset = CropDataset(people, size=32)
    batch = collate([dataset[i] for i in range(5)])
    assert batch.images.shape == (5, 32, 32, 3)
    assert batch.joints.shape == (5, 14, 2)
    assert batch.index.tolist() == [0, 1, 2, 3, 4]
    assert batch.images[:3].float().mean((1, 2, 3)).min() > 0
    assert batch.labelled[:3].all()
    assert not batch.images[3:].any()
    assert not batch.labelled[3:].any()
    assert [failure.index for failure in batch.failures] == [3, 4]
    assert batch.failures[0].message.startswith(f"person 3: {people.image_paths[3]}: ")
    assert batch.failures[1].message.startswith(f"person 4: {people.image_paths[4]}: ")
    assert "(5000, 5000) and side 50" in batch.failures[1].message


def blob_offset(sample, joint, radius):
    """Position of the bright blob around a joint, relative to the joint, in crop pixels."""
    y, x = np.mgrid[: len(sample.image), : len(sample.image)]
    weights = (np.hypot(x - joint[0], y - joint[1]) < radius) * sample.image[..., 0].astype(float)
    return np.array([(weights * x).sum(), (weights * y).sum()]) / weights.sum() - joint


@pytest.mark.parametrize("size, reduction", [(512, 1), (192, 2), (96, 4)])
def test_a_large_image_is_decoded_reduced_and_joints_stay_in_place(tmp_path, monkeypatch, size, reduction):
    image = np.zeros((901, 1203, 3), np.uint8)  # incomplete pixels at the edge must not shift anything
    joints = np.array([[330 + 40 * k, 250 + 30 * k] for k in range(14)])
    for x, y in joints:
        image[y - 12 : y + 13, x - 12 : x + 13] = 255
    path = str(tmp_path / "large.jpg")
    cv2.imwrite(path, image, [cv2.IMWRITE_JPEG_QUALITY, 100])
    person = make_people(
        image_paths=np.array([path]),
        joints=joints[None].astype(float),
        centres=np.array([[600.0, 450.0]]),
        sides=np.array([800.0]),
    )
    dataset = CropDataset(person, size=size, ranges=AugmentConfig(scale=0.2))
    shapes = []

    def apply_and_record(image, *arguments, **options):
        shapes.append(image.shape)
        return apply(image, *arguments, **options)

    monkeypatch.setattr(augment, "apply", apply_and_record)
    samples = [dataset[epoch, 0] for epoch in range(8)]
    assert set(shapes) == {(-(-901 // reduction), -(-1203 // reduction), 3)}
    CropDataset(dataset.people, size=size)[0]
    assert shapes[-1] == image.shape  # evaluation crops the whole image
    for epoch, sample in enumerate(samples):
        crop = augment.draw(np.random.default_rng([0, epoch, 0]), dataset.ranges).crop(dataset.people[0].box, size)
        order = crop.joint_order(LSP14.flip_order)
        np.testing.assert_allclose(crop.inverse(sample.joints)[order], joints, atol=1e-2)
        offsets = [blob_offset(sample, joint, 20 * size / crop.box.side) for joint in sample.joints]
        assert np.abs(np.mean(offsets, 0)).max() < 0.06


def test_an_empty_batch():
    batch = collate([])
    assert len(batch) == 0
    assert batch.failures == ()
    assert len(batch.to("cpu")) == 0


def predict_all(loader, people, predict):
    """Concatenate the index, points, scores and failures of all batches."""
    index, points, scores, failures = zip(*predict_batches(loader, people, predict), strict=True)
    return np.concatenate(index), np.concatenate(points), np.concatenate(scores), sum(failures, ())


def test_predictions_are_in_image_pixels_and_nan_for_failures(people):
    loader = make_loader(CropDataset(people, size=32), EpochBatches(5, 2))

    def predict(images):
        return torch.full((len(images), 14, 2), 15.5), torch.full((len(images), 14), 0.5)  # the crop's middle

    _, joints, scores, failures = predict_all(loader, people, predict)
    np.testing.assert_allclose(joints[:3], 30.0)  # the box's centre
    assert np.isnan(joints[3:]).all()
    assert np.isnan(scores[3:]).all()
    assert (scores[:3] == 0.5).all()
    assert [failure.index for failure in failures] == [3, 4]


def test_few_failures_are_tolerated_and_many_are_not():
    failures = [Failure(3, "person 3: gone.jpg")]
    require_few_failures(failures, 100, "validation")
    with pytest.raises(DataError, match=r"1 of 99 validation .* 1 %.*gone\.jpg"):
        require_few_failures(failures, 99, "validation")


def test_augmentation_depends_only_on_seed_epoch_and_person(people):
    dataset = CropDataset(people, size=32, ranges=AugmentConfig(), seed=3)
    first = dataset[2, 1]
    dataset[1, 0]
    np.testing.assert_array_equal(dataset[2, 1].image, first.image)
    assert not np.array_equal(first.image, dataset[3, 1].image)
    other = CropDataset(people, size=32, ranges=AugmentConfig(), seed=4)
    assert not np.array_equal(first.image, other[2, 1].image)


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_workers_do_not_change_the_batches(people, workers):
    dataset = CropDataset(people, size=32, ranges=AugmentConfig(), seed=3)
    batches = EpochBatches(5, 2, seed=1, shuffle=True)
    batches.epoch = 4
    loaded = list(make_loader(dataset, batches, workers=workers))
    direct = [collate([dataset[key] for key in keys]) for keys in batches]
    for actual, expected in zip(loaded, direct, strict=True):
        assert torch.equal(actual.images, expected.images)
        assert torch.equal(actual.index, expected.index)


def test_an_epoch_can_start_at_any_batch():
    whole = EpochBatches(23, 4, seed=1, shuffle=True)
    whole.epoch = 2
    rest = EpochBatches(23, 4, seed=1, shuffle=True)
    rest.epoch = 2
    rest.start = 3
    assert list(rest) == list(whole)[3:]
    assert len(rest) == len(whole) - 3 == 2
    whole.epoch = 3
    assert list(rest) != list(whole)[3:]


def test_a_shuffled_epoch_leaves_out_its_incomplete_batch():
    batches = list(EpochBatches(23, 4, seed=0, shuffle=True))
    assert [len(batch) for batch in batches] == [4] * 5
    assert len({index for batch in batches for _, index in batch}) == 20
    assert [len(batch) for batch in EpochBatches(3, 4, seed=0, shuffle=True)] == [3]


@pytest.mark.parametrize("world", [1, 2, 3])
def test_processes_share_the_people(world):
    parts = [list(EpochBatches(23, 4, rank=rank, world=world)) for rank in range(world)]
    batches = itertools.chain(*parts)
    assert sorted(index for batch in batches for _, index in batch) == list(range(23))
    assert len({len(part) for part in parts}) == 1  # every process takes the same number of steps


@pytest.mark.parametrize("world", [2, 3])
def test_processes_together_see_the_batches_of_one_process(world):
    single = list(EpochBatches(23, 2 * world, seed=1, shuffle=True))
    parts = [list(EpochBatches(23, 2, seed=1, shuffle=True, rank=rank, world=world)) for rank in range(world)]
    assert len(single) == 23 // (2 * world)
    for step, batch in enumerate(single):
        assert sorted(itertools.chain(*(part[step] for part in parts))) == sorted(batch)


@pytest.mark.slow
def test_workers_obey_only_the_sigterm_of_their_parent(people):
    loader = make_loader(CropDataset(people, size=32), EpochBatches(5, 1), workers=1)
    batches = iter(loader)
    next(batches)
    (worker,) = batches._workers
    subprocess.run(["kill", "-TERM", str(worker.pid)], check=True)
    assert len(list(batches)) == 4
    assert worker.is_alive()
    os.kill(worker.pid, signal.SIGTERM)
    worker.join(timeout=30)
    assert worker.exitcode == 0


ABANDONED_LOADERS = """
import numpy as np
from posekit.data.crops import EpochBatches, make_loader

class Samples:
    def __getitem__(self, key):
        return []

for loader in [make_loader(Samples(), EpochBatches(9, 1), workers=2) for _ in range(2)]:
    batches = iter(loader)
    next(batches)
print("exiting")
"""


@pytest.mark.slow
def test_a_script_that_abandons_its_loaders_exits_at_once():
    command = [sys.executable, "-c", ABANDONED_LOADERS]
    result = subprocess.run(command, check=True, capture_output=True, text=True, timeout=50)
    assert (result.stdout, result.stderr) == ("exiting\n", "")


def test_a_pyramid_has_crops_of_each_person_at_all_scales(people):
    dataset = PyramidDataset(people, size=32, scales=(0.8, 1.0, 1.3))
    samples = dataset[0, 2]
    for sample, side in zip(samples, (40, 50, 65), strict=True):
        crop = Crop(Box(people[2].box.centre, side), 32)
        np.testing.assert_allclose(sample.joints, crop.forward(people[2].joints), atol=1e-4)
    np.testing.assert_array_equal(samples[1].image, CropDataset(people, size=32)[2].image)
    batch = collate([dataset[i] for i in (2, 3)])
    assert batch.index.tolist() == [2, 2, 2, 3, 3, 3]


def test_several_crops_of_a_person_give_one_prediction_and_one_failure(people):
    dataset = PyramidDataset(people, size=32, scales=(0.9, 1.1))
    loader = make_loader(dataset, EpochBatches(5, 2))

    def predict(images):  # the middle of the base crop, three peaks each
        count = len(images) // 2
        return torch.full((count, 14, 3, 2), 15.5), torch.full((count, 14, 3), 0.5)

    index, points, scores, failures = predict_all(loader, people, predict)
    assert index.tolist() == [0, 1, 2, 3, 4]
    assert points.shape == (5, 14, 3, 2)
    np.testing.assert_allclose(points[:3], 30.0)
    assert np.isnan(points[3:]).all()
    assert np.isnan(scores[3:]).all()
    assert [failure.index for failure in failures] == [3, 4]


# Batches as tensors

TENSORS = ("images", "joints", "labelled", "channel_gains", "index")


def batch(b=2, k=5, size=8, **changes):
    fields = {
        "images": torch.zeros(b, size, size, 3, dtype=torch.uint8),
        "joints": torch.zeros(b, k, 2),
        "labelled": torch.ones(b, k, dtype=torch.bool),
        "channel_gains": torch.ones(b, 3),
        "index": torch.arange(b),
        "failures": (Failure(9, "broken"),),
    }
    return Batch(**fields | changes)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"images": torch.zeros(2, 3, 8, 8, dtype=torch.uint8)}, r"images: expected \(2, S, S, 3\), got \(2, 3, 8, 8\)"),
        ({"images": torch.zeros(3, 8, 8, 3, dtype=torch.uint8)}, r"images: expected \(2, S, S, 3\), got \(3, 8, 8, 3\)"),
        ({"images": torch.zeros(2, 8, 7, 3, dtype=torch.uint8)}, r"images: expected \(2, S, S, 3\), got \(2, 8, 7, 3\)"),
        ({"images": torch.zeros(2, 8, 8, 3)}, "images: expected uint8, got float32"),
        ({"joints": torch.zeros(2, 4, 2)}, r"joints: expected \(2, 5, 2\), got \(2, 4, 2\)"),
        ({"joints": torch.zeros(2, 5, 2, dtype=torch.float64)}, "joints: expected float32, got float64"),
        ({"labelled": torch.ones(2, 5)}, "labelled: expected bool, got float32"),
        ({"channel_gains": torch.ones(2, 4)}, r"channel_gains: expected \(2, 3\), got \(2, 4\)"),
        ({"channel_gains": torch.ones(2, 3, dtype=torch.float64)}, "channel_gains: expected float32, got float64"),
        ({"index": torch.arange(3)}, r"index: expected \(2,\), got \(3,\)"),
        ({"index": torch.zeros(2, dtype=torch.uint64)}, "index: expected int64, got uint64"),
        ({"index": torch.zeros(2, dtype=torch.int32)}, "index: expected int64, got int32"),
    ],
)
def test_batches_check_their_fields(change, message):
    assert len(batch()) == 2
    assert len(batch(0)) == 0
    with pytest.raises(ValueError, match=message):
        batch(**change)


def test_a_batch_moves_to_a_device():
    moved = batch().to("meta")
    assert {getattr(moved, name).device.type for name in TENSORS} == {"meta"}
    assert moved.failures == (Failure(9, "broken"),)


def test_a_batch_is_pickled_between_processes():
    sent = batch(joints=torch.rand(2, 5, 2), channel_gains=torch.rand(2, 3))
    received = pickle.loads(ForkingPickler.dumps(sent))
    for name in TENSORS:
        torch.testing.assert_close(getattr(received, name), getattr(sent, name))
    assert received.failures == sent.failures
