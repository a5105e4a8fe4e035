"""Samples and batches check their fields, and move between processes and devices."""

import pickle
from multiprocessing.reduction import ForkingPickler

import numpy as np
import pytest
import torch

from posekit.data.batch import Batch
from posekit.data.sample import Failure, Sample

TENSORS = ("images", "joints", "labelled", "channel_gains", "index")


def sample(**changes):
    fields = {
        "image": np.zeros((8, 8, 3), dtype=np.uint8),
        "joints": np.zeros((5, 2), dtype=np.float32),
        "labelled": np.ones(5, dtype=bool),
        "index": 7,
    }
    return Sample(**fields | changes)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"image": np.zeros((8, 8), dtype=np.uint8)}, r"image: expected \(S, S, 3\), got \(8, 8\)"),
        ({"image": np.zeros((3, 8, 8), dtype=np.uint8)}, r"image: expected \(S, S, 3\), got \(3, 8, 8\)"),
        ({"image": np.zeros((8, 9, 3), dtype=np.uint8)}, r"image: expected \(S, S, 3\), got \(8, 9, 3\)"),
        ({"image": np.zeros((8, 8, 3))}, "image: expected uint8, got float64"),
        ({"joints": np.zeros((6, 2), dtype=np.float32)}, r"joints: expected \(5, 2\), got \(6, 2\)"),
        ({"joints": np.zeros((5, 2))}, "joints: expected float32, got float64"),
        ({"labelled": np.ones(5, dtype=np.uint8)}, "labelled: expected bool, got uint8"),
    ],
)
def test_samples_check_their_fields(change, message):
    assert sample().index == 7
    with pytest.raises(ValueError, match=message):
        sample(**change)


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
