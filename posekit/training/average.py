"""Moving average of a model's weights."""

import copy

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

_COUNT = "n_averaged"


class MovingAverage:
    """Exponential moving average of a model's weights and buffers; the first update copies the weights and buffers.

    PyTorch's `AveragedModel` computes the same, but synchronises with the GPU at every update.

    Parameters
    ----------
    model : nn.Module
    decay : float
        Weight of the previous average, from 0 to 1.

    Attributes
    ----------
    module : nn.Module
        The model with the averaged weights.
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
        for average, value in zip(_tensors(self.module), _tensors(model), strict=True):
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
        state = {_COUNT: torch.tensor(self._updates)}
        for name, tensor in self.module.state_dict().items():
            state[f"module.{name}"] = tensor
        return state

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Load the result of `state_dict`.

        Raises
        ------
        RuntimeError, KeyError
            If the state belongs to another model.
        """
        self._updates = int(state[_COUNT])
        weights = {name.removeprefix("module."): tensor for name, tensor in state.items() if name != _COUNT}
        self.module.load_state_dict(weights)


def _tensors(model: nn.Module) -> list[Tensor]:
    return [*model.parameters(), *model.buffers()]
