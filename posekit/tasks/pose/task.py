"""Pose estimation task: the loss of a batch, and the evaluation on the validation people."""

from collections.abc import Callable
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from posekit.data.crops import Batch, predict_batches
from posekit.heatmaps import decode
from posekit.losses import OHKM, HeatmapLoss
from posekit.losses.anchor import hard_pixels
from posekit.models import StackedHourglass
from posekit.people import People
from posekit.training.running_sums import mean_sums, share_sums
from posekit.training.validation import gather_validated


class PoseTask:
    """Pose estimation with any heatmap loss (implements `posekit.training.task.Task`).

    Parameters
    ----------
    loader : DataLoader
        Training batches (`posekit.data.crops.Batch`).
    valid_loader : DataLoader
        Crops of `valid_people` without augmentation, one per person.
    valid_people : People
    prepare : callable
        Converts (B, S, S, 3) uint8 crops to the network input, with the keyword ``channel_gains_B3`` in training; see
        `posekit.models.normalise`.
    encode : callable
        Converts (B, K, 2) joints in crop pixels and their (B, K) labelled mask to target heatmaps.
    loss, warmup_loss : HeatmapLoss
        Loss of the training, and loss of the first `warmup_epochs` epochs.
    warmup_epochs : int
    score : callable
        Computes metrics by name from the predicted (N, K, 2) joints in image pixels; NaN if an image could not be read.
    metric : str
        Name of the metric whose highest value decides which weights are best.
    """

    lower_is_better = False

    def __init__(
        self,
        *,
        loader: DataLoader,
        valid_loader: DataLoader,
        valid_people: People,
        prepare: Callable[..., Tensor],
        encode: Callable[[Tensor, Tensor], Tensor],
        loss: HeatmapLoss,
        warmup_loss: HeatmapLoss,
        warmup_epochs: int,
        score: Callable[[np.ndarray], dict[str, float]],
        metric: str,
    ):
        self.loader = loader
        self.valid_loader = valid_loader
        self.valid_people = valid_people
        self.prepare = prepare
        self.encode = encode
        self.criterion = loss
        self.warmup_criterion = warmup_loss
        self.warmup_epochs = warmup_epochs
        self.score = score
        self.metric = metric

    def loss(self, model: nn.Module, batch: Batch, epoch: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute the loss, summed over the stacks, and count the hard pixels and hard joints of the last stack."""
        criterion = self.warmup_criterion if epoch < self.warmup_epochs else self.criterion
        target = self.encode(batch.joints, batch.labelled)
        outputs = model(self.prepare(batch.images, channel_gains_B3=batch.channel_gains))
        loss = criterion(outputs, target, batch.labelled)
        hard, negatives = hard_pixels(outputs[-1].detach(), target, batch.labelled)
        return loss, {
            "loss": mean_sums(loss, _count_joints(criterion, batch.labelled)),
            "hard_pixels": share_sums(hard, negatives),
            "hard_joints": share_sums(hard > 0, negatives > 0),
        }

    @torch.inference_mode()
    def evaluate(self, model: nn.Module, check_stop: Callable[[], None]) -> dict[str, float]:
        """Evaluate a model on one crop of each validation person; heatmaps are decoded with the quarter offset.

        Raises
        ------
        DataError
            If more than 1 % of the people's images cannot be read.
        """
        hourglass = cast(StackedHourglass, model.eval())
        device = next(model.parameters()).device

        def predict(images: Tensor) -> tuple[Tensor, Tensor]:
            check_stop()
            last_output = hourglass(self.prepare(images.to(device)))[-1]
            return decode(hourglass.activate(last_output))

        joints = np.full_like(self.valid_people.joints, np.nan)
        results = gather_validated(self.valid_loader, lambda batches: predict_batches(batches, self.valid_people, predict))
        for index, points, _, _ in results:
            joints[index] = points
        return self.score(joints)


def _count_joints(criterion: HeatmapLoss, labelled: Tensor) -> Tensor:
    """Count the joints in the denominator of the mean loss."""
    joints = labelled.sum(1)
    if isinstance(criterion, OHKM):
        joints = joints.clamp(max=criterion.top)
    return joints.sum()
