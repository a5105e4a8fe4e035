"""What threads cost that wait by spinning, on a free machine and on one that others use too."""

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from tqdm.auto import tqdm

from posekit.cli.benchmark.figure import Figure
from posekit.cli.benchmark.measure import cores, time_ms
from posekit.cli.benchmark.setting import Setting
from posekit.heatmaps import STRIDE
from posekit.losses import HeatmapBCE
from posekit.models import StackedHourglass

_SPIN = "GOMP_SPINCOUNT"  # posekit sets it before torch loads, unless somebody has
_LIBRARYS_OWN = "300000"  # libgomp's, where nothing is set
_CROPS, _SIZE, _FEATURES, _STEPS = 8, 128, 64, 8
_WORK = "from posekit.cli.benchmark.busy import steps_ms; print(*steps_ms())"


def measure_busy(setting: Setting) -> Iterator[Figure]:
    """Training steps of a small network, with posekit's way of waiting and with the library's own."""
    for name, others in (("waiting, free machine", 0), ("waiting, busy machine", cores())):
        ours, theirs = [], []
        with _busy(others):
            for _ in tqdm(range(setting.few), desc=name, unit="round", leave=False):
                ours.append(_in_new_process({}))
                theirs.append(_in_new_process({_SPIN: _LIBRARYS_OWN}))
        facts = {"threads": torch.get_num_threads(), "other processes at work": others}
        yield Figure(name, "threads that spin as long as OpenMP has them", ours, theirs, facts=facts)


def _in_new_process(environment: dict[str, str]) -> float:
    """Median of the steps' milliseconds: how threads wait is settled when OpenMP is loaded."""
    inherited = {name: value for name, value in os.environ.items() if name != _SPIN}
    done = subprocess.run([sys.executable, "-c", _WORK], env=inherited | environment, capture_output=True, text=True, check=True)
    return float(np.median([float(ms) for ms in done.stdout.split()]))


def steps_ms() -> list[float]:
    """Milliseconds of each of some forward and backward passes."""
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
