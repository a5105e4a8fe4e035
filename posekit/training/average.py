"""Moving average of a model's weights."""

import copy
import itertools

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

_COUNT = "n_averaged"


class MovingAverage:
    """Exponential moving average of a model's weights and buffers, in `module`; `decay` is the weight of the previous average.

    The first update copies the weights and buffers. PyTorch's `AveragedModel` computes the same and has the same state dict,
    but synchronises with the GPU at every update.
    """

    def __init__(self, model: nn.Module, decay: float):
        self.module = copy.deepcopy(model)
        self._average = get_ema_multi_avg_fn(decay)
        self._updates = 0

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Move the average towards the weights of the model."""
        averages = []
        values = []
        ours = itertools.chain(self.module.parameters(), self.module.buffers())
        theirs = itertools.chain(model.parameters(), model.buffers())
        for average, value in zip(ours, theirs, strict=True):
            if self._updates and average.is_floating_point():
                averages.append(average)
                values.append(value)
            else:
                average.copy_(value)
        if averages:
            self._average(averages, values, None)
        self._updates += 1

    def state_dict(self) -> dict[str, Tensor]:
        """Return the averaged weights and the number of updates."""
        weights = {f"module.{name}": tensor for name, tensor in self.module.state_dict().items()}
        return {_COUNT: torch.tensor(self._updates), **weights}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Load the result of `state_dict`; raises `RuntimeError` or `KeyError` for the state of another model."""
        self._updates = int(state[_COUNT])
        weights = {name.removeprefix("module."): tensor for name, tensor in state.items() if name != _COUNT}
        self.module.load_state_dict(weights)
