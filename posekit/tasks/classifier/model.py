"""Description of a classifier, stored in its weights file."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from torch import nn

from posekit.models.resnet import CLASSIFIERS, build_classifier
from posekit.models.weights import Note, WeightsInfo


@dataclass(frozen=True)
class ClassifierInfo(WeightsInfo):
    """Everything but the weights that is needed to classify with a network.

    Parameters
    ----------
    network : str
        See `posekit.models.build_classifier`.
    classes : tuple of str
        Class names, in the order of the logits.
    input_size : int
        Side of the images in pixels.
    head : {"sigmoid", "softmax"}
        How logits become probabilities.
    mean, std : three floats
        Of red, green and blue in [0, 1]: the input is ``(x / 255 - mean) / std``.
    notes : mapping of str to str, number, bool or None
        See `posekit.models.weights.WeightsInfo`.

    Raises
    ------
    ValueError
        If a field's value is impossible.
    """

    network: str
    classes: tuple[str, ...]
    input_size: int
    head: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    notes: Mapping[str, Note] = field(default_factory=dict)

    key: ClassVar = "posekit-classifier"
    tuples: ClassVar = ("classes", "mean", "std")

    def __post_init__(self):
        if self.network not in CLASSIFIERS:
            raise ValueError(f"network: expected one of {', '.join(CLASSIFIERS)}, got {self.network!r}")
        if self.head not in ("sigmoid", "softmax"):
            raise ValueError(f"head: expected sigmoid or softmax, got {self.head!r}")

    def build(self) -> nn.Module:
        """Build the network with fresh weights."""
        return build_classifier(self.network, len(self.classes))
