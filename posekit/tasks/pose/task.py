"""Pose estimation task: the loss of a batch, and the evaluation on the validation people."""

from collections.abc import Callable
from dataclasses import dataclass
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
from posekit.scoring.io.predictions import Predictions
from posekit.scoring.score import score
from posekit.training.task import gather_validated, mean_sums, share_sums


@dataclass(eq=False)
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
    criterion, warmup_criterion : HeatmapLoss
        Loss of the training, and loss of the first `warmup_epochs` epochs.
    warmup_epochs : int
    """

    loader: DataLoader
    valid_loader: DataLoader
    valid_people: People
    prepare: Callable[..., Tensor]
    encode: Callable[[Tensor, Tensor], Tensor]
    criterion: HeatmapLoss
    warmup_criterion: HeatmapLoss
    warmup_epochs: int

    metric = "pck"
    lower_is_better = False

    def loss(self, model: nn.Module, batch: Batch, epoch: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute the loss, summed over the stacks, and count the hard pixels and hard joints of the last stack."""
        criterion = self.warmup_criterion if epoch < self.warmup_epochs else self.criterion
        target = self.encode(batch.joints, batch.labelled)
        outputs = model(self.prepare(batch.images, channel_gains_B3=batch.channel_gains))
        loss = criterion(outputs, target, batch.labelled)
        joints = batch.labelled.sum(1)
        if isinstance(criterion, OHKM):
            joints = joints.clamp(max=criterion.top)
        hard, negatives = hard_pixels(outputs[-1].detach(), target, batch.labelled)
        return loss, {
            "loss": mean_sums(loss, joints.sum()),
            "hard_pixels": share_sums(hard, negatives),
            "hard_joints": share_sums(hard > 0, negatives > 0),
        }

    @torch.inference_mode()
    def evaluate(self, model: nn.Module, check_stop: Callable[[], None]) -> dict[str, float]:
        """Compute PCK of all joints and of each joint group; heatmaps are decoded with the quarter offset."""
        people = self.valid_people
        hourglass = cast(StackedHourglass, model.eval())
        device = next(model.parameters()).device

        def predict(images: Tensor) -> tuple[Tensor, Tensor]:
            check_stop()
            last_output = hourglass(self.prepare(images.to(device)))[-1]
            return decode(hourglass.activate(last_output))

        joints = np.full_like(people.joints, np.nan)
        for index, points, _, _ in gather_validated(self.valid_loader, lambda batches: predict_batches(batches, people, predict)):
            joints[index] = points
        no_scores = np.full(people.labelled.shape, np.nan)
        scores = score(people, Predictions(joints, no_scores, np.arange(len(people)), people.skeleton))
        return {"pck": scores.pooled_mean} | {f"pck_{group.lower()}": value for group, value in scores.groups.items()}
