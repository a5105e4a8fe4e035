"""Run ONNX files in ONNX Runtime. Files from others are not trusted, so every file is checked before it is opened."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from posekit.choices import DECODE_METHODS
from posekit.errors import WeightsError
from posekit.models import ModelInfo
from posekit.prediction.onnx.export import DECODE_KEY, INFO_KEY, INPUT, OUTPUTS, require

# Domains of the standard ONNX operators. Other operators come from ONNX Runtime or third parties and may run any code.
_DOMAINS = ("", "ai.onnx")
_ADVICE = "export it again with tools/export.py"


class OnnxSession:
    """Runs an ONNX file from `posekit.prediction.onnx.export.to_onnx`; see `open_session`.

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

        `outputs` are names from `posekit.prediction.onnx.export.OUTPUTS`.

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
