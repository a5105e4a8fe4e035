"""Benchmarks of two process settings, the spinning time of idle threads and the keeping of freed memory, in new processes."""

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import torch
from tqdm.auto import tqdm

from benchmarks.ratio import Ratio, time_ms
from benchmarks.setting import Setting
from posekit.heatmaps import STRIDE
from posekit.losses import HeatmapBCE
from posekit.machine import keep_freed_memory, processors
from posekit.models import StackedHourglass

_SPIN = "GOMP_SPINCOUNT"  # posekit sets this variable before torch is loaded, unless the user has set it
_LIBRARY_DEFAULT = "300000"  # of libgomp
_CROPS, _SIZE, _FEATURES, _STEPS = 8, 128, 64, 8


def measure_busy(setting: Setting) -> Iterator[Ratio]:
    """Measure training steps with posekit's spinning time for idle threads; the yardstick is OpenMP's default."""
    yardstick = "spinning for OpenMP's default time"
    spinning = {**_environment(), _SPIN: _LIBRARY_DEFAULT}
    for name, others in (("waiting, free machine", 0), ("waiting, busy machine", processors())):
        with _busy(others):
            ratio = _compare(setting, name, yardstick, lambda: _median_step(_environment()), lambda: _median_step(spinning))
        yield replace(ratio, facts={**ratio.facts, "other processes at work": others})


def measure_memory(setting: Setting) -> Iterator[Ratio]:
    """Measure training steps that keep freed memory; the yardstick returns the memory to the system."""
    environment = _environment()
    works = (lambda: _median_step(environment, keep=True), lambda: _median_step(environment))
    yield _compare(setting, "freed memory kept", "returned to the system each time", *works)


def _compare(
    setting: Setting, name: str, yardstick: str, posekit_ms: Callable[[], float], yardstick_ms: Callable[[], float]
) -> Ratio:
    values = []
    yardstick_values = []
    for _ in tqdm(range(setting.few), desc=name, unit="round", leave=False):
        values.append(posekit_ms())
        yardstick_values.append(yardstick_ms())
    return Ratio(name, yardstick, values, yardstick_values, facts={"threads": torch.get_num_threads()})


def _environment() -> dict[str, str]:
    """Return the environment of this process without `GOMP_SPINCOUNT`, which posekit sets in every new process."""
    return {name: value for name, value in os.environ.items() if name != _SPIN}


def _median_step(environment: Mapping[str, str], *, keep: bool = False) -> float:
    """Run training steps in a new process, because a running process cannot change the settings; return the median ms."""
    code = f"from benchmarks.process import steps_ms; print(*steps_ms({keep}))"
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    return float(np.median([float(ms) for ms in result.stdout.split()]))


def steps_ms(keep: bool) -> list[float]:
    """Time several forward and backward passes, after `keep_freed_memory` if `keep` is true; return the milliseconds of each."""
    if keep:
        keep_freed_memory()
    model = StackedHourglass(stacks=1, features=_FEATURES)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # the stub lacks this signature
    images = torch.rand(_CROPS, 3, _SIZE, _SIZE).to(memory_format=torch.channels_last)
    target = torch.zeros(_CROPS, 16, _SIZE // STRIDE, _SIZE // STRIDE)

    def step() -> None:
        HeatmapBCE()(model(images), target).backward()

    step()
    return [time_ms(step) for _ in range(_STEPS)]


@contextmanager
def _busy(count: int) -> Iterator[None]:
    """Keep `count` other processes computing inside the context."""
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_compute_forever, daemon=True) for _ in range(count)]
    try:
        for process in processes:
            process.start()
        yield
    finally:
        for process in processes:
            process.kill()


def _compute_forever() -> None:
    while True:
        pass
