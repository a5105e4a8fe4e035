"""Benchmarks of data loading, from images to normalised crops and target heatmaps, in one thread and with workers."""

import multiprocessing
import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from multiprocessing.pool import Pool

import numpy as np
import torch
from torch.utils.benchmark import set_torch_threads
from torch.utils.data import DataLoader
from tqdm.auto import tqdm

from benchmarks.ratio import TARGETS, Ratio, interleave, time_ms
from benchmarks.setting import MEAN, STD, Setting
from posekit.data import augment
from posekit.data.crops import CropDataset, EpochBatches, collate, make_loader
from posekit.errors import ImageError
from posekit.heatmaps import STRIDE, encode
from posekit.images import cv2
from posekit.machine import processors
from posekit.models import normalise
from posekit.people import People

_BATCH = 32
_MIN_CROPS = 128
_WORKER_PEOPLE = 8 * _BATCH  # per worker
_LARGE = 1280 * 720
_RANGES = augment.AugmentConfig()


def measure_input(setting: Setting) -> Iterator[Ratio]:
    """Measure the loading time per person in one thread; large images separately, since their time is nearly all decoding."""
    people_with_images = setting.people_with_images
    is_large = setting.image_sizes.prod(1) >= _LARGE
    for name, mask in (("small", ~is_large), ("large", is_large)):
        indices = np.flatnonzero(mask)[: setting.people]
        if len(indices):
            people = people_with_images.select(indices)
            yield _measure_images(setting, f"input, {name} photographs", people, setting.image_sizes[indices].mean(0))


def _measure_images(setting: Setting, name: str, people: People, mean_size: np.ndarray) -> Ratio:
    dataset = CropDataset(people, size=setting.size, ranges=_RANGES)
    epochs = -(-_MIN_CROPS // len(people))  # with few people, crop each person several times, with different augmentations
    keys = [(epoch, index) for epoch in range(1, epochs + 1) for index in range(len(people))]
    values = []
    yardstick_values = []
    with set_torch_threads(1):
        _load(dataset, keys[:_BATCH])
        for start in tqdm(range(0, len(keys), _BATCH), desc="input", unit="batch", leave=False):
            batch = keys[start : start + _BATCH]
            jobs = [_plain_job(dataset, key) for key in batch]
            _plain_tensors(jobs, setting.size)  # so that posekit and the yardstick both find the files in the system's cache
            values.append(time_ms(partial(_load, dataset, batch)) / len(batch))
            yardstick_values.append(time_ms(partial(_plain_tensors, jobs, setting.size)) / len(batch))
    width, height = mean_size
    facts: dict[str, str | float] = {"people": len(people), "crops": len(keys), "threads": 1}
    facts["photographs"] = f"{width:.0f}x{height:.0f} px on average"
    return Ratio(name, "imread, warpAffine, float tensor", values, yardstick_values, target=TARGETS[name], facts=facts)


def _load(dataset: CropDataset, keys: Sequence[tuple[int, int]]) -> tuple[torch.Tensor, torch.Tensor]:
    batch = collate([dataset[key] for key in keys])
    images = normalise(batch.images, MEAN, STD, batch.channel_gains)
    return images, encode(batch.joints, batch.labelled, size=dataset.size // STRIDE)


def _plain_job(dataset: CropDataset, key: tuple[int, int]) -> tuple[str, np.ndarray]:
    """Return the image path of `dataset[key]` and the affine matrix of its crop."""
    epoch, index = key
    person = dataset.people[index]
    params = augment.draw(np.random.default_rng([dataset.seed, epoch, index]), _RANGES)
    return person.image_path, params.crop(person.box, dataset.size).matrix


def _plain_tensors(jobs: Sequence[tuple[str, np.ndarray]], size: int) -> list[torch.Tensor]:
    tensors = []
    for path, matrix in jobs:
        image = cv2.imread(path)
        if image is None:
            raise ImageError(f"{path}: cannot be read as an image; replace the file or choose another data set")
        crop = cv2.warpAffine(image, matrix, (size, size))
        tensors.append(torch.from_numpy(crop).permute(2, 0, 1).float().div_(255))
    return tensors


def measure_workers(setting: Setting) -> Iterator[Ratio]:
    """Measure how crops per second increase with the number of loader workers, and with the number of plain processes."""
    counts = worker_counts(processors())
    if len(counts) == 1:
        print("workers: skipped, since the machine has only one processor")
        return
    samples = CropDataset(setting.repeated(_WORKER_PEOPLE), size=setting.size, ranges=_RANGES)
    jobs = [_plain_job(samples, (0, index)) for index in range(_WORKER_PEOPLE)]
    with ExitStack() as stack:
        works: dict[tuple[str, int], Callable[[], object]] = {}
        for count in counts:
            pool = stack.enter_context(_pool(count))
            works["workers", count] = partial(_read_all, _loader(setting, count))
            works["plain", count] = partial(pool.starmap, _plain_work, [(jobs, setting.size)] * count, chunksize=1)
        times = interleave(works, setting.rounds, title="workers")  # the workers start in the round that warms up
    rates = {key: 1000 * key[1] * _WORKER_PEOPLE / np.array(times_ms) for key, times_ms in times.items()}
    for count in counts[1:]:
        yardstick = f"{count} times the rate of one"
        plain = Ratio(f"{count} plain processes", yardstick, rates["plain", count], count * rates["plain", 1], "people/s")
        facts = {"plain processes reach": f"{plain.median:.2f} of linear"}
        linear = count * rates["workers", 1]
        yield Ratio(f"{count} workers", yardstick, rates["workers", count], linear, "people/s", TARGETS["workers"], facts)
        yield plain


def worker_counts(highest: int) -> list[int]:
    """Return the powers of two up to `highest`, and `highest`, in ascending order."""
    return sorted({*(2**power for power in range(highest.bit_length())), highest})


def _loader(setting: Setting, workers: int) -> DataLoader:
    """Create a loader that gives each worker the same people, with different augmentations."""
    people = setting.repeated(_WORKER_PEOPLE).select(np.arange(_WORKER_PEOPLE * workers) % _WORKER_PEOPLE)
    dataset = CropDataset(people, size=setting.size, ranges=_RANGES)
    return make_loader(dataset, EpochBatches(len(dataset), _BATCH), workers=workers)


def _read_all(loader: DataLoader) -> None:
    for _ in loader:
        pass


def _plain_work(jobs: Sequence[tuple[str, np.ndarray]], size: int) -> None:
    for job in jobs:
        _plain_tensors([job], size)


def _pool(count: int) -> Pool:
    # Forked, as the loader's workers are. The processes use one thread each, so Python's warning about forking a process
    # with several threads does not apply.
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return context.Pool(count, initializer=_start_worker)


def _start_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the main process handles Ctrl-C
    torch.set_num_threads(1)
