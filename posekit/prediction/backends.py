"""Inference backends, which predict heatmaps, or joints and scores, from crops: torch, and ONNX Runtime (faster on a CPU)."""

import hashlib
import importlib.metadata
import inspect
import sys
import threading
from abc import ABC, abstractmethod
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from posekit import heatmaps
from posekit.choices import BACKENDS, PRECISIONS
from posekit.errors import ConfigError, OutputError, WeightsError
from posekit.machine import why_not_compiled
from posekit.models import ModelInfo, StackedHourglass, encoder, folding, hourglass, inputs
from posekit.prediction import cache, onnx
from posekit.prediction.onnx import OnnxSession, decode_maps, predict_maps, to_onnx

DTYPES = {"no": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
"""Torch dtype of each precision."""
# Packages that export a model to ONNX and run the ONNX export.
_PACKAGES = ("onnx", "onnxruntime")
_FORM = "the model's ONNX export"
# Number of crops after which a model is exported to ONNX: for fewer crops, the export takes longer than it saves.
_MIN_CROPS = 32
# Most float32 values in a layer's output for one chunk of crops on a CPU: 8 MB, which fit into the processor's cache.
_CHUNK_VALUES = 2**21


class Backend(ABC):
    """Base of the inference backends: each runs a network on RGB crops (B, S, S, 3) uint8.

    S is the model's input size, and B is at least 1.

    Attributes
    ----------
    name : str
        "torch", "compiled" or "onnx", followed by the precision if it is not float32, for example "torch bf16".
    info : ModelInfo
    """

    name: str
    info: ModelInfo

    @abstractmethod
    def maps(self, crops_BSS3: Tensor) -> Tensor:
        """Return activated heatmaps (B, K, H, W) float32."""

    def joints(self, crops_BSS3: Tensor, decode: str) -> tuple[Tensor, Tensor]:
        """Return joints (B, K, 2) in crop pixels and scores (B, K); `decode` is a method of `posekit.heatmaps.decode`."""
        return decode_maps(self.maps(crops_BSS3), self.info, decode)


class TorchBackend(Backend):
    """Runs a network in torch, with batch normalisation folded into the convolutions and in channels-last memory format.

    Parameters
    ----------
    model : StackedHourglass
        In eval mode, on any device; the backend runs a copy.
    info : ModelInfo
    precision : {"no", "bf16", "fp16"}
        Number format of the network; "no" is float32. Logits are always activated in float32.
    compiled : bool
        Compile the network with torch.compile when it first runs.
    """

    def __init__(self, model: StackedHourglass, info: ModelInfo, *, precision: str = "no", compiled: bool = False):
        self.name = "compiled" if compiled else "torch"
        if precision != "no":
            self.name += f" {precision}"
        self.info = info
        self._dtype = DTYPES[precision]
        self._model = folding.fold(model)
        self._model.to(dtype=self._dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in the stub
        if compiled:
            self._model.compile()

    @torch.inference_mode()
    def maps(self, crops_BSS3: Tensor) -> Tensor:
        """Return activated heatmaps as described in `Backend`, on the model's device.

        Raises
        ------
        ConfigError
            If torch.compile does not work on this machine.
        """
        chunks = _chunks(crops_BSS3, self.info)
        try:
            return torch.cat([predict_maps(self._model, self.info, chunk, self._dtype) for chunk in chunks])
        except RuntimeError as error:
            reason = why_not_compiled(error)
            if reason is None:
                raise
            raise ConfigError(
                f"torch.compile does not work on this machine ({reason}); install what is missing, or choose the backend torch"
            ) from error


class OnnxBackend(Backend):
    """Runs the ONNX export of a model in ONNX Runtime, on the CPU, with as many threads as torch uses.

    Parameters
    ----------
    data : bytes
        Content of an ONNX file from `posekit.prediction.onnx.to_onnx`.
    name : str
        Name of the file in error messages.

    Raises
    ------
    ConfigError
        If onnx or onnxruntime is not installed.
    WeightsError
        If the file is invalid; see `OnnxSession`.
    """

    name = "onnx"

    def __init__(self, data: bytes, name: str):
        self._session = OnnxSession(data, name)
        self.info = self._session.info

    def maps(self, crops_BSS3: Tensor) -> Tensor:
        """See `Backend`."""
        (maps,) = self._run(crops_BSS3, ["maps"])
        return maps

    def joints(self, crops_BSS3: Tensor, decode: str) -> tuple[Tensor, Tensor]:
        """See `Backend`; decoded in the ONNX graph if the graph contains this decoding method."""
        if decode != self._session.decode:
            return super().joints(crops_BSS3, decode)
        joints, scores = self._run(crops_BSS3, ["joints", "scores"])
        return joints, scores

    def _run(self, crops_BSS3: Tensor, outputs: list[str]) -> list[Tensor]:
        results = [self._session.run(chunk, outputs) for chunk in _chunks(crops_BSS3, self.info)]
        return [torch.cat(parts) for parts in zip(*results, strict=True)]


class AutoBackend(Backend):
    """Fastest backend on a CPU: torch for the first crops, then ONNX Runtime.

    The model is exported to ONNX once, and the export is kept in the user's cache folder. If the cache folder is not writable,
    torch runs all crops, and the reason is printed to stderr.

    Parameters
    ----------
    model : StackedHourglass
        On the CPU, in eval mode.
    info : ModelInfo
    """

    def __init__(self, model: StackedHourglass, info: ModelInfo):
        self.info = info
        self._model = model
        self._crops = 0
        self._lock = threading.Lock()
        form = cache.read(_key(model, info))
        self._settled = bool(form)
        self._use(OnnxBackend(form, _FORM) if form else TorchBackend(model, info))

    def maps(self, crops_BSS3: Tensor) -> Tensor:
        """See `Backend`."""
        return self._choose(len(crops_BSS3)).maps(crops_BSS3)

    def joints(self, crops_BSS3: Tensor, decode: str) -> tuple[Tensor, Tensor]:
        """See `Backend`."""
        return self._choose(len(crops_BSS3)).joints(crops_BSS3, decode)

    def _choose(self, crops: int) -> Backend:
        with self._lock:  # several threads may predict at once, but the model is exported only once
            self._crops += crops
            if not self._settled and self._crops >= _MIN_CROPS:
                self._settled = True
                try:
                    cache.require_writable()
                    self._use(OnnxBackend(onnx_form(self._model, self.info), _FORM))
                except OutputError as error:
                    _print(f"inference stays in torch instead of the faster ONNX Runtime: {error}")
            return self._backend

    def _use(self, backend: Backend) -> None:
        self._backend = backend
        self.name = backend.name


def _chunks(crops_BSS3: Tensor, info: ModelInfo) -> tuple[Tensor, ...]:
    if crops_BSS3.device.type != "cpu":
        return (crops_BSS3,)
    values_per_crop = info.features * (info.input_size // heatmaps.STRIDE) ** 2
    return crops_BSS3.split(max(1, _CHUNK_VALUES // values_per_crop))


def open_backend(name: str, model: StackedHourglass, info: ModelInfo, device: torch.device, precision: str = "no") -> Backend:
    """Return an inference backend for a model.

    Parameters
    ----------
    name : {"auto", "torch", "compiled", "onnx"}
        "auto" uses torch on a GPU or in lower precision; on a CPU it uses ONNX Runtime, which is faster, if it is installed.
    model : StackedHourglass
        In eval mode, on `device`.
    info : ModelInfo
    device : torch.device
    precision : {"no", "bf16", "fp16"}
        See `TorchBackend`.

    Raises
    ------
    ConfigError
        If the backend or precision is unknown, or unavailable on this machine.
    """
    if name not in BACKENDS:
        raise ConfigError(f"backend {name!r}: choose from {', '.join(BACKENDS)}")
    if precision not in PRECISIONS:
        raise ConfigError(f"precision {precision!r}: choose from {', '.join(PRECISIONS)}")
    if precision == "fp16" and device.type == "cpu":
        raise ConfigError("precision fp16: needs a GPU; choose bf16 or no")
    if name == "onnx":
        _require_float32(precision)
        _require_cpu(device.type)
        for package in _PACKAGES:
            onnx.require(package)
        return OnnxBackend(cache.read(_key(model, info)) or onnx_form(model, info), _FORM)
    if name == "auto" and device.type == "cpu" and precision == "no" and all(map(find_spec, _PACKAGES)):
        return AutoBackend(model, info)
    return TorchBackend(model, info, precision=precision, compiled=name == "compiled")


def read_onnx(path: str | Path, name: str, device: str, precision: str = "no") -> OnnxBackend:
    """Return the inference backend for an ONNX file from ``tools/export.py``.

    Parameters
    ----------
    path : str or Path
    name : {"auto", "onnx"}
    device : {"auto", "cpu"}
    precision : {"no"}

    Raises
    ------
    WeightsError
        If the file cannot be read or is invalid.
    ConfigError
        If `name`, `device` or `precision` has another value, or a package is not installed.
    """
    if name not in ("auto", "onnx"):
        raise ConfigError(
            f"backend {name!r}: cannot run the ONNX file {path}; choose the backend onnx, or give the .safetensors file"
        )
    _require_cpu(device)
    _require_float32(precision)
    try:
        return OnnxBackend(Path(path).read_bytes(), str(path))
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror or error})") from error


def _require_cpu(device: str) -> None:
    if device not in ("auto", "cpu"):
        raise ConfigError(f"the backend onnx runs only on the CPU, not on {device}; choose the device cpu or the backend torch")


def _require_float32(precision: str) -> None:
    if precision != "no":
        raise ConfigError(
            f"the backend onnx runs only in float32, not in {precision}; choose the backend torch or the precision no"
        )


def find_device(name: str) -> torch.device:
    """Return the torch device called `name`; "auto" is a GPU if there is one, otherwise the CPU.

    Raises
    ------
    ConfigError
        If this machine has no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:  # torch asserts if it was built without CUDA
        reason = str(error).splitlines()[0]
        raise ConfigError(f"device {name!r} cannot be used ({reason}); choose auto, cpu, cuda or cuda:N") from error
    return device


def onnx_form(model: StackedHourglass, info: ModelInfo) -> bytes:
    """Export a model to ONNX, write the export to the cache folder if possible, and print to stderr where it is kept.

    Raises
    ------
    ConfigError
        If onnx is not installed.
    """
    data = to_onnx(model, info)
    try:
        cache.write(_key(model, info), data)
        _print(f"exported the model to ONNX for faster inference; the export is kept in {cache.folder()}")
    except OutputError as error:
        _print(f"exported the model to ONNX for this run only, because the export cannot be kept: {error}")
    return data


def _print(line: str) -> None:
    tqdm.write(line, file=sys.stderr)


def _version(package: str) -> str:
    """Return a package's version, if possible without importing the package, which is slow."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:  # installed by another distribution, such as onnxruntime-gpu
        return onnx.require(package).__version__


def _key(model: StackedHourglass, info: ModelInfo) -> str:
    """Hash everything that a model's ONNX export depends on: weights, `info`, package versions and posekit's own source code."""
    digest = hashlib.sha256(info.to_json().encode())
    for name, tensor in model.state_dict().items():
        digest.update(f"{name} {tuple(tensor.shape)}".encode())
        digest.update(tensor.contiguous().numpy())
    for package in ("torch", *_PACKAGES):
        digest.update(f"{package} {_version(package)}".encode())
    for module in (encoder, heatmaps, hourglass, inputs, onnx):
        digest.update(inspect.getsource(module).encode())
    return digest.hexdigest()
