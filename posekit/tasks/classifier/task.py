"""Classification task: the loss of a batch, and the evaluation on the validation images."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from posekit.losses import OHEM, ClassificationLoss
from posekit.tasks.classifier.data import IGNORED, ImageBatch, classify_batches, shift_and_mirror
from posekit.training.running_sums import mean_sums, share_sums
from posekit.training.validation import gather_validated


class ClassificationTask:
    """Classification with any classification loss (implements `posekit.training.task.Task`).

    Parameters
    ----------
    loader : DataLoader
        Training batches (`ImageBatch`).
    valid_loader : DataLoader
        Validation batches: each image once, without augmentation.
    prepare : callable
        Converts (B, S, S, 3) uint8 images to the network input, see `posekit.models.normalise`.
    loss : ClassificationLoss
    score : callable
        Computes metrics by name from the (N, C) logits of the validation images; NaN for images that could not be read.
    metric : str
        Name of the metric whose lowest value decides which weights are best.
    """

    lower_is_better = True

    def __init__(
        self,
        *,
        loader: DataLoader,
        valid_loader: DataLoader,
        prepare: Callable[[Tensor], Tensor],
        loss: ClassificationLoss,
        score: Callable[[np.ndarray], dict[str, float]],
        metric: str,
    ):
        self.loader = loader
        self.valid_loader = valid_loader
        self.prepare = prepare
        self.criterion = loss
        self.score = score
        self.metric = metric

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
        """Evaluate a model on the validation images.

        Raises
        ------
        DataError
            If more than 1 % of the images cannot be read.
        """
        model.eval()
        device = next(model.parameters()).device

        def predict(images: Tensor) -> Tensor:
            check_stop()
            return model(self.prepare(images.to(device)))

        results = gather_validated(self.valid_loader, lambda batches: classify_batches(batches, predict))
        index = np.concatenate([batch_index for batch_index, _, _ in results])
        logits = np.concatenate([batch_logits for _, batch_logits, _ in results])
        return self.score(logits[np.argsort(index)])


def hard_images(logits: Tensor, labels: Tensor) -> Tensor:
    """Find the hard images: those with a wrong class scoring above the true class (figure 6 of the paper).

    Parameters
    ----------
    logits : (B, C)
    labels : (B,) int64
        True classes. The result for images with the label `IGNORED` is undefined.

    Returns
    -------
    (B,) bool
        True for hard images.
    """
    true = labels.clamp_min(0).unsqueeze(1)
    return logits.scatter(1, true, -torch.inf).amax(1) > logits.gather(1, true).squeeze(1)
