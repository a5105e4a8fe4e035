"""Back ends that run the network, from crops to maps or to joints and scores: torch, or ONNX Runtime, faster on a CPU."""

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
from posekit.prediction import cache
from posekit.prediction.onnx import export
from posekit.prediction.onnx.export import decode_maps, predict_maps, to_onnx
from posekit.prediction.onnx.session import OnnxSession

DTYPES = {"no": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
"""Number format of each precision."""
# Packages that make and run a model's ONNX form.
_PACKAGES = ("onnx", "onnxruntime")
_FORM = "the model's ONNX form"
# Crops after which the ONNX form is made: for fewer, making it takes longer than it saves.
_MIN_CROPS = 32
# Values in a layer's output for one chunk of crops on a CPU: 8 MB, which stay in the processor's cache for the next layer.
_CHUNK_VALUES = 2**21


class Backend(ABC):
    """Runs a network on crops (B, S, S, 3) uint8: red, green, blue; S is the model's input size, B at least 1.

    Attributes
    ----------
    name : str
        "torch", "compiled" or "onnx", followed by the precision if it is not float32, as in "torch bf16".
    info : ModelInfo
    """

    name: str
    info: ModelInfo

    @abstractmethod
    def maps(self, crops_BSS3: Tensor) -> Tensor:
        """Return activated maps (B, K, H, W) float32."""

    def joints(self, crops_BSS3: Tensor, decode: str) -> tuple[Tensor, Tensor]:
        """Return joints (B, K, 2) in crop pixels and scores (B, K); `decode` as for `posekit.heatmaps.decode`."""
        return decode_maps(self.maps(crops_BSS3), self.info, decode)


class TorchBackend(Backend):
    """Runs a network in torch, with batch normalisation folded away and channels last.

    Parameters
    ----------
    model : StackedHourglass
        In eval mode, on any device; it is not changed.
    info : ModelInfo
    precision : {"no", "bf16", "fp16"}
        Number format of the network; "no" is float32. Its maps are activated in float32.
    compiled : bool
        Let torch.compile generate machine code for this network during the first crops.
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
        """See `Backend`; on the model's device.

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
                f"torch.compile does not work here ({reason}); install what it needs, or choose the back end torch"
            ) from error


class OnnxBackend(Backend):
    """Runs the ONNX form of a model in ONNX Runtime, on the CPU, with as many threads as torch.

    Parameters
    ----------
    data : bytes
        An ONNX file from `posekit.prediction.onnx.export.to_onnx`.
    name : str
        Name of the file in errors.

    Raises
    ------
    ConfigError
        If onnx or onnxruntime is not installed.
    WeightsError
        If the file cannot be used; see `OnnxSession`.
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
        """See `Backend`; decoded in the graph if that is the graph's way of decoding."""
        if decode != self._session.decode:
            return super().joints(crops_BSS3, decode)
        joints, scores = self._run(crops_BSS3, ["joints", "scores"])
        return joints, scores

    def _run(self, crops_BSS3: Tensor, outputs: list[str]) -> list[Tensor]:
        results = [self._session.run(chunk, outputs) for chunk in _chunks(crops_BSS3, self.info)]
        return [torch.cat(parts) for parts in zip(*results, strict=True)]


class AutoBackend(Backend):
    """The fastest on a CPU: torch for the first crops, then the ONNX form, made once and kept in the user's cache folder.

    If that folder cannot be written, torch runs all crops, and stderr gives the reason.

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
        with self._lock:  # several threads may predict at once, but the ONNX form is made once
            self._crops += crops
            if not self._settled and self._crops >= _MIN_CROPS:
                self._settled = True
                try:
                    cache.require_writable()
                    self._use(OnnxBackend(onnx_form(self._model, self.info), _FORM))
                except OutputError as error:
                    _print(f"torch is used, ONNX Runtime would be faster: {error}")
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
    """Return a back end for a model.

    Parameters
    ----------
    name : {"auto", "torch", "compiled", "onnx"}
        "auto" is torch on a GPU or in lower precision. On a CPU it is ONNX Runtime, which is faster, if that is installed.
    model : StackedHourglass
        In eval mode, on the device.
    info : ModelInfo
    device : torch.device
    precision : {"no", "bf16", "fp16"}
        See `TorchBackend`.

    Raises
    ------
    ConfigError
        If the back end or precision is unknown, or unavailable on this machine.
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
            export.require(package)
        return OnnxBackend(cache.read(_key(model, info)) or onnx_form(model, info), _FORM)
    if name == "auto" and device.type == "cpu" and precision == "no" and all(map(find_spec, _PACKAGES)):
        return AutoBackend(model, info)
    return TorchBackend(model, info, precision=precision, compiled=name == "compiled")


def read_onnx(path: str | Path, name: str, device: str, precision: str = "no") -> OnnxBackend:
    """Return the back end for a file from ``tools/export.py``.

    Parameters
    ----------
    path : str or Path
    name : {"auto", "onnx"}
    device : {"auto", "cpu"}
    precision : {"no"}

    Raises
    ------
    WeightsError
        If the file cannot be read or used.
    ConfigError
        If back end, device or precision has another value, or a package is missing.
    """
    if name not in ("auto", "onnx"):
        raise ConfigError(f"backend {name!r}: {path} is run by onnx; give the .safetensors file, or leave the back end out")
    _require_cpu(device)
    _require_float32(precision)
    try:
        return OnnxBackend(Path(path).read_bytes(), str(path))
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror or error})") from error


def _require_cpu(device: str) -> None:
    if device not in ("auto", "cpu"):
        raise ConfigError(f"the back end onnx runs on the CPU, not on {device}; choose the device cpu or the back end torch")


def _require_float32(precision: str) -> None:
    if precision != "no":
        raise ConfigError(
            f"the back end onnx runs in float32, not in {precision}; choose the back end torch, or leave the precision out"
        )


def find_device(name: str) -> torch.device:
    """Return the device of that name; "auto" is a GPU if there is one.

    Raises
    ------
    ConfigError
        If there is no such device on this machine.
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
    """Export a model to ONNX and keep the result in the cache folder if possible; stderr says where.

    Raises
    ------
    ConfigError
        If onnx is not installed.
    """
    data = to_onnx(model, info)
    try:
        cache.write(_key(model, info), data)
        _print(f"{_FORM}, which is faster, is kept in {cache.folder()}")
    except OutputError as error:
        _print(f"{_FORM} is not kept: {error}")
    return data


def _print(line: str) -> None:
    tqdm.write(line, file=sys.stderr)


def _version(package: str) -> str:
    """Return a package's version, without the slow import of the package where possible."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:  # from another distribution, such as onnxruntime-gpu
        return export.require(package).__version__


def _key(model: StackedHourglass, info: ModelInfo) -> str:
    """Hash everything that a model's ONNX form depends on: weights, description, package versions and posekit's own code."""
    digest = hashlib.sha256(info.to_json().encode())
    for name, tensor in model.state_dict().items():
        digest.update(f"{name} {tuple(tensor.shape)}".encode())
        digest.update(tensor.contiguous().numpy())
    for package in ("torch", *_PACKAGES):
        digest.update(f"{package} {_version(package)}".encode())
    for module in (encoder, export, heatmaps, hourglass, inputs):
        digest.update(inspect.getsource(module).encode())
    return digest.hexdigest()
