"""Person finder task: the loss of a batch, and the average precision on the validation scenes."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from posekit.heatmaps import STRIDE
from posekit.losses import HeatmapLoss
from posekit.losses.anchor import hard_pixels
from posekit.metrics import box_average_precision
from posekit.models import StackedHourglass
from posekit.tasks.person_finder.finder import decode_centres, encode_centres
from posekit.tasks.person_finder.scenes import SceneBatch, known_people
from posekit.training.task import gather_validated, mean_sums, share_sums


@dataclass(eq=False)
class CentresTask:
    """Predict heatmaps of the centres of people, with any heatmap loss (implements `posekit.training.task.Task`).

    Parameters
    ----------
    loader : DataLoader
        Training batches (`posekit.tasks.person_finder.scenes.SceneBatch`).
    valid_loader : DataLoader
        Validation batches: scenes with people who are not in the training scenes.
    prepare : callable
        Converts (B, S, S, 3) uint8 scenes to the network input, see `posekit.models.normalise`.
    sizes : sequence of float
        Size in pixels of the people in each heatmap; see `posekit.tasks.person_finder.finder`.
    criterion : HeatmapLoss
    """

    loader: DataLoader
    valid_loader: DataLoader
    prepare: Callable[[Tensor], Tensor]
    sizes: Sequence[float]
    criterion: HeatmapLoss

    metric = "AP50"
    lower_is_better = False

    def loss(self, model: nn.Module, batch: SceneBatch, epoch: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute the loss, and count the hard pixels."""
        target = encode_centres(batch.people, self.sizes, size=batch.images.shape[1] // STRIDE)
        output = model(self.prepare(batch.images))[-1]
        loss = self.criterion(output, target)
        all_maps = torch.ones(target.shape[:2], dtype=torch.bool, device=target.device)
        hard, negatives = hard_pixels(output.detach(), target, all_maps)
        return loss, {"loss": mean_sums(loss, all_maps.sum()), "hard_pixels": share_sums(hard, negatives)}

    @torch.inference_mode()
    def evaluate(self, model: nn.Module, check_stop: Callable[[], None]) -> dict[str, float]:
        """Compute the average precision and recall of the square bounding boxes of people."""
        hourglass = cast(StackedHourglass, model.eval())
        device = next(model.parameters()).device

        def predict(batches: Iterable[SceneBatch]) -> Iterator[tuple]:
            for batch in batches:
                check_stop()
                output = hourglass(self.prepare(batch.images.to(device)))[-1]
                predicted = [decode_centres(maps, self.sizes, least=0.05) for maps in hourglass.activate(output)]
                yield predicted, known_people(batch), batch.failures

        predicted = []
        truth = []
        for batch_predicted, batch_truth, _ in gather_validated(self.valid_loader, predict):
            predicted += batch_predicted
            truth += batch_truth
        return box_average_precision(predicted, truth)
