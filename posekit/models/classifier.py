"""Weights files of classifiers; see `posekit.models.weights` for those of pose models."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import torch
from torch import nn

from posekit.errors import WeightsError
from posekit.models.description import Description, Note
from posekit.models.resnet import CLASSIFIERS, build_classifier
from posekit.models.tensorfile import CLASSIFIER, find_misfit, plain_tensors, read_tensors, write_tensors


@dataclass(frozen=True)
class ClassifierInfo(Description):
    """Everything but the weights that is needed to classify with a model.

    Parameters
    ----------
    network : str
        See `posekit.models.build_classifier`.
    classes : tuple of str
        Their names, in the order of the logits.
    input_size : int
        Side of the images in pixels.
    head : {"sigmoid", "softmax"}
        How logits become probabilities.
    mean, std : three floats
        Of red, green and blue in [0, 1]: the input is ``(x / 255 - mean) / std``.
    notes : mapping of str to str, number, bool or None
        What else is worth knowing.

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

    _tuples: ClassVar = ("classes", "mean", "std")

    def __post_init__(self):
        if self.network not in CLASSIFIERS:
            raise ValueError(f"network: expected one of {', '.join(CLASSIFIERS)}, got {self.network!r}")
        if self.head not in ("sigmoid", "softmax"):
            raise ValueError(f"head: expected sigmoid or softmax, got {self.head!r}")


def save_classifier(path: str | Path, model: nn.Module, info: ClassifierInfo) -> None:
    """Write a weights file, whole or not at all; `posekit.errors.OutputError` if it cannot be written."""
    write_tensors(path, plain_tensors(model), CLASSIFIER, info.to_json())


def load_classifier(path: str | Path, device: torch.device | str = "cpu") -> tuple[nn.Module, ClassifierInfo]:
    """Rebuild the classifier of a weights file, in eval mode.

    Raises
    ------
    WeightsError
        If the file is missing, damaged, not a classifier's, or its tensors do not fit its description.
    """
    info, tensors = read_tensors(path, CLASSIFIER, ClassifierInfo.from_json)
    model = build_classifier(info.network, len(info.classes))
    if misfit := find_misfit(model.state_dict(), tensors):
        raise WeightsError(f"{path}: the weights do not fit the model they are said to be of: {misfit}")
    model.load_state_dict(tensors)
    return model.eval().to(device), info
