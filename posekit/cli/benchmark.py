"""`posekit benchmark`: posekit's speed as ratios to plain yardsticks, measured in the same run."""

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from tqdm.auto import tqdm

from posekit.cli.command import run_command
from posekit.datasets import open_people
from posekit.datasets.augment import Ranges
from posekit.datasets.loader import CropDataset, PyramidDataset, collate
from posekit.errors import ConfigError, ImageError
from posekit.evaluation import score
from posekit.files import replacing
from posekit.heatmaps import STRIDE, encode
from posekit.inference import PYRAMID, Predictor
from posekit.inference.backends import BACKENDS, open_backend
from posekit.models import ModelInfo, build_model, normalise, save_weights
from posekit.opencv import cv2
from posekit.predictions import read_predictions, stated_base
from posekit.sample import People

_DESCRIPTION = """Measure posekit's speed on your data, each figure as a ratio to a yardstick in the same process.

  posekit benchmark --data lsp --root DIR
  posekit benchmark --data lsp --root DIR --only pyramid
  posekit benchmark --data mpii --root DIR --split valid --only scoring --predictions valid-ours.h5

input     read the photograph, draw an augmentation, one affine warp, colours, collate into batches, normalise, draw the
          target heatmaps; one thread. Yardstick: cv2.imread, one cv2.warpAffine to the same crops, a float CHW tensor.
pyramid   people from photograph to joints over six scales with flipping, by a 2-stack hourglass of 256 features.
          Yardstick: as many plain forward passes of the same crops.
inference crops of 8 people to heatmaps, by a 2-stack hourglass of 256 features on the CPU, with the back end that posekit takes
          by itself for longer work, or --backend. Yardstick: plain torch, one forward pass of the same float crops.
scoring   read annotation and prediction file, score, make the table, once, as a run of `eval` does (set OMP_NUM_THREADS=1 for
          one core). Yardstick: the bare distances of the same arrays compared with the threshold."""
_BATCH = 32
_EPOCH = 1  # whose augmentation is drawn
_MEAN, _STD = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)
_PYRAMID_PEOPLE, _ROUNDS = 4, 3
_INFERENCE_PEOPLE, _WARM_UP = 8, 5  # passes after which the default back end has settled
_PARTS = ("input", "pyramid", "inference", "scoring")


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Run the command; returns the exit status."""
    parser = argparse.ArgumentParser(prog=prog, description=_DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="lsp", help="kind of annotation: mpii, lsp, coco (default: lsp)")
    parser.add_argument("--root", required=True, type=Path, help="the data set's folder")
    parser.add_argument("--split", default="all", help="which of its people (default: all)")
    parser.add_argument("--only", choices=_PARTS, help="one part (default: all, scoring only if --predictions is given)")
    parser.add_argument("--people", type=int, default=512, help="how many of them the input path is measured on (default: 512)")
    parser.add_argument("--size", type=int, default=256, help="side of the crops in pixels (default: 256)")
    parser.add_argument("--backend", choices=BACKENDS, default="auto", help="what inference is measured of (default: auto)")
    parser.add_argument("--predictions", type=Path, help="prediction file of the split, 1-based if it does not say, to score")
    parser.add_argument("--json", help="write the figures to this file too")
    return run_command(parser, _run, argv)


def _run(args: argparse.Namespace) -> None:
    if args.people < 1:
        raise ConfigError(f"--people {args.people}: nobody to measure on; give 1 or more")
    if args.only == "scoring" and not args.predictions:
        raise ConfigError("--only scoring needs --predictions FILE")
    parts = {"input": _input, "pyramid": _pyramid, "inference": _inference, "scoring": _scoring}
    chosen = [args.only] if args.only else [part for part in parts if part != "scoring" or args.predictions]
    people = open_people(args.data, args.root, args.split)
    figures = {}
    threads = torch.get_num_threads()
    for part in chosen:
        torch.set_num_threads(1 if part == "input" else threads)
        figures[part] = {**parts[part](args, people), "threads": torch.get_num_threads()}
        print(f"{part}: {_described(figures[part])}")
    if args.json:
        with replacing(Path(args.json)) as unfinished:
            unfinished.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def _described(figures: dict) -> str:
    units = {"people": "people", "size": "px", "backend": "back end", "threads": "threads"}
    facts = ", ".join(f"{figures[key]} {unit}" for key, unit in units.items() if key in figures)
    return f"{figures['posekit_ms']:.2f} ms, yardstick {figures['yardstick_ms']:.2f} ms, ratio {figures['ratio']:.2f} ({facts})"


def _figures(ours: Sequence[float], plain: Sequence[float], **facts) -> dict:
    """Medians in milliseconds, and their ratio."""
    posekit_ms, yardstick_ms = float(np.median(ours)), float(np.median(plain))
    return {**facts, "posekit_ms": posekit_ms, "yardstick_ms": yardstick_ms, "ratio": posekit_ms / yardstick_ms}


def _input(args: argparse.Namespace, people: People) -> dict:
    people = people.select(np.arange(min(args.people, len(people))))
    dataset = CropDataset(people, size=args.size, ranges=Ranges())
    matrices = [dataset[_EPOCH, index].crop.matrix for index in range(len(people))]
    batches = [range(start, min(start + _BATCH, len(people))) for start in range(0, len(people), _BATCH)]
    _ours(dataset, batches[0])
    ours, plain = [], []
    for batch in tqdm(batches, desc="batches", leave=False):
        _yardstick(people, batch, matrices, args.size)  # so that neither finds the files colder than the other
        ours.append(_ms(lambda batch=batch: _ours(dataset, batch)) / len(batch))
        plain.append(_ms(lambda batch=batch: _yardstick(people, batch, matrices, args.size)) / len(batch))
    return _figures(ours, plain, people=len(people), size=args.size)


def _ours(dataset: CropDataset, indices: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
    batch = collate([dataset[_EPOCH, index] for index in indices])
    return normalise(batch.images, _MEAN, _STD, batch.gains), encode(batch.joints, batch.labelled, size=dataset.size // STRIDE)


def _yardstick(people: People, indices: Sequence[int], matrices: Sequence[np.ndarray], size: int) -> list[torch.Tensor]:
    return [_plain_tensor(people.images[index], matrices[index], size) for index in indices]


def _plain_tensor(path: str, matrix: np.ndarray, size: int) -> torch.Tensor:
    image = cv2.imread(path)
    if image is None:
        raise ImageError(f"{path}: cannot be read; measure on a data set whose photographs are there")
    crop = cv2.warpAffine(image, matrix, (size, size))
    return torch.from_numpy(crop).permute(2, 0, 1).float().div_(255)


def _pyramid(args: argparse.Namespace, people: People) -> dict:
    people = people.select(np.arange(min(_PYRAMID_PEOPLE, len(people))))
    predictor = _untrained(people, args.size)
    crops = PyramidDataset(people, size=args.size, scales=PYRAMID.scales)
    images = collate([crops[index] for index in range(len(people))]).images
    images = torch.cat([images, images.flip(2)]).split(predictor.persons_at_once * len(PYRAMID))
    ours, plain = [], []
    for _ in tqdm(range(_ROUNDS + 1), desc="rounds", leave=False):
        ours.append(_ms(lambda: predictor.predict_people(people, progress=False)) / len(people))
        plain.append(_ms(lambda: [_forward(predictor, batch) for batch in images]) / len(people))
    return _figures(ours[1:], plain[1:], people=len(people), size=args.size)  # the first round warms up


def _inference(args: argparse.Namespace, people: People) -> dict:
    people = people.select(np.arange(min(_INFERENCE_PEOPLE, len(people))))
    dataset = CropDataset(people, size=args.size)
    crops = collate([dataset[index] for index in range(len(people))]).images
    info = _info(people, args.size)
    torch.manual_seed(0)  # so that the ONNX form that is kept is always the same one
    model = build_model(info).eval()
    backend, plain_crops = open_backend(args.backend, model, info, torch.device("cpu")), normalise(crops, _MEAN, _STD).contiguous()
    for _ in range(_WARM_UP):
        backend.maps(crops)
    ours, plain = [], []
    with torch.inference_mode():
        for _ in tqdm(range(2 * _ROUNDS + 1), desc="rounds", leave=False):
            plain.append(_ms(lambda: model.activate(model(plain_crops)[-1])) / len(people))
            ours.append(_ms(lambda: backend.maps(crops)) / len(people))
    return _figures(ours[1:], plain[1:], people=len(people), size=args.size, backend=backend.name)


def _info(people: People, size: int) -> ModelInfo:
    return ModelInfo(people.skeleton, size, stacks=2, features=256, depth=4, head="sigmoid", mean=_MEAN, std=_STD)


def _untrained(people: People, size: int) -> Predictor:
    """Weights do not change the speed."""
    info = _info(people, size)
    with tempfile.TemporaryDirectory() as folder:
        save_weights(Path(folder) / "untrained.safetensors", build_model(info), info)
        return Predictor(Path(folder) / "untrained.safetensors", views=PYRAMID, batch_size=len(PYRAMID), backend="torch")


@torch.inference_mode()
def _forward(predictor: Predictor, images: torch.Tensor) -> torch.Tensor:
    return predictor.backend.maps(images.to(predictor.device)).cpu()


def _scoring(args: argparse.Namespace, people: People) -> dict:
    base = 1 if stated_base(args.predictions) is None else None

    def from_files():
        everyone = open_people(args.data, args.root, args.split)
        predictions = read_predictions(args.predictions, base=base, skeleton=everyone.skeleton, people=everyone)
        scores = score(everyone, predictions)
        scores.table()
        return scores

    start = time.perf_counter()
    scores = from_files()  # only the first time is what a run takes: the bootstrap's draws are kept
    ours = 1000 * (time.perf_counter() - start)
    predicted, truth, sizes = scores.predictions.joints, people.joints, scores.reference_sizes
    limits = scores.pck.threshold * sizes[:, None]
    plain = [_ms(lambda: np.linalg.norm(predicted - truth, axis=-1) <= limits) for _ in range(_ROUNDS + 2)]
    return _figures([ours], plain, people=len(people))


def _ms(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - start)
