"""Training a network that finds people: what a batch costs, and how well it finds those whom it has not seen."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from posekit.heatmaps import STRIDE
from posekit.losses import HeatmapLoss
from posekit.losses.anchor import hard_pixels
from posekit.metrics import box_average_precision
from posekit.tasks.person_finder.centres import decode_centres, encode_centres
from posekit.tasks.person_finder.scenes import SceneBatch
from posekit.training.running_sums import mean_sums, share_sums
from posekit.training.validation import gather_validated

_LEAST = 0.05  # peaks below this say nothing of whether someone is there


class CentresTask:
    """Heatmaps of people's middles under a heatmap loss (a `posekit.training.engine.Task`).

    Parameters
    ----------
    loader : DataLoader
        Training batches (`posekit.tasks.person_finder.scenes.SceneBatch`).
    valid_loader : DataLoader
        Scenes of other people.
    prepare : callable
        (B, S, S, 3) uint8 scenes -> the network's input; see `posekit.models.normalise`.
    sizes : sequence of float
        Of the network's maps; see `posekit.tasks.person_finder.centres`.
    loss : HeatmapLoss
    """

    metric, lower_is_better = "AP50", False

    def __init__(
        self,
        *,
        loader: DataLoader,
        valid_loader: DataLoader,
        prepare: Callable[[Tensor], Tensor],
        sizes: Sequence[float],
        loss: HeatmapLoss,
    ):
        self.loader, self.valid_loader, self.prepare = loader, valid_loader, prepare
        self.sizes, self.criterion = sizes, loss

    def loss(self, model: nn.Module, batch: SceneBatch, epoch: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss of a batch; tallies of it, and of what is hard, in percent of the pixels of maps with people."""
        target = encode_centres(batch.people, self.sizes, size=batch.images.shape[1] // STRIDE)
        output = model(self.prepare(batch.images))[-1]
        loss, counted = self.criterion(output, target), torch.tensor(target.shape[:2].numel(), device=target.device)
        hard, negatives = hard_pixels(output.detach(), target, torch.ones(target.shape[:2], dtype=torch.bool, device=target.device))
        return loss, {"loss": mean_sums(loss, counted), "hard_pixels": share_sums(hard, negatives)}

    @torch.inference_mode()
    def evaluate(self, model: nn.Module, check_stop: Callable[[], None]) -> dict[str, float]:
        """Average precision and recall of the square boxes of the people in the validation scenes.

        Raises
        ------
        DataError
            If more than 1 % of the people cannot be read.
        """
        model.eval()
        device = next(model.parameters()).device

        def find(batches):
            for batch in batches:
                check_stop()
                maps = model.activate(model(self.prepare(batch.images.to(device)))[-1])
                people = [theirs[~np.isnan(theirs[:, 0])] for theirs in batch.people.numpy()]
                yield [decode_centres(each, self.sizes, least=_LEAST) for each in maps], people, batch.failures

        parts = [part[:2] for part in gather_validated(self.valid_loader, find)]
        found, truths = ([each for part in kind for each in part] for kind in zip(*parts, strict=True))
        return box_average_precision(found, truths)
