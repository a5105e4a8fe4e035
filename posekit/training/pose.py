"""Training a pose model: what a batch costs, and how well the model does on people it has not seen."""

from collections.abc import Callable

import numpy as np
import torch
from accelerate.utils import gather_object
from torch import Tensor, nn
from torch.utils.data import DataLoader
from tqdm.auto import tqdm

from posekit.geometry import Crop
from posekit.heatmaps import decode
from posekit.losses import HeatmapLoss
from posekit.sample import People


class PoseTask:
    """Heatmap regression under any heatmap loss (a `posekit.training.engine.Task`).

    Parameters
    ----------
    loader : DataLoader
        Training batches (`posekit.sample.Batch`).
    valid_loader : DataLoader
        Plain crops of `valid_people`, each once.
    valid_people : People
    size : int
        Side of the crops in pixels.
    prepare : callable
        (B, S, S, 3) uint8 crops -> the network's input.
    encode : callable
        Joints (B, K, 2) in crop pixels and labelled (B, K) -> target maps.
    loss : HeatmapLoss
    warmup_loss : HeatmapLoss
        Used during the first `warmup_epochs`.
    warmup_epochs : int
    score : callable
        Predicted joints (N, K, 2), image pixels, NaN where a photograph could not be read -> figures.
    metric : str
        The figure that decides which weights are best.
    """

    def __init__(
        self,
        *,
        loader: DataLoader,
        valid_loader: DataLoader,
        valid_people: People,
        size: int,
        prepare: Callable[[Tensor], Tensor],
        encode: Callable[[Tensor, Tensor], Tensor],
        loss: HeatmapLoss,
        warmup_loss: HeatmapLoss,
        warmup_epochs: int,
        score: Callable[[np.ndarray], dict[str, float]],
        metric: str,
    ):
        self.loader, self.valid_loader, self.valid_people, self.size = loader, valid_loader, valid_people, size
        self.prepare, self.encode, self.score, self.metric = prepare, encode, score, metric
        self.losses, self.warmup_epochs = {True: warmup_loss, False: loss}, warmup_epochs

    def loss(self, model: nn.Module, batch, epoch: int) -> Tensor:
        """Loss of a batch, summed over the stacks."""
        target = self.encode(batch.joints, batch.labelled)
        return self.losses[epoch < self.warmup_epochs](model(self.prepare(batch.images)), target, batch.labelled)

    @torch.inference_mode()
    def evaluate(self, model: nn.Module, check_stop: Callable[[], None]) -> dict[str, float]:
        """Score the model's plain predictions (one crop each, quarter offset) on the validation people."""
        model.eval()
        device = next(model.parameters()).device
        found = []
        for batch in tqdm(self.valid_loader, desc="validation", unit="batch", leave=False, dynamic_ncols=True):
            check_stop()
            if len(batch):
                maps = model.activate(model(self.prepare(batch.images.to(device)))[-1])
                found.append((batch.index.numpy(), decode(maps)[0].double().cpu().numpy()))
        return self.score(self._in_images(gather_object(found)))

    def _in_images(self, found: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
        joints = np.full_like(self.valid_people.joints, np.nan)
        for indices, in_crops in found:
            for index, points in zip(indices, in_crops, strict=True):
                joints[index] = Crop(self.valid_people[int(index)].box, self.size).inverse(points)
        return joints
