"""The network on crops, back end by back end, and the pyramid from photographs to joints."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch

from benchmarks.figure import TARGETS, Measurement
from benchmarks.measure import interleave
from benchmarks.setting import MEAN, STD, Setting, network, random_batch
from posekit.choices import BACKENDS, PRECISIONS
from posekit.data.crops import PyramidDataset, collate
from posekit.errors import ConfigError
from posekit.models import ModelInfo, StackedHourglass, normalise, save_weights
from posekit.prediction.backends import Backend, open_backend
from posekit.prediction.predictor import Predictor
from posekit.prediction.test_time import PYRAMID

Work = Callable[[], torch.Tensor]
_PYRAMID_PEOPLE = 2
_CPU_CROPS, _GPU_CROPS = 8, 64
_WARM_UP = 5  # passes after which the default back end has settled


def measure_pyramid(setting: Setting) -> Iterator[Measurement]:
    """People from photograph to joints over all scales and the mirror."""
    people = setting.shown.select(np.arange(min(_PYRAMID_PEOPLE, len(setting.shown))))
    predictor = _untrained(setting)
    crops = PyramidDataset(people, size=setting.size, scales=PYRAMID.scales)
    images = collate([crops[index] for index in range(len(people))]).images
    images = torch.cat([images, images.flip(2)]).split(predictor.people_per_batch * len(PYRAMID))
    works = {
        "ours": lambda: predictor.predict_people(people, progress=False),
        "plain": lambda: [_forward(predictor, batch) for batch in images],
    }
    taken = interleave(works, setting.few, title="pyramid", device=setting.device)
    ours, plain = (np.divide(times, len(people)).tolist() for times in taken.values())
    facts = {"people": len(people), "views": len(PYRAMID), "threads": torch.get_num_threads()}
    yield Measurement("pyramid", "as many plain forward passes", ours, plain, facts=facts)


def _untrained(setting: Setting) -> Predictor:
    """Weights do not change the speed."""
    info = network(setting)
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / "untrained.safetensors"
        save_weights(weights, info.build(), info)
        return Predictor(weights, device=str(setting.device), views=PYRAMID, batch_size=len(PYRAMID), backend="torch")


@torch.inference_mode()
def _forward(predictor: Predictor, images: torch.Tensor) -> torch.Tensor:
    return predictor.backend.maps(images.to(predictor.device)).cpu()


def measure_inference(setting: Setting) -> Iterator[Measurement]:
    """Crops to maps by each back end, in one run against plain torch."""
    info = network(setting)
    torch.manual_seed(0)  # so that the ONNX form that is kept is always the same one
    model = info.build().eval().to(setting.device)
    people = _CPU_CROPS if setting.device.type == "cpu" else _GPU_CROPS
    crops = random_batch(people, len(info.skeleton), setting.size).images.to(setting.device)
    backends = _backends(setting, model, info, crops)
    works = {name: lambda backend=backend: backend.maps(crops) for name, backend in backends.items()}
    plain = {"plain": _plain(model, crops)}
    taken = interleave(plain | works, setting.few, title="inference", device=setting.device)
    plain_ms = np.divide(taken.pop("plain"), people).tolist()
    for name, times in taken.items():
        ours = np.divide(times, people).tolist()
        facts = {"images/s": round(1000 / float(np.median(ours)), 1), "crops at once": people, "threads": torch.get_num_threads()}
        facts["back end"] = backends[name].name
        target = TARGETS.get(name) if setting.device.type == "cpu" else None
        yield Measurement(name, "plain torch in float32", ours, plain_ms, target=target, facts=facts)


def _plain(model: StackedHourglass, crops: torch.Tensor) -> Work:
    """One forward pass of crops that are float32 already, in torch's own memory format."""
    images = normalise(crops, MEAN, STD).contiguous()
    return torch.inference_mode()(lambda: model.activate(model(images)[-1]))


def _backends(setting: Setting, model: StackedHourglass, info: ModelInfo, crops: torch.Tensor) -> dict[str, Backend]:
    """Under the names of their figures, settled as after longer work; "inference" is what posekit takes by itself."""
    opened = {}
    for name, precision in _wanted(setting):
        try:
            backend = open_backend(name, model, info, setting.device, precision)
            for _ in range(_WARM_UP):
                backend.maps(crops)
        except ConfigError as error:
            print(f"inference: the back end {name} in precision {precision} is left out: {error}")
        else:
            opened["inference" if (name, precision) == ("auto", "no") else f"inference, {backend.name}"] = backend
    return opened


def _wanted(setting: Setting) -> list[tuple[str, str]]:
    """Back ends and precisions."""
    if setting.backend != "auto":
        return [(setting.backend, "no")]
    if setting.device.type == "cpu":
        return [(name, "no") for name in BACKENDS]
    return [("auto", "no"), *((name, precision) for precision in PRECISIONS for name in ("torch", "compiled"))]
