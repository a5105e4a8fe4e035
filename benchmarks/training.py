"""Benchmarks of training steps: speed relative to the machine's rates, and the time spent waiting for data."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.benchmark import timer
from torch.utils.flop_counter import FlopCounterMode
from tqdm.auto import tqdm

from benchmarks.ratio import TARGETS, Ratio, interleave, try_compile
from benchmarks.setting import FEATURES, Setting, random_batch, random_people
from posekit.data.crops import Batch
from posekit.prediction.backends import DTYPES
from posekit.skeletons import Skeleton
from posekit.tasks.pose.build import build_engine, build_info
from posekit.tasks.pose.config import DataConfig, PoseConfig
from posekit.tasks.pose.task import PoseTask
from posekit.training.build import build_accelerator
from posekit.training.config import ModelConfig, SourceConfig, TrainConfig
from posekit.training.engine import Engine

_CPU_SIDE, _GPU_SIDE = 2048, 8192  # width and height of the matrices
_GPU_STEPS, _GPU_WARM_UP = 100, 20  # the first steps do not wait, because their batches are already prefetched
_CHANNELS, _MAP = 128, 64  # of the hourglass's 3x3 convolutions, for crops of 256 px


def measure_training(setting: Setting) -> Iterator[Ratio]:
    """Measure training of an hourglass with two stacks and, on a GPU, with eight stacks and a quarter of the batch size."""
    yield from _measure_stacks(setting, 2, setting.batch)
    if setting.device.type != "cpu":
        yield from _measure_stacks(setting, 8, max(2, setting.batch // 4))


def _measure_stacks(setting: Setting, stacks: int, batch: int) -> Iterator[Ratio]:
    steps, warm_up = (setting.few, 1) if setting.device.type == "cpu" else (_GPU_STEPS, _GPU_WARM_UP)
    source = SourceConfig(setting.data, "")  # not read: the people are passed directly
    config = PoseConfig(
        DataConfig([source], [source]),
        ModelConfig(stacks=stacks, features=FEATURES, input_size=setting.size),
        train=TrainConfig(batch_size=batch, precision="auto", device=setting.device.type),
    )
    people = setting.repeated(batch * (steps + warm_up)) if setting.root else random_people(batch)
    with tempfile.TemporaryDirectory() as folder:
        engine = build_engine(config, people, people, out=Path(folder), accelerator=build_accelerator(config), resume=False)
        if engine.log is not None:
            engine.log.close()
        engine.model.train()
        yield from _measure_steps(setting, engine, config)
        if setting.root:
            yield _measure_waiting(setting, engine, stacks, steps, warm_up)


def training_step(engine: Engine, model: nn.Module, batch: Batch) -> None:
    """Take one training step with `model`: the engine's model, or the same model compiled."""
    loss, _ = engine.task.loss(model, batch.to(engine.accelerator.device), 0)
    engine.accelerator.backward(loss)
    engine.optimizer.step()
    engine.optimizer.zero_grad()


def _measure_steps(setting: Setting, engine: Engine, config: PoseConfig) -> Iterator[Ratio]:
    """Measure training steps on crops in CPU memory; the yardsticks are operations of the same precision."""
    device = engine.accelerator.device
    task = cast(PoseTask, engine.task)
    skeleton = task.valid_people.skeleton
    batch = random_batch(config.train.batch_size, len(skeleton), setting.size)
    if device.type == "cuda":
        batch = batch.pin_memory()
    facts = _facts(engine, config, batch)
    on_device = batch.to(device)
    dtype = DTYPES[engine.accelerator.mixed_precision]
    product, product_flops = _product(device, dtype)
    convolution, convolution_flops = _convolution(device, dtype, len(batch))
    works: dict[str, Callable[[], object]] = {
        "step": lambda: training_step(engine, engine.model, batch),
        "targets": lambda: task.encode(on_device.joints, on_device.labelled),
        "product": product,
        "convolution": convolution,
    }
    if device.type != "cpu" and config.model.stacks == 2:  # on a CPU or with eight stacks, compiling takes many minutes
        compiled = try_compile("training", engine.model, lambda model: training_step(engine, model, batch))
        if compiled is not None:
            works["compiled"] = lambda: training_step(engine, compiled, batch)
    name = f"training, {config.model.stacks} stacks"
    times = interleave(works, setting.few, title=name)
    facts["images/s"] = _images_per_second(batch, times["step"])
    rates = _tflops(count_operations(config, skeleton, len(batch)), times["step"])
    product_rates = _tflops(product_flops, times["product"])
    convolution_rates = _tflops(convolution_flops, times["convolution"])
    yield Ratio(name, "matrix products", rates, product_rates, "TFLOP/s", facts=facts)
    yield Ratio(f"{name}, convolutions", "plain 3x3 convolutions", rates, convolution_rates, "TFLOP/s")
    target = TARGETS["targets in training"] if config.model.stacks == 2 else None
    yield Ratio(f"{name}, targets", "the whole step", times["targets"], times["step"], target=target)
    if "compiled" in times:
        speed: dict[str, str | float] = {"images/s": _images_per_second(batch, times["compiled"])}
        yield Ratio(f"{name}, compiled", "the same step, eager", times["compiled"], times["step"], facts=speed)


def _images_per_second(batch: Batch, times_ms: Sequence[float]) -> float:
    return round(1000 * len(batch) / float(np.median(times_ms)), 1)


def _tflops(operations: int, times_ms: Sequence[float]) -> list[float]:
    return [operations / ms / 1e9 for ms in times_ms]


def _facts(engine: Engine, config: PoseConfig, batch: Batch) -> dict[str, str | float]:
    facts: dict[str, str | float] = {
        "people in a step": len(batch),
        "precision": str(DTYPES[engine.accelerator.mixed_precision]).removeprefix("torch."),
        "optimizer": config.optimizer.name,
        "threads": torch.get_num_threads(),
    }
    if engine.accelerator.device.type == "cuda":  # measured before the yardsticks allocate memory
        engine.try_step(batch)  # lets cuDNN try its algorithms
        torch.cuda.reset_peak_memory_stats()
        engine.try_step(batch)
        facts["peak memory, GiB"] = round(torch.cuda.max_memory_allocated() / 2**30, 2)
    return facts


def _product(device: torch.device, dtype: torch.dtype) -> tuple[Callable[[], torch.Tensor], int]:
    """Return a function that multiplies two large matrices, and its number of floating point operations."""
    side = _CPU_SIDE if device.type == "cpu" else _GPU_SIDE
    left, right = torch.randn(2, side, side, device=device, dtype=dtype)
    return lambda: left @ right, 2 * side**3


def _convolution(device: torch.device, dtype: torch.dtype, people: int) -> tuple[Callable[[], torch.Tensor], int]:
    """Return a function that computes a 3x3 convolution of the hourglass, and its number of floating point operations."""
    images = torch.randn(people, _CHANNELS, _MAP, _MAP, device=device, dtype=dtype).to(memory_format=torch.channels_last)
    weight = torch.randn(_CHANNELS, _CHANNELS, 3, 3, device=device, dtype=dtype).to(memory_format=torch.channels_last)
    return lambda: F.conv2d(images, weight, padding=1), 2 * people * (3 * _CHANNELS * _MAP) ** 2


def count_operations(config: PoseConfig, skeleton: Skeleton, people: int) -> int:
    """Count the floating point operations of one forward and backward pass; on the meta device, nothing is computed."""
    size = config.model.input_size
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        outputs = build_info(config, skeleton).build()(torch.empty(people, 3, size, size))
        torch.stack(outputs).sum().backward()
    return counter.get_total_flops()


def _measure_waiting(setting: Setting, engine: Engine, stacks: int, steps: int, warm_up: int) -> Ratio:
    """Measure the fraction of a training step in which the engine waits for the loader's next batch."""
    waiting = []
    whole = []
    before = timer()
    for batch in tqdm(engine.task.loader, desc="waiting for data", unit="step", leave=False):
        arrival = timer()
        engine.try_step(batch)
        after = timer()
        waiting.append(1000 * (arrival - before))
        whole.append(1000 * (after - before))
        before = after
    groups = max(2, steps // 20)  # waits are unevenly distributed, so the times are averaged over groups of steps
    values = [float(group.mean()) for group in np.array_split(waiting[warm_up:], groups)]
    whole_values = [float(group.mean()) for group in np.array_split(whole[warm_up:], groups)]
    target = TARGETS["waiting in training"] if setting.device.type == "cuda" else None
    facts: dict[str, str | float] = {"workers": engine.task.loader.num_workers, "steps": steps}
    return Ratio(f"training, {stacks} stacks, waiting for data", "the whole step", values, whole_values, target=target, facts=facts)
