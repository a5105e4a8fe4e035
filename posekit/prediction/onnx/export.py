"""Export a model to a single ONNX file that predicts joints, scores and heatmaps from crops, without posekit or torch."""

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

INFO_KEY = "posekit"
DECODE_KEY = "posekit_decode"
"""Metadata keys of an exported file: the model's description as JSON, and the decoding method in the graph."""
INPUT = "crops"
OUTPUTS = ("joints", "scores", "maps")
# The newest operator set that all versions of ONNX Runtime since 1.13 support.
_OPSET = 17
_ABOUT = """\
Human pose estimation by posekit. Input: crops (B, S, S, 3) uint8, RGB, one person per crop.
Outputs: joints (B, K, 2), x, y in crop pixels, where (0, 0) is the centre of the top left pixel; scores (B, K), the peak
heights of the heatmaps; maps (B, K, S/4, S/4), the activated heatmaps. The metadata "posekit" describes the model as JSON,
including the names of the joints."""


class CropsToJoints(nn.Module):
    """The complete prediction as one module: normalisation, network, activation, decoding.

    Parameters
    ----------
    model : StackedHourglass
    info : ModelInfo
    decode : {"quarter", "dark", "argmax"}
        See `posekit.heatmaps.decode`.
    """

    def __init__(self, model: StackedHourglass, info: ModelInfo, decode: str):
        super().__init__()
        self.model = model
        self.info = info
        self.decode = decode

    def forward(self, crops_BSS3: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Turn crops (B, S, S, 3) uint8 into joints (B, K, 2) in crop pixels, scores (B, K) and activated heatmaps (B, K, H, W)."""
        maps = predict_maps(self.model, self.info, crops_BSS3)
        joints, scores = decode_maps(maps, self.info, self.decode)
        return joints, scores, maps


def predict_maps(model: StackedHourglass, info: ModelInfo, crops_BSS3: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """Return the last stack's activated heatmaps (B, K, H, W) float32 for crops (B, S, S, 3) uint8.

    `dtype` is the dtype of the model's weights.
    """
    images = normalise(crops_BSS3, info.mean, info.std).to(dtype)
    return model.activate(model(images)[-1].float())


def decode_maps(maps_BKHW: Tensor, info: ModelInfo, method: str) -> tuple[Tensor, Tensor]:
    """Return joints (B, K, 2) in crop pixels and scores (B, K) for a model's heatmaps; see `posekit.heatmaps.decode`."""
    return heatmaps.decode(maps_BKHW, method=method, stride=info.input_size // int(maps_BKHW.shape[-1]))


def require(package: str) -> ModuleType:
    """Import a package that comes with posekit's optional dependencies ``posekit[onnx]``.

    Raises
    ------
    ConfigError
        If the package is not installed.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise ConfigError(
            f'{package} cannot be imported ({error}); run pip install -e ".[onnx]", '
            "or choose the backend torch or the detector self"
        ) from error


def to_onnx(model: StackedHourglass, info: ModelInfo, *, decode: str = "quarter") -> bytes:
    """Export a model to ONNX.

    Parameters
    ----------
    model : StackedHourglass
        On the CPU, in eval mode.
    info : ModelInfo
        Description of `model`, stored as metadata.
    decode : {"quarter", "dark", "argmax"}
        How the graph decodes joints from heatmaps. The graph also returns the heatmaps, which can be decoded in other ways.

    Returns
    -------
    bytes : content of an ONNX file for batches of any size. The file's doc string describes input and outputs.

    Raises
    ------
    ConfigError
        If `decode` is unknown or onnx is not installed.
    """
    if decode not in DECODE_METHODS:
        raise ConfigError(f"decode {decode!r}: choose from {', '.join(DECODE_METHODS)}")
    onnx = require("onnx")
    graph = onnx.load_model_from_string(_trace(CropsToJoints(model, info, decode).eval(), info.input_size))
    graph.doc_string = _ABOUT
    joints = len(info.skeleton)
    side = info.input_size // heatmaps.STRIDE
    # Tracing leaves the shapes of the outputs undefined; write all sizes except the batch size into the file.
    for output, sizes in zip(graph.graph.output, ((joints, 2), (joints,), (joints, side, side)), strict=True):
        for dimension, size in zip(output.type.tensor_type.shape.dim[1:], sizes, strict=True):
            dimension.dim_value = size
    onnx.helper.set_model_props(graph, {INFO_KEY: info.to_json(), DECODE_KEY: decode})
    onnx.checker.check_model(graph)
    return graph.SerializeToString()


def _trace(network: CropsToJoints, size: int) -> bytes:
    """Export by tracing: torch's newer exporter takes ten times as long for the same graph."""
    file = io.BytesIO()
    crops = torch.zeros(2, size, size, 3, dtype=torch.uint8)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # about sizes that become constants, as intended
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.filterwarnings("ignore", "Constant folding")  # about the encoder's padding, which works without folding
        torch.onnx.export(
            network,
            (crops,),
            file,  # type: ignore[arg-type]  # the type stub lacks file objects, which tracing accepts
            input_names=[INPUT],
            output_names=list(OUTPUTS),
            dynamic_axes={name: {0: "people"} for name in (INPUT, *OUTPUTS)},
            opset_version=_OPSET,
            dynamo=False,
        )
    return file.getvalue()
