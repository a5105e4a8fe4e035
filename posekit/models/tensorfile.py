"""Tensors and a description in one safetensors file, whatever they are of."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from posekit.errors import WeightsError
from posekit.files import replacing

POSE, CLASSIFIER, CENTRES = "posekit", "posekit-classifier", "posekit-centres"
"""Metadata keys that the description stands under."""
_NAMES = {POSE: "a pose model", CLASSIFIER: "a classifier", CENTRES: "a network that finds people"}

Info = TypeVar("Info")


def plain_tensors(model: nn.Module) -> dict[str, Tensor]:
    """A model's state as a file takes it."""
    return {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}


def halved(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same in half precision, but for whole numbers.

    Raises
    ------
    ValueError
        If a number is too large for half precision.
    """
    return {name: _halved(name, tensor) if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}


def _halved(name: str, tensor: Tensor) -> Tensor:
    if not tensor.abs().max() <= torch.finfo(torch.float16).max:
        raise ValueError(f"half: {name} goes beyond half precision, up to {tensor.abs().max():.3g}")
    return tensor.half()


def find_misfit(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> str | None:
    """What keeps tensors from being another model's state; None if nothing does."""
    for what, names in (("lacks", expected.keys() - found.keys()), ("has besides", found.keys() - expected.keys())):
        if names:
            return f"it {what} {len(names)} tensors, such as {min(names)}"
    for name, tensor in expected.items():
        if found[name].shape != tensor.shape:
            return f"{name} should be {tuple(tensor.shape)}, it is {tuple(found[name].shape)}"
        if found[name].is_floating_point() != tensor.is_floating_point():
            return f"{name} should be {tensor.dtype}, it is {found[name].dtype}"
    return None


def write_tensors(path: str | Path, tensors: Mapping[str, Tensor], key: str, description: str) -> None:
    """Write a file, whole or not at all; `posekit.errors.OutputError` if it cannot be written."""
    with replacing(path) as unfinished:
        unfinished.write_bytes(save(tensors, metadata={key: description}))


def read_tensors(
    path: str | Path, key: str, parse: Callable[[str], Info], *, weights: bool = True
) -> tuple[Info, dict[str, Tensor]]:
    """Read a file's description and, if asked for, its tensors. Nothing is unpickled.

    Parameters
    ----------
    path : str or Path
    key : {POSE, CLASSIFIER, CENTRES}
        What the file is to be of.
    parse : callable
        Description -> what it says; `ValueError` if it is none.
    weights : bool

    Raises
    ------
    WeightsError
        If the file is missing, damaged, or of something else.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if key not in metadata:
                raise WeightsError(f"{path}: {_told_apart(metadata, key)}")
            names = file.keys() if weights else ()
            return parse(metadata[key]), {name: file.get_tensor(name) for name in names}
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror or error})") from error
    except ValueError as error:
        raise WeightsError(f"{path}: its description of the model cannot be used ({error}); get or write it anew") from error
    except SafetensorError as error:
        raise WeightsError(f"{path}: damaged, or not a safetensors file ({error}); get or write it anew") from error


def _told_apart(metadata: Mapping[str, str], key: str) -> str:
    other = next((name for other, name in _NAMES.items() if other in metadata), None)
    if other is not None:
        return f"weights of {other}, expected those of {_NAMES[key]}"
    return f"not posekit's weights (no {key!r} in the metadata); tools/prepare.py convert-weights may help"
