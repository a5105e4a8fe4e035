"""Loss of a batch of people, and its running sums."""

import pytest
import torch

from posekit.data.crops import Batch
from posekit.heatmaps import encode
from posekit.losses import OHKM, HeatmapBCE, HeatmapMSE
from posekit.tasks.pose.task import PoseTask

B, K, SIZE = 2, 3, 32
MAP = SIZE // 4


@pytest.fixture
def batch():
    joints = torch.tensor([[[9.5, 9.5], [21.5, 9.5], [13.5, 21.5]]]).repeat(B, 1, 1)
    labelled = torch.tensor([[True, True, False], [True, True, True]])
    return Batch(torch.zeros(B, SIZE, SIZE, 3, dtype=torch.uint8), joints, labelled, torch.ones(B, 3), torch.arange(B))


@pytest.fixture
def task():
    return PoseTask(
        loader=None, valid_loader=None, valid_people=None, prepare=lambda images, channel_gains_B3: images.float(),
        encode=lambda joints, labelled: encode(joints, labelled, size=MAP), criterion=HeatmapBCE(),
        warmup_criterion=HeatmapMSE(), warmup_epochs=1,
    )  # fmt: skip


def outputs(batch):
    """Two stacks. First: every pixel is hard. Last: two pixels of a labelled joint and one of an unlabelled joint are hard."""
    target = encode(batch.joints, batch.labelled, size=MAP)
    first = torch.where(target > 0, -5.0, 5.0)
    last = torch.where(target > 0, 0.0, -5.0)
    last[0, 1, 7, 0] = last[0, 1, 7, 1] = 3.0
    last[0, 2, 7, 0] = 3.0
    return [first, last], target


def test_hard_pixels_and_joints_are_those_of_the_last_stack_and_labelled_joints(task, batch):
    maps, target = outputs(batch)
    loss, sums = task.loss(lambda images: maps, batch, epoch=1)
    negatives = int((target == 0)[batch.labelled].sum())
    assert sums["hard_pixels"].tolist() == [200.0, negatives]
    assert sums["hard_joints"].tolist() == [100.0, 5.0]
    torch.testing.assert_close(loss, HeatmapBCE()(maps, target, batch.labelled))


@pytest.mark.parametrize(("loss", "joints"), [(HeatmapBCE(), 5), (OHKM(HeatmapBCE(), 2), 4), (OHKM(HeatmapBCE(), 9), 5)])
def test_the_divisor_of_the_loss_is_the_number_of_joints_that_count(task, batch, loss, joints):
    task.criterion = loss
    maps, target = outputs(batch)
    mean, sums = task.loss(lambda images: maps, batch, epoch=1)
    total, counted = sums["loss"].tolist()
    assert counted == joints
    assert total == pytest.approx(joints * mean.item())
    loss.reduction = "sum"
    getattr(loss, "base", loss).reduction = "sum"
    assert loss(maps, target, batch.labelled).item() == pytest.approx(total * MAP**2, rel=1e-5)


def test_the_first_epochs_use_the_loss_of_the_warm_up(task, batch):
    maps, target = outputs(batch)
    torch.testing.assert_close(task.loss(lambda images: maps, batch, epoch=0)[0], HeatmapMSE()(maps, target, batch.labelled))
