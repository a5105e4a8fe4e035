"""Loss of a batch of labelled images, its running sums, and validation."""

import numpy as np
import pytest
import torch

from posekit.data.crops import EpochBatches, identity_collate, make_loader
from posekit.data.labelled_images import ImageFiles, LabelledImages
from posekit.errors import DataError
from posekit.losses import BCE, OHEM, AnchorLoss, CrossEntropy
from posekit.tasks.classifier.data import IGNORED, ImageBatch, ImageDataset
from posekit.tasks.classifier.task import ClassificationTask, hard_images

LOGITS = torch.tensor([[2.0, 1.0, 0.0], [0.0, 1.0, 2.0], [1.0, 1.0, 0.0], [3.0, 0.0, 0.0]])
LABELS = torch.tensor([0, 1, 1, IGNORED])  # correct, wrong, a tie, unreadable


@pytest.fixture
def batch():
    return ImageBatch(
        torch.zeros(4, 5, 5, 3, dtype=torch.uint8), LABELS, torch.zeros(4, 2, dtype=torch.int64),
        torch.zeros(4, dtype=torch.bool), torch.arange(4),
    )  # fmt: skip


def make_task(loss, valid_loader=None, valid_images=None):
    return ClassificationTask(None, valid_loader, valid_images, prepare=lambda images: images, criterion=loss)


def test_hard_images_score_a_wrong_class_above_the_true_one(batch):
    assert hard_images(LOGITS, LABELS)[:3].tolist() == [False, True, False]
    _, sums = make_task(BCE()).loss(lambda images: LOGITS, batch, epoch=0)
    assert sums["hard_images"].tolist() == [100.0, 3.0]


@pytest.mark.parametrize(("loss", "images"), [(BCE(), 3), (OHEM(CrossEntropy(), 0.5), 2), (OHEM(CrossEntropy(), 1), 3)])
def test_the_divisor_of_the_loss_is_the_number_of_images_that_count(batch, loss, images):
    mean, sums = make_task(loss).loss(lambda pixels: LOGITS, batch, epoch=0)
    total, counted = sums["loss"].tolist()
    assert counted == images
    assert total == pytest.approx(images * mean.item())
    loss.reduction = "sum"
    assert loss(LOGITS, LABELS).item() == pytest.approx(total, rel=1e-5)


def test_the_first_epochs_use_the_loss_of_the_warm_up(batch):
    task = make_task(AnchorLoss(2.0, warmup_epochs=2))
    for epoch, expected in ((0, CrossEntropy()), (1, CrossEntropy()), (2, AnchorLoss(2.0))):
        torch.testing.assert_close(task.loss(lambda images: LOGITS, batch, epoch)[0], expected(LOGITS, LABELS))


def test_images_are_shifted_and_mirrored_before_the_network_sees_them(batch):
    batch.images[0, 2, 1] = 9
    batch.shifts[0] = torch.tensor([1, -1])  # the crop starts one pixel to the right and one pixel above
    batch.mirrored[0] = True
    seen = []
    make_task(BCE()).loss(lambda images: seen.append(images) or LOGITS, batch, epoch=0)
    assert seen[0][0].nonzero()[0].tolist() == [3, 4, 0]


class Network(torch.nn.Linear):
    def forward(self, images):
        return images[:, 0, 0, :2].float()


def test_validation_scores_the_images_in_order():
    """The network predicts class 1 for the images with a green pixel; the batches are in another order."""
    labels = np.array([0, 1, 1, 0, 1, 0])
    pixels = np.zeros((6, 4, 4, 3), np.uint8)
    pixels[:, 0, 0, 1] = labels
    images = LabelledImages("toy", "valid", pixels, labels, ("a", "b"))
    loader = make_loader(ImageDataset(images, size=4), EpochBatches(6, 2, seed=0, shuffle=True), collate=identity_collate)
    checks = []
    assert make_task(BCE(), loader, images).evaluate(Network(1, 1), lambda: checks.append(1)) == {"error": 0}
    assert len(checks) == 3


def test_validation_images_that_cannot_be_read_stop_the_run(tmp_path):
    files = ImageFiles(np.array([str(tmp_path / "gone.jpg")] * 3))
    images = LabelledImages("toy", "valid", files, np.zeros(3, np.int64), ("a", "b"))
    loader = make_loader(ImageDataset(images, size=4), EpochBatches(3, 3), collate=identity_collate)
    with pytest.raises(DataError, match=r"3 of 3 validation .*gone\.jpg"):
        make_task(BCE(), loader, images).evaluate(Network(1, 1), lambda: None)
