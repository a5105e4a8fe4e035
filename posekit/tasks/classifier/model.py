"""Description of a classifier, stored in its weights file."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from torch import nn

from posekit.models.resnet import CLASSIFIERS, build_classifier
from posekit.models.weights import Note, WeightsInfo


@dataclass(frozen=True)
class ClassifierInfo(WeightsInfo):
    """Description of a classifier: everything except the weights that is needed to classify images.

    Parameters
    ----------
    network : str
        Name of the network, see `posekit.models.build_classifier`.
    classes : tuple of str
        Class names, in the order of the logits.
    input_size : int
        Side of the network's square input in pixels.
    head : {"sigmoid", "softmax"}
        Activation that converts logits to probabilities.
    mean, std : three floats
        RGB statistics for values in [0, 1]: the network's input is ``(x / 255 - mean) / std`` for uint8 images x.
    notes : mapping of str to str, number, bool or None
        Free notes, see `posekit.models.weights.WeightsInfo`.

    Raises
    ------
    ValueError
        If a field has an invalid value.
    """

    network: str
    classes: tuple[str, ...]
    input_size: int
    head: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    notes: Mapping[str, Note] = field(default_factory=dict)

    key: ClassVar = "posekit-classifier"
    title: ClassVar = "a classifier"
    tuples: ClassVar = ("classes", "mean", "std")

    def __post_init__(self):
        if self.network not in CLASSIFIERS:
            raise ValueError(f"network: expected one of {', '.join(CLASSIFIERS)}, got {self.network!r}")
        if self.head not in ("sigmoid", "softmax"):
            raise ValueError(f"head: expected sigmoid or softmax, got {self.head!r}")

    def build(self) -> nn.Module:
        """Build the network with random weights."""
        return build_classifier(self.network, len(self.classes))
