"""Batches of crops as tensors."""

from collections.abc import Callable
from dataclasses import Field, dataclass, fields, replace
from typing import Any, ClassVar, TypeVar

import numpy as np
import torch

from posekit.arrays import require_array
from posekit.data.sample import Failure

Self = TypeVar("Self", bound="TensorBatch")


class TensorBatch:
    """Base class of batches: dataclasses whose first field is ``images``, then other tensors, ``index`` and ``failures``."""

    images: torch.Tensor
    index: torch.Tensor
    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    def __len__(self) -> int:
        return len(self.index)

    def __reduce__(self) -> tuple[Any, ...]:
        # A DataLoader worker sends each tensor through its own shared memory, which costs a millisecond. Therefore only the images
        # are sent as a tensor, and the other fields as numpy arrays.
        values = [getattr(self, field.name) for field in fields(self)[1:]]
        arrays = [value.cpu().numpy() if isinstance(value, torch.Tensor) else value for value in values]
        return _rebuild, (type(self), self.images, *arrays)

    def to(self: Self, device: torch.device | str) -> Self:
        """Copy the batch to another device."""
        return self._map(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self: Self) -> Self:
        """Copy the batch to pinned memory; called by a DataLoader with ``pin_memory=True``."""
        return self._map(torch.Tensor.pin_memory)

    def _map(self: Self, function: Callable[[torch.Tensor], torch.Tensor]) -> Self:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        tensors = {name: function(value) for name, value in values.items() if isinstance(value, torch.Tensor)}
        return replace(self, **tensors)


def _rebuild(batch_class: Callable[..., TensorBatch], images: torch.Tensor, *values: Any) -> TensorBatch:
    return batch_class(images, *(torch.from_numpy(value) if isinstance(value, np.ndarray) else value for value in values))


@dataclass(frozen=True)
class Batch(TensorBatch):
    """Crops of several people, as tensors on one device.

    Parameters
    ----------
    images : (B, S, S, 3) uint8
        RGB.
    joints : (B, K, 2) float32
        Crop pixels.
    labelled : (B, K) bool
        True where the joint is labelled.
    channel_gains : (B, 3) float32
        Factors for the red, green and blue channel, applied by `posekit.models.normalise`.
    index : (B,) int64
        Index of each person in the data set.
    failures : tuple of Failure
        One per crop that could not be made. Such a crop is black and has no labelled joint, so it does not affect the loss.
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
