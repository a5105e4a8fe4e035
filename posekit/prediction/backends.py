"""What runs the network: torch, or ONNX Runtime, which is faster on a CPU. From crops to maps, or to joints and scores."""

import hashlib
import importlib.metadata
import inspect
import sys
import threading
from abc import ABC, abstractmethod
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm import tqdm

from posekit import heatmaps
from posekit.choices import BACKENDS, PRECISIONS
from posekit.errors import ConfigError, OutputError, WeightsError
from posekit.machine import why_not_compiled
from posekit.models import ModelInfo, encoder, folding, hourglass, inputs
from posekit.prediction import cache
from posekit.prediction.onnx import export
from posekit.prediction.onnx.export import activated_maps, decoded, to_onnx
from posekit.prediction.onnx.session import OnnxSession

DTYPES = {"no": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
"""Number format of each precision."""
# What the ONNX form is made by, and run by.
_PACKAGES = ("onnx", "onnxruntime")
_FORM = "the model's ONNX form"
# Crops until it is made: with fewer, less time is won than the making takes.
_WORTH = 32
# Numbers in a layer's result, of as many crops as go through at once on a CPU: 8 MB, which the next layer finds in the cache.
_CACHED = 2**21


class Backend(ABC):
    """Runs a network on one or more crops (B, S, S, 3) uint8: red, green, blue; S is the model's input size.

    Attributes
    ----------
    name : {"torch", "compiled", "onnx"}
        With the precision behind it, where that is not float32: "torch bf16".
    info : ModelInfo
    """

    name: str
    info: ModelInfo

    @abstractmethod
    def maps(self, crops_BSS3: Tensor) -> Tensor:
        """Activated maps (B, K, H, W) float32."""

    def joints(self, crops_BSS3: Tensor, decode: str) -> tuple[Tensor, Tensor]:
        """Joints (B, K, 2) in crop pixels and scores (B, K); `decode` as for `posekit.heatmaps.decode`."""
        return decoded(self.maps(crops_BSS3), self.info, decode)


class TorchBackend(Backend):
    """Runs a network in torch: batch normalisation folded away, channels last.

    Parameters
    ----------
    model : StackedHourglass
        In eval mode, on any device; it stays as it is.
    info : ModelInfo
    precision : {"no", "bf16", "fp16"}
        What the network multiplies in; "no" is float32. Its maps are activated in float32.
    compiled : bool
        Let torch.compile make machine code for this network, during the first crops.
    """

    def __init__(self, model: nn.Module, info: ModelInfo, *, precision: str = "no", compiled: bool = False):
        self.name = " ".join(("compiled" if compiled else "torch", *([precision] if precision != "no" else ())))
        self.info, self._dtype = info, DTYPES[precision]
        self._model = folding.fold(model).to(dtype=self._dtype, memory_format=torch.channels_last)
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
        pieces = _pieces(crops_BSS3, self.info)
        try:
            return torch.cat([activated_maps(self._model, self.info, piece, self._dtype) for piece in pieces])
        except RuntimeError as error:
            reason = why_not_compiled(error)
            if reason is None:
                raise
            raise ConfigError(
                f"torch.compile does not work here ({reason}); install what it lacks, or choose the back end torch"
            ) from error


class OnnxBackend(Backend):
    """Runs the ONNX form of a model in ONNX Runtime, on the CPU, with as many threads as torch.

    Parameters
    ----------
    data : bytes
        An ONNX file as of `posekit.prediction.onnx.export.to_onnx`.
    name : str
        How it is called in errors.

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
        """See `Backend`; in the graph, if it decodes in that way."""
        if decode != self._session.decode:
            return super().joints(crops_BSS3, decode)
        joints, scores = self._run(crops_BSS3, ["joints", "scores"])
        return joints, scores

    def _run(self, crops_BSS3: Tensor, outputs: list[str]) -> list[Tensor]:
        found = [self._session.run(piece, outputs) for piece in _pieces(crops_BSS3, self.info)]
        return list(map(torch.cat, zip(*found, strict=True)))


class AutoBackend(Backend):
    """The fastest on a CPU: torch for the first few crops, then the ONNX form, made once and kept in the user's cache folder.

    Where that folder cannot be written, torch goes on, and stderr tells.

    Parameters
    ----------
    model : StackedHourglass
        On the CPU, in eval mode.
    info : ModelInfo
    """

    def __init__(self, model: nn.Module, info: ModelInfo):
        self.info, self._model, self._seen, self._lock = info, model, 0, threading.Lock()
        kept = cache.read(_key(model, info))
        self._current, self._settled = (OnnxBackend(kept, _FORM), True) if kept else (TorchBackend(model, info), False)

    @property
    def name(self) -> str:
        """Of what runs now."""
        return self._current.name

    def maps(self, crops_BSS3: Tensor) -> Tensor:
        """See `Backend`."""
        return self._best(len(crops_BSS3)).maps(crops_BSS3)

    def joints(self, crops_BSS3: Tensor, decode: str) -> tuple[Tensor, Tensor]:
        """See `Backend`."""
        return self._best(len(crops_BSS3)).joints(crops_BSS3, decode)

    def _best(self, crops: int) -> Backend:
        with self._lock:  # whoever predicts in several threads makes it once
            self._seen += crops
            if not self._settled and self._seen >= _WORTH:
                self._settled = True
                self._current = self._grown()
        return self._current

    def _grown(self) -> Backend:
        try:
            cache.require_writable()
        except OutputError as error:
            _tell(f"torch goes on, ONNX Runtime would be faster: {error}")
            return self._current
        return OnnxBackend(onnx_form(self._model, self.info), _FORM)


def _pieces(crops_BSS3: Tensor, info: ModelInfo) -> tuple[Tensor, ...]:
    each = info.features * (info.input_size // heatmaps.STRIDE) ** 2
    return crops_BSS3.split(max(1, _CACHED // each)) if crops_BSS3.device.type == "cpu" else (crops_BSS3,)


def open_backend(name: str, model: nn.Module, info: ModelInfo, device: torch.device, precision: str = "no") -> Backend:
    """The back end of that name for a model.

    Parameters
    ----------
    name : {"auto", "torch", "compiled", "onnx"}
        "auto" is torch on a GPU or in lower precision, and on a CPU the faster ONNX Runtime where it is installed.
    model : StackedHourglass
        In eval mode, on the device.
    info : ModelInfo
    device : torch.device
    precision : {"no", "bf16", "fp16"}
        See `TorchBackend`.

    Raises
    ------
    ConfigError
        If there is no such back end or precision, or it cannot be had here.
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
        _require_packages()
        return OnnxBackend(cache.read(_key(model, info)) or onnx_form(model, info), _FORM)
    if name == "auto" and device.type == "cpu" and precision == "no" and all(map(find_spec, _PACKAGES)):
        return AutoBackend(model, info)
    return TorchBackend(model, info, precision=precision, compiled=name == "compiled")


def read_onnx(path: str | Path, name: str, device: str, precision: str = "no") -> OnnxBackend:
    """The back end for a file of ``tools/export.py``.

    Parameters
    ----------
    path : str or Path
    name : {"auto", "onnx"}
    device : str
        "auto" or "cpu".
    precision : {"no"}

    Raises
    ------
    WeightsError
        If the file cannot be read or used.
    ConfigError
        If back end, device or precision is another, or a package is missing.
    """
    if name not in ("auto", "onnx"):
        raise ConfigError(f"backend {name!r}: {path} is run by onnx; give the .safetensors file, or leave the back end out")
    _require_cpu(device)
    _require_float32(precision)
    try:
        return OnnxBackend(Path(path).read_bytes(), str(path))
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror or error})") from error


def _require_packages() -> None:
    for package in _PACKAGES:
        export.require(package)


def _require_cpu(device: str) -> None:
    if device not in ("auto", "cpu"):
        raise ConfigError(f"the back end onnx runs on the CPU, not on {device}; choose the device cpu or the back end torch")


def _require_float32(precision: str) -> None:
    if precision != "no":
        raise ConfigError(
            f"the back end onnx runs in float32, not in {precision}; choose the back end torch, or leave the precision out"
        )


def find_device(name: str) -> torch.device:
    """The device of that name; "auto" is a GPU if there is one.

    Raises
    ------
    ConfigError
        If the name is no device's, or this machine lacks it.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:  # torch asserts where it was built without CUDA
        reason = str(error).splitlines()[0]
        raise ConfigError(f"device {name!r} cannot be used ({reason}); choose auto, cpu, cuda or cuda:N") from error
    return device


def onnx_form(model: nn.Module, info: ModelInfo) -> bytes:
    """Make the ONNX form of a model, and keep it in the cache folder if that is possible; stderr tells.

    Raises
    ------
    ConfigError
        If onnx is not installed.
    """
    data = to_onnx(model, info)
    try:
        cache.write(_key(model, info), data)
        _tell(f"the model's ONNX form, which is faster, is kept in {cache.folder()}")
    except OutputError as error:
        _tell(f"the model's ONNX form is not kept: {error}")
    return data


def _tell(line: str) -> None:
    tqdm.write(line, file=sys.stderr)


def _version(package: str) -> str:
    """Without importing it, where that is possible: that takes long, and may not be needed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:  # another distribution, such as onnxruntime-gpu
        return export.require(package).__version__


def _key(model: nn.Module, info: ModelInfo) -> str:
    """Hash of the weights and of all that makes the ONNX form of them, this package's code included."""
    digest = hashlib.sha256(info.to_json().encode())
    for name, tensor in model.state_dict().items():
        digest.update(f"{name} {tuple(tensor.shape)}".encode())
        digest.update(tensor.contiguous().numpy())
    for package in ("torch", *_PACKAGES):
        digest.update(f"{package} {_version(package)}".encode())
    for module in (encoder, export, heatmaps, hourglass, inputs):
        digest.update(inspect.getsource(module).encode())
    return digest.hexdigest()
