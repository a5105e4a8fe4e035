"""Batches: order, resuming, failures that are named."""

import numpy as np
import pytest
import torch

from posekit.datasets.augment import Ranges
from posekit.datasets.loader import CropDataset, EpochBatches, collate, make_loader
from posekit.opencv import cv2
from posekit.sample import People
from posekit.skeletons import LSP14


@pytest.fixture
def people(tmp_path):
    """Five people, one photograph each; the fourth's is missing, the fifth's box is outside."""
    rng = np.random.default_rng(0)
    paths = [str(tmp_path / f"{i}.png") for i in range(5)]
    for path in paths[:3] + paths[4:]:
        assert cv2.imwrite(path, rng.integers(0, 256, (60, 80, 3), dtype=np.uint8))
    n = len(paths)
    labelled = np.ones((n, 14), dtype=bool)
    centres = np.full((n, 2), 30.0)
    centres[4] = 5000
    return People(
        name="five", split="all", skeleton=LSP14, images=np.array(paths), joints=rng.uniform(5, 50, (n, 14, 2)),
        labelled=labelled, visible=labelled, centres=centres, sides=np.full(n, 50.0),
        head_sizes=np.full(n, np.nan), box_source="test",
    )  # fmt: skip


def test_batch_holds_the_good_and_names_the_bad(people):
    dataset = CropDataset(people, size=32)
    batch = collate([dataset[i] for i in range(5)])
    assert batch.images.shape == (3, 32, 32, 3)
    assert batch.joints.shape == (3, 14, 2)
    assert batch.index.tolist() == [0, 1, 2]
    assert [failure.index for failure in batch.failures] == [3, 4]
    assert "person 3" in batch.failures[0].message
    assert "3.png: no such image" in batch.failures[0].message
    assert "wholly outside" in batch.failures[1].message


def test_batch_of_nothing(people):
    dataset = CropDataset(people, size=32)
    batch = collate([dataset[3]])
    assert len(batch) == 0
    assert len(batch.failures) == 1
    assert len(batch.to("cpu")) == 0


def test_augmentation_depends_on_seed_epoch_and_person_alone(people):
    dataset = CropDataset(people, size=32, ranges=Ranges(), seed=3)
    first, _, again = dataset[2, 1], dataset[1, 0], dataset[2, 1]
    np.testing.assert_array_equal(first.image, again.image)
    assert not np.array_equal(first.image, dataset[3, 1].image)
    other = CropDataset(people, size=32, ranges=Ranges(), seed=4)
    assert not np.array_equal(first.image, other[2, 1].image)


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_workers_do_not_change_the_batches(people, workers):
    dataset = CropDataset(people, size=32, ranges=Ranges(), seed=3)
    batches = EpochBatches(5, 2, seed=1, shuffle=True)
    batches.epoch = 4
    loaded = list(make_loader(dataset, batches, workers=workers))
    direct = [collate([dataset[key] for key in keys]) for keys in batches]
    for got, want in zip(loaded, direct, strict=True):
        assert torch.equal(got.images, want.images)
        assert torch.equal(got.index, want.index)


def test_epoch_can_start_at_any_batch():
    whole = EpochBatches(23, 4, seed=1, shuffle=True)
    whole.epoch = 2
    rest = EpochBatches(23, 4, seed=1, shuffle=True)
    rest.epoch, rest.start = 2, 3
    assert list(rest) == list(whole)[3:]
    assert len(rest) == len(whole) - 3 == 2
    whole.epoch = 3
    assert list(rest) != list(whole)[3:]


def test_shuffled_epoch_leaves_out_its_incomplete_batch():
    batches = list(EpochBatches(23, 4, seed=0, shuffle=True))
    assert [len(batch) for batch in batches] == [4] * 5
    assert len({index for batch in batches for _, index in batch}) == 20
    assert [len(batch) for batch in EpochBatches(3, 4, seed=0, shuffle=True)] == [3]


@pytest.mark.parametrize("world", [1, 2, 3])
def test_processes_share_the_people(world):
    parts = [list(EpochBatches(23, 4, rank=rank, world=world)) for rank in range(world)]
    seen = sorted(index for part in parts for batch in part for _, index in batch)
    assert seen == list(range(23))
    assert len({len(part) for part in parts}) == 1  # every process takes the same number of steps
