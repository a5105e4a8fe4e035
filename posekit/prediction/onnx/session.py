"""ONNX files in ONNX Runtime: check_onnx before they are opened, since they may come from a stranger."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from posekit.choices import DECODE_METHODS
from posekit.errors import WeightsError
from posekit.models import ModelInfo
from posekit.prediction.onnx.export import DECODE_KEY, INFO_KEY, INPUT, OUTPUTS, require

# ONNX's own operators. Those of any other domain are ONNX Runtime's or somebody's, and need not be what they seem.
_DOMAINS = ("", "ai.onnx")
_ADVICE = "get or make it anew, by tools/export.py"


class OnnxSession:
    """Runs an ONNX file as of `posekit.prediction.onnx.export.to_onnx`; see `open_session`.

    Parameters
    ----------
    data : bytes
        What the file holds.
    name : str
        How it is called in errors.

    Attributes
    ----------
    info : ModelInfo
    decode : str
        How joints are found in the maps.

    Raises
    ------
    ConfigError
        If onnx or onnxruntime is not installed.
    WeightsError
        If it is damaged, not posekit's, or wants another file or other operators.
    """

    def __init__(self, data: bytes, name: str):
        self._name = name
        self.info, self.decode = _described(check_onnx(data, name, _ADVICE), name)
        self._session = open_session(data, name, _ADVICE)

    def run(self, crops_BSS3: Tensor, outputs: Sequence[str]) -> list[Tensor]:
        """The named outputs, of `posekit.prediction.onnx.export.OUTPUTS`, for crops (B, S, S, 3) uint8.

        Raises
        ------
        WeightsError
            If the graph fails, or its results have other shapes than the model's.
        """
        with onnx_errors(self._name, "fails", _ADVICE):
            found = self._session.run(list(outputs), {INPUT: crops_BSS3.numpy()})
        expected = len(crops_BSS3), len(self.info.skeleton)
        for output, result in zip(outputs, found, strict=True):
            if result.shape[:2] != expected:
                raise WeightsError(f"{self._name}: {output} should be {expected} …, they are {result.shape}; get or make it anew")
        return list(map(torch.from_numpy, found))


def check_onnx(data: bytes, name: str, advice: str):
    """The onnx.ModelProto of a file that is no more than a plain ONNX file.

    Parameters
    ----------
    data : bytes
        What the file holds.
    name : str
        How it is called in errors.
    advice : str
        What to do about a bad file, for errors.

    Raises
    ------
    ConfigError
        If onnx is not installed.
    WeightsError
        If it is damaged, wants another file, or other operators than ONNX's own.
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


def open_session(data: bytes, name: str, advice: str):
    """An onnxruntime.InferenceSession of a file that was `check_onnx`, on the CPU, with as many threads as torch would use.

    Threads that wait for work sleep; spinning, they would take the processor from whatever else runs.

    Raises
    ------
    ConfigError
        If onnxruntime is not installed.
    WeightsError
        If ONNX Runtime cannot open it.
    """
    runtime = require("onnxruntime")
    runtime.disable_telemetry_events()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4  # errors are raised, and told once
    with onnx_errors(name, "cannot be opened", advice):
        return runtime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


@contextmanager
def onnx_errors(name: str, problem: str, advice: str) -> Iterator[None]:
    """Say in a line what ONNX Runtime raises.

    Raises
    ------
    WeightsError
        Instead.
    """
    state = require("onnxruntime.capi.onnxruntime_pybind11_state")
    kinds = (state.Fail, state.InvalidArgument, state.InvalidGraph, state.InvalidProtobuf, state.NotImplemented)
    try:
        yield
    except (*kinds, state.RuntimeException, UnicodeDecodeError) as error:  # names need not be text
        raise WeightsError(f"{name}: {problem} ({str(error).splitlines()[0]}); {advice}") from error


def _described(model, name: str) -> tuple[ModelInfo, str]:
    """What a file says of its pose model, and how it decodes."""
    described = {entry.key: entry.value for entry in model.metadata_props}
    if not {INFO_KEY, DECODE_KEY} <= described.keys():
        raise WeightsError(f"{name}: not posekit's ONNX form (no {INFO_KEY!r} in the metadata); make it by tools/export.py")
    try:
        info = ModelInfo.from_json(described[INFO_KEY])
    except ValueError as error:
        raise WeightsError(f"{name}: its description of the model cannot be used ({error}); get or make it anew") from error
    if described[DECODE_KEY] not in DECODE_METHODS:
        raise WeightsError(f"{name}: decodes by {described[DECODE_KEY]!r}, which is none of {', '.join(DECODE_METHODS)}")
    _require_signature(model.graph, name)
    return info, described[DECODE_KEY]


def _require_plain(model, external: int, name: str) -> None:
    for message in _messages(model):
        kind = message.DESCRIPTOR.name
        if kind == "TensorProto" and (message.data_location == external or message.external_data):
            raise WeightsError(f"{name}: keeps weights in another file, which is not read; ask for one file")
        if kind in ("NodeProto", "OperatorSetIdProto", "FunctionProto") and message.domain not in _DOMAINS:
            raise WeightsError(f"{name}: uses operators of {message.domain!r}, only ONNX's own are run; ask for a standard file")


def _messages(message) -> Iterator:
    """A protobuf message and all that it holds, at any depth."""
    yield message
    for field, value in message.ListFields():
        if field.message_type is not None:
            for child in (value,) if hasattr(value, "ListFields") else value:
                yield from _messages(child)


def _require_signature(graph, name: str) -> None:
    found = {value.name for value in graph.input}, {value.name for value in graph.output}
    if found != ({INPUT}, set(OUTPUTS)):
        names = ", ".join(sorted(found[0] | found[1]))
        raise WeightsError(f"{name}: its inputs and outputs are {names}, expected {', '.join((INPUT, *OUTPUTS))}; make it anew")
