"""The moving average of a model's weights."""

import copy

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

_COUNT = "n_averaged"


class MovingAverage:
    """Exponential moving average of a model's weights and buffers; the first update copies them.

    PyTorch's `AveragedModel` computes the same, but waits for the device at every update.

    Parameters
    ----------
    model : nn.Module
    decay : float
        Weight of the average before, 0 to 1.

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
        """Move toward the model's weights."""
        moved, copied = [], []
        for pair in zip(_tensors(self.module), _tensors(model), strict=True):
            (moved if self._updates and pair[0].is_floating_point() else copied).append(pair)
        if moved:
            self._average(*map(list, zip(*moved, strict=True)), None)
        for mine, new in copied:
            mine.copy_(new)
        self._updates += 1

    def state_dict(self) -> dict[str, Tensor]:
        """Its weights, and how many updates there were."""
        return {_COUNT: torch.tensor(self._updates), **{f"module.{name}": t for name, t in self.module.state_dict().items()}}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Take over what `state_dict` told.

        Raises
        ------
        RuntimeError, KeyError
            If it is of another model.
        """
        self._updates = int(state[_COUNT])
        self.module.load_state_dict({name.removeprefix("module."): t for name, t in state.items() if name != _COUNT})


def _tensors(model: nn.Module) -> list[Tensor]:
    return [*model.parameters(), *model.buffers()]
