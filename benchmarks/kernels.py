"""Benchmarks of computations on heatmaps and joints: target heatmaps, losses, decoding, scores."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from benchmarks.ratio import Ratio, compare, time_ms, try_compile
from benchmarks.setting import Setting, random_joints
from posekit.heatmaps import STRIDE, decode, encode
from posekit.losses import HeatmapAnchorLoss
from posekit.metrics import pckh
from posekit.scoring.io.files import read_predictions, stated_base
from posekit.scoring.score import score

_BATCH, _JOINTS, _MAP = 64, 16, 64
_PEOPLE = 2958  # MPII's validation set
_SHAPE = f"{_BATCH}x{_JOINTS}x{_MAP}x{_MAP}"


def measure_targets(setting: Setting) -> Iterator[Ratio]:
    """Measure the time per person to draw a batch of target heatmaps on the CPU."""
    joints, labelled = random_joints(_BATCH, _JOINTS, _MAP * STRIDE)

    def draw() -> None:
        encode(joints, labelled, size=_MAP)

    def allocate() -> None:
        for _ in range(_BATCH):
            np.zeros((_JOINTS, _MAP, _MAP))

    yardstick = f"np.zeros(({_JOINTS}, {_MAP}, {_MAP}))"
    yield compare("targets", draw, yardstick, allocate, setting.many, facts={"threads": 1}, threads=1, per=_BATCH)


def measure_loss(setting: Setting) -> Iterator[Ratio]:
    """Measure the forward and backward pass of anchor loss, eager and compiled."""
    joints, labelled = random_joints(_BATCH, _JOINTS, _MAP * STRIDE)
    labelled = labelled.to(setting.device)
    target = encode(joints.to(setting.device), labelled, size=_MAP)
    logits = torch.randn(target.shape, generator=torch.Generator().manual_seed(0)).to(setting.device).requires_grad_()
    anchor = HeatmapAnchorLoss()

    def anchor_loss() -> torch.Tensor:
        return anchor(logits, target, labelled)

    def cross_entropy() -> torch.Tensor:
        return F.binary_cross_entropy_with_logits(logits, target)

    def step(loss: Callable[[], torch.Tensor]) -> None:
        logits.grad = None
        loss().backward()

    def compare_steps(name: str, loss: Callable[[], torch.Tensor], yardstick: Callable[[], torch.Tensor]) -> Ratio:
        facts: dict[str, str | float] = {"logits": _SHAPE, "threads": torch.get_num_threads()}
        yardstick_step = partial(step, yardstick)
        return compare(name, partial(step, loss), "torch's binary cross entropy", yardstick_step, setting.rounds, facts=facts)

    yield compare_steps("loss", anchor_loss, cross_entropy)
    compiled_loss = try_compile("loss", anchor_loss, step)
    if compiled_loss is None:
        return
    compiled_entropy = try_compile("loss's yardstick", cross_entropy, step)
    if compiled_entropy is not None:
        yield compare_steps("loss, compiled", compiled_loss, compiled_entropy)


def measure_decoding(setting: Setting) -> Iterator[Ratio]:
    """Measure the decoding of joints from a batch of heatmaps on the CPU."""
    maps = encode(*random_joints(_BATCH, _JOINTS, _MAP * STRIDE), size=_MAP)
    maps += 0.05 * torch.rand(maps.shape, generator=torch.Generator().manual_seed(0))
    flat = maps.numpy().reshape(_BATCH, _JOINTS, -1)
    facts: dict[str, str | float] = {"maps": _SHAPE, "threads": 1}
    for method in ("quarter", "dark"):
        work = partial(decode, maps, method=method)
        argmax = partial(flat.argmax, -1)
        yield compare(f"decoding, {method}", work, "numpy's argmax", argmax, setting.many, facts=facts, threads=1)


def measure_scoring(setting: Setting) -> Iterator[Ratio]:
    """Measure the evaluation of PCKh from arrays and, if a prediction file is given, from files."""
    rng = np.random.default_rng(0)
    truth = rng.uniform(0, 1000, (_PEOPLE, _JOINTS, 2))
    head_sizes = rng.uniform(20, 100, _PEOPLE)
    predicted = truth + rng.normal(0, 30, truth.shape)
    counted = np.ones(truth.shape[:2], bool)

    def evaluate() -> None:
        pckh(predicted, truth, counted, head_size_N=head_sizes).pooled_mean()

    def compare_distances() -> None:
        _compare_distances(predicted, truth, 0.5 * head_sizes)

    facts = {"people": _PEOPLE}
    yield compare("scoring", evaluate, "norm and compare", compare_distances, setting.many, facts=facts)
    if setting.predictions:
        yield _measure_scoring_from_files(setting, setting.predictions)


def _compare_distances(predicted: np.ndarray, truth: np.ndarray, limits: np.ndarray) -> np.ndarray:
    return np.linalg.norm(predicted - truth, axis=-1) <= limits[:, None]


def _measure_scoring_from_files(setting: Setting, path: Path) -> Ratio:
    base = 1 if stated_base(path) is None else None
    all_scores = []

    def score_files() -> None:
        people = setting.open_people()
        scores = score(people, read_predictions(path, base=base, skeleton=people.skeleton, people=people))
        scores.table()
        all_scores.append(scores)

    first_ms = time_ms(score_files)  # only the first call draws the bootstrap samples, as a run of `eval` does
    (scores,) = all_scores
    predicted = scores.predictions.joints
    truth = setting.all_people.joints
    limits = scores.pck.threshold * scores.reference_sizes
    yardstick_values = [time_ms(lambda: _compare_distances(predicted, truth, limits)) for _ in range(setting.rounds)]
    values = [first_ms] * len(yardstick_values)
    return Ratio("scoring from files", "norm and compare", values, yardstick_values, facts={"people": len(truth)})
