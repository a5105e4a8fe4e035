"""The network that finds people in whole pictures, and its weights files; see `posekit.models.weights` for those of pose models."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import torch

from posekit.errors import WeightsError
from posekit.models.description import Description, Note
from posekit.models.hourglass import StackedHourglass, require_encoder
from posekit.models.tensorfile import CENTRES, find_misfit, halved, plain_tensors, read_tensors, write_tensors


@dataclass(frozen=True)
class CentresInfo(Description):
    """Everything but the weights that is needed to find people with a network: one hourglass with a map for each size of person.

    Parameters
    ----------
    sizes : tuple of float
        Longer sides of people that the maps are of, in pixels; see `posekit.centres`.
    features, depth, encoder
        See `posekit.models.hourglass.StackedHourglass`.
    mean, std : three floats
        Of red, green and blue in [0, 1]: the input is ``(x / 255 - mean) / std``.
    notes : mapping of str to str, number, bool or None
        What else is worth knowing.

    Raises
    ------
    ValueError
        If a field's value is impossible.
    """

    sizes: tuple[float, ...]
    features: int
    depth: int
    encoder: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    notes: Mapping[str, Note] = field(default_factory=dict)

    _tuples: ClassVar = ("sizes", "mean", "std")

    def __post_init__(self):
        if len(self.sizes) < 2 or sorted(set(self.sizes)) != list(self.sizes) or not self.sizes[0] > 0:
            raise ValueError(f"sizes: expected two numbers above 0 or more, in ascending order, got {self.sizes!r}")
        if self.features % 4 or self.features < 4 or self.depth < 1:
            raise ValueError(f"features, depth: expected a multiple of 4, and 1 or more, got {self.features!r}, {self.depth!r}")
        require_encoder(self.encoder, self.depth)


def build_centres(info: CentresInfo, *, prior: float = 0.01) -> StackedHourglass:
    """A network of that description, with fresh weights; `prior` as for `StackedHourglass`."""
    return StackedHourglass(
        joints=len(info.sizes), stacks=1, features=info.features, depth=info.depth, prior=prior, encoder=info.encoder
    )


def save_centres(path: str | Path, model: StackedHourglass, info: CentresInfo, *, half: bool = False) -> None:
    """Write a weights file, whole or not at all, with `half` in half precision.

    Raises
    ------
    ValueError
        If a weight is too large for half precision.
    OutputError
        If the file cannot be written.
    """
    tensors = plain_tensors(model)
    write_tensors(path, halved(tensors) if half else tensors, CENTRES, info.to_json())


def load_centres(path: str | Path, device: torch.device | str = "cpu") -> tuple[StackedHourglass, CentresInfo]:
    """Rebuild the network of a weights file, float32, in eval mode.

    Raises
    ------
    WeightsError
        If the file is missing, damaged, not of such a network, or its tensors do not fit its description.
    """
    info, tensors = read_tensors(path, CENTRES, CentresInfo.from_json)
    model = build_centres(info)
    if misfit := find_misfit(model.state_dict(), tensors):
        raise WeightsError(f"{path}: the weights do not fit the model they are said to be of: {misfit}")
    model.load_state_dict(tensors)
    return model.eval().to(device), info
