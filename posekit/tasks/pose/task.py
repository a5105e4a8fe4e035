"""Training a pose model: what a batch costs, and how well the model does on people it has not seen."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from posekit.data.crops import predict_batches
from posekit.heatmaps import decode
from posekit.losses import OHKM, HeatmapLoss
from posekit.losses.anchor import hard_pixels
from posekit.people import People
from posekit.training.running_sums import mean_sums, share_sums
from posekit.training.validation import gather_validated


class PoseTask:
    """Heatmap regression under any heatmap loss (a `posekit.training.engine.Task`).

    Parameters
    ----------
    loader : DataLoader
        Training batches (`posekit.data.sample.Batch`).
    valid_loader : DataLoader
        Plain crops of `valid_people`, each once.
    valid_people : People
    prepare : callable
        (B, S, S, 3) uint8 crops, and channel_gains_B3 in training -> the network's input; see `posekit.models.normalise`.
    encode : callable
        Joints (B, K, 2) in crop pixels and labelled (B, K) -> target maps.
    loss : HeatmapLoss
    warmup_loss : HeatmapLoss
        Used during the first `warmup_epochs`.
    warmup_epochs : int
    score : callable
        Predicted joints (N, K, 2), image pixels, NaN where a photograph could not be read -> figures.
    metric : str
        The figure that decides which weights are best: the highest.
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
        self.loader, self.valid_loader, self.valid_people = loader, valid_loader, valid_people
        self.prepare, self.encode, self.score, self.metric = prepare, encode, score, metric
        self.losses, self.warmup_epochs = {True: warmup_loss, False: loss}, warmup_epochs

    def loss(self, model: nn.Module, batch, epoch: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss of a batch, summed over the stacks; tallies of it, and of what is hard for the last stack, in percent."""
        criterion, target = self.losses[epoch < self.warmup_epochs], self.encode(batch.joints, batch.labelled)
        outputs = model(self.prepare(batch.images, channel_gains_B3=batch.channel_gains))
        loss, counted = criterion(outputs, target, batch.labelled), _counted(criterion, batch.labelled)
        hard, negatives = hard_pixels(outputs[-1].detach(), target, batch.labelled)
        return loss, {
            "loss": mean_sums(loss, counted),
            "hard_pixels": share_sums(hard, negatives),
            "hard_joints": share_sums(hard > 0, negatives > 0),
        }

    @torch.inference_mode()
    def evaluate(self, model: nn.Module, check_stop: Callable[[], None]) -> dict[str, float]:
        """Score the model's plain predictions (one crop each, quarter offset) on the validation people.

        Raises
        ------
        DataError
            If more than 1 % of them cannot be read.
        """
        model.eval()
        device = next(model.parameters()).device

        def predict(images: Tensor) -> tuple[Tensor, Tensor]:
            check_stop()
            return decode(model.activate(model(self.prepare(images.to(device)))[-1]))

        joints = np.full_like(self.valid_people.joints, np.nan)
        found = gather_validated(self.valid_loader, lambda batches: predict_batches(batches, self.valid_people, predict))
        for index, points, _, _ in found:
            joints[index] = points
        return self.score(joints)


def _counted(loss: HeatmapLoss, labelled: Tensor) -> Tensor:
    """How many joints a loss is the mean over."""
    joints = labelled.sum(1)
    return (joints.clamp(max=loss.top) if isinstance(loss, OHKM) else joints).sum()
