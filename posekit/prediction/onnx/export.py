"""The ONNX form of a model: one file from crops to joints, scores and maps, which needs neither posekit nor torch to run."""

import importlib
import io
import warnings
from types import ModuleType

import torch
from torch import Tensor, nn

from posekit import heatmaps
from posekit.choices import DECODE_METHODS
from posekit.errors import ConfigError
from posekit.models import ModelInfo, StackedHourglass, normalise

# Names in the metadata of the file.
INFO_KEY, DECODE_KEY = "posekit", "posekit_decode"
INPUT, OUTPUTS = "crops", ("joints", "scores", "maps")
# The last that every ONNX Runtime since 1.13 reads.
_OPSET = 17
_ABOUT = """\
Human pose estimation by posekit. Input: crops (B, S, S, 3) uint8, red, green, blue, each of one person.
Outputs: joints (B, K, 2) x, y in pixels of the crop, 0-based, an integer is a pixel's centre; scores (B, K), the
heatmaps' peaks; maps (B, K, S/4, S/4), the activated heatmaps. The metadata "posekit" tells joint names and all else."""


class CropsToJoints(nn.Module):
    """From crops to what is said of them: normalisation, network, the head's activation, decoding.

    Parameters
    ----------
    model : StackedHourglass
    info : ModelInfo
    decode : {"quarter", "dark", "argmax"}
        See `posekit.heatmaps.decode`.
    """

    def __init__(self, model: nn.Module, info: ModelInfo, decode: str):
        super().__init__()
        self.model, self.info, self.decode = model, info, decode

    def forward(self, crops_BSS3: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, S, S, 3) uint8 to joints (B, K, 2) in crop pixels, scores (B, K) and activated maps (B, K, H, W)."""
        maps = activated_maps(self.model, self.info, crops_BSS3)
        return *decoded(maps, self.info, self.decode), maps


def activated_maps(model: nn.Module, info: ModelInfo, crops_BSS3: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """What the last stack of a model of that dtype sees in crops (B, S, S, 3) uint8: maps (B, K, H, W) float32."""
    return model.activate(model(normalise(crops_BSS3, info.mean, info.std).to(dtype))[-1].float())


def decoded(maps_BKHW: Tensor, info: ModelInfo, method: str) -> tuple[Tensor, Tensor]:
    """Joints (B, K, 2) in pixels of the model's crop, and scores (B, K); see `posekit.heatmaps.decode`."""
    return heatmaps.decode(maps_BKHW, method=method, stride=info.input_size // int(maps_BKHW.shape[-1]))


def require(package: str) -> ModuleType:
    """Import a package of the extra ``onnx``.

    Raises
    ------
    ConfigError
        If it is not installed.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise ConfigError(
            f'{package} cannot be imported ({error}); pip install -e ".[onnx]", or choose the back end torch, the detector self'
        ) from error


def to_onnx(model: StackedHourglass, info: ModelInfo, *, decode: str = "quarter") -> bytes:
    """Make the ONNX form of a model.

    Parameters
    ----------
    model : StackedHourglass
        On the CPU, in eval mode.
    info : ModelInfo
        The model's own description; it goes along as metadata.
    decode : {"quarter", "dark", "argmax"}
        How joints are found in the maps, inside the graph; whoever runs the file can decode the maps otherwise.

    Returns
    -------
    bytes : an ONNX file; any number of crops may go through at once. Input and outputs are told in its description.

    Raises
    ------
    ConfigError
        If there is no such decoding, or onnx is not installed.
    """
    if decode not in DECODE_METHODS:
        raise ConfigError(f"decode {decode!r}: choose from {', '.join(DECODE_METHODS)}")
    onnx = require("onnx")
    graph = onnx.load_model_from_string(_traced(CropsToJoints(model, info, decode).eval(), info.input_size))
    graph.doc_string = _ABOUT
    _tell_sizes(graph, len(info.skeleton), info.input_size // 4)
    onnx.helper.set_model_props(graph, {INFO_KEY: info.to_json(), DECODE_KEY: decode})
    onnx.checker.check_model(graph)
    return graph.SerializeToString()


def _tell_sizes(graph, k: int, side: int) -> None:
    """What tracing leaves open, so that who reads the file sees it: all sizes of the outputs but the first."""
    for output, sizes in zip(graph.graph.output, ((k, 2), (k,), (k, side, side)), strict=True):
        for dimension, size in zip(output.type.tensor_type.shape.dim[1:], sizes, strict=True):
            dimension.dim_value = size


def _traced(network: CropsToJoints, size: int) -> bytes:
    """torch.onnx by tracing: the newer exporter takes ten times as long for the same graph."""
    file = io.BytesIO()
    crops = torch.zeros(2, size, size, 3, dtype=torch.uint8)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # of sizes that are fixed in the file
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.filterwarnings("ignore", "Constant folding")  # of an encoder's paddings: they stay in the graph
        torch.onnx.export(
            network,
            (crops,),
            file,
            input_names=[INPUT],
            output_names=list(OUTPUTS),
            dynamic_axes={name: {0: "people"} for name in (INPUT, *OUTPUTS)},
            opset_version=_OPSET,
            dynamo=False,
        )
    return file.getvalue()
