"""The network on crops, back end by back end, and the pyramid from photographs to joints."""

import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import nn

from posekit.cli.benchmark.figure import TARGETS, Figure
from posekit.cli.benchmark.measure import interleave, try_compile
from posekit.cli.benchmark.setting import MEAN, STD, Setting, network, random_batch
from posekit.datasets.loader import PyramidDataset, collate
from posekit.inference import PYRAMID, Predictor
from posekit.inference.backends import BACKENDS, Backend, open_backend
from posekit.inference.export import activated_maps
from posekit.models import ModelInfo, StackedHourglass, build_model, folding, normalise, save_weights

Work = Callable[[], torch.Tensor]
_PYRAMID_PEOPLE = 2
_CPU_CROPS, _GPU_CROPS = 8, 64
_WARM_UP = 5  # passes after which the default back end has settled
_HALVES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def measure_pyramid(setting: Setting) -> Iterator[Figure]:
    """People from photograph to joints over all scales and the mirror."""
    people = setting.shown.select(np.arange(min(_PYRAMID_PEOPLE, len(setting.shown))))
    predictor = _untrained(setting)
    crops = PyramidDataset(people, size=setting.size, scales=PYRAMID.scales)
    images = collate([crops[index] for index in range(len(people))]).images
    images = torch.cat([images, images.flip(2)]).split(predictor.persons_at_once * len(PYRAMID))
    works = {
        "ours": lambda: predictor.predict_people(people, progress=False),
        "plain": lambda: [_forward(predictor, batch) for batch in images],
    }
    taken = interleave(works, setting.few, title="pyramid", device=setting.device)
    ours, plain = (np.divide(times, len(people)).tolist() for times in taken.values())
    facts = {"people": len(people), "views": len(PYRAMID), "threads": torch.get_num_threads()}
    yield Figure("pyramid", "as many plain forward passes", ours, plain, facts=facts)


def _untrained(setting: Setting) -> Predictor:
    """Weights do not change the speed."""
    info = network(setting)
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / "untrained.safetensors"
        save_weights(weights, build_model(info), info)
        return Predictor(weights, device=str(setting.device), views=PYRAMID, batch_size=len(PYRAMID), backend="torch")


@torch.inference_mode()
def _forward(predictor: Predictor, images: torch.Tensor) -> torch.Tensor:
    return predictor.backend.maps(images.to(predictor.device)).cpu()


def measure_inference(setting: Setting) -> Iterator[Figure]:
    """Crops to maps by each back end, in one run against plain torch."""
    info = network(setting)
    torch.manual_seed(0)  # so that the ONNX form that is kept is always the same one
    model = build_model(info).eval().to(setting.device)
    people = _CPU_CROPS if setting.device.type == "cpu" else _GPU_CROPS
    crops = random_batch(people, len(info.skeleton), setting.size).images.to(setting.device)
    backends = _backends(setting, model, info, crops)
    works = {name: lambda backend=backend: backend.maps(crops) for name, backend in backends.items()}
    if setting.backend == "auto":
        works |= _others(setting, model, info, crops)
    plain = {"plain": _plain(model, crops)}
    taken = interleave(plain | works, setting.few, title="inference", device=setting.device)
    plain_ms = np.divide(taken.pop("plain"), people).tolist()
    for name, times in taken.items():
        ours = np.divide(times, people).tolist()
        facts = {"images/s": round(1000 / float(np.median(ours)), 1), "crops at once": people, "threads": torch.get_num_threads()}
        if name in backends:
            facts["back end"] = backends[name].name
        target = TARGETS.get(name) if setting.device.type == "cpu" else None
        yield Figure(name, "plain torch in float32", ours, plain_ms, target=target, facts=facts)


def _plain(model: StackedHourglass, crops: torch.Tensor) -> Work:
    """One forward pass of crops that are float32 already, in torch's own memory format."""
    images = normalise(crops, MEAN, STD).contiguous()
    return torch.inference_mode()(lambda: model.activate(model(images)[-1]))


def _backends(setting: Setting, model: StackedHourglass, info: ModelInfo, crops: torch.Tensor) -> dict[str, Backend]:
    """Under the names of their figures, settled as after longer work; "inference" is what posekit takes by itself."""
    wanted = BACKENDS if setting.backend == "auto" else (setting.backend,)
    if setting.backend == "auto" and not (setting.device.type == "cpu" and all(map(find_spec, ("onnx", "onnxruntime")))):
        wanted = [name for name in wanted if name != "onnx"]
        print("inference: the back end onnx is left out, which needs the packages onnx and onnxruntime, and a CPU")
    opened = {}
    for name in wanted:
        backend = open_backend(name, model, info, setting.device)
        for _ in range(_WARM_UP):
            backend.maps(crops)
        opened["inference" if name == "auto" else f"inference, {name}"] = backend
    return opened


def _others(setting: Setting, model: StackedHourglass, info: ModelInfo, crops: torch.Tensor) -> dict[str, Work]:
    """What is no back end by itself: half the precision on a GPU, and torch.compile."""
    folded = folding.fold(model).to(memory_format=torch.channels_last)

    def forward(layers: nn.Module, dtype: torch.dtype) -> torch.Tensor:
        return _in_precision(dtype, setting.device, lambda: activated_maps(layers, info, crops))

    on_gpu = setting.device.type == "cuda"
    works = {f"inference, {name}": partial(forward, folded, dtype) for name, dtype in _HALVES.items()} if on_gpu else {}
    dtype = torch.bfloat16 if on_gpu else torch.float32
    fast = try_compile("inference", folded, lambda compiled: forward(compiled, dtype))
    return works if fast is None else works | {"inference, compiled": partial(forward, fast, dtype)}


@torch.inference_mode()
def _in_precision(dtype: torch.dtype, device: torch.device, work: Work) -> torch.Tensor:
    with torch.autocast(device.type, dtype=dtype, enabled=dtype != torch.float32):
        return work()
