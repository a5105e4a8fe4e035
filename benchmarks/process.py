"""How a process waits and keeps memory: training steps of a small network on the CPU, each way in processes of its own."""

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch
from tqdm.auto import tqdm

from benchmarks.figure import Measurement
from benchmarks.measure import time_ms
from benchmarks.setting import Setting
from posekit.heatmaps import STRIDE
from posekit.losses import HeatmapBCE
from posekit.machine import keep_freed_memory, processors
from posekit.models import StackedHourglass

_SPIN = "GOMP_SPINCOUNT"  # posekit sets it before torch loads, unless somebody has
_LIBRARYS_OWN = "300000"  # libgomp's, where nothing is set
_CROPS, _SIZE, _FEATURES, _STEPS = 8, 128, 64, 8


def measure_busy(setting: Setting) -> Iterator[Measurement]:
    """With posekit's way of waiting and with the library's own."""
    spinning = {**_environment(), _SPIN: _LIBRARYS_OWN}
    for name, others in (("waiting, free machine", 0), ("waiting, busy machine", processors())):
        with _busy(others):
            ours, theirs = _in_turn(setting, name, lambda: _steps(_environment()), lambda: _steps(spinning))
        facts = {"threads": torch.get_num_threads(), "other processes at work": others}
        yield Measurement(name, "threads that spin as long as OpenMP has them", ours, theirs, facts=facts)


def measure_memory(setting: Setting) -> Iterator[Measurement]:
    """With the memory that is freed kept, and given back to the system."""
    name = "freed memory kept"
    ours, theirs = _in_turn(setting, name, lambda: _steps(_environment(), keep=True), lambda: _steps(_environment()))
    yield Measurement(name, "given back each time", ours, theirs, facts={"threads": torch.get_num_threads()})


def _in_turn(setting: Setting, title: str, ours: Callable[[], float], theirs: Callable[[], float]) -> tuple[list[float], ...]:
    pairs = [(ours(), theirs()) for _ in tqdm(range(setting.few), desc=title, unit="round", leave=False)]
    return tuple(map(list, zip(*pairs, strict=True)))


def _environment() -> dict[str, str]:
    """This process's, but for what posekit has set of how threads wait: it sets that anew."""
    return {name: value for name, value in os.environ.items() if name != _SPIN}


def _steps(environment: Mapping[str, str], *, keep: bool = False) -> float:
    """Median of the steps' milliseconds, in a new process: it is settled for good how threads wait and memory is kept."""
    work = f"from benchmarks.process import steps_ms; print(*steps_ms({keep}))"
    done = subprocess.run([sys.executable, "-c", work], env=environment, capture_output=True, text=True, check=True)
    return float(np.median([float(ms) for ms in done.stdout.split()]))


def steps_ms(keep: bool) -> list[float]:
    """Milliseconds of each of some forward and backward passes; `keep` as of `keep_freed_memory`."""
    if keep:
        keep_freed_memory()
    model = StackedHourglass(stacks=1, features=_FEATURES).to(memory_format=torch.channels_last)
    images = torch.rand(_CROPS, 3, _SIZE, _SIZE).to(memory_format=torch.channels_last)
    target = torch.zeros(_CROPS, 16, _SIZE // STRIDE, _SIZE // STRIDE)

    def step() -> None:
        HeatmapBCE()(model(images), target).backward()

    step()
    return [time_ms(step) for _ in range(_STEPS)]


@contextmanager
def _busy(count: int) -> Iterator[None]:
    """So many processes that compute without end."""
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_spin, daemon=True) for _ in range(count)]
    try:
        for process in processes:
            process.start()
        yield
    finally:
        for process in processes:
            process.kill()


def _spin() -> None:
    while True:
        pass
