"""Weights files: safetensors whose metadata rebuilds the network, so that one file is enough to use it.

Each kind of network describes itself in a dataclass derived from `WeightsInfo`, which is stored as JSON in the metadata. Tensors
may be stored in half precision; they are loaded as float32. Nothing is ever unpickled.
"""

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, ClassVar, TypeVar, overload

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from posekit.errors import DataError, WeightsError
from posekit.files import atomic_write
from posekit.metrics.calibration import Calibration
from posekit.models.hourglass import HEADS, StackedHourglass, default_stem, require_encoder
from posekit.skeletons import Skeleton
from posekit.weights import locate

Note = str | int | float | bool | None
Info = TypeVar("Info", bound="WeightsInfo")

_VERSION = 1
_KINDS = {
    "posekit": "a pose model",
    "posekit-classifier": "a classifier",
    "posekit-centres": "a network that finds people",
}
"""Metadata keys of the description, and what a file with such a key is called in messages."""


class WeightsInfo(ABC):
    """Base of the frozen dataclasses that describe a network in its weights file.

    Attributes
    ----------
    notes : mapping of str to str, number, bool or None
        What else is worth knowing: training data, scores, terms of use.
    """

    notes: Mapping[str, Note]
    key: ClassVar[str]
    """Metadata key of the description."""
    tuples: ClassVar[tuple[str, ...]] = ()
    """Names of the fields that are tuples, which JSON stores as lists."""

    @abstractmethod
    def build(self) -> nn.Module:
        """Build the network with fresh weights."""

    def with_notes(self: Info, **notes: Note) -> Info:
        """Copy with notes added or replaced."""
        return replace(self, notes={**self.notes, **notes})  # type: ignore[type-var]  # every subclass is a dataclass

    def to_json(self) -> str:
        """Text for the file's metadata; `from_json` reads it back."""
        return json.dumps({"version": _VERSION, **asdict(self)})  # type: ignore[call-overload]

    @classmethod
    def from_json(cls: type[Info], text: str) -> Info:
        """Rebuild from `to_json`'s text.

        Raises
        ------
        ValueError
            If the text is another version's, or no description of this kind.
        """
        values = json.loads(text)
        try:
            version = values.pop("version")
            if version != _VERSION:
                raise ValueError(f"its format is {version!r}, this posekit reads {_VERSION}")
            return cls._from_values(values)
        except (TypeError, KeyError, AttributeError, DataError) as error:
            raise ValueError(f"{type(error).__name__}: {error}") from error

    @classmethod
    def _from_values(cls: type[Info], values: dict[str, Any]) -> Info:
        for name in cls.tuples:
            values[name] = tuple(values[name])
        return cls(**values)


@dataclass(frozen=True)
class ModelInfo(WeightsInfo):
    """Everything but the weights that is needed to predict with a pose model.

    Parameters
    ----------
    skeleton : Skeleton
        Joints of the heatmaps, in order.
    input_size : int
        Side of the crops in pixels, a multiple of ``4 * 2**depth``.
    stacks, features, depth : int
        See `posekit.models.hourglass.StackedHourglass`.
    head : {"sigmoid", "linear"}
        How logits become heatmaps.
    mean, std : three floats
        Of red, green and blue in [0, 1]: the input is ``(x / 255 - mean) / std``.
    blocks : int
        Residuals at every place.
    encoder : str
        See `posekit.models.hourglass.StackedHourglass`.
    stem : (int, int, int), optional
        Channels of the stem; in proportion to `features` by default.
    notes : mapping of str to str, number, bool or None
        See `WeightsInfo`.
    calibrations : mapping of str to Calibration
        Probability of a joint being right by the height of its peak, for each kind of test-time augmentation
        (`posekit.prediction.test_time.TestTimeAugmentation.key`).

    Raises
    ------
    ValueError
        If a field's value is impossible.
    """

    skeleton: Skeleton
    input_size: int
    stacks: int
    features: int
    depth: int
    head: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    blocks: int = 1
    encoder: str = ""
    stem: tuple[int, int, int] | None = None
    notes: Mapping[str, Note] = field(default_factory=dict)
    calibrations: Mapping[str, Calibration] = field(default_factory=dict)

    key: ClassVar = "posekit"
    tuples: ClassVar = ("mean", "std", "stem")

    def __post_init__(self):
        for name in ("input_size", "stacks", "features", "depth", "blocks"):
            _require(_is_count(getattr(self, name)), name, getattr(self, name), "a whole number of 1 or more")
        multiple = 4 * 2**self.depth
        _require(self.input_size % multiple == 0, "input_size", self.input_size, f"a multiple of {multiple} (4 * 2^depth)")
        _require(self.head in HEADS, "head", self.head, "one of " + ", ".join(HEADS))
        _require(_are_finite(self.mean), "mean", self.mean, "three numbers")
        _require(_are_finite(self.std) and min(self.std) > 0, "std", self.std, "three numbers above 0")
        _require(self.features % 4 == 0, "features", self.features, "a multiple of 4")
        require_encoder(self.encoder, self.depth)
        if self.stem is None:
            object.__setattr__(self, "stem", default_stem(self.features))
        stem = self.stem or ()
        _require(len(stem) == 3 and all(map(_is_count, stem)), "stem", self.stem, "three whole numbers of 1 or more")
        _require(isinstance(self.notes, Mapping), "notes", self.notes, "a mapping")
        for views, calibration in self.calibrations.items():
            joints = len(calibration.peaks)
            _require(joints == len(self.skeleton), f"calibrations, views {views}", f"{joints} joints", f"{len(self.skeleton)}")

    @property
    def target_options(self) -> dict[str, Any]:
        """Options of `posekit.heatmaps.encode` that its training targets were drawn with, as far as the notes say."""
        options: dict[str, float | bool] = {}
        sigma, subpixel = self.notes.get("sigma"), self.notes.get("subpixel")
        if isinstance(sigma, int | float) and 0 < sigma < math.inf:
            options["sigma"] = sigma
        if isinstance(subpixel, bool):
            options["subpixel"] = subpixel
        return options

    def build(self, *, prior: float = 0.01) -> StackedHourglass:
        """Build the network with fresh weights; `prior` as for `StackedHourglass`."""
        return StackedHourglass(
            joints=len(self.skeleton),
            stacks=self.stacks,
            features=self.features,
            depth=self.depth,
            head=self.head,
            prior=prior,
            blocks=self.blocks,
            encoder=self.encoder,
            stem=self.stem,
        )

    def to_json(self) -> str:
        """Text for the file's metadata; `from_json` reads it back."""
        values = {part.name: getattr(self, part.name) for part in fields(self)}
        values["skeleton"] = self.skeleton.to_dict()
        values["notes"] = dict(self.notes)
        values["calibrations"] = {views: asdict(calibration) for views, calibration in self.calibrations.items()}
        return json.dumps({"version": _VERSION, **values})

    @classmethod
    def _from_values(cls, values: dict[str, Any]) -> "ModelInfo":
        values["skeleton"] = Skeleton.from_dict(values["skeleton"])
        calibrations = values.get("calibrations", {})
        values["calibrations"] = {views: Calibration(**knots) for views, knots in calibrations.items()}
        return super()._from_values(values)


def save_weights(path: str | Path, model: nn.Module, info: WeightsInfo, *, half: bool = False) -> None:
    """Write a weights file, whole or not at all.

    Parameters
    ----------
    path : str or Path
        Its folder is made if need be.
    model : nn.Module
        On any device, in any memory format.
    info : WeightsInfo
        The model's own description.
    half : bool
        Store floats in half precision, at half the size.

    Raises
    ------
    ValueError
        If the description is not the model's, or a weight is too large for half precision.
    OutputError
        If the file cannot be written; an earlier file of this name is kept.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    with torch.device("meta"):  # needs no memory and no random numbers
        misfit = _find_misfit(info.build().state_dict(), tensors)
    if misfit:
        raise ValueError(f"info: not the description of this model: {misfit}")
    if half:
        tensors = {name: _to_half(name, tensor) for name, tensor in tensors.items()}
    with atomic_write(path) as unfinished:
        unfinished.write_bytes(save(tensors, metadata={info.key: info.to_json()}))


@overload
def load_weights(path: str | Path, device: torch.device | str = "cpu") -> tuple[StackedHourglass, ModelInfo]: ...
@overload
def load_weights(path: str | Path, device: torch.device | str, info_class: type[Info]) -> tuple[Any, Info]: ...
@overload
def load_weights(path: str | Path, *, info_class: type[Info]) -> tuple[Any, Info]: ...
def load_weights(path, device="cpu", info_class=ModelInfo):
    """Rebuild the network of a weights file.

    Parameters
    ----------
    path : str or Path
        A file, or a name of `posekit.weights.shipped`.
    device : torch.device or str
    info_class : type of WeightsInfo
        Kind of network that the file must be of; a pose model by default.

    Returns
    -------
    model : nn.Module
        float32, in eval mode, on `device`.
    info : WeightsInfo
        Of that class.

    Raises
    ------
    WeightsError
        If the file is missing, damaged, of another kind of network, or its tensors do not fit its description.
    """
    info, tensors = _read(locate(path), info_class, with_tensors=True)
    return restore_model(info, tensors, str(path)).to(device), info


def read_info(path: str | Path) -> ModelInfo:
    """Read the description in a pose model's weights file, without the weights.

    Raises
    ------
    WeightsError
        If the file is missing, damaged or no pose model's.
    """
    info, _ = _read(locate(path), ModelInfo, with_tensors=False)
    return info


def restore_model(info: WeightsInfo, tensors: Mapping[str, Tensor], name: str) -> Any:
    """Build the described network with the given weights as float32, in eval mode.

    Raises
    ------
    WeightsError
        If the tensors do not fit the description; the message begins with `name`.
    """
    with torch.device("meta"):
        model = info.build()
    misfit = _find_misfit(model.state_dict(), tensors)
    if misfit:
        raise WeightsError(f"{name}: the weights do not fit the model they are said to be of: {misfit}")
    model.to_empty(device="cpu").load_state_dict(tensors)
    return model.eval()


def start_from(model: nn.Module, path: str | Path, *, joints: Sequence[str]) -> None:
    """Load a pose model's weights into a model before it is trained.

    Where the file is for other joints, the layers that depend on the joints (the outputs, and how the next stack takes them in)
    keep their fresh weights.

    Parameters
    ----------
    model : nn.Module
        Changed in place.
    path : str or Path
        As for `load_weights`.
    joints : sequence of str
        Names of the model's maps, in order.

    Raises
    ------
    WeightsError
        If the file cannot be used, or is for a network of other sizes.
    """
    info, tensors = _read(locate(path), ModelInfo, with_tensors=True)
    fresh = model.state_dict()
    if info.skeleton.joints != tuple(joints):
        for name, tensor in fresh.items():
            if name.startswith(("outputs.", "merge_outputs.")):
                tensors[name] = tensor
    misfit = _find_misfit(fresh, tensors)
    if misfit:
        raise WeightsError(f"{path}: is of another network than the one to train: {misfit}; give model the same sizes")
    model.load_state_dict(tensors)


def _read(path: Path, info_class: type[Info], *, with_tensors: bool) -> tuple[Info, dict[str, Tensor]]:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if info_class.key not in metadata:
                raise WeightsError(f"{path}: {_wrong_kind(metadata, info_class.key)}")
            info = info_class.from_json(metadata[info_class.key])
            names = file.keys() if with_tensors else ()
            return info, {name: file.get_tensor(name) for name in names}
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror or error})") from error
    except ValueError as error:
        raise WeightsError(f"{path}: its description of the model cannot be used ({error}); get or write it anew") from error
    except SafetensorError as error:
        raise WeightsError(f"{path}: damaged, or not a safetensors file ({error}); get or write it anew") from error


def _wrong_kind(metadata: Mapping[str, str], key: str) -> str:
    for other, name in _KINDS.items():
        if other in metadata:
            return f"weights of {name}, expected those of {_KINDS[key]}"
    return f"not posekit's weights (no {key!r} in the metadata); tools/prepare.py convert-weights may help"


def _find_misfit(expected: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> str | None:
    """The first difference between a model's state and the tensors to load into it; None if they fit."""
    missing = expected.keys() - tensors.keys()
    if missing:
        return f"it lacks {len(missing)} tensors, such as {min(missing)}"
    unexpected = tensors.keys() - expected.keys()
    if unexpected:
        return f"it has {len(unexpected)} unexpected tensors, such as {min(unexpected)}"
    for name, tensor in expected.items():
        if tensors[name].shape != tensor.shape:
            return f"{name} should be {tuple(tensor.shape)}, it is {tuple(tensors[name].shape)}"
        if tensors[name].is_floating_point() != tensor.is_floating_point():
            return f"{name} should be {tensor.dtype}, it is {tensors[name].dtype}"
    return None


def _to_half(name: str, tensor: Tensor) -> Tensor:
    if not tensor.is_floating_point():
        return tensor
    if not tensor.abs().max() <= torch.finfo(torch.float16).max:
        raise ValueError(f"half: {name} goes beyond half precision, up to {tensor.abs().max():.3g}")
    return tensor.half()


def _is_count(value) -> bool:
    return type(value) is int and value >= 1


def _are_finite(values) -> bool:
    return len(values) == 3 and all(map(math.isfinite, values))


def _require(condition: bool, name: str, value, expected: str) -> None:
    if not condition:
        raise ValueError(f"{name}: expected {expected}, got {value!r}")
