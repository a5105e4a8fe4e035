"""Description of a person finder, stored in its weights file."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from posekit.models.hourglass import StackedHourglass, require_encoder
from posekit.models.weights import Note, WeightsInfo


@dataclass(frozen=True)
class CentresInfo(WeightsInfo):
    """Description of a person finder: everything except the weights that is needed to find people.

    The network is a single hourglass that predicts one heatmap per size of people.

    Parameters
    ----------
    sizes : tuple of float
        Size in pixels of the people in each heatmap, ascending; see `posekit.tasks.person_finder.centres`.
    features, depth, encoder
        See `posekit.models.hourglass.StackedHourglass`.
    mean, std : three floats
        RGB statistics for values in [0, 1]: the network's input is ``(x / 255 - mean) / std`` for uint8 images x.
    notes : mapping of str to str, number, bool or None
        Free notes, see `posekit.models.weights.WeightsInfo`.

    Raises
    ------
    ValueError
        If a field has an invalid value.
    """

    sizes: tuple[float, ...]
    features: int
    depth: int
    encoder: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    notes: Mapping[str, Note] = field(default_factory=dict)

    key: ClassVar = "posekit-centres"
    title: ClassVar = "a person finder"
    tuples: ClassVar = ("sizes", "mean", "std")

    def __post_init__(self):
        if len(self.sizes) < 2 or sorted(set(self.sizes)) != list(self.sizes) or not self.sizes[0] > 0:
            raise ValueError(f"sizes: expected at least two numbers, above 0 and in ascending order, got {self.sizes!r}")
        if self.features % 4 or self.features < 4 or self.depth < 1:
            raise ValueError(f"features, depth: expected a multiple of 4 and 1 or more, got {self.features!r} and {self.depth!r}")
        require_encoder(self.encoder, self.depth)

    def build(self, *, prior: float = 0.01) -> StackedHourglass:
        """Build the network with random weights; `prior` as for `StackedHourglass`."""
        return StackedHourglass(
            joints=len(self.sizes), stacks=1, features=self.features, depth=self.depth, prior=prior, encoder=self.encoder
        )
