"""Weights files: safetensors whose metadata rebuilds the model, so that one file is enough to predict.

Everything posekit has to know stands as JSON in the metadata. Tensors may be stored in
half precision; they are loaded as float32. Nothing is ever unpickled.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from posekit.calibration import Calibration
from posekit.errors import DataError, WeightsError
from posekit.models.description import Note
from posekit.models.hourglass import HEADS, StackedHourglass, default_stem, require_encoder
from posekit.models.tensorfile import POSE, find_misfit, halved, plain_tensors, read_tensors, write_tensors
from posekit.skeletons import Skeleton
from posekit.weights import locate

_VERSION = 1


@dataclass(frozen=True)
class ModelInfo:
    """Everything but the weights that is needed to predict with a model.

    Parameters
    ----------
    skeleton : Skeleton
        What the heatmaps show, in order.
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
        What else is worth knowing: training data, scores, terms of use.
    calibrations : mapping of str to Calibration
        By the views that heatmaps are averages of (`posekit.inference.Views.key`): what the peaks are worth.

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
        _require(len(self.stem) == 3 and all(map(_is_count, self.stem)), "stem", self.stem, "three whole numbers of 1 or more")
        _require(isinstance(self.notes, Mapping), "notes", self.notes, "a mapping")
        for views, found in self.calibrations.items():
            joints = len(found.peaks)
            _require(joints == len(self.skeleton), f"calibrations, views {views}", f"{joints} joints", f"{len(self.skeleton)}")

    @property
    def target_options(self) -> dict[str, float | bool]:
        """Options of `posekit.heatmaps.encode` with which the targets of its training were drawn, as far as the notes tell them."""
        sigma, subpixel = self.notes.get("sigma"), self.notes.get("subpixel")
        options = {"sigma": sigma} if isinstance(sigma, int | float) and 0 < sigma < math.inf else {}
        return options | ({"subpixel": subpixel} if isinstance(subpixel, bool) else {})

    def with_notes(self, **notes: Note) -> "ModelInfo":
        """The same, with notes added or replaced."""
        return replace(self, notes={**self.notes, **notes})

    def to_json(self) -> str:
        """Text for the file's metadata; `from_json` reads it back."""
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__}
        calibrations = {views: asdict(found) for views, found in self.calibrations.items()}
        plain = {"skeleton": self.skeleton.to_dict(), "notes": dict(self.notes), "calibrations": calibrations}
        return json.dumps({"version": _VERSION, **fields, **plain})

    @classmethod
    def from_json(cls, text: str) -> "ModelInfo":
        """Rebuild from `to_json`'s text.

        Raises
        ------
        ValueError
            If it is another version's, or no such text.
        """
        fields = json.loads(text)
        try:
            version = fields.pop("version")
            if version != _VERSION:
                raise ValueError(f"its format is {version!r}, this posekit reads {_VERSION}")
            skeleton = Skeleton.from_dict(fields.pop("skeleton"))
            calibrations = {views: Calibration(**knots) for views, knots in fields.pop("calibrations", {}).items()}
            triples = {name: tuple(fields.pop(name)) for name in ("mean", "std", "stem")}
            return cls(skeleton=skeleton, calibrations=calibrations, **triples, **fields)
        except (TypeError, KeyError, AttributeError, DataError) as error:
            raise ValueError(f"{type(error).__name__}: {error}") from error


def _is_count(value) -> bool:
    return type(value) is int and value >= 1


def _are_finite(values) -> bool:
    return len(values) == 3 and all(map(math.isfinite, values))


def _require(condition: bool, name: str, value, expected: str) -> None:
    if not condition:
        raise ValueError(f"{name}: expected {expected}, got {value!r}")


def build_model(info: ModelInfo, *, prior: float = 0.01) -> StackedHourglass:
    """A model of that description, with fresh weights; `prior` as for `StackedHourglass`."""
    return StackedHourglass(
        joints=len(info.skeleton),
        stacks=info.stacks,
        features=info.features,
        depth=info.depth,
        head=info.head,
        prior=prior,
        blocks=info.blocks,
        encoder=info.encoder,
        stem=info.stem,
    )


def restore_model(info: ModelInfo, tensors: Mapping[str, Tensor], name: str) -> StackedHourglass:
    """A model of that description with the given weights as float32, in eval mode.

    Raises
    ------
    WeightsError
        If the tensors do not fit the description; the message begins with `name`.
    """
    with torch.device("meta"):  # no memory and no random numbers for weights that are replaced
        model = build_model(info)
    misfit = find_misfit(model.state_dict(), tensors)
    if misfit:
        raise WeightsError(f"{name}: the weights do not fit the model they are said to be of: {misfit}")
    model.to_empty(device="cpu").load_state_dict(tensors)
    return model.eval()


def save_weights(path: str | Path, model: StackedHourglass, info: ModelInfo, *, half: bool = False) -> None:
    """Write a weights file, whole or not at all.

    Parameters
    ----------
    path : str or Path
        Its folder is made if need be.
    model : StackedHourglass
        On any device, in any memory format.
    info : ModelInfo
        The model's own description.
    half : bool
        In half precision, at half the size.

    Raises
    ------
    ValueError
        If the description is not the model's, or a weight is too large for half precision.
    OutputError
        If the file cannot be written; one that was there before is kept.
    """
    tensors = plain_tensors(model)
    with torch.device("meta"):
        misfit = find_misfit(build_model(info).state_dict(), tensors)
    if misfit:
        raise ValueError(f"info: not the description of this model: {misfit}")
    write_tensors(path, halved(tensors) if half else tensors, POSE, info.to_json())


def read_info(path: str | Path) -> ModelInfo:
    """Read what a weights file says of its model, without the weights.

    Raises
    ------
    WeightsError
        If the file is missing, damaged or not posekit's.
    """
    return _read(path)[0]


def load_weights(path: str | Path, device: torch.device | str = "cpu") -> tuple[StackedHourglass, ModelInfo]:
    """Rebuild the model of a weights file.

    Parameters
    ----------
    path : str or Path
        A file, or a name of `posekit.weights.shipped`.
    device : torch.device or str

    Returns
    -------
    model : StackedHourglass
        float32, in eval mode, on `device`.
    info : ModelInfo

    Raises
    ------
    WeightsError
        If the file is missing, damaged, not posekit's, or its tensors do not fit its description.
    """
    info, tensors = _read(path, weights=True)
    return restore_model(info, tensors, str(path)).to(device), info


def start_from(model: StackedHourglass, path: str | Path, *, joints: Sequence[str]) -> None:
    """Give a model the weights of a file to begin its training with.

    Where the file's are for other joints, what depends on the joints (the outputs, and how the next stack takes them in) stays
    as it is.

    Parameters
    ----------
    model : StackedHourglass
    path : str or Path
        As for `load_weights`.
    joints : sequence of str
        What its maps are of, in order.

    Raises
    ------
    WeightsError
        If the file cannot be used, or is of a network of other sizes.
    """
    found, tensors = _read(path, weights=True)
    kept = model.state_dict()
    if tuple(found.skeleton.joints) != tuple(joints):
        of_joints = ("outputs.", "merge_outputs.")
        tensors |= {name: tensor for name, tensor in kept.items() if name.startswith(of_joints)}
    if misfit := find_misfit(kept, tensors):
        raise WeightsError(f"{path}: is of another network than the one to train: {misfit}; give model the same sizes")
    model.load_state_dict(tensors)


def _read(path: str | Path, *, weights: bool = False) -> tuple[ModelInfo, dict[str, Tensor]]:
    return read_tensors(locate(path), POSE, ModelInfo.from_json, weights=weights)
