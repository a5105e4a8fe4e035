"""Export models to ONNX files that predict joints, scores and heatmaps from crops without posekit or torch, and run ONNX files."""

import importlib
import io
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from posekit import heatmaps
from posekit.choices import DECODE_METHODS
from posekit.errors import ConfigError, WeightsError
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


# Domains of the standard ONNX operators. Other operators come from ONNX Runtime or third parties and may run any code.
_DOMAINS = ("", "ai.onnx")
_ADVICE = "export it again with tools/export.py"


class OnnxSession:
    """Runs an ONNX file from `posekit.prediction.onnx.to_onnx`; see `open_session`.

    Parameters
    ----------
    data : bytes
        Content of the file.
    name : str
        Name of the file in error messages.

    Attributes
    ----------
    info : ModelInfo
    decode : str
        How the graph decodes joints from heatmaps.

    Raises
    ------
    ConfigError
        If onnx or onnxruntime is not installed.
    WeightsError
        If the file is damaged, was not exported by posekit, refers to another file or uses non-standard operators.
    """

    def __init__(self, data: bytes, name: str):
        self._name = name
        self.info, self.decode = _read_metadata(check_onnx(data, name, _ADVICE), name)
        self._session = open_session(data, name, _ADVICE)

    def run(self, crops_BSS3: Tensor, outputs: Sequence[str]) -> list[Tensor]:
        """Return the requested outputs for crops (B, S, S, 3) uint8.

        `outputs` are names from `posekit.prediction.onnx.OUTPUTS`.

        Raises
        ------
        WeightsError
            If running the graph fails, or an output has an unexpected shape.
        """
        with onnx_errors(self._name, "cannot be run", _ADVICE):
            results = self._session.run(list(outputs), {INPUT: crops_BSS3.numpy()})
        expected = (len(crops_BSS3), len(self.info.skeleton))
        for output, result in zip(outputs, results, strict=True):
            if result.shape[:2] != expected:
                raise WeightsError(
                    f"{self._name}: {output}: expected a shape that starts with {expected}, got {result.shape}; {_ADVICE}"
                )
        return [torch.from_numpy(result) for result in results]


def check_onnx(data: bytes, name: str, advice: str) -> Any:
    """Parse an ONNX file and check that it contains all its weights and only standard ONNX operators.

    Parameters
    ----------
    data : bytes
        Content of the file.
    name : str
        Name of the file in error messages.
    advice : str
        What to do about an invalid file; the end of error messages.

    Returns
    -------
    onnx.ModelProto

    Raises
    ------
    ConfigError
        If onnx is not installed.
    WeightsError
        If the file is damaged, refers to another file or uses non-standard operators.
    """
    onnx = require("onnx")
    try:
        model = onnx.load_model_from_string(data)
        _require_plain(model, onnx.TensorProto.EXTERNAL, name)
        onnx.checker.check_model(model)
    except (require("google.protobuf.message").DecodeError, onnx.checker.ValidationError, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0]
        raise WeightsError(f"{name}: damaged, or not an ONNX file ({reason}); {advice}") from error
    return model


def open_session(data: bytes, name: str, advice: str) -> Any:
    """Open an ONNX file on the CPU, with as many threads as torch uses; check the file with `check_onnx` first.

    Idle threads sleep instead of spinning, which would slow down all other work on the machine.

    Returns
    -------
    onnxruntime.InferenceSession

    Raises
    ------
    ConfigError
        If onnxruntime is not installed.
    WeightsError
        If ONNX Runtime cannot open the file.
    """
    runtime = require("onnxruntime")
    runtime.disable_telemetry_events()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4  # errors are raised, so they are not logged as well
    with onnx_errors(name, "cannot be opened", advice):
        return runtime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


@contextmanager
def onnx_errors(name: str, problem: str, advice: str) -> Iterator[None]:
    """Convert an error of ONNX Runtime to a `WeightsError` with a one-line message."""
    state = require("onnxruntime.capi.onnxruntime_pybind11_state")
    failures = (state.Fail, state.InvalidArgument, state.InvalidGraph, state.InvalidProtobuf, state.NotImplemented)
    try:
        yield
    except (*failures, state.RuntimeException, UnicodeDecodeError) as error:  # names in the file may be invalid UTF-8
        raise WeightsError(f"{name}: {problem} ({str(error).splitlines()[0]}); {advice}") from error


def _read_metadata(model: Any, name: str) -> tuple[ModelInfo, str]:
    """Return the model's description and the decoding method from the metadata of an exported file."""
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    if not {INFO_KEY, DECODE_KEY} <= metadata.keys():
        raise WeightsError(f"{name}: not exported by posekit (no {INFO_KEY!r} in the metadata); {_ADVICE}")
    try:
        info = ModelInfo.from_json(metadata[INFO_KEY])
    except ValueError as error:
        raise WeightsError(f"{name}: the model's description in the metadata is invalid ({error}); {_ADVICE}") from error
    decode = metadata[DECODE_KEY]
    if decode not in DECODE_METHODS:
        raise WeightsError(
            f"{name}: unknown decoding {decode!r}; this version of posekit supports {', '.join(DECODE_METHODS)}; {_ADVICE}"
        )
    inputs = {value.name for value in model.graph.input}
    outputs = {value.name for value in model.graph.output}
    if inputs != {INPUT} or outputs != set(OUTPUTS):
        names = ", ".join(sorted(inputs | outputs))
        raise WeightsError(f"{name}: expected the inputs and outputs {', '.join((INPUT, *OUTPUTS))}, got {names}; {_ADVICE}")
    return info, decode


def _require_plain(model: Any, external: int, name: str) -> None:
    for message in _walk(model):
        message_type = message.DESCRIPTOR.name
        if message_type == "TensorProto" and (message.data_location == external or message.external_data):
            raise WeightsError(f"{name}: stores weights in another file, which is not supported; export the model as a single file")
        if message_type in ("NodeProto", "OperatorSetIdProto", "FunctionProto") and message.domain not in _DOMAINS:
            raise WeightsError(
                f"{name}: uses operators of the domain {message.domain!r}, which are not allowed; "
                "export the model with standard ONNX operators only"
            )


def _walk(message: Any) -> Iterator[Any]:
    """Yield a protobuf message and all messages nested in it, at any depth."""
    yield message
    for field, value in message.ListFields():
        if field.message_type is not None:
            for child in (value,) if hasattr(value, "ListFields") else value:
                yield from _walk(child)
