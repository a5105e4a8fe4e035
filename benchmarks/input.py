"""The input path: from photographs to normalised crops and target heatmaps, in one thread and over workers."""

import multiprocessing
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from multiprocessing.pool import Pool

import numpy as np
import torch
from torch.utils.data import DataLoader
from tqdm.auto import tqdm

from benchmarks.figure import TARGETS, Measurement
from benchmarks.measure import threads, time_ms
from benchmarks.setting import MEAN, STD, Setting
from posekit.data.augment import AugmentConfig
from posekit.data.crops import CropDataset, EpochBatches, collate, make_loader
from posekit.errors import ImageError
from posekit.heatmaps import STRIDE, encode
from posekit.machine import processors
from posekit.models import normalise
from posekit.opencv import cv2
from posekit.people import People

_BATCH, _LEAST = 32, 128
_WORKER_BATCH, _WORKER_BATCHES = 32, 8
_LARGE = 1280 * 720
_PLAIN = "imread, warpAffine, float tensor"


def measure_input(setting: Setting) -> Iterator[Measurement]:
    """One thread's time per person; of large photographs by itself, since nearly all of that is decoding."""
    people, large = setting.shown, setting.shown_sizes.prod(1) >= _LARGE
    for kind, is_chosen in (("small", ~large), ("large", large)):
        if is_chosen.any():
            chosen = np.flatnonzero(is_chosen)[: setting.people]
            yield _of_photographs(setting, kind, people.select(chosen), setting.shown_sizes[chosen].mean(0))


def _of_photographs(setting: Setting, kind: str, people: People, mean_size: np.ndarray) -> Measurement:
    dataset = CropDataset(people, size=setting.size, ranges=AugmentConfig())
    epochs = -(-_LEAST // len(people))  # few photographs are cut again, in other ways
    keys = [(epoch, index) for epoch in range(1, epochs + 1) for index in range(len(people))]
    batches = [keys[start : start + _BATCH] for start in range(0, len(keys), _BATCH)]
    matrices = {key: dataset[key].crop.matrix for key in keys}
    with threads(1):
        _ours(dataset, batches[0])
        ours, plain = [], []
        for batch in tqdm(batches, desc="input", unit="batch", leave=False):
            jobs = [(str(people.image_paths[index]), matrices[epoch, index]) for epoch, index in batch]
            _plain_tensors(jobs, setting.size)  # so that neither finds the files colder than the other
            ours.append(time_ms(lambda batch=batch: _ours(dataset, batch)) / len(batch))
            plain.append(time_ms(lambda jobs=jobs: _plain_tensors(jobs, setting.size)) / len(batch))
    width, height = mean_size
    facts = {"people": len(people), "crops": len(keys), "photographs": f"{width:.0f}x{height:.0f} px on average", "threads": 1}
    name = f"input, {kind} photographs"
    return Measurement(name, _PLAIN, ours, plain, target=TARGETS[name], facts=facts)


def _ours(dataset: CropDataset, keys: Sequence[tuple[int, int]]) -> tuple[torch.Tensor, torch.Tensor]:
    batch = collate([dataset[key] for key in keys])
    return normalise(batch.images, MEAN, STD, batch.channel_gains), encode(
        batch.joints, batch.labelled, size=dataset.size // STRIDE
    )


def _plain_tensors(jobs: Sequence[tuple[str, np.ndarray]], size: int) -> list[torch.Tensor]:
    return [_plain_tensor(path, matrix, size) for path, matrix in jobs]


def _plain_tensor(path: str, matrix: np.ndarray, size: int) -> torch.Tensor:
    image = cv2.imread(path)
    if image is None:
        raise ImageError(f"{path}: cannot be read; measure on a data set whose photographs are there")
    crop = cv2.warpAffine(image, matrix, (size, size))
    return torch.from_numpy(crop).permute(2, 0, 1).float().div_(255)


def measure_workers(setting: Setting) -> Iterator[Measurement]:
    """How crops per second grow with the loader's workers, and how the machine lets plain processes grow."""
    counts = worker_counts(processors())
    if len(counts) == 1:
        print("workers: one processor, nothing to share")
        return
    with ExitStack() as stack:
        rates = _rates(setting, counts, stack)
    for count in counts[1:]:
        plain_share = np.median(np.divide(rates["plain", count], rates["plain", 1]) / count)
        for kind, name, target in (("posekit", "workers", TARGETS["workers"]), ("plain", "plain processes", None)):
            linear = [count * rate for rate in rates[kind, 1]]
            machine = {"plain processes reach": f"{plain_share:.2f} of linear"} if kind == "posekit" else {}
            yardstick = f"{count} times one"
            yield Measurement(f"{count} {name}", yardstick, rates[kind, count], linear, "people/s", target, machine)


def worker_counts(most: int) -> list[int]:
    """1, 2, 4, … and `most`."""
    return sorted({*(2**power for power in range(most.bit_length())), most})


def _rates(setting: Setting, counts: Sequence[int], stack: ExitStack) -> dict[tuple[str, int], list[float]]:
    """People per second of our loader and of plain processes, for each number of them."""
    each = _WORKER_BATCH * _WORKER_BATCHES
    samples = CropDataset(setting.repeated(each), size=setting.size, ranges=AugmentConfig())
    jobs = [(str(person.image_path), samples[index].crop.matrix) for index, person in enumerate(samples.people)]
    pools = {count: stack.enter_context(_pool(count)) for count in counts}
    loaders = {count: _loader(setting, each, count) for count in counts}
    rates = {(kind, count): [] for kind in ("posekit", "plain") for count in counts}
    for _ in tqdm(range(setting.rounds + 1), desc="workers", unit="round", leave=False):
        for count in counts:
            rates["posekit", count].append(_rate(count * each, lambda count=count: _drain(loaders[count])))
            arguments = [(jobs, setting.size)] * count
            rates["plain", count].append(
                _rate(count * each, lambda n=count, a=arguments: pools[n].starmap(_plain_work, a, chunksize=1))
            )
    return {key: values[1:] for key, values in rates.items()}  # the first round starts the workers


def _loader(setting: Setting, each: int, count: int) -> DataLoader:
    """The same people for every worker, in other ways each."""
    dataset = CropDataset(setting.repeated(each).select(np.arange(each * count) % each), size=setting.size, ranges=AugmentConfig())
    return make_loader(dataset, EpochBatches(len(dataset), _WORKER_BATCH), workers=count)


def _drain(loader: DataLoader) -> None:
    for _ in loader:
        pass


def _rate(people: int, work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return people / (time.perf_counter() - start)


def _plain_work(jobs: Sequence[tuple[str, np.ndarray]], size: int) -> None:
    for path, matrix in jobs:
        _plain_tensor(path, matrix, size)


def _pool(count: int) -> Pool:
    # Forked as the loader's workers are; what Python warns of when threads are around does not concern one thread.
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return context.Pool(count, initializer=_begin)


def _begin() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the main process, which ends the others
    torch.set_num_threads(1)
