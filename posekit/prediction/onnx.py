"""Export models to ONNX files, keep the exports in a cache, and open ONNX files."""

import contextlib
import hashlib
import importlib
import importlib.metadata
import inspect
import io
import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from posekit import heatmaps
from posekit.choices import DECODE_METHODS
from posekit.errors import ConfigError, OutputError, WeightsError
from posekit.files import atomic_write, writable_folder
from posekit.models import ModelInfo, StackedHourglass, encoder, hourglass, inputs, normalise

PACKAGES = ("onnx", "onnxruntime")
"""Packages needed to export a model to ONNX and to run the export."""
INPUT = "crops"
ADVICE = "export it again with tools/export.py"
"""End of error messages about a file that should come from `to_onnx`."""
# Metadata keys of an exported file: the model's description as JSON, and the decoding method in the graph.
_INFO_KEY = "posekit"
_DECODE_KEY = "posekit_decode"
_OUTPUTS = ("joints", "scores", "maps")
# The newest operator set that all versions of ONNX Runtime since 1.13 support.
_OPSET = 17
_ABOUT = """\
Human pose estimation by posekit. Input: crops (B, S, S, 3) uint8, RGB, one person per crop.
Outputs: joints (B, K, 2), x, y in crop pixels, where (0, 0) is the centre of the top left pixel; scores (B, K), the peak
heights of the heatmaps; maps (B, K, S/4, S/4), the activated heatmaps. The metadata "posekit" describes the model as JSON,
including the names of the joints."""

# Domains of the standard ONNX operators. Other operators come from ONNX Runtime or third parties and may run any code.
_DOMAINS = ("", "ai.onnx")

_CACHE_SUFFIX = ".onnx-form"
# Maximum number of exports in the cache; the least recently used exports are deleted first.
_CACHED = 20


def predict_maps(model: StackedHourglass, info: ModelInfo, crops_BSS3: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """Return the last stack's activated heatmaps (B, K, H, W) float32 for crops (B, S, S, 3) uint8.

    `dtype` is the dtype of the model's weights.
    """
    images = normalise(crops_BSS3, info.mean, info.std).to(dtype)
    return model.activate(model(images)[-1].float())


def decode_maps(maps_BKHW: Tensor, info: ModelInfo, method: str) -> tuple[Tensor, Tensor]:
    """Return joints (B, K, 2) in crop pixels and scores (B, K) for a model's heatmaps; see `posekit.heatmaps.decode`."""
    return heatmaps.decode(maps_BKHW, method=method, stride=info.input_size // int(maps_BKHW.shape[-1]))


class _CropsToJoints(nn.Module):
    """The complete prediction as one module: normalisation, network, activation, decoding."""

    def __init__(self, model: StackedHourglass, info: ModelInfo, decode: str):
        super().__init__()
        self.model = model
        self.info = info
        self.decode = decode

    def forward(self, crops_BSS3: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        maps = predict_maps(self.model, self.info, crops_BSS3)
        joints, scores = decode_maps(maps, self.info, self.decode)
        return joints, scores, maps


def to_onnx(model: StackedHourglass, info: ModelInfo, *, decode: str = "quarter") -> bytes:
    """Export a model to an ONNX file that predicts joints, scores and heatmaps from crops, without posekit or torch.

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
    bytes : content of the file, for batches of any size. The file's doc string describes input and outputs.

    Raises
    ------
    ConfigError
        If `decode` is unknown or onnx is not installed.
    """
    if decode not in DECODE_METHODS:
        raise ConfigError(f"decode {decode!r}: choose from {', '.join(DECODE_METHODS)}")
    onnx = require("onnx")
    graph = onnx.load_model_from_string(_trace(_CropsToJoints(model, info, decode).eval(), info.input_size))
    graph.doc_string = _ABOUT
    joints = len(info.skeleton)
    side = info.input_size // heatmaps.STRIDE
    # Tracing leaves the shapes of the outputs undefined; write all sizes except the batch size into the file.
    for output, sizes in zip(graph.graph.output, ((joints, 2), (joints,), (joints, side, side)), strict=True):
        for dimension, size in zip(output.type.tensor_type.shape.dim[1:], sizes, strict=True):
            dimension.dim_value = size
    onnx.helper.set_model_props(graph, {_INFO_KEY: info.to_json(), _DECODE_KEY: decode})
    onnx.checker.check_model(graph)
    return graph.SerializeToString()


def _trace(network: _CropsToJoints, size: int) -> bytes:
    """Export by tracing: torch's newer exporter takes ten times as long for the same graph."""
    file = io.BytesIO()
    crops = torch.zeros(2, size, size, 3, dtype=torch.uint8)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # sizes become constants, as intended
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.filterwarnings("ignore", "Constant folding")  # the encoder's padding works without folding
        torch.onnx.export(
            network,
            (crops,),
            file,  # type: ignore[arg-type]  # the type stub lacks file objects, which tracing accepts
            input_names=[INPUT],
            output_names=list(_OUTPUTS),
            dynamic_axes={name: {0: "people"} for name in (INPUT, *_OUTPUTS)},
            opset_version=_OPSET,
            dynamo=False,
        )
    return file.getvalue()


def require(package: str) -> ModuleType:
    """Import a package of posekit's optional dependencies ``posekit[onnx]``; raise `ConfigError` if it is not installed."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise ConfigError(
            f'{package} cannot be imported ({error}); run pip install -e ".[onnx]", '
            "or choose the backend torch or the detector self"
        ) from error


def export_to_cache(model: StackedHourglass, info: ModelInfo) -> bytes:
    """Export a model to ONNX, keep the export in the cache if possible, and print to stderr where the export is kept."""
    data = to_onnx(model, info)
    try:
        _write_cache(_cache_key(model, info), data)
        message = f"exported the model to ONNX for faster inference; the export is kept in {cache_folder()}"
    except OutputError as error:
        message = f"exported the model to ONNX for this run only, because the export cannot be kept: {error}"
    tqdm.write(message, file=sys.stderr)
    return data


def read_from_cache(model: StackedHourglass, info: ModelInfo) -> bytes | None:
    """Return a model's ONNX export; None if the export is not in the cache, is damaged or cannot be read."""
    return _read_cache(_cache_key(model, info))


def cache_folder() -> Path:
    """Return the path of the cache, which may not exist yet: ``posekit`` in ``XDG_CACHE_HOME`` or in ``~/.cache``.

    Raise `OutputError` if ``XDG_CACHE_HOME`` is not set to an absolute path and the user has no home folder.
    """
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    try:
        return (base if base.is_absolute() else Path.home() / ".cache") / "posekit"
    except RuntimeError as error:
        raise OutputError(f"no cache folder ({error}); set XDG_CACHE_HOME to a writable folder") from error


def require_writable_cache() -> None:
    """Create the cache folder, and raise `OutputError` if the folder is not writable."""
    try:
        writable_folder(cache_folder())
    except OutputError as error:
        reason = error.__cause__ and getattr(error.__cause__, "strerror", None)
        raise OutputError(f"{cache_folder()}: cannot be written ({reason}); set XDG_CACHE_HOME to a writable folder") from error


def _read_cache(key: str) -> bytes | None:
    try:
        path = cache_folder() / (key + _CACHE_SUFFIX)
        entry = path.read_bytes()
    except (OSError, OutputError):
        return None
    digest = entry[:32]
    data = entry[32:]
    if hashlib.sha256(data).digest() != digest:
        return None
    with contextlib.suppress(OSError):  # only the file's owner can update its modification time
        path.touch()
    return data


def _write_cache(key: str, data: bytes) -> None:
    with atomic_write(cache_folder() / (key + _CACHE_SUFFIX)) as unfinished:
        unfinished.write_bytes(hashlib.sha256(data).digest() + data)
    with contextlib.suppress(OSError):  # another process may delete entries at the same time
        for path in sorted(cache_folder().glob("*" + _CACHE_SUFFIX), key=lambda path: path.stat().st_mtime)[:-_CACHED]:
            path.unlink()


def _cache_key(model: StackedHourglass, info: ModelInfo) -> str:
    """Hash everything that a model's ONNX export depends on: weights, `info`, package versions and posekit's own source code."""
    digest = hashlib.sha256(info.to_json().encode())
    for name, tensor in model.state_dict().items():
        digest.update(f"{name} {tuple(tensor.shape)}".encode())
        digest.update(tensor.contiguous().numpy())
    for package in ("torch", *PACKAGES):
        digest.update(f"{package} {_version(package)}".encode())
    for module in (encoder, heatmaps, hourglass, inputs, sys.modules[__name__]):
        digest.update(inspect.getsource(module).encode())
    return digest.hexdigest()


def _version(package: str) -> str:
    """Return a package's version, if possible without importing the package, which is slow."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:  # installed by another distribution, such as onnxruntime-gpu
        return require(package).__version__


def read_onnx_file(path: str | Path) -> bytes:
    """Return the content of a file, or raise `WeightsError` if the file cannot be read."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror or error})") from error


def open_onnx(data: bytes, name: str, advice: str) -> Any:
    """Open an ONNX file in ONNX Runtime on the CPU, with as many threads as torch uses, and return the ``InferenceSession``.

    Third-party files are not trusted: a file must contain all of the weights, and only standard ONNX operators. Error messages
    start with the `name` of the file and end with `advice`.

    Raises
    ------
    ConfigError
        If onnx or onnxruntime is not installed.
    WeightsError
        If the file is damaged, refers to another file, uses non-standard operators, or cannot be opened.
    """
    onnx = require("onnx")
    try:
        model = onnx.load_model_from_string(data)
        _require_plain(model, onnx.TensorProto.EXTERNAL, name)
        onnx.checker.check_model(model)
    except (require("google.protobuf.message").DecodeError, onnx.checker.ValidationError, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0]
        raise WeightsError(f"{name}: damaged, or not an ONNX file ({reason}); {advice}") from error
    runtime = require("onnxruntime")
    runtime.disable_telemetry_events()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # spinning threads slow down other processes
    options.log_severity_level = 4  # errors are raised, so they are not logged as well
    with onnx_errors(name, "cannot be opened", advice):
        return runtime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


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


@contextlib.contextmanager
def onnx_errors(name: str, problem: str, advice: str) -> Iterator[None]:
    """Convert an error of ONNX Runtime to a `WeightsError` with a one-line message."""
    state = require("onnxruntime.capi.onnxruntime_pybind11_state")
    failures = (state.Fail, state.InvalidArgument, state.InvalidGraph, state.InvalidProtobuf, state.NotImplemented)
    try:
        yield
    except (*failures, state.RuntimeException, UnicodeDecodeError) as error:  # names in the file may be invalid UTF-8
        raise WeightsError(f"{name}: {problem} ({str(error).splitlines()[0]}); {advice}") from error


def read_metadata(session: Any, name: str) -> tuple[ModelInfo, str]:
    """Return the description and the decoding method of a model from `to_onnx`; raise `WeightsError` for any other file."""
    metadata = session.get_modelmeta().custom_metadata_map
    if not {_INFO_KEY, _DECODE_KEY} <= metadata.keys():
        raise WeightsError(f"{name}: not exported by posekit (no {_INFO_KEY!r} in the metadata); {ADVICE}")
    try:
        info = ModelInfo.from_json(metadata[_INFO_KEY])
    except ValueError as error:
        raise WeightsError(f"{name}: the model's description in the metadata is invalid ({error}); {ADVICE}") from error
    decode = metadata[_DECODE_KEY]
    if decode not in DECODE_METHODS:
        raise WeightsError(
            f"{name}: unknown decoding {decode!r}; this version of posekit supports {', '.join(DECODE_METHODS)}; {ADVICE}"
        )
    expected = (INPUT, *_OUTPUTS)
    names = [entry.name for entry in (*session.get_inputs(), *session.get_outputs())]
    if sorted(names) != sorted(expected):
        raise WeightsError(f"{name}: expected the inputs and outputs {', '.join(expected)}, got {', '.join(names)}; {ADVICE}")
    return info, decode
