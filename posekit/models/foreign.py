"""Hourglass checkpoints of other projects: bearpaw/pytorch-pose and princeton-vl/pytorch_stacked_hourglass.

Both are the network of `posekit.models.hourglass`, under other names: the first with the wide stem and any
number of residuals at every place, the second with the narrow stem and unused convolutions on its skips.
"""

import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from posekit.errors import WeightsError
from posekit.models.hourglass import StackedHourglass
from posekit.models.weights import ModelInfo, restore_model, save_weights
from posekit.skeletons import MPII16


@dataclass(frozen=True)
class _Naming:
    """How a project names its tensors: what tells it apart, and rules (pattern, replacement) applied in order."""

    project: str
    sign: str
    wrapper: str
    rules: tuple[tuple[str, str], ...]
    mean: tuple[float, float, float]


# A residual's layers stand in a row: BN, ReLU, convolution, three times.
_RESIDUAL_RULES = tuple(
    (rf"\.{layer}{i + 1}(\.conv)?\.(?=\w+$)", f".branch.{3 * i + place}.")
    for i in range(3)
    for layer, place in (("bn", 0), ("conv", 2))
)
_PYTORCH_POSE = _Naming(
    project="bearpaw/pytorch-pose",
    sign="hg.0.hg.0.0.0.bn1.weight",
    wrapper=r"^(module\.)?",
    rules=(
        (r"^conv1\.", "stem.0."),
        (r"^bn1\.", "stem.1."),
        (r"^layer1\.0\.", "stem.3."),
        (r"^layer2\.0\.", "stem.5."),
        (r"^layer3\.0\.", "stem.6."),
        *_RESIDUAL_RULES,
        (r"\.downsample\.0\.", ".skip."),
        (r"^hg\.", "hourglasses."),
        (r"^res\.(\d+)\.", r"features.\1.0."),
        (r"^fc\.(\d+)\.0\.", r"features.\1.1."),
        (r"^fc\.(\d+)\.1\.", r"features.\1.2."),
        (r"^score\.", "outputs."),
        (r"^fc_\.", "merge_features."),
        (r"^score_\.", "merge_outputs."),
    ),
    mean=(0.4404, 0.4440, 0.4327),
)
_PRINCETON = _Naming(
    project="princeton-vl/pytorch_stacked_hourglass",
    sign="hgs.0.0.up1.bn1.weight",
    wrapper=r"^(model\.)?(module\.)?",
    rules=(
        (r"^pre\.0\.conv\.", "stem.0."),
        (r"^pre\.0\.bn\.", "stem.1."),
        (r"^pre\.1\.", "stem.3."),
        (r"^pre\.3\.", "stem.5."),
        (r"^pre\.4\.", "stem.6."),
        (r"^features\.(\d+)\.0\.", r"features.\1.0.0."),
        (r"^features\.(\d+)\.1\.conv\.", r"features.\1.1."),
        (r"^features\.(\d+)\.1\.bn\.", r"features.\1.2."),
        *_RESIDUAL_RULES,
        (r"\.skip_layer\.conv\.", ".skip."),
        (r"^hgs\.(\d+)\.0\.", r"hourglasses.\1."),
        (r"low2\.(?=up1|low)", "inner."),
        (r"\.up1\.", ".across.0."),
        (r"\.low1\.", ".down.0."),
        (r"\.low2\.", ".inner.0."),
        (r"\.low3\.", ".up.0."),
        (r"^outs\.(\d+)\.conv\.", r"outputs.\1."),
        (r"^merge_features\.(\d+)\.conv\.conv\.", r"merge_features.\1."),
        (r"^merge_preds\.(\d+)\.conv\.conv\.", r"merge_outputs.\1."),
    ),
    mean=(0.0, 0.0, 0.0),
)
_INPUT_SIZE = 256


def load_foreign(path: str | Path) -> tuple[StackedHourglass, ModelInfo]:
    """Load a published PyTorch hourglass for MPII's 16 joints; which one, its tensors' names tell.

    Parameters
    ----------
    path : str or Path
        A ``.pth.tar`` or ``.pt`` checkpoint, or a bare state dict.

    Returns
    -------
    model : StackedHourglass
        In eval mode; it computes what the authors' code computes.
    info : ModelInfo

    Raises
    ------
    WeightsError
        If the file is missing or damaged, holds objects other than tensors and plain values, or no such network.
    """
    found = _read_state_dict(path)
    for naming in (_PYTORCH_POSE, _PRINCETON):
        tensors = {re.sub(naming.wrapper, "", name): tensor for name, tensor in found.items()}
        if naming.sign in tensors:
            return _restore(_translate(tensors, naming), naming, str(path))
    projects = f"{_PYTORCH_POSE.project} and {_PRINCETON.project}"
    raise WeightsError(f"{path}: its tensors' names are of no network that can be converted; those of {projects} can")


def convert_weights(source: str | Path, target: str | Path) -> ModelInfo:
    """Write posekit's weights file of a published checkpoint; see `load_foreign`.

    Raises
    ------
    WeightsError
        If the source cannot be used.
    OutputError
        If the target cannot be written.
    """
    model, info = load_foreign(source)
    save_weights(target, model, info)
    return info


def _read_state_dict(path: str | Path) -> dict[str, Tensor]:
    if not Path(path).is_file():
        raise WeightsError(f"{path}: no such checkpoint")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"{path}: no checkpoint, or it holds other objects than tensors, which are not unpickled: they could run any code. "
            "If you trust it, save its state_dict alone"
        ) from error
    except Exception as error:  # a damaged file makes PyTorch raise whatever its bytes lead to
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise WeightsError(f"{path}: the checkpoint cannot be read ({reason})") from error
    tensors = content.get("state_dict", content) if isinstance(content, Mapping) else None
    if not _is_state_dict(tensors):
        raise WeightsError(f"{path}: holds no state dict (tensors by name)")
    return tensors


def _is_state_dict(content: object) -> bool:
    items = content.items() if isinstance(content, Mapping) else [(None, None)]
    return all(isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in items)


def _translate(tensors: Mapping[str, Tensor], naming: _Naming) -> dict[str, Tensor]:
    depth = len({name.split(".")[3] for name in tensors if name.startswith("hg.0.hg.")})
    return {_rename(_nested(name, depth), naming.rules): tensor for name, tensor in tensors.items()}


def _rename(name: str, rules: tuple[tuple[str, str], ...]) -> str:
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name)
    return name


def _nested(name: str, depth: int) -> str:
    """pytorch-pose lists an hourglass's levels, the innermost first; posekit nests them, the outermost first."""
    level = re.match(r"^(hg\.\d+\.)hg\.(\d+)\.([0-3])\.", name)
    if not level:
        return name
    place = ("across", "down", "up", "inner")[int(level[3])]
    return level[1] + "inner." * (depth - 1 - int(level[2])) + place + "." + name[level.end() :]


def _restore(tensors: dict[str, Tensor], naming: _Naming, path: str) -> tuple[StackedHourglass, ModelInfo]:
    try:
        info = _infer_info(tensors, naming)
    except (KeyError, ValueError) as error:
        raise WeightsError(f"{path}: an incomplete {naming.project} network ({error})") from error
    joints = len(tensors["outputs.0.bias"])
    if joints != len(info.skeleton):
        raise WeightsError(f"{path}: predicts {joints} joints; only networks for MPII's {len(info.skeleton)} can be converted")
    if naming is _PRINCETON:
        tensors = {name: tensor for name, tensor in tensors.items() if not _is_unused_skip(name, tensors)}
    for name in [name for name in tensors if name.endswith("running_mean")]:  # PyTorch before 0.4.1 did not count batches
        tensors.setdefault(name.replace("running_mean", "num_batches_tracked"), torch.tensor(0))
    return restore_model(info, tensors, path), info


def _infer_info(tensors: Mapping[str, Tensor], naming: _Naming) -> ModelInfo:
    channels = [tensors[name].shape[0] for name in ("stem.0.bias", "stem.3.branch.8.bias", "stem.5.branch.8.bias")]
    return ModelInfo(
        skeleton=MPII16,
        input_size=_INPUT_SIZE,
        stacks=sum(name.startswith("outputs.") and name.endswith(".bias") for name in tensors),
        features=len(tensors["stem.6.branch.8.bias"]),
        depth=max(name.count("inner.") for name in tensors),
        head="linear",
        mean=naming.mean,
        std=(1.0, 1.0, 1.0),
        blocks=len({name.split(".")[3] for name in tensors if name.startswith("hourglasses.0.across.")}),
        stem=tuple(channels),
        notes={"converted_from": naming.project},
    )


def _is_unused_skip(name: str, tensors: Mapping[str, Tensor]) -> bool:
    """Princeton's residuals all have a convolution on the skip, and use it only where it changes the number of channels."""
    layer = name.rpartition(".")[0]
    return layer.endswith(".skip") and len(tensors[layer + ".weight"]) == tensors[layer + ".weight"].shape[1]
