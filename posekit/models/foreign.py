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
    """How a project names its tensors.

    `sign` is a name that only its networks have, `wrapper` matches prefixes to remove, and `rules` (pattern, replacement) are
    applied in order.
    """

    project: str
    sign: str
    wrapper: str
    rules: tuple[tuple[str, str], ...]
    mean: tuple[float, float, float]


# A residual's layers in order: BN, ReLU, convolution, three times.
_RESIDUAL_RULES = (
    (r"\.bn1(\.conv)?\.(?=\w+$)", ".branch.0."),
    (r"\.conv1(\.conv)?\.(?=\w+$)", ".branch.2."),
    (r"\.bn2(\.conv)?\.(?=\w+$)", ".branch.3."),
    (r"\.conv2(\.conv)?\.(?=\w+$)", ".branch.5."),
    (r"\.bn3(\.conv)?\.(?=\w+$)", ".branch.6."),
    (r"\.conv3(\.conv)?\.(?=\w+$)", ".branch.8."),
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
    """Load a published PyTorch hourglass for MPII's 16 joints, recognised by its tensors' names.

    Parameters
    ----------
    path : str or Path
        A ``.pth.tar`` or ``.pt`` checkpoint, or a bare state dict.

    Returns
    -------
    model : StackedHourglass
        In eval mode; its outputs are those of the authors' code.
    info : ModelInfo

    Raises
    ------
    WeightsError
        If the file is missing or damaged, holds objects other than tensors and plain values, or another network.
    """
    state = _read_state_dict(path)
    for naming in (_PYTORCH_POSE, _PRINCETON):
        tensors = {re.sub(naming.wrapper, "", name): tensor for name, tensor in state.items()}
        if naming.sign in tensors:
            return _restore(_translate(tensors, naming), naming, str(path))
    projects = f"{_PYTORCH_POSE.project} and {_PRINCETON.project}"
    raise WeightsError(f"{path}: unknown tensor names; only networks of {projects} can be converted")


def convert_weights(source: str | Path, target: str | Path) -> ModelInfo:
    """Convert a published checkpoint to a weights file of posekit; see `load_foreign`.

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
            f"{path}: not a checkpoint, or it holds objects other than tensors, which are not unpickled: they could run any code. "
            "If you trust it, save its state_dict alone"
        ) from error
    except Exception as error:  # a damaged file makes PyTorch raise all kinds of errors
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise WeightsError(f"{path}: the checkpoint cannot be read ({reason})") from error
    state = content.get("state_dict", content) if isinstance(content, Mapping) else None
    if not isinstance(state, Mapping):
        raise WeightsError(f"{path}: holds no state dict (tensors by name)")
    for name, tensor in state.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            raise WeightsError(f"{path}: holds no state dict: its entry {name!r} is not a tensor")
    return dict(state)


def _translate(tensors: Mapping[str, Tensor], naming: _Naming) -> dict[str, Tensor]:
    depth = len({name.split(".")[3] for name in tensors if name.startswith("hg.0.hg.")})
    renamed = {}
    for name, tensor in tensors.items():
        name = _nest(name, depth)
        for pattern, replacement in naming.rules:
            name = re.sub(pattern, replacement, name)
        renamed[name] = tensor
    return renamed


def _nest(name: str, depth: int) -> str:
    """Turn pytorch-pose's list of an hourglass's levels, the innermost first, into posekit's nesting, the outermost first."""
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
        raise WeightsError(f"{path}: predicts {joints} joints, only networks for MPII's {len(info.skeleton)} can be converted")
    if naming is _PRINCETON:
        tensors = {name: tensor for name, tensor in tensors.items() if not _is_unused_skip(name, tensors)}
    for name in [name for name in tensors if name.endswith("running_mean")]:  # PyTorch before 0.4.1 did not count batches
        tensors.setdefault(name.replace("running_mean", "num_batches_tracked"), torch.tensor(0))
    return restore_model(info, tensors, path), info


def _infer_info(tensors: Mapping[str, Tensor], naming: _Naming) -> ModelInfo:
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
        stem=(len(tensors["stem.0.bias"]), len(tensors["stem.3.branch.8.bias"]), len(tensors["stem.5.branch.8.bias"])),
        notes={"converted_from": naming.project},
    )


def _is_unused_skip(name: str, tensors: Mapping[str, Tensor]) -> bool:
    """Return whether a tensor is of a skip that keeps the number of channels: Princeton's networks store such layers unused."""
    layer = name.rpartition(".")[0]
    if not layer.endswith(".skip"):
        return False
    outputs, inputs = tensors[layer + ".weight"].shape[:2]
    return outputs == inputs
