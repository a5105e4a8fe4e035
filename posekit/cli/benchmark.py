"""`posekit benchmark`: posekit's speed as ratios to plain yardsticks, measured in the same run."""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from tqdm.auto import tqdm

from posekit.cli.command import run_command
from posekit.datasets import open_people
from posekit.datasets.augment import Ranges
from posekit.datasets.loader import CropDataset, collate
from posekit.errors import ConfigError, ImageError
from posekit.files import replacing
from posekit.heatmaps import STRIDE, encode
from posekit.models import normalise
from posekit.opencv import cv2
from posekit.sample import People

_DESCRIPTION = """Measure the data path on your photographs, one thread, as a ratio to a yardstick in the same process.

  posekit benchmark --data lsp --root DIR

posekit: read the photograph, draw an augmentation, one affine warp, colours, collate into batches,
normalise, draw the target heatmaps. Yardstick: cv2.imread, one cv2.warpAffine
to the same crops, a float CHW tensor."""
_BATCH = 32
_EPOCH = 1  # whose augmentation is drawn


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Run the command; returns the exit status."""
    parser = argparse.ArgumentParser(prog=prog, description=_DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="lsp", help="kind of annotation: mpii, lsp, coco (default: lsp)")
    parser.add_argument("--root", required=True, help="the data set's folder")
    parser.add_argument("--split", default="all", help="which of its people (default: all)")
    parser.add_argument("--people", type=int, default=512, help="how many of them (default: 512)")
    parser.add_argument("--size", type=int, default=256, help="side of the crops in pixels (default: 256)")
    parser.add_argument("--json", help="write the figures to this file too")
    return run_command(parser, _run, argv)


def _run(args: argparse.Namespace) -> None:
    torch.set_num_threads(1)
    people = open_people(args.data, args.root, args.split)
    if args.people < 1 or not len(people):
        raise ConfigError("nobody to measure on: give --people 1 or more, and a split that is not empty")
    people = people.select(np.arange(min(args.people, len(people))))
    posekit_ms, yardstick_ms = _input_path(people, args.size)
    figures = {
        "people": len(people),
        "size": args.size,
        "posekit_ms": posekit_ms,
        "yardstick_ms": yardstick_ms,
        "ratio": posekit_ms / yardstick_ms,
    }
    print(
        f"data path at {args.size} px, {len(people)} people of {people.name}: {posekit_ms:.2f} ms a sample, "
        f"yardstick {yardstick_ms:.2f} ms, ratio {figures['ratio']:.2f}"
    )
    if args.json:
        with replacing(Path(args.json)) as unfinished:
            unfinished.write_text(json.dumps({"input_path": figures}, indent=2) + "\n", encoding="utf-8")


def _input_path(people: People, size: int) -> tuple[float, float]:
    """Milliseconds per sample: the medians over batches, taken in turn so that both see the same machine."""
    dataset = CropDataset(people, size=size, ranges=Ranges())
    matrices = [dataset[_EPOCH, index].crop.matrix for index in range(len(people))]
    batches = [range(start, min(start + _BATCH, len(people))) for start in range(0, len(people), _BATCH)]
    _ours(dataset, batches[0])
    ours, plain = [], []
    for batch in tqdm(batches, desc="batches", leave=False):
        _yardstick(people, batch, matrices, size)  # so that neither finds the files colder than the other
        ours.append(_ms(lambda batch=batch: _ours(dataset, batch)) / len(batch))
        plain.append(_ms(lambda batch=batch: _yardstick(people, batch, matrices, size)) / len(batch))
    return float(np.median(ours)), float(np.median(plain))


def _ours(dataset: CropDataset, indices: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
    batch = collate([dataset[_EPOCH, index] for index in indices])
    images = normalise(batch.images, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
    return images, encode(batch.joints, batch.labelled, size=dataset.size // STRIDE)


def _yardstick(people: People, indices: Sequence[int], matrices: Sequence[np.ndarray], size: int) -> list[torch.Tensor]:
    return [_plain_tensor(people.images[index], matrices[index], size) for index in indices]


def _plain_tensor(path: str, matrix: np.ndarray, size: int) -> torch.Tensor:
    image = cv2.imread(path)
    if image is None:
        raise ImageError(f"{path}: cannot be read; measure on a data set whose photographs are there")
    crop = cv2.warpAffine(image, matrix, (size, size))
    return torch.from_numpy(crop).permute(2, 0, 1).float().div_(255)


def _ms(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - start)
