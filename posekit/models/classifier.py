"""Weights files of classifiers; see `posekit.models.weights` for those of pose models."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import torch
from torch import nn

from posekit.errors import WeightsError
from posekit.models.resnet import CLASSIFIERS, build_classifier
from posekit.models.tensorfile import CLASSIFIER, find_misfit, plain_tensors, read_tensors, write_tensors
from posekit.models.weights import Note

_VERSION = 1


@dataclass(frozen=True)
class ClassifierInfo:
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

    def __post_init__(self):
        if self.network not in CLASSIFIERS:
            raise ValueError(f"network: expected one of {', '.join(CLASSIFIERS)}, got {self.network!r}")
        if self.head not in ("sigmoid", "softmax"):
            raise ValueError(f"head: expected sigmoid or softmax, got {self.head!r}")

    def with_notes(self, **notes: Note) -> "ClassifierInfo":
        """The same, with notes added or replaced."""
        return replace(self, notes={**self.notes, **notes})

    def to_json(self) -> str:
        """Text for the file's metadata; `from_json` reads it back."""
        return json.dumps({"version": _VERSION, **asdict(self)})

    @classmethod
    def from_json(cls, text: str) -> "ClassifierInfo":
        """Rebuild from `to_json`'s text; `ValueError` if it is another version's, or no such text."""
        fields = json.loads(text)
        try:
            version = fields.pop("version")
            if version != _VERSION:
                raise ValueError(f"its format is {version!r}, this posekit reads {_VERSION}")
            lists = {name: tuple(fields.pop(name)) for name in ("classes", "mean", "std")}
            return cls(**lists, **fields)
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"{type(error).__name__}: {error}") from error


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
