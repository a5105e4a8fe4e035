"""Weights files: safetensors files whose metadata describes the network, so that one file is enough to rebuild the network.

Each kind of network is described by a subclass of `WeightsInfo`, a dataclass that is stored as JSON in the metadata. Tensors may
be stored in half precision; they are loaded as float32. Nothing is ever unpickled.
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


class WeightsInfo(ABC):
    """Base of the frozen dataclasses that describe a network in its weights file.

    Attributes
    ----------
    notes : mapping of str to str, number, bool or None
        Further information, for example training data, accuracy and terms of use.
    """

    notes: Mapping[str, Note]
    key: ClassVar[str]
    """Metadata key of the description; it starts with "posekit"."""
    title: ClassVar[str]
    """Name of this kind of network in messages, for example "a pose model"."""
    tuples: ClassVar[tuple[str, ...]] = ()
    """Names of the fields that are tuples, which JSON stores as lists."""

    @abstractmethod
    def build(self) -> nn.Module:
        """Build the network with randomly initialised weights."""

    def with_notes(self: Info, **notes: Note) -> Info:
        """Return a copy with these notes added or replaced."""
        return replace(self, notes={**self.notes, **notes})  # type: ignore[type-var]  # every subclass is a dataclass

    def to_json(self) -> str:
        """Return the description as JSON for the file's metadata; `from_json` is the inverse."""
        return json.dumps({"version": _VERSION, **asdict(self)})  # type: ignore[call-overload]

    @classmethod
    def from_json(cls: type[Info], text: str) -> Info:
        """Rebuild the description from the JSON text that `to_json` returned.

        Raises
        ------
        ValueError
            If the text is in another version of the format, or does not describe this kind of network.
        """
        values = json.loads(text)
        try:
            version = values.pop("version")
            if version != _VERSION:
                raise ValueError(f"format version {version!r}; this version of posekit reads version {_VERSION}")
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
    """Description of a pose model: everything except the weights that is needed for predictions.

    Parameters
    ----------
    skeleton : Skeleton
        Skeleton with the joints of the heatmaps, in the same order.
    input_size : int
        Side of the square crops in pixels, a multiple of ``4 * 2**depth``.
    stacks, features, depth, blocks, encoder, stem
        See `posekit.models.hourglass.StackedHourglass`.
    head : {"sigmoid", "linear"}
        Activation that converts logits to heatmaps; see `posekit.models.hourglass.StackedHourglass.activate`.
    mean, std : three floats
        RGB statistics for values in [0, 1]: the network's input is ``(x / 255 - mean) / std`` for uint8 images x.
    notes : mapping of str to str, number, bool or None
        See `WeightsInfo`.
    calibrations : mapping of str to Calibration
        Functions from the peak height of a joint to the probability that the joint is correct: one calibration for each
        test-time augmentation, by key (`posekit.prediction.test_time.TestTimeAugmentation.key`).

    Raises
    ------
    ValueError
        If the value of a field is invalid.
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
    title: ClassVar = "a pose model"
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
            _require(joints == len(self.skeleton), f"calibrations, views {views}", joints, f"{len(self.skeleton)} joints")

    @property
    def target_options(self) -> dict[str, Any]:
        """Options of `posekit.heatmaps.encode` used for the training targets; options that are not in `notes` are missing."""
        options: dict[str, float | bool] = {}
        sigma, subpixel = self.notes.get("sigma"), self.notes.get("subpixel")
        if isinstance(sigma, int | float) and 0 < sigma < math.inf:
            options["sigma"] = sigma
        if isinstance(subpixel, bool):
            options["subpixel"] = subpixel
        return options

    def build(self, *, prior: float = 0.01) -> StackedHourglass:
        """Build the network with randomly initialised weights; see `StackedHourglass` for `prior`."""
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
        """Return the description as JSON for the file's metadata; `from_json` is the inverse."""
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
    """Write a weights file atomically.

    Parameters
    ----------
    path : str or Path
        Path of the file; missing folders are created.
    model : nn.Module
        On any device, in any memory format.
    info : WeightsInfo
        Description of `model`.
    half : bool
        Store floating-point tensors as float16, which halves the file size.

    Raises
    ------
    ValueError
        If `info` does not describe `model`, or a weight is too large for float16.
    OutputError
        If the file cannot be written; an existing file is kept.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    with torch.device("meta"):  # needs no memory and no random numbers
        misfit = _find_misfit(info.build().state_dict(), tensors)
    if misfit:
        raise ValueError(f"info: does not describe this model: {misfit}")
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
    """Load the network in a weights file.

    Parameters
    ----------
    path : str or Path
        Path of a weights file, or the name of bundled weights (`posekit.weights.shipped`).
    device : torch.device or str
    info_class : type of WeightsInfo
        The expected kind of network; a pose model by default.

    Returns
    -------
    model : nn.Module
        float32, in eval mode, on `device`.
    info : WeightsInfo
        Description of the network, an instance of `info_class`.

    Raises
    ------
    WeightsError
        If the file is missing, is damaged, contains another kind of network, or its tensors do not match its description.
    """
    info, tensors = _read(locate(path), info_class, with_tensors=True)
    return restore_model(info, tensors, str(path)).to(device), info


def read_info(path: str | Path) -> ModelInfo:
    """Load the description from a pose model's weights file, without the weights.

    Raises
    ------
    WeightsError
        If the file is missing, is damaged, or contains no pose model.
    """
    info, _ = _read(locate(path), ModelInfo, with_tensors=False)
    return info


def restore_model(info: WeightsInfo, tensors: Mapping[str, Tensor], name: str) -> Any:
    """Build the network that `info` describes, in float32 and eval mode, and load the tensors into it.

    Raises
    ------
    WeightsError
        If the tensors do not match the description; the message starts with `name`.
    """
    with torch.device("meta"):
        model = info.build()
    misfit = _find_misfit(model.state_dict(), tensors)
    if misfit:
        raise WeightsError(f"{name}: the weights do not match the declared model: {misfit}")
    model.to_empty(device="cpu").load_state_dict(tensors)
    return model.eval()


def start_from(model: nn.Module, path: str | Path, *, joints: Sequence[str]) -> None:
    """Initialise a model with the weights of a trained pose model, as the start of its training.

    If the trained model has other joints, the layers that depend on the joints (`outputs` and `merge_outputs`) keep their initial
    weights.

    Parameters
    ----------
    model : nn.Module
        The model to initialise, in-place.
    path : str or Path
        Path of the trained model's weights file, or the name of bundled weights.
    joints : sequence of str
        Joint names of `model`, in the order of its heatmaps.

    Raises
    ------
    WeightsError
        If the file cannot be loaded, or contains a network with another architecture.
    """
    info, tensors = _read(locate(path), ModelInfo, with_tensors=True)
    fresh = model.state_dict()
    if info.skeleton.joints != tuple(joints):
        for name, tensor in fresh.items():
            if name.startswith(("outputs.", "merge_outputs.")):
                tensors[name] = tensor
    misfit = _find_misfit(fresh, tensors)
    if misfit:
        raise WeightsError(
            f"{path}: the weights do not match the network to train: {misfit}; use the same sizes in the section model"
        )
    model.load_state_dict(tensors)


def _read(path: Path, info_class: type[Info], *, with_tensors: bool) -> tuple[Info, dict[str, Tensor]]:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if info_class.key not in metadata:
                raise WeightsError(f"{path}: {_wrong_kind(metadata, info_class)}")
            info = info_class.from_json(metadata[info_class.key])
            names = file.keys() if with_tensors else ()
            return info, {name: file.get_tensor(name) for name in names}
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror or error})") from error
    except ValueError as error:
        raise WeightsError(
            f"{path}: the model's description in the metadata is invalid ({error}); download or create the file again"
        ) from error
    except SafetensorError as error:
        raise WeightsError(f"{path}: damaged, or not a safetensors file ({error}); download or create the file again") from error


def _wrong_kind(metadata: Mapping[str, str], info_class: type[WeightsInfo]) -> str:
    for key in metadata:
        if key.startswith("posekit"):
            return f"contains another kind of network ({key}); expected {info_class.title} ({info_class.key})"
    return (
        f"not a posekit weights file (no {info_class.key!r} in the metadata); if it is a published hourglass checkpoint, convert "
        "it with tools/prepare.py convert-weights"
    )


def _find_misfit(expected: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> str | None:
    """Describe the first difference between a model's state dict and the tensors to load; None if they match."""
    missing = expected.keys() - tensors.keys()
    if missing:
        return f"{len(missing)} tensors are missing, for example {min(missing)}"
    unexpected = tensors.keys() - expected.keys()
    if unexpected:
        return f"{len(unexpected)} tensors are unexpected, for example {min(unexpected)}"
    for name, tensor in expected.items():
        if tensors[name].shape != tensor.shape:
            return f"{name}: expected shape {tuple(tensor.shape)}, got {tuple(tensors[name].shape)}"
        if tensors[name].is_floating_point() != tensor.is_floating_point():
            return f"{name}: expected {tensor.dtype}, got {tensors[name].dtype}"
    return None


def _to_half(name: str, tensor: Tensor) -> Tensor:
    if not tensor.is_floating_point():
        return tensor
    if not tensor.abs().max() <= torch.finfo(torch.float16).max:
        raise ValueError(f"half: {name} contains values up to {tensor.abs().max():.3g}, too large for float16; save as float32")
    return tensor.half()


def _is_count(value) -> bool:
    return type(value) is int and value >= 1


def _are_finite(values) -> bool:
    return len(values) == 3 and all(map(math.isfinite, values))


def _require(condition: bool, name: str, value, expected: str) -> None:
    if not condition:
        raise ValueError(f"{name}: expected {expected}, got {value!r}")
