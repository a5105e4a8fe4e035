"""Training a classifier: what a batch costs, and how well the model does on images it has not seen."""

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
    """Classification under any classifier's loss (a `posekit.training.engine.Task`).

    Parameters
    ----------
    loader : DataLoader
        Training batches (`ImageBatch`).
    valid_loader : DataLoader
        Plain validation images, each once.
    prepare : callable
        (B, S, S, 3) uint8 images -> the network's input; see `posekit.models.normalise`.
    loss : ClassificationLoss
    score : callable
        (N, C) logits of the validation images, NaN where one could not be read -> figures.
    metric : str
        The figure that decides which weights are best: the lowest.
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
        self.loader, self.valid_loader, self.prepare = loader, valid_loader, prepare
        self.criterion, self.score, self.metric = loss, score, metric

    def loss(self, model: nn.Module, batch: ImageBatch, epoch: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss of a batch, shifted and mirrored; tallies of it, and of the hard images in percent."""
        self.criterion.set_epoch(epoch)
        logits = model(self.prepare(shift_and_mirror(batch.images, batch.shifts, batch.mirrored)))
        loss, known = self.criterion(logits, batch.labels), batch.labels != IGNORED
        counted = self.criterion.kept(known.sum()) if isinstance(self.criterion, OHEM) else known.sum()
        return loss, {
            "loss": mean_sums(loss, counted),
            "hard_images": share_sums(hard_images(logits.detach(), batch.labels) & known, known),
        }

    @torch.inference_mode()
    def evaluate(self, model: nn.Module, check_stop: Callable[[], None]) -> dict[str, float]:
        """Score the model on the validation images as they are.

        Raises
        ------
        DataError
            If more than 1 % of them cannot be read.
        """
        model.eval()
        device = next(model.parameters()).device

        def predict(images: Tensor) -> Tensor:
            check_stop()
            return model(self.prepare(images.to(device)))

        found = gather_validated(self.valid_loader, lambda batches: classify_batches(batches, predict))
        index, logits = (np.concatenate(parts) for parts in list(zip(*found, strict=True))[:2])
        return self.score(logits[np.argsort(index)])


def hard_images(logits: Tensor, labels: Tensor) -> Tensor:
    """Which images are hard: a wrong class scores above the true one (figure 6 of the paper).

    Parameters
    ----------
    logits : (B, C)
    labels : (B,) int64
        True classes; what is said of an `IGNORED` one means nothing.

    Returns
    -------
    (B,) bool
    """
    true = labels.clamp_min(0).unsqueeze(1)
    return logits.scatter(1, true, -torch.inf).amax(1) > logits.gather(1, true).squeeze(1)
