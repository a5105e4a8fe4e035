"""Batches of crops as tensors."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import numpy as np
import torch

from posekit.arrays import require_array
from posekit.data.sample import Failure


class TensorBatch:
    """What batches share: a dataclass with ``images`` first, other tensors, ``index`` and ``failures``."""

    def __len__(self):
        return len(self.index)

    def __reduce__(self):
        # From a loader's worker each tensor comes through shared memory of its own, which costs a millisecond.
        small = (getattr(self, each.name) for each in fields(self)[1:])
        return _received, (type(self), self.images, *(part.cpu().numpy() if _is_tensor(part) else part for part in small))

    def to(self, device: torch.device | str) -> "TensorBatch":
        """The same batch on another device."""
        return self._each(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> "TensorBatch":
        """The same batch in page-locked memory (what a DataLoader calls when it pins)."""
        return self._each(torch.Tensor.pin_memory)

    def _each(self, change: Callable[[torch.Tensor], torch.Tensor]) -> "TensorBatch":
        parts = {each.name: getattr(self, each.name) for each in fields(self)}
        return replace(self, **{name: change(part) for name, part in parts.items() if _is_tensor(part)})


def _is_tensor(part) -> bool:
    return isinstance(part, torch.Tensor)


def _received(kind: type[TensorBatch], images: torch.Tensor, *rest) -> TensorBatch:
    return kind(images, *(torch.from_numpy(part) if isinstance(part, np.ndarray) else part for part in rest))


@dataclass(frozen=True)
class Batch(TensorBatch):
    """Crops of several people, as tensors on one device.

    Parameters
    ----------
    images : (B, S, S, 3) uint8
        Red, green, blue.
    joints : (B, K, 2) float32
        Crop pixels.
    labelled : (B, K) bool
    channel_gains : (B, 3) float32
        Factors on red, green and blue, which `posekit.models.normalise` applies.
    index : (B,) int64
        The persons' places in their `People`.
    failures : tuple of Failure
        Those of the B whose crop could not be made: it is black, and no joint is labelled, so that it costs nothing.
    """

    images: torch.Tensor
    joints: torch.Tensor
    labelled: torch.Tensor
    channel_gains: torch.Tensor
    index: torch.Tensor
    failures: tuple[Failure, ...] = ()

    def __post_init__(self):
        b, k = self.labelled.shape
        require_array("images", self.images, (b, "S", "S", 3), "uint8")
        require_array("joints", self.joints, (b, k, 2), "float32")
        require_array("labelled", self.labelled, (b, k), "bool")
        require_array("channel_gains", self.channel_gains, (b, 3), "float32")
        require_array("index", self.index, (b,), "int64")
