"""Whole training steps, as the training engine takes them: how fast, how near to what the machine can multiply, what waits."""

import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode
from tqdm.auto import tqdm

from benchmarks.figure import TARGETS, Measurement
from benchmarks.measure import interleave, settle, try_compile
from benchmarks.setting import FEATURES, Setting, random_batch, random_people
from posekit.data.batch import Batch
from posekit.prediction.backends import DTYPES
from posekit.skeletons import Skeleton
from posekit.tasks.pose.build import build_engine, build_info
from posekit.tasks.pose.config import DataConfig, PoseConfig
from posekit.training.build import build_accelerator
from posekit.training.config import ModelConfig, SourceConfig, TrainConfig
from posekit.training.engine import Engine

_GPU_STACKS, _CPU_STACKS = (2, 8), (2,)
_GPU_SIDE, _CPU_SIDE = 8192, 2048
_GPU_WAITS, _GPU_WARM_UP = 100, 20  # steps; a loader's workers have some batches ready before the first
_CHANNELS, _MAP = 128, 64  # of the hourglass's 3x3 convolutions at 256 px


def measure_training(setting: Setting) -> Iterator[Measurement]:
    """The hourglass of two stacks, and of eight on a GPU with a quarter of the people."""
    for stacks in _CPU_STACKS if setting.device.type == "cpu" else _GPU_STACKS:
        yield from _of_stacks(setting, stacks, setting.batch if stacks == 2 else max(2, setting.batch // 4))


def _of_stacks(setting: Setting, stacks: int, batch: int) -> Iterator[Measurement]:
    waits, warm_up = (setting.few, 1) if setting.device.type == "cpu" else (_GPU_WAITS, _GPU_WARM_UP)
    config = _config(setting, stacks, batch)
    people = setting.repeated(batch * (waits + warm_up)) if setting.root else random_people(batch)
    with tempfile.TemporaryDirectory() as folder:
        engine = build_engine(config, people, people, out=Path(folder), accelerator=build_accelerator(config), resume=False)
        engine.log.close()
        engine.model.train()
        yield from _steps(setting, engine, config)
        if setting.root:
            yield _waiting(setting, engine, stacks, waits, warm_up)


def _config(setting: Setting, stacks: int, batch: int) -> PoseConfig:
    """What `posekit train` does by itself, in the precision that suits the machine."""
    source = SourceConfig(setting.data, "")  # nobody reads it: the people are given
    train = TrainConfig(batch_size=batch, precision="auto", device=setting.device.type)
    model = ModelConfig(stacks=stacks, features=FEATURES, input_size=setting.size)
    return PoseConfig(DataConfig([source], [source]), model, train=train)


def training_step(engine: Engine, model: nn.Module, batch: Batch) -> None:
    """One step of a model that the engine has."""
    loss, _ = engine.task.loss(model, batch.to(engine.accelerator.device), 0)
    engine.accelerator.backward(loss)
    engine.optimizer.step()
    engine.optimizer.zero_grad()


def _steps(setting: Setting, engine: Engine, config: PoseConfig) -> Iterator[Measurement]:
    """Steps from crops in the host's memory, beside the machine's own rates in the same precision."""
    device, people = engine.accelerator.device, engine.task.valid_people
    batch = random_batch(config.train.batch_size, len(people.skeleton), setting.size)
    batch = batch.pin_memory() if device.type == "cuda" else batch
    facts, placed = _facts(engine, config, batch), batch.to(device)
    dtype = DTYPES[engine.accelerator.mixed_precision]
    rivals = {"product": _product(device, dtype), "convolution": _convolution(device, dtype, len(batch))}
    works = {
        "step": partial(training_step, engine, engine.model, batch),
        "targets": lambda: engine.task.encode(placed.joints, placed.labelled),
    }
    works |= {name: work for name, (work, _) in rivals.items()} | _compiled(engine, config, batch)
    name = f"training, {config.model.stacks} stacks"
    taken = interleave(works, setting.few, title=name, device=device)
    ours = _rates(count_operations(config, people.skeleton, len(batch)), taken["step"])
    facts["images/s"] = _images(batch, taken["step"])
    product, convolution = (_rates(flops, taken[rival]) for rival, (_, flops) in rivals.items())
    yield Measurement(name, "the machine's matrix products", ours, product, "TFLOP/s", facts=facts)
    yield Measurement(f"{name}, convolutions", "its plain 3x3 convolutions", ours, convolution, "TFLOP/s")
    target = TARGETS["targets in training"] if config.model.stacks == 2 else None
    yield Measurement(f"{name}, targets", "the whole step", taken["targets"], taken["step"], target=target)
    if "compiled" in taken:
        facts = {"images/s": _images(batch, taken["compiled"])}
        yield Measurement(f"{name}, compiled", "the same step eager", taken["compiled"], taken["step"], facts=facts)


def _images(batch: Batch, times_ms: Sequence[float]) -> float:
    """Per second."""
    return round(1000 * len(batch) / float(np.median(times_ms)), 1)


def _compiled(engine: Engine, config: PoseConfig, batch: Batch) -> dict[str, Callable[[], None]]:
    """The step under torch.compile, where that takes a minute and not many: on a GPU, of two stacks."""
    if engine.accelerator.device.type == "cpu" or config.model.stacks != 2:
        return {}
    fast = try_compile("training", engine.model, lambda compiled: training_step(engine, compiled, batch))
    return {} if fast is None else {"compiled": partial(training_step, engine, fast, batch)}


def _facts(engine: Engine, config: PoseConfig, batch: Batch) -> dict[str, str | float]:
    facts = {
        "people in a step": len(batch),
        "precision": str(DTYPES[engine.accelerator.mixed_precision]).removeprefix("torch."),
        "optimizer": config.optimizer.name,
        "threads": torch.get_num_threads(),
    }
    if engine.accelerator.device.type == "cuda":  # before anything else takes memory, but after cuDNN has tried its algorithms
        engine.try_step(batch)
        torch.cuda.reset_peak_memory_stats()
        engine.try_step(batch)
        facts["peak memory, GiB"] = round(torch.cuda.max_memory_allocated() / 2**30, 2)
    return facts


def _product(device: torch.device, dtype: torch.dtype) -> tuple[Callable[[], torch.Tensor], int]:
    """A large product of two matrices, and its floating point operations."""
    side = _CPU_SIDE if device.type == "cpu" else _GPU_SIDE
    left, right = torch.randn(2, side, side, device=device, dtype=dtype)
    return lambda: left @ right, 2 * side**3


def _convolution(device: torch.device, dtype: torch.dtype, people: int) -> tuple[Callable[[], torch.Tensor], int]:
    images = torch.randn(people, _CHANNELS, _MAP, _MAP, device=device, dtype=dtype).to(memory_format=torch.channels_last)
    weight = torch.randn(_CHANNELS, _CHANNELS, 3, 3, device=device, dtype=dtype).to(memory_format=torch.channels_last)
    return lambda: F.conv2d(images, weight, padding=1), 2 * people * (3 * _CHANNELS * _MAP) ** 2


def count_operations(config: PoseConfig, skeleton: Skeleton, people: int) -> int:
    """Floating point operations of one step in the network's convolutions, forward and backward; counted, not computed."""
    size = config.model.input_size
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        outputs = build_info(config, skeleton).build()(torch.empty(people, 3, size, size))
        torch.stack(outputs).sum().backward()
    return counter.get_total_flops()


def _rates(flops: int, times_ms: Sequence[float]) -> list[float]:
    """TFLOP/s."""
    return (flops / np.asarray(times_ms) / 1e9).tolist()


def _waiting(setting: Setting, engine: Engine, stacks: int, steps: int, warm_up: int) -> Measurement:
    """Steps fed by the loader. Whenever a batch is asked for the device is idle: what passes then is waiting."""
    waited, taken = [], []
    for batch, ms in _fed(tqdm(engine.task.loader, desc="waiting for data", unit="step", leave=False)):
        waited.append(ms)
        start = time.perf_counter()
        engine.try_step(batch)
        settle(engine.accelerator.device)
        taken.append(ms + 1000 * (time.perf_counter() - start))
    groups = max(2, steps // 20)  # waiting comes in bursts: single steps tell little
    ours, whole = ([float(part.mean()) for part in np.array_split(times[warm_up:], groups)] for times in (waited, taken))
    target = TARGETS["waiting in training"] if setting.device.type == "cuda" else None
    facts = {"workers": engine.task.loader.num_workers, "steps": steps}
    return Measurement(f"training, {stacks} stacks, waiting for data", "the whole step", ours, whole, target=target, facts=facts)


def _fed(batches: Iterable[Batch]) -> Iterator[tuple[Batch, float]]:
    """Each batch, and the milliseconds until it came."""
    source = iter(batches)
    while True:
        start = time.perf_counter()
        batch = next(source, None)
        if batch is None:
            return
        yield batch, 1000 * (time.perf_counter() - start)
