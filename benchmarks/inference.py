"""Benchmarks of inference: heatmaps from crops with each backend, and joints from images at several scales."""

import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch

from benchmarks.ratio import TARGETS, Ratio, compare, interleave
from benchmarks.setting import MEAN, STD, Setting, network, random_batch
from posekit.choices import BACKENDS, PRECISIONS
from posekit.data.crops import PyramidDataset, collate
from posekit.errors import ConfigError
from posekit.models import ModelInfo, StackedHourglass, normalise, save_weights
from posekit.prediction.backends import Backend, open_backend
from posekit.prediction.predictor import Predictor
from posekit.prediction.test_time import PYRAMID

_PYRAMID_PEOPLE = 2
_CPU_CROPS, _GPU_CROPS = 8, 64
_WARM_UP = 5  # forward passes after which backend "auto" has chosen a backend


def measure_pyramid(setting: Setting) -> Iterator[Ratio]:
    """Measure the prediction of joints from images with test-time augmentation: all scales of the pyramid, each also mirrored."""
    people = setting.people_with_images.select(np.arange(min(_PYRAMID_PEOPLE, len(setting.people_with_images))))
    predictor = _untrained_predictor(setting)
    crops = PyramidDataset(people, size=setting.size, scales=PYRAMID.scales)
    images = collate([crops[index] for index in range(len(people))]).images
    batches = torch.cat([images, images.flip(2)]).split(predictor.people_per_batch * len(PYRAMID))

    @torch.inference_mode()
    def forward() -> None:
        for batch in batches:
            predictor.backend.maps(batch.to(predictor.device)).cpu()

    work = partial(predictor.predict_people, people, progress=False)
    facts = {"people": len(people), "views": len(PYRAMID), "threads": torch.get_num_threads()}
    yardstick = "plain forward passes of the same crops"
    yield compare("pyramid", work, yardstick, forward, setting.few, facts=facts, per=len(people))


def _untrained_predictor(setting: Setting) -> Predictor:
    """Create a predictor with random weights; the speed does not depend on the weights."""
    info = network(setting)
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / "untrained.safetensors"
        save_weights(weights, info.build(), info)
        return Predictor(weights, device=str(setting.device), views=PYRAMID, batch_size=len(PYRAMID), backend="torch")


def measure_inference(setting: Setting) -> Iterator[Ratio]:
    """Measure the prediction of heatmaps for a batch of crops with each backend; the yardstick is plain torch."""
    info = network(setting)
    torch.manual_seed(0)  # equal weights in every run, so that the cached ONNX export is found again
    model = info.build().eval().to(setting.device)
    crop_count = _CPU_CROPS if setting.device.type == "cpu" else _GPU_CROPS
    crops = random_batch(crop_count, len(info.skeleton), setting.size).images.to(setting.device)
    images = normalise(crops, MEAN, STD).contiguous()  # in torch's default memory format

    @torch.inference_mode()
    def forward() -> torch.Tensor:
        return model.activate(model(images)[-1])

    works: dict[str, Callable[[], object]] = {"yardstick": forward}
    backends = _open_backends(setting, model, info, crops)
    for name, backend in backends.items():
        works[name] = partial(backend.maps, crops)
    times = interleave(works, setting.few, title="inference", per=crop_count)
    for name, backend in backends.items():
        facts: dict[str, str | float] = {
            "images/s": round(1000 / float(np.median(times[name])), 1),
            "crops at once": crop_count,
            "threads": torch.get_num_threads(),
            "back end": backend.name,
        }
        target = TARGETS.get(name) if setting.device.type == "cpu" else None
        yield Ratio(name, "plain torch in float32", times[name], times["yardstick"], target=target, facts=facts)


def _open_backends(setting: Setting, model: StackedHourglass, info: ModelInfo, crops: torch.Tensor) -> dict[str, Backend]:
    """Open and warm up the backends; return ratio name -> backend, where "inference" is posekit's default backend."""
    if setting.backend != "auto":
        choices = [(setting.backend, "no")]
    elif setting.device.type == "cpu":
        choices = [(name, "no") for name in BACKENDS]
    else:
        choices = [("auto", "no")]
        for precision in PRECISIONS:
            choices += [("torch", precision), ("compiled", precision)]
    backends = {}
    for name, precision in choices:
        try:
            backend = open_backend(name, model, info, setting.device, precision)
            for _ in range(_WARM_UP):
                backend.maps(crops)
        except ConfigError as error:
            print(f"inference: skipped backend {name} in precision {precision}: {error}")
        else:
            backends["inference" if name == "auto" else f"inference, {backend.name}"] = backend
    return backends
