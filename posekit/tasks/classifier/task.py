"""Classification task: the loss of a batch, and the evaluation on the validation images."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from posekit.data.labelled_images import LabelledImages
from posekit.losses import OHEM, ClassificationLoss
from posekit.tasks.classifier.data import IGNORED, ImageBatch, classify_batches, shift_and_mirror
from posekit.tasks.classifier.score import ERROR, score_classes
from posekit.training.task import gather_validated, mean_sums, share_sums


@dataclass(eq=False)
class ClassificationTask:
    """Classification with any classification loss (implements `posekit.training.task.Task`).

    Parameters
    ----------
    loader : DataLoader
        Training batches (`ImageBatch`).
    valid_loader : DataLoader
        Batches of `valid_images` without augmentation, each image once.
    valid_images : LabelledImages
    prepare : callable
        Converts (B, S, S, 3) uint8 images to the network input, see `posekit.models.normalise`.
    criterion : ClassificationLoss
    """

    loader: DataLoader
    valid_loader: DataLoader
    valid_images: LabelledImages
    prepare: Callable[[Tensor], Tensor]
    criterion: ClassificationLoss

    metric = ERROR
    lower_is_better = True

    def loss(self, model: nn.Module, batch: ImageBatch, epoch: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Shift and mirror the images, compute the loss, and count the hard images."""
        self.criterion.set_epoch(epoch)
        images = shift_and_mirror(batch.images, batch.shifts, batch.mirrored)
        logits = model(self.prepare(images))
        loss = self.criterion(logits, batch.labels)
        readable = batch.labels != IGNORED
        count = readable.sum()
        if isinstance(self.criterion, OHEM):
            count = self.criterion.kept(count)
        hard = hard_images(logits.detach(), batch.labels) & readable
        return loss, {"loss": mean_sums(loss, count), "hard_images": share_sums(hard, readable)}

    @torch.inference_mode()
    def evaluate(self, model: nn.Module, check_stop: Callable[[], None]) -> dict[str, float]:
        """Compute the top-1 error, and the top-5 error with more than 10 classes."""
        model.eval()
        device = next(model.parameters()).device

        def predict(images: Tensor) -> Tensor:
            check_stop()
            return model(self.prepare(images.to(device)))

        results = gather_validated(self.valid_loader, lambda batches: classify_batches(batches, predict))
        index = np.concatenate([batch_index for batch_index, _, _ in results])
        logits = np.concatenate([batch_logits for _, batch_logits, _ in results])
        return score_classes(self.valid_images, logits[np.argsort(index)]).figures


def hard_images(logits: Tensor, labels: Tensor) -> Tensor:
    """Find the hard images: those with a wrong class scoring above the true class (figure 6 of the paper).

    Takes (B, C) logits and (B,) labels and returns a (B,) bool tensor, undefined for images with the label `IGNORED`.
    """
    true = labels.clamp_min(0).unsqueeze(1)
    return logits.scatter(1, true, -torch.inf).amax(1) > logits.gather(1, true).squeeze(1)
