"""Load hourglass checkpoints of two other projects: bearpaw/pytorch-pose and princeton-vl/pytorch_stacked_hourglass.

Both projects have the same network as `posekit.models.hourglass`, with other tensor names. pytorch-pose has the wide stem and
any number of consecutive residuals; pytorch_stacked_hourglass has the narrow stem and stores unused convolutions in its skips.
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
    """How a project names its tensors, and how to translate the names to posekit's names.

    `sign` is a tensor name that occurs only in the project's networks. `wrapper` is a regular expression for prefixes to remove.
    `rules` are regular expressions with their replacements, applied in order.
    """

    project: str
    sign: str
    wrapper: str
    rules: tuple[tuple[str, str], ...]
    mean: tuple[float, float, float]


# The branch of a residual is BN, ReLU, convolution, three times; the numbers are positions in the branch.
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
    """Load a published PyTorch hourglass for MPII's 16 joints; the project is recognised from the tensor names.

    Parameters
    ----------
    path : str or Path
        A ``.pth.tar`` or ``.pt`` checkpoint, or a file with only the state dict.

    Returns
    -------
    model : StackedHourglass
        In eval mode; the outputs are the same as with the authors' code.
    info : ModelInfo

    Raises
    ------
    WeightsError
        If the file is missing or damaged, contains objects other than tensors and plain values, or contains another network.
    """
    state = _read_state_dict(path)
    for naming in (_PYTORCH_POSE, _PRINCETON):
        tensors = {re.sub(naming.wrapper, "", name): tensor for name, tensor in state.items()}
        if naming.sign in tensors:
            return _restore(_translate(tensors, naming), naming, str(path))
    projects = f"{_PYTORCH_POSE.project} and {_PRINCETON.project}"
    raise WeightsError(f"{path}: unknown tensor names; only checkpoints of {projects} can be converted")


def convert_weights(source: str | Path, target: str | Path) -> ModelInfo:
    """Convert a published checkpoint to a posekit weights file; see `load_foreign`.

    Raises
    ------
    WeightsError
        If the source cannot be loaded; see `load_foreign`.
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
            f"{path}: not a checkpoint, or a checkpoint with objects other than tensors, which are not loaded because unpickling "
            "them could run any code. If you trust the file, save only its state_dict"
        ) from error
    except Exception as error:  # a damaged file makes PyTorch raise all kinds of errors
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise WeightsError(f"{path}: the checkpoint cannot be read ({reason})") from error
    state = content.get("state_dict", content) if isinstance(content, Mapping) else None
    if not isinstance(state, Mapping):
        raise WeightsError(f"{path}: contains no state dict (a mapping from names to tensors)")
    for name, tensor in state.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            raise WeightsError(f"{path}: contains no state dict: the entry {name!r} is not a tensor")
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
    """Translate the hourglass level in a tensor name.

    pytorch-pose numbers the levels of an hourglass from the innermost outward; posekit nests them from the outermost inward.
    """
    level = re.match(r"^(hg\.\d+\.)hg\.(\d+)\.([0-3])\.", name)
    if not level:
        return name
    place = ("across", "down", "up", "inner")[int(level[3])]
    return level[1] + "inner." * (depth - 1 - int(level[2])) + place + "." + name[level.end() :]


def _restore(tensors: dict[str, Tensor], naming: _Naming, path: str) -> tuple[StackedHourglass, ModelInfo]:
    try:
        info = _infer_info(tensors, naming)
    except (KeyError, ValueError) as error:
        raise WeightsError(f"{path}: incomplete checkpoint of {naming.project} ({error})") from error
    joints = len(tensors["outputs.0.bias"])
    if joints != len(info.skeleton):
        raise WeightsError(
            f"{path}: the network predicts {joints} joints; only networks for MPII's {len(info.skeleton)} joints can be converted"
        )
    if naming is _PRINCETON:
        tensors = {name: tensor for name, tensor in tensors.items() if not _is_unused_skip(name, tensors)}
    for name in [name for name in tensors if name.endswith("running_mean")]:  # not stored by PyTorch before 0.4.1
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
    """Return whether a tensor belongs to a skip convolution with equal input and output channels.

    Princeton's networks store such convolutions but do not use them.
    """
    layer = name.rpartition(".")[0]
    if not layer.endswith(".skip"):
        return False
    outputs, inputs = tensors[layer + ".weight"].shape[:2]
    return outputs == inputs
