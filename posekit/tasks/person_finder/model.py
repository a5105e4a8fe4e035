"""Description of a person finder, stored in its weights file."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from posekit.models.hourglass import StackedHourglass, require_encoder
from posekit.models.weights import Note, WeightsInfo


@dataclass(frozen=True)
class CentresInfo(WeightsInfo):
    """Everything but the weights that is needed to find people with a network: one hourglass with one map per size of person.

    Parameters
    ----------
    sizes : tuple of float
        Longer sides in pixels of the people that each map is for; see `posekit.tasks.person_finder.centres`.
    features, depth, encoder
        See `posekit.models.hourglass.StackedHourglass`.
    mean, std : three floats
        Of red, green and blue in [0, 1]: the input is ``(x / 255 - mean) / std``.
    notes : mapping of str to str, number, bool or None
        See `posekit.models.weights.WeightsInfo`.

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

    key: ClassVar = "posekit-centres"
    tuples: ClassVar = ("sizes", "mean", "std")

    def __post_init__(self):
        if len(self.sizes) < 2 or sorted(set(self.sizes)) != list(self.sizes) or not self.sizes[0] > 0:
            raise ValueError(f"sizes: expected two numbers above 0 or more, in ascending order, got {self.sizes!r}")
        if self.features % 4 or self.features < 4 or self.depth < 1:
            raise ValueError(f"features, depth: expected a multiple of 4, and 1 or more, got {self.features!r}, {self.depth!r}")
        require_encoder(self.encoder, self.depth)

    def build(self, *, prior: float = 0.01) -> StackedHourglass:
        """Build the network with fresh weights; `prior` as for `StackedHourglass`."""
        return StackedHourglass(
            joints=len(self.sizes), stacks=1, features=self.features, depth=self.depth, prior=prior, encoder=self.encoder
        )
