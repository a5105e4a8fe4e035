"""Inference backends, which predict heatmaps, or joints and scores, from crops: torch, and ONNX Runtime (faster on a CPU)."""

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
from posekit.models import ModelInfo, StackedHourglass, folding
from posekit.prediction import onnx

DTYPES = {"no": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
"""Torch dtype of each precision."""
_EXPORT = "the model's ONNX export"
# Number of crops after which a model is exported to ONNX: for fewer crops, the export takes longer than it saves.
_MIN_CROPS = 32
# Maximum number of float32 values in a layer's output per chunk of crops on a CPU: 8 MB, which fit into the processor's cache.
_CHUNK_VALUES = 2**21


class Backend(ABC):
    """Base class of the inference backends, which run a network on RGB crops, (B, S, S, 3) uint8, with B of at least 1.

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
        return onnx.decode_maps(self.maps(crops_BSS3), self.info, decode)


class TorchBackend(Backend):
    """Runs a network in torch, with batch normalisation folded into the convolutions and in channels-last memory format.

    The backend runs a copy of `model` (in eval mode) on the device of `model`. `precision`, a key of `DTYPES`, is the number format
    of the network; logits are always activated in float32. With `compiled`, torch.compile runs at the first crops.
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
        """Return heatmaps as in `Backend`, on the model's device; raise `ConfigError` if torch.compile does not work."""
        chunks = _chunks(crops_BSS3, self.info)
        try:
            return torch.cat([onnx.predict_maps(self._model, self.info, chunk, self._dtype) for chunk in chunks])
        except RuntimeError as error:
            reason = why_not_compiled(error)
            if reason is None:
                raise
            raise ConfigError(
                f"torch.compile does not work on this machine ({reason}); install what is missing, or choose the backend torch"
            ) from error


class OnnxBackend(Backend):
    """Runs the ONNX export of a model in ONNX Runtime, on the CPU, with as many threads as torch uses.

    `data` is the content of a file from `posekit.prediction.onnx.to_onnx`, and `name` the file's name in error messages.

    Raises
    ------
    ConfigError
        If onnx or onnxruntime is not installed.
    WeightsError
        If the file is invalid or unsafe (`posekit.prediction.onnx.open_onnx`), or was not exported by posekit.
    """

    name = "onnx"

    def __init__(self, data: bytes, name: str):
        self._file = name
        self._session = onnx.open_onnx(data, name, onnx.ADVICE)
        self.info, self._decode = onnx.read_metadata(self._session, name)

    def maps(self, crops_BSS3: Tensor) -> Tensor:
        """Return heatmaps as in `Backend`."""
        (maps,) = self._run(crops_BSS3, ["maps"])
        return maps

    def joints(self, crops_BSS3: Tensor, decode: str) -> tuple[Tensor, Tensor]:
        """Return joints and scores as in `Backend`, decoded in the ONNX graph if the graph contains this decoding method."""
        if decode != self._decode:
            return super().joints(crops_BSS3, decode)
        joints, scores = self._run(crops_BSS3, ["joints", "scores"])
        return joints, scores

    def _run(self, crops_BSS3: Tensor, outputs: list[str]) -> list[Tensor]:
        """Return the named outputs; raise `WeightsError` if the graph fails, or an output has an unexpected shape."""
        results = [self._run_chunk(chunk, outputs) for chunk in _chunks(crops_BSS3, self.info)]
        return [torch.cat(parts) for parts in zip(*results, strict=True)]

    def _run_chunk(self, crops_BSS3: Tensor, outputs: list[str]) -> list[Tensor]:
        with onnx.onnx_errors(self._file, "cannot be run", onnx.ADVICE):
            results = self._session.run(outputs, {onnx.INPUT: crops_BSS3.numpy()})
        expected = (len(crops_BSS3), len(self.info.skeleton))
        for output, result in zip(outputs, results, strict=True):
            if result.shape[:2] != expected:
                raise WeightsError(
                    f"{self._file}: {output}: expected a shape that starts with {expected}, got {result.shape}; {onnx.ADVICE}"
                )
        return [torch.from_numpy(result) for result in results]


class AutoBackend(Backend):
    """Runs the fastest backend on a CPU: torch for the first crops, then ONNX Runtime.

    The model, on the CPU in eval mode, is exported to ONNX once, and the export is kept in the user's cache folder. If the folder
    is not writable, torch runs all crops, and the reason is printed to stderr.
    """

    def __init__(self, model: StackedHourglass, info: ModelInfo):
        self.info = info
        self._model = model
        self._crops = 0
        self._lock = threading.Lock()
        exported = onnx.read_from_cache(model, info)
        self._settled = bool(exported)
        self._use(OnnxBackend(exported, _EXPORT) if exported else TorchBackend(model, info))

    def maps(self, crops_BSS3: Tensor) -> Tensor:
        """Return heatmaps as in `Backend`."""
        return self._choose(len(crops_BSS3)).maps(crops_BSS3)

    def joints(self, crops_BSS3: Tensor, decode: str) -> tuple[Tensor, Tensor]:
        """Return joints and scores as in `Backend`."""
        return self._choose(len(crops_BSS3)).joints(crops_BSS3, decode)

    def _choose(self, crops: int) -> Backend:
        with self._lock:  # several threads may predict at once, but the model is exported only once
            self._crops += crops
            if not self._settled and self._crops >= _MIN_CROPS:
                self._settled = True
                try:
                    onnx.require_writable_cache()
                    self._use(OnnxBackend(onnx.export_to_cache(self._model, self.info), _EXPORT))
                except OutputError as error:
                    tqdm.write(f"inference stays in torch instead of the faster ONNX Runtime: {error}", file=sys.stderr)
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
    """Return the inference backend `name`, one of `posekit.choices.BACKENDS`, for a model in eval mode on `device`.

    "auto" uses torch on a GPU or in lower precision; on a CPU, "auto" uses ONNX Runtime, which is faster, if it is installed.

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
        _require_onnx_settings(device.type, precision)
        for package in onnx.PACKAGES:
            onnx.require(package)
        return OnnxBackend(onnx.read_from_cache(model, info) or onnx.export_to_cache(model, info), _EXPORT)
    if name == "auto" and device.type == "cpu" and precision == "no" and all(map(find_spec, onnx.PACKAGES)):
        return AutoBackend(model, info)
    return TorchBackend(model, info, precision=precision, compiled=name == "compiled")


def read_onnx(path: str | Path, name: str, device: str, precision: str = "no") -> OnnxBackend:
    """Return the inference backend for an ONNX file from ``tools/export.py``.

    Raises
    ------
    WeightsError
        If the file cannot be read or is invalid.
    ConfigError
        If `name` is not "auto" or "onnx", `device` is not "auto" or "cpu", `precision` is not "no", or a package is not installed.
    """
    if name not in ("auto", "onnx"):
        raise ConfigError(
            f"backend {name!r}: cannot run the ONNX file {path}; choose the backend onnx, or give the .safetensors file"
        )
    _require_onnx_settings(device, precision)
    return OnnxBackend(onnx.read_onnx_file(path), str(path))


def _require_onnx_settings(device: str, precision: str) -> None:
    if device not in ("auto", "cpu"):
        raise ConfigError(f"the backend onnx runs only on the CPU, not on {device}; choose the device cpu or the backend torch")
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
